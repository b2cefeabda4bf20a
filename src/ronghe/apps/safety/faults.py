"""Camera faults put into a sequence, to see how long they go unnoticed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np

from ronghe.apps.safety.letterbox import Pixels
from ronghe.picture import Picture
from ronghe.picture.libraries import opencv
from ronghe.signals import quality as q

Kind = Literal["frozen", "dark", "covered", "unreadable", "silent"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)


def inject(pictures: Iterable[Picture], kind: Kind, at: int) -> Iterator[Picture]:
    """The pictures, from `at` (ns) on as that fault would show them; "silent" ends them."""
    noise = np.random.default_rng(1)
    last: Pixels | None = None
    for picture in pictures:
        if picture.time < at or picture.pixels is None:
            last = picture.pixels if picture.pixels is not None else last
            yield picture
            continue
        if kind == "silent":
            return
        if kind == "unreadable":
            yield replace(picture, pixels=None, quality=q.BAD_DECODING)
            continue
        if kind == "frozen":
            last = picture.pixels if last is None else last
            yield replace(picture, pixels=last)
            continue
        yield replace(picture, pixels=_dark(picture.pixels, noise) if kind == "dark" else _covered(picture.pixels, noise))


def _dark(pixels: Pixels, noise: np.random.Generator) -> Pixels:
    """The light is out: black, with the sensor's noise."""
    return np.clip(noise.normal(3.0, 1.5, pixels.shape), 0, 255).astype(np.uint8)


def _covered(pixels: Pixels, noise: np.random.Generator) -> Pixels:
    """A cloth before the lens: what is left is a soft, dim, brownish glow, and the sensor's noise."""
    cv2 = opencv()
    h, w = pixels.shape[:2]
    glow = cv2.resize(cv2.resize(pixels, (3, 2), interpolation=cv2.INTER_AREA), (w, h), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    tint = np.array([0.40, 0.30, 0.22]) if pixels.ndim == 3 else 0.3
    return np.clip(glow * tint + noise.normal(0.0, 1.5, pixels.shape), 0, 255).astype(np.uint8)
