"""The image libraries, imported at first use: the rest of Ronghe runs without them."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from ronghe.errors import MissingExtra
from ronghe.text import Text


@functools.cache
def opencv() -> Any:
    """The module cv2, kept to the thread that calls it. Raises MissingExtra.

    Its own threads gain nothing on pictures of this size, spin while they wait, and take the processor from acquisition and other apps.
    """
    cv2 = _module("cv2")
    cv2.setNumThreads(1)
    return cv2


@functools.cache
def pillow(name: str) -> Any:
    """A module of Pillow, e.g. "PngImagePlugin". Raises MissingExtra."""
    return _module(f"PIL.{name}")


@functools.cache
def simplejpeg() -> Any:
    """The module simplejpeg. Raises MissingExtra."""
    return _module("simplejpeg")


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise MissingExtra("vision", Text("looking at pictures", "图像处理")) from e
