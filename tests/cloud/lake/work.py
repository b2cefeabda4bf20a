"""Work for a fan-out, in a module of its own: workers import it."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def square(n: int) -> int:
    return n * n


def root(n: int) -> float:
    if n < 0:
        raise ValueError(f"no root of {n}")
    return n**0.5


def dies_once(mark: str) -> str:
    """Its worker is killed the first time."""
    path = Path(mark)
    if path.name.startswith("kill") and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def dies(name: str) -> str:
    """Its worker is killed each time for one of the items."""
    if name == "bad":
        os.kill(os.getpid(), signal.SIGKILL)
    return name
