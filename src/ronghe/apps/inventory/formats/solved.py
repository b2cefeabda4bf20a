"""What became of one instance."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from ronghe.text import Text

Kind = Literal["optimal", "heuristic", "unsolved"]


class Solved(msgspec.Struct, frozen=True, kw_only=True):
    """One instance and its answer. `ours` is the expected cost (or profit, see `measure`) of `decision`, in the instance's unit of time."""

    name: str
    problem: str  # what it is: eoq, newsvendor, serial …
    kind: Kind
    ours: float | None = None
    measure: Literal["cost", "profit"] = "cost"
    decision: dict[str, Any] = {}
    others: dict[str, dict[str, float | None]] = {}  # further methods of the literature, for comparison
    reason: Text | None = None  # why it was not solved, or what to know about it


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All instances of a file."""

    file: str
    instances: tuple[Solved, ...]
    solved: int
    of: int
    seconds: float
    unsolved: tuple[str, ...]
