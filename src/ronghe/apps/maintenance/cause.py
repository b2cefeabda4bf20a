"""Names the cause of an excursion: the property that left normal first and explains most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.maintenance.scorer import Scorer
from ronghe.guard.advice import Evidence
from ronghe.text import Text

Floats = NDArray[np.float64]

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
    """A property that left normal. `expected` is what normal operation would have shown, given the properties that are still normal."""

    column: int
    tag: str
    prop: str
    name: Text
    unit: str
    value: float
    expected: float

    @property
    def low(self) -> bool:
        """Below what is expected."""
        return self.value < self.expected

    @property
    def key(self) -> str:
        """The stable name of the condition."""
        return f"{self.tag}_{'low' if self.low else 'high'}"


class Departures:
    """When each property left normal: row number of its first excess in a row of them, or −1."""

    def __init__(self, k: int) -> None:
        self.since = np.full(k, -1, np.int64)
        self._row = 0

    def step(self, z: Floats) -> None:
        """One row of contributions over their limits."""
        self._row += 1
        size = np.abs(z)
        self.since[size < _BACK] = -1
        self.since[(size > 1.0) & (self.since < 0)] = self._row

    def leaders(self, size: Floats, near: int) -> NDArray[np.intp]:
        """The properties that left first, within `near` rows of each other, largest contribution first."""
        out = np.flatnonzero(self.since >= 0)
        if not len(out):
            return np.array([int(size.argmax())])
        first = out[self.since[out] <= self.since[out].min() + near]
        return first[np.argsort(-size[first], kind="stable")]


def explain(
    scorer: Scorer, departures: Departures, columns: Sequence[Measured], lead: int | None = None
) -> tuple[Cause, tuple[Evidence, ...], tuple[Text, ...]]:
    """(cause, evidence, names of the properties that follow). `lead` keeps a cause that was named before."""
    size = np.abs(scorer.z)
    leaders = departures.leaders(size, max(scorer.normal.window // 2, 1))
    lead = int(leaders[0]) if lead is None else lead
    faulty = np.union1d(np.flatnonzero(size > 1.0), [lead])
    expected = dict(zip(faulty.tolist(), scorer.expected(faulty).tolist(), strict=True))
    share = size**2 / max(float((size**2).sum()), 1e-300)
    order = [lead, *(int(j) for j in faulty[np.argsort(-size[faulty], kind="stable")] if j != lead)][:_MOST_EVIDENCE]
    evidence = tuple(
        Evidence(tag=columns[j].tag, value=float(scorer.mean[j]), expected=expected[j], unit=columns[j].unit, share=float(share[j]))
        for j in order
    )
    c = columns[lead]
    cause = Cause(lead, c.tag, c.prop, c.name, c.unit, float(scorer.mean[lead]), expected[lead])
    return cause, evidence, _names([columns[j].name for j in order[1:]], c.name)


def _names(names: Sequence[Text], but: Text) -> tuple[Text, ...]:
    """The first two different names."""
    return tuple(n for n in dict.fromkeys(names) if n != but)[:2]
