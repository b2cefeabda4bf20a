"""How the kernels are compiled: once, cached beside the source, without the interpreter's lock and without reference counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np

from ronghe.errors import MissingExtra
from ronghe.text import Text

try:
    import numba
except ImportError as e:
    raise MissingExtra("planning", Text("computing schedules", "排产计算")) from e

_F = TypeVar("_F", bound=Callable[..., Any])
# No kernel makes arrays, so none needs numba's run-time memory; counting references to the tables would cost five times the work itself.
_OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False}

# Constants for arguments and for variables that become arguments: a literal would have all that it reaches compiled once more.
NONE: Final = cast(int, np.int64(-1))
YES: Final = cast(bool, np.bool_(True))
NO: Final = cast(bool, np.bool_(False))


def kernel(function: _F) -> _F:
    """A compiled function."""
    return numba.njit(**_OPTIONS)(function)


def inlined(function: _F) -> _F:
    """A compiled function that becomes part of every kernel that calls it: for what is done some ten million times a second."""
    return numba.njit(inline="always", **_OPTIONS)(function)
