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


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a column of the app: its tag, property, names and unit."""

    tag: str
    prop: str
    name: Text
    unit: str


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
        """(property, whether it is its unrest) that explains most among those that left first, within `near` rows of each other."""
        out = np.flatnonzero(self.since >= 0)
        first = out[self.since[out] <= self.since[out].min() + near] if len(out) else np.arange(2 * self._k)
        question = int(first[self.size[first].argmax()])
        return question % self._k, question >= self._k


def explain(
    scorer: Scorer, departures: Departures, columns: Sequence[Measured], named: Cause | None = None
) -> tuple[Cause, tuple[Evidence, ...], tuple[Text, ...]]:
    """(cause, evidence, names of the properties that follow). `named` keeps a cause that was named before."""
    lead, unsteady = departures.lead(max(scorer.normal.window // 2, 1)) if named is None else (named.column, named.way == "unsteady")
    size = np.abs(scorer.level)
    faulty = np.union1d(np.flatnonzero(size > 1.0), [lead])
    mean, expected = scorer.mean, dict(zip(faulty.tolist(), scorer.expected(faulty).tolist(), strict=True))
    value, usual = float(mean[lead]), expected[lead]
    way: Way = "low" if value < usual else "high"
    if unsteady:
        value, usual, way = float(scorer.spread[lead]), float(scorer.usual_spread[lead]), "unsteady"
    cause = Cause(lead, columns[lead], way, value, usual)
    share = np.maximum(size, scorer.unrest) ** 2
    share /= max(float(share.sum()), 1e-300)
    order = [lead, *(int(j) for j in faulty[np.argsort(-size[faulty], kind="stable")] if j != lead)][:_MOST_EVIDENCE]
    evidence = tuple(
        Evidence(
            tag=columns[j].tag,
            value=value if j == lead else float(mean[j]),
            expected=usual if j == lead else expected[j],
            unit=columns[j].unit,
            share=float(share[j]),
        )
        for j in order
    )
    return cause, evidence, _names([columns[j].name for j in order[1:]], columns[lead].name)


def _names(names: Sequence[Text], but: Text) -> tuple[Text, ...]:
    """The first two different names."""
    return tuple(n for n in dict.fromkeys(names) if n != but)[:2]
