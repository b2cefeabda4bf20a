"""`kernel`: compiles a loop over periods, once, into a file beside the module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ronghe.errors import MissingExtra
from ronghe.text import Text

try:
    from numba import njit
except ImportError as e:
    raise MissingExtra("planning", Text("inventory", "库存计算")) from e

_Function = TypeVar("_Function", bound=Callable[..., object])


def kernel(function: _Function) -> _Function:
    """The function, compiled; other threads go on while it runs."""
    compiled: Any = njit(cache=True, nogil=True)(function)
    return compiled
