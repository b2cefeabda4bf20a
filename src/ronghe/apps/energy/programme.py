"""The linear programme of a plan: built once, solved again and again with other bounds, costs and right-hand sides (HiGHS, warm-started).

Over blocks b of `hours[b]` h each, in kW and kWh:

    buy − feed = net + Σ (charge − discharge) + Σ machines + Σ buffers + spilled            (spilled ≥ 0: PV that nobody takes)
    stored[b] = stored[b−1] + η · charge · h − discharge · h / η
    level[b]  = level[b−1] · (1 − leak)^h + fill · h − draw · h
    buy − feed ≤ cap + above                                                     (above: once for the whole plan, at the demand charge)
    Σ stored + missing[k, b] ≥ need[k, b]                                   (chance constraints on what is in store, `demand`)
    Σ machine · h + short ≥ energy                                       (in each of its two next windows)

What could make it infeasible (a store outside its limits, an end that cannot be reached) has a slack at a price far above any other, so
that a plan is always found and its slack says what cannot be kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.forecast.ensemble import Floats
from ronghe.apps.energy.site import Site
from ronghe.errors import AppError, MissingExtra
from ronghe.text import Text

WINDOWS: Final = 2  # of a machine: the present or next one, and the one after
_NEVER: Final = 10.0  # money per kWh of slack, in multiples of the dearest that a kWh can cost


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """One problem; B blocks. `net` kW: load without what is planned here, less PV; `peak` kW ≥ net: its greatest quarter-hour in each
    block. `price` and `sell` per kWh, `demand` per kW above `cap`. `stored` kWh of each battery now; `end` (block, kWh of each) is where
    they must be, `most` [B] what they may hold together until then; `worth` per kWh left in store at the end of the plan. `need` [K, B]
    usable kWh, `missing` [K] its price per kWh and hour. `windows[j]`: of machine j, (kWh still to take, bool[B] when it may)."""

    net: Floats
    peak: Floats
    price: Floats
    sell: Floats
    cap: float
    demand: float
    stored: Floats
    worth: float = 0.0
    end: tuple[int, Floats] | None = None
    most: Floats | None = None
    need: Floats | None = None
    missing: Floats | None = None
    windows: tuple[tuple[tuple[float, NDArray[np.bool_]], ...], ...] = ()
    levels: Floats = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What was found: kW per block (batteries above 0: charge), kWh in store at the end of each block. `cost` is the objective."""

    buy: Floats
    feed: Floats
    battery: Floats  # [I, B]
    stored: Floats  # [I, B]
    machine: Floats  # [J, B]
    fill: Floats  # [L, B]
    level: Floats  # [L, B]
    above: float
    slack: float  # kWh that could not be kept
    cost: float


