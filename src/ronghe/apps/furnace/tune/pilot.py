"""From one trial to the next on a running process: ramp, settle, average; and back at once where a limit comes near.

Rows go in, the set-points that should be in force come out. Whoever puts them into force (a guard, a person, or somebody else altogether
who knows better) the pilot goes by what is in force, and learns from it.

    settle → window → (trial told, next asked) → ramp → settle → …        a limit near: → back → settle
                                                                        nothing left to try: hold
"""

from __future__ import annotations

from collections import deque
from typing import Final, Literal

import msgspec
import numpy as np

from ronghe.apps.furnace.tune.space import By, Proposal, Space, State, Strategy, Trial
from ronghe.apps.furnace.tune.surrogate import Floats

Phase = Literal["settle", "window", "ramp", "back", "hold"]

_FILTER: Final = 3  # rows whose mean is watched
_NEAR: Final = 0.4  # part of the margin at which a ramp is given up
_ARRIVED: Final = 1e-3  # of the range: a set-point this close is there
_STRANGE: Final = 0.02  # of the range: a set-point this far from all that was wanted was moved by somebody else
_SILENT: Final = 3  # rows
_EXTENDED: Final = 3  # windows that it waits at most for the process to be steady
_STEADY: Final = 3.0  # standard errors that the halves of a steady window differ at most


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured at one time. `time` in s."""

    time: float
    x: tuple[float, ...]  # set-points in force
    terms: tuple[float, ...]  # whose sum is the objective
    values: tuple[float, ...]  # of the constrained quantities


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast: ramps in own units per s, times in s."""

    ramp: tuple[float, ...]
    settle: float
    window: float
    row: float  # between two rows; after a longer time without one nothing is made up for


