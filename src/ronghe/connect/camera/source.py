"""What the driver needs of a source of pictures. A source is used by one thread at a time, and blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ronghe.text import Text


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a source. `time` is when it was taken (ns), 0 where the source does not know. Without pixels, `reason` says why."""

    number: int
    pixels: NDArray[np.uint8] | None
    time: int = 0
    name: str = ""
    reason: Text | None = None


class Ended(Exception):
    """All pictures of a source have been played."""


class Source(ABC):
    """Life: construct (no input/output) → open → next, again and again → close. After `close` it may be opened again."""

    live: ClassVar[bool]
    """Whether it gives pictures at its own pace, so that one that is late is worth nothing."""
    continuous: ClassVar[bool]
    """Whether one picture follows from another: a view, not a heap of pictures."""
    interval: float = 0.0
    """s, between pictures where they are played and nobody wants another rate; 0: as they come."""
    dropped: int = 0
    """Pictures passed over since it was made, because newer ones were there already."""

    @abstractmethod
    def open(self) -> None:
        """Raises ConnectError: Unreachable, or Rejected and BadAddress where trying again cannot help."""

    @abstractmethod
    def next(self) -> Frame | None:
        """The next picture; None when there is none after half a second. Raises ConnectError when the source is lost, Ended at its end."""

    @abstractmethod
    def close(self) -> None:
        """Safe to call twice."""