class Programme:
    """Sparse arrays of one site and one division of time. Not safe for several threads at once."""

    def __init__(self, site: Site, hours: Floats, levels: int = 0) -> None:
        """`levels`: how many chance constraints a block has. Raises MissingExtra without HiGHS."""
        try:
            import highspy
        except ImportError:
            raise MissingExtra("energy", Text("planning energy", "能源优化")) from None
        self._api: Any = highspy
        self.site, self.hours, self.levels = site, hours, levels
        self._cols, self._rows = 0, 0
        self._entries: list[tuple[NDArray[Any], NDArray[Any], Floats]] = []
        self._lay_out()
        self._highs = self._model()

    # --- the arrays -------------------------------------------------------------------------------------------------------------

    def _col(self, n: int) -> NDArray[np.int64]:
        self._cols += n
        return np.arange(self._cols - n, self._cols)

    def _row(self, n: int) -> NDArray[np.int64]:
        self._rows += n
        return np.arange(self._rows - n, self._rows)

    def _put(self, rows: NDArray[Any], cols: NDArray[Any], values: Floats | float) -> None:
        r, c, v = np.broadcast_arrays(rows, cols, np.asarray(values, float))
        self._entries.append((r, c, v))

    def _lay_out(self) -> None:
        h, n = self.hours, len(self.hours)
        self._balance, self._capped = self._row(n), self._row(n)
        self._buy, self._feed, self._spill, self._above = self._col(n), self._col(n), self._col(n), self._col(1)
        self._put(self._balance, self._buy, 1.0)
        self._put(self._balance, self._feed, -1.0)
        self._put(self._balance, self._spill, -1.0)
        self._put(self._capped, self._buy, 1.0)
        self._put(self._capped, self._feed, -1.0)
        self._put(self._capped, np.repeat(self._above, n), -1.0)
        self._charge, self._discharge, self._stored, self._state = [], [], [], []
        self._over, self._under = [], []
        for b in self.site.batteries:
            charge, discharge, stored, state = self._col(n), self._col(n), self._col(n), self._row(n)
            over, under = self._col(n), self._col(n)
            self._put(self._balance, charge, -1.0)
            self._put(self._balance, discharge, 1.0)
            self._level(state, stored, np.ones(n))
            self._put(state, charge, -h * b.one_way)
            self._put(state, discharge, h / b.one_way)
            self._put(state, over, 1.0)
            self._put(state, under, -1.0)
            self._charge.append(charge)
            self._discharge.append(discharge)
            self._stored.append(stored)
            self._state.append(state)
            self._over.append(over)
            self._under.append(under)
        self._missing, self._kept = [self._col(n) for _ in range(self.levels)], [self._row(n) for _ in range(self.levels)]
        for missing, kept in zip(self._missing, self._kept, strict=True):
            self._put(kept, missing, 1.0)
            for stored in self._stored:
                self._put(kept, stored, 1.0)
        self._machine = [[self._col(n) for _ in range(WINDOWS)] for _ in self.site.machines]
        self._short, self._taken = [], []
        for windows in self._machine:
            short, taken = self._col(WINDOWS), self._row(WINDOWS)
            self._put(taken, short, 1.0)
            for w, cols in enumerate(windows):
                self._put(self._balance, cols, -1.0)
                self._put(np.repeat(taken[w], n), cols, h)
            self._short.append(short)
            self._taken.append(taken)
        self._fill, self._full, self._kept_full = [], [], []
        for u in self.site.buffers:
            fill, full, state, over, under = self._col(n), self._col(n), self._row(n), self._col(n), self._col(n)
            self._put(self._balance, fill, -1.0)
            self._level(state, full, (1 - u.leak) ** h)
            self._put(state, fill, -h)
            self._put(state, over, 1.0)
            self._put(state, under, -1.0)
            self._fill.append(fill)
            self._full.append(full)
            self._kept_full.append(state)
            self._over.append(over)
            self._under.append(under)

    def _level(self, rows: NDArray[Any], cols: NDArray[Any], keeps: Floats) -> None:
        self._put(rows, cols, 1.0)
        self._put(rows[1:], cols[:-1], -keeps[1:])

    def _model(self) -> Any:
        r, c, v = (np.concatenate([e[k] for e in self._entries]) for k in range(3))
        order = np.lexsort((r, c))
        api, lp = self._api, self._api.HighsLp()
        lp.num_col_, lp.num_row_ = self._cols, self._rows
        lp.col_cost_, lp.col_lower_ = np.zeros(self._cols), np.zeros(self._cols)
        lp.col_upper_ = np.full(self._cols, api.kHighsInf)
        lp.row_lower_, lp.row_upper_ = np.full(self._rows, -api.kHighsInf), np.full(self._rows, api.kHighsInf)
        lp.a_matrix_.format_ = api.MatrixFormat.kColwise
        lp.a_matrix_.start_ = np.concatenate([[0], np.cumsum(np.bincount(c, minlength=self._cols))])
        lp.a_matrix_.index_, lp.a_matrix_.value_ = r[order], v[order]
        highs = api.Highs.__new__(api.Highs)
        api.Highs.__base__.__init__(highs)  # its own prints a banner, before it can be told not to
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("threads", 1)  # the problems are too small for more, and a second thread only waits
        highs.setOptionValue("presolve", "choose" if len(self.hours) > 500 else "off")  # a warm start goes without
        highs.passModel(lp)
        self._every_col, self._every_row = np.arange(self._cols, dtype=np.int32), np.arange(self._rows, dtype=np.int32)
        return highs

    # --- one solution -----------------------------------------------------------------------------------------------------------

    def solve(self, ask: Ask) -> Plan:
        """The optimum. Raises AppError where the solver finds none."""
        cost, low, high, least, most = self._bounds(ask)
        highs = self._highs
        highs.changeColsCost(self._cols, self._every_col, cost)
        highs.changeColsBounds(self._cols, self._every_col, low, high)
        highs.changeRowsBounds(self._rows, self._every_row, least, most)
        highs.run()
        if highs.getModelStatus() != self._api.HighsModelStatus.kOptimal:
            status = highs.modelStatusToString(highs.getModelStatus())
            highs.clearSolver()  # the next problem is not to begin from here
            raise AppError(Text(f"the solver found no plan: {status}", f"求解器未得到可行计划：{status}"))
        return self._read(np.array(highs.getSolution().col_value), highs.getInfo().objective_function_value)

    def _bounds(self, ask: Ask) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        inf, h = self._api.kHighsInf, self.hours
        cost, low, high = np.zeros(self._cols), np.zeros(self._cols), np.full(self._cols, inf)
        least, most = np.full(self._rows, -inf), np.full(self._rows, inf)
        never = _NEVER * max(1.0, float(np.abs(ask.price).max()), ask.demand / float(h.min()))
        least[self._balance] = most[self._balance] = ask.net
        most[self._capped] = ask.cap - (ask.peak - ask.net)
        cost[self._buy], cost[self._feed], cost[self._above] = ask.price * h, -np.minimum(ask.sell, ask.price) * h, ask.demand
        high[self._feed] = self.site.export
        high[self._spill] = np.maximum(0.0, -ask.net)
        for slack in (*self._over, *self._under, *self._short):
            cost[slack] = never
        for i, b in enumerate(self.site.batteries):
            high[self._charge[i]] = high[self._discharge[i]] = b.power
            cost[self._discharge[i]] = b.wear * h
            low[self._stored[i]], high[self._stored[i]] = b.low * b.capacity, b.high * b.capacity
            if ask.most is not None:
                high[self._stored[i]] = np.clip(ask.most * b.capacity / self._capacity, low[self._stored[i]], high[self._stored[i]])
            if ask.end is not None:
                at = self._stored[i][ask.end[0]]
                low[at] = high[at] = ask.end[1][i]
            cost[self._stored[i][-1]] = -ask.worth
            least[self._state[i]] = most[self._state[i]] = 0.0
            least[self._state[i][0]] = most[self._state[i][0]] = ask.stored[i]
        if ask.need is not None and ask.missing is not None:
            empty = sum(b.low * b.capacity for b in self.site.batteries)
            for k in range(self.levels):
                least[self._kept[k]] = ask.need[k] + empty
                cost[self._missing[k]] = ask.missing[k] * h
        for j, windows in enumerate(ask.windows):
            for w in range(WINDOWS):
                energy, may = windows[w] if w < len(windows) else (0.0, np.zeros(len(h), np.bool_))
                high[self._machine[j][w]] = np.where(may, self.site.machines[j].power, 0.0)
                least[self._taken[j][w]] = energy
        for k, u in enumerate(self.site.buffers):
            high[self._fill[k]] = u.power
            low[self._full[k]], high[self._full[k]] = u.low * u.capacity, u.high * u.capacity
            least[self._kept_full[k]] = most[self._kept_full[k]] = -u.draw * h
            first = self._kept_full[k][0]
            least[first] = most[first] = ask.levels[k] * (1 - u.leak) ** h[0] - u.draw * h[0]
            cost[self._full[k][-1]] = -ask.worth
        return cost, low, high, least, most

    @property
    def _capacity(self) -> float:
        return sum(b.capacity for b in self.site.batteries)

    def _read(self, x: Floats, cost: float) -> Plan:
        def rows(cols: list[NDArray[np.int64]]) -> Floats:
            return np.array([x[c] for c in cols]).reshape(len(cols), len(self.hours))

        slack = sum(float(x[c].sum()) for c in (*self._over, *self._under, *self._short))
        return Plan(
            buy=x[self._buy],
            feed=x[self._feed],
            battery=rows(self._charge) - rows(self._discharge),
            stored=rows(self._stored),
            machine=np.array([x[w[0]] + x[w[1]] for w in self._machine]).reshape(len(self._machine), len(self.hours)),
            fill=rows(self._fill),
            level=rows(self._full),
            above=float(x[self._above][0]),
            slack=slack,
            cost=cost,
        )