class Pilot:
    """`strategy` says where to, this gets there. `step(row)` → the set-points that should be in force next."""

    def __init__(self, space: Space, pace: Pace, strategy: Strategy) -> None:
        self.space, self.pace, self.strategy = space, pace, strategy
        self.phase: Phase = "settle"
        self.proposal: Proposal | None = None  # what is being tried
        self.near: int | None = None  # the limit because of which it turned back last
        self._by: By = "start"
        self._range = np.array(space.high) - np.array(space.low)
        self._from = self._target = self._wanted = np.zeros(0)
        self._since = self._last = np.nan
        self._window: list[Row] = []
        self._recent: deque[Row] = deque(maxlen=_FILTER)
        self._held: Trial | None = None

    @property
    def target(self) -> tuple[float, ...]:
        """Where it is bound for, or is; empty before the first row."""
        return tuple(self._target.tolist())

    def step(self, row: Row) -> tuple[float, ...] | None:
        """Takes a row, all its numbers finite; gives what should be in force, None while nothing is to be changed."""
        x = np.array(row.x)
        if not len(self._target):
            self._adopt(row, "start")
        elapsed, self._last = row.time - self._last, row.time
        if elapsed > _SILENT * self.pace.row:
            self._recent.clear()
            self._window, self._since = [], row.time
            self.phase = "settle" if self.phase == "window" else self.phase
        self._recent.append(row)
        if not self._on_its_way(x):
            self._adopt(row, "person")
        elif self.phase != "back" and self._near_a_limit():
            self._turn_back(row)
        elif self.phase in ("ramp", "back"):
            self._go(x, min(elapsed, self.pace.row), row.time)
        elif self.phase == "settle":
            if row.time - self._since >= self.pace.settle:
                self.phase, self._window = "window", []
        else:
            self._average(row)
        near = 1e-9 if self.phase in ("ramp", "back") else _ARRIVED
        return None if np.allclose((self._wanted - x) / self._range, 0, atol=near) else tuple(self._wanted.tolist())

    def slack(self) -> Floats:
        """[m] how far the last rows were inside the limits; below `_NEAR` of the margins it turns back."""
        values = np.array([r.values for r in self._recent]).mean(axis=0)
        return np.array([limit.slack(v) for limit, v in zip(self.space.limits, values, strict=True)])

    # --- moving -----------------------------------------------------------------------------------------------------------------

    def _adopt(self, row: Row, by: By) -> None:
        """What is in force is where it begins; where somebody else has moved it, what comes of that is learned."""
        self._from = self._target = self._wanted = np.array(row.x)
        self.phase, self._since, self._by, self.proposal = "settle", row.time, by, None
        self._last = row.time if np.isnan(self._last) else self._last

    def _head(self, proposal: Proposal, row: Row, phase: Phase) -> None:
        self.proposal, self._by, self.phase = proposal, proposal.by, phase
        self._from, self._target, self._wanted = np.array(row.x), np.array(proposal.x), np.array(row.x)

    def _go(self, x: Floats, elapsed: float, now: float) -> None:
        """One step of the ramp, all variables to arrive together, from what is in force: whoever is late is waited for."""
        left = self._target - x
        if np.max(np.abs(left) / self._range) <= _ARRIVED:
            self.phase, self._since, self._wanted = "settle", now, self._target
            return
        longest = float(np.max(np.abs(left) / np.array(self.pace.ramp)))
        self._wanted = x + left * min(1.0, elapsed / longest)

    def _on_its_way(self, x: Floats) -> bool:
        """Whether what is in force is of this pilot's making: between where it came from and where it goes."""
        low, high = np.minimum(self._from, self._target), np.maximum(self._from, self._target)
        if self.phase not in ("ramp", "back"):
            low = high = self._target
        return bool(((x >= low - _STRANGE * self._range) & (x <= high + _STRANGE * self._range)).all())

    def stay(self, row: Row) -> None:
        """The rest of the way was refused: what is to be seen here is seen, and learned from."""
        self._adopt(row, self._by)

    def rest(self) -> None:
        """No more trials: back to the best point."""
        best = self.strategy.best
        if best is not None:
            self.proposal, self._by, self.phase = Proposal(x=best.x, by="model", expected=best.objective), "model", "ramp"
            self._from, self._target = self._wanted, np.array(best.x)

    def visit(self, x: tuple[float, ...], row: Row) -> None:
        """From rest to another known point, for the sake of comparison."""
        self._head(Proposal(x=x, by="model"), row, "ramp")

    # --- limits -----------------------------------------------------------------------------------------------------------------

    def _near_a_limit(self) -> bool:
        if not self.space.limits or len(self._recent) < _FILTER:
            return False
        room = self.slack() - _NEAR * self.strategy.margins
        if room.min() >= 0:
            return False
        self.near = int(np.argmin(room))
        return True

    def _turn_back(self, row: Row) -> None:
        """Tells how near it was, and heads for the best point that is known to hold; from there, for a safer one."""
        values = tuple(np.array([r.values for r in self._recent]).mean(axis=0).tolist())
        state: State = "again" if self._is_best(row.x) else "turned_back"
        self.strategy.tell(Trial(x=row.x, terms=(), values=values, by=self._by, state=state, time=row.time))
        best = self.strategy.best
        safe = self.strategy.ask() if best is None or self._is_best(row.x) else Proposal(x=best.x, by="model")
        self._head(safe, row, "back")

    def _is_best(self, x: tuple[float, ...]) -> bool:
        best = self.strategy.best
        return best is not None and bool(np.max(np.abs(np.array(x) - np.array(best.x)) / self._range) <= 2 * _ARRIVED)

    # --- averages ---------------------------------------------------------------------------------------------------------------

    def _average(self, row: Row) -> None:
        """Fills the window; once it is full and steady, or has waited long enough, tells it and heads for the next."""
        self._window.append(row)
        long = row.time - self._window[0].time
        if long < self.pace.window * (1 - 1e-9):
            return
        half = self._window[0].time + long - self.pace.window
        trial = self._seen([r for r in self._window if r.time >= half])
        if self.phase == "window" and not _steady(self._window, half) and long < _EXTENDED * self.pace.window:
            return
        self._window = []
        if self.phase == "hold" and not self._moved(trial):
            return
        self.strategy.tell(trial)
        if self.strategy.done:
            self._settle_down(row)
        else:
            self._head(self.strategy.ask(), row, "ramp")

    def _settle_down(self, row: Row) -> None:
        """Nothing left to try: to the best point, and there it stays and watches."""
        if self.strategy.best is None or self._is_best(row.x):
            self.phase, self._held = "hold", None
        else:
            self.rest()

    def _moved(self, trial: Trial) -> bool:
        """While it stays: whether the process is no longer what it was when it came to rest."""
        if self._held is None:
            self._held = trial
            return False
        far = 5 * np.hypot(trial.noise, self._held.noise)
        return bool(abs(sum(trial.terms) - sum(self._held.terms)) > far)

    def _seen(self, rows: list[Row]) -> Trial:
        terms = np.array([r.terms for r in rows])
        values = np.array([r.values for r in rows]).reshape(len(rows), -1)
        means = values.mean(axis=0)
        slacks = [limit.slack(v) for limit, v in zip(self.space.limits, means, strict=True)]
        least = [min(limit.slack(v) for v in values[:, i]) for i, limit in enumerate(self.space.limits)]
        parts = np.array([p.mean() for p in np.array_split(terms.sum(axis=1), 4)])  # rows are not independent, quarters nearly
        return Trial(
            x=tuple(self._target.tolist()),
            terms=tuple(terms.mean(axis=0).tolist()),
            noise=float(parts.std(ddof=1) / 2),
            values=tuple(means.tolist()),
            swing=tuple(float(s - w) for s, w in zip(slacks, least, strict=True)),
            by=self._by,
            state="again" if self._is_best(rows[-1].x) else "settled",
            time=rows[-1].time,
        )


def _steady(rows: list[Row], since: float) -> bool:
    """Whether the halves of the window agree within what its noise explains."""
    y = np.array([sum(r.terms) for r in rows if r.time >= since])
    first, second = np.array_split(y, 2)
    error = np.hypot(*(np.std([p.mean() for p in np.array_split(h, 3)], ddof=1) / np.sqrt(3) for h in (first, second)))
    return bool(abs(first.mean() - second.mean()) <= _STEADY * error)
