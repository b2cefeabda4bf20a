"""What a node need not have in memory: some 60 MB of libraries that only stand by. Measured by `ronghe bench idle`."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa


class _Hider:
    """An importer that has not got some packages, in one thread."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names, self._thread = names, threading.get_ident()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Raises ImportError for them, and leaves everything else to others."""
        if name in self._names and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@contextlib.contextmanager
def without(*names: str) -> Iterator[None]:
    """Within, in this thread, optional packages that others import where they are installed cannot be found. Later they can."""
    hider: Any = _Hider(names)
    sys.meta_path.insert(0, hider)
    try:
        yield
    finally:
        sys.meta_path.remove(hider)


def lighten() -> None:
    """Call once, before anything else of Arrow is used in this process.

    Arrow imports pandas, where it is installed, at the first array that it makes, to recognise what nobody here gives it; it is asked once
    while pandas is not found. Who imports it himself, or calls `to_pandas`, has it all the same. Arrow's own allocator holds back memory
    for work in many threads; a node's small batches are served by the system's.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with without("pandas"):
        pa.array([0])


def trim() -> None:
    """Gives back to the system what starting up needed and running does not. Some 50 ms; where the C library cannot, nothing happens."""
    gc.collect()
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc
    if give_back is not None:
        give_back(0)
