"""Names the cause of an excursion: the property that left normal first and explains most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.maintenance.scorer import Scorer
from ronghe.guard.advice import Evidence
from ronghe.text import Text

Floats = NDArray[np.float64]
Way = Literal["low", "high", "unsteady"]

_MOST_EVIDENCE = 6
_BACK = 0.9  # a property counts as back below this part of its limit
_BY_FAR = 2.0  # ratio of √RBC: four times the contribution


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a column of the app: its tag, property, unit, and name.

    `name` tells it from others of its equipment; `kind` is the property's name, which several may share; none: the same.
    """

    tag: str
    prop: str
    name: Text
    unit: str
    kind: Text | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """A property that left normal, and how: its level is low or high, or it is unsteady.

    `expected` is what normal operation would have shown, given the properties that are still normal. For an unsteady one `value` and
    `expected` are standard deviations within a window.
    """

    column: int
    of: Measured
    way: Way
    value: float
    expected: float

    @property
    def key(self) -> str:
        """The stable name of the condition."""
        return f"{self.of.tag}_{self.way}"


class Departures:
    """When each property left normal: per question (k levels, then k unrests) the number of its first row of excess, or −1."""

    def __init__(self, k: int) -> None:
        self.since = np.full(2 * k, -1, np.int64)
        self.size = np.zeros(2 * k)
        self._k, self._row = k, 0

    def step(self, scorer: Scorer) -> None:
        """One row's contributions."""
        self._row += 1
        np.abs(scorer.level, out=self.size[: self._k])
        self.size[self._k :] = scorer.unrest
        self.since[self.size < _BACK] = -1
        self.since[(self.size > 1.0) & (self.since < 0)] = self._row

    def lead(self, near: int) -> tuple[int, bool]:
        """(property, whether it is its unrest) that explains most among those that left first, within `near` rows of each other.

        Who was first says more than who is largest, since effects may outgrow their cause, but not when another outgrows it by far.
        """
        out = np.flatnonzero(self.since >= 0)
        first = out[self.since[out] <= self.since[out].min() + near] if len(out) else np.arange(2 * self._k)
        question, top = int(first[self.size[first].argmax()]), int(self.size.argmax())
        if self.size[top] > _BY_FAR * self.size[question]:
            question = top
        return question % self._k, question >= self._k

    def outgrown(self, cause: Cause) -> bool:
        """Whether something else explains so much more than a cause named before that it must be named instead."""
        own = self.size[cause.column + (self._k if cause.way == "unsteady" else 0)]
        return bool(self.size.max() > _BY_FAR * own)


def explain(
    scorer: Scorer, departures: Departures, columns: Sequence[Measured], named: Cause | None = None
) -> tuple[Cause, tuple[Evidence, ...], tuple[Text, ...]]:
    """(cause, evidence, names of the properties that follow). `named` keeps a cause that was named before."""
    lead, unsteady = departures.lead(max(scorer.normal.window // 2, 1)) if named is None else (named.column, named.way == "unsteady")
    found, usual, share = scorer.trace(lead, _MOST_EVIDENCE)
    values = scorer.mean[found]
    way: Way = "low" if values[0] < usual[0] else "high"
    if unsteady:
        values[0], usual[0], way = scorer.spread[lead], scorer.usual_spread[lead], "unsteady"
    cause = Cause(lead, columns[lead], way, float(values[0]), float(usual[0]))
    evidence = tuple(
        Evidence(tag=columns[j].tag, value=float(v), expected=float(u), unit=columns[j].unit, share=float(s))
        for j, v, u, s in zip(found, values, usual, share, strict=True)
    )
    return cause, evidence, _kinds([columns[j] for j in found[1:]], columns[lead])


def _kinds(columns: Sequence[Measured], but: Measured) -> tuple[Text, ...]:
    """The first two different properties."""
    kinds = dict.fromkeys(c.kind or c.name for c in columns)
    return tuple(k for k in kinds if k != (but.kind or but.name))[:2]
