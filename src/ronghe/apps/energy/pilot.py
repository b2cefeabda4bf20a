"""What is to be done in the next quarter-hour: by the optimiser in a thread of its own with a deadline, or by the safe rule, and why.

The safe rule needs no forecast: the time-of-use rule at the cap of the month (`rule`). Where the tariff says nothing it only holds the cap;
a battery whose state of charge is not known, and all of them where the meter is not known, stand still. A machine runs from the beginning
of its window until it has its energy; a buffer is brought to the middle of its range.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy import rule
from ronghe.apps.energy.forecast.ensemble import Floats, Paths, ensemble, ready
from ronghe.apps.energy.planner import Ahead, Decision, Planner, Standing
from ronghe.apps.energy.site import Site, follow, share
from ronghe.errors import RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)

Window = tuple[tuple[float, NDArray[np.bool_]], ...]
NEW: Final = "learning"  # why: nothing is wrong, it has not seen enough


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """How things are at a step. `net` kW, the last known; NaN where the meter is not known. `known`: quarter-hours of net before now.
    `stored` kWh of each battery, NaN where not known. `price`, `sell` [ahead], NaN where the tariff says nothing; `left`: steps of
    the month that are left."""

    net: float
    known: Floats
    stored: Floats
    price: Floats
    sell: Floats
    demand: float
    cap: float
    left: int
    weekday: int
    windows: tuple[Window, ...]
    levels: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """What is to be done: kW of each battery, machine and buffer; NaN: nothing is said. `cap` kW that is held meanwhile. `decision` and
    `paths` where the optimiser decided; `why` not, and `kind`, a short name of that."""

    battery: list[float]
    machine: list[float]
    buffer: list[float]
    cap: float
    decision: Decision | None = None
    paths: Paths | None = None
    why: Text | None = None
    kind: str = ""
    step_ms: float = math.nan


class Pilot:
    """One site. `decide` takes no longer than the deadline."""

    def __init__(self, site: Site, per_day: int, deadline: float) -> None:
        self.site, self._per_day, self._deadline = site, per_day, deadline
        self._planner: Planner | None = None
        self._busy: threading.Thread | None = None

    @property
    def ahead(self) -> int:
        """Steps of a plan. Raises MissingExtra."""
        if self._planner is None:
            self._planner = Planner(self.site, self._per_day)
        return self._planner.ahead

    def decide(self, seen: Seen) -> Order:
        """The optimiser's order, else the rule's."""
        why, kind = self._unfit(seen)
        if why is None:
            began = time.perf_counter()
            try:
                decision, paths = self._planned(seen)
            except RongheError as e:
                why, kind = Text(f"no plan: {e.what.en}", f"未得到优化计划：{e.what.in_('zh')}"), "solver"
            except TimeoutError:
                why = Text(f"no plan within {self._deadline:g} s", f"{self._deadline:g} 秒内未得到优化计划")
                kind = "solver"
            except Exception:
                log.exception("no plan")
                why, kind = Text("the optimiser failed; see the log of the node", "优化程序出错，详见节点日志"), "solver"
            else:
                return self._held(seen, decision, paths, 1e3 * (time.perf_counter() - began))
        return self._ruled(seen, why, kind)

    def hold(self, seen: Seen, order: Order) -> list[float]:
        """The batteries' powers between two steps: those ordered, kept within cap and export on what the meter shows now."""
        if not math.isfinite(seen.net) or not np.isfinite(seen.stored).all():
            return order.battery
        return self._within(seen, order.battery, order.cap)

    def _unfit(self, seen: Seen) -> tuple[Text | None, str]:
        """Why there can be no plan."""
        if not math.isfinite(seen.net):
            return Text("the meter is not known: the batteries stand still", "关口表数据不可用：储能保持静止"), "meter"
        if not np.isfinite(seen.price).all():
            text = Text("the tariff says nothing of the next hours: only the cap is held", "电价文件未覆盖未来时段：仅保持需量上限")
            return text, "tariff"
        if not np.isfinite(seen.stored).all():
            return Text("a state of charge is not known: that battery stands still", "荷电状态未知：该储能保持静止"), "soc"
        if not np.isfinite(seen.levels).all():
            return Text("the level of a buffer is not known", "缓冲装置料位未知"), "level"
        if not ready(len(seen.known), self._per_day):
            return Text("still learning: it needs three days of load", "学习中：需要三天负荷数据"), NEW
        return None, ""

    def _planned(self, seen: Seen) -> tuple[Decision, Paths]:
        if self._busy is not None and self._busy.is_alive():
            raise TimeoutError
        if self._busy is not None:
            self._busy, self._planner = None, None  # the one before took too long: whatever state it is in
        answer: Future[tuple[Decision, Paths]] = Future()
        thread = threading.Thread(target=_into, args=(answer, lambda: self._plan(seen)), name="energy plan", daemon=True)
        thread.start()
        try:
            return answer.result(self._deadline)
        except TimeoutError:
            self._busy = thread
            raise

    def _plan(self, seen: Seen) -> tuple[Decision, Paths]:
        n = self.ahead
        planner = self._planner
        assert planner is not None
        paths = ensemble(seen.known, self._per_day, n, seen.weekday)
        ahead = Ahead(paths=paths, price=seen.price[:n], sell=seen.sell[:n], demand=seen.demand, left=seen.left)
        usable = np.clip(
            seen.stored,
            [b.low * b.capacity for b in self.site.batteries],
            [b.high * b.capacity for b in self.site.batteries],
        )
        standing = Standing(stored=usable, peak=seen.cap, windows=seen.windows, levels=seen.levels)
        return planner.decide(ahead, standing), paths

    def _held(self, seen: Seen, decision: Decision, paths: Paths, ms: float) -> Order:
        powers = self._within(seen, decision.power.tolist(), decision.cap)
        plan = decision.plan
        return Order(powers, plan.machine[:, 0].tolist(), plan.fill[:, 0].tolist(), decision.cap, decision, paths, step_ms=ms)

    def _ruled(self, seen: Seen, why: Text | None, kind: str) -> Order:
        hours, known = 24 / self._per_day, np.isfinite(seen.stored)
        machines = [
            m.power if windows and windows[0][1][0] and windows[0][0] > 1e-6 else 0.0
            for m, windows in zip(self.site.machines, seen.windows, strict=True)
        ]
        machines = [min(p, w[0][0] / hours) if w else p for p, w in zip(machines, seen.windows, strict=True)]
        buffers = [
            min(u.power, max(0.0, u.draw + (u.capacity * (u.low + u.high) / 2 - level))) if math.isfinite(level) else u.draw
            for u, level in zip(self.site.buffers, seen.levels.tolist(), strict=True)
        ]
        powers = [0.0] * len(self.site.batteries)
        if kind != "meter":
            price = seen.price[: self._per_day]
            priced = bool(np.isfinite(price).all())
            wanted = [
                rule.power(b, float(e), price, hours, twice=kind != NEW) if priced and ok else 0.0
                for b, e, ok in zip(self.site.batteries, seen.stored, known, strict=True)
            ]
            powers = self._within(seen, wanted, seen.cap)
        return Order(powers, machines, buffers, seen.cap, why=why, kind=kind)

    def _within(self, seen: Seen, wanted: Sequence[float], cap: float) -> list[float]:
        """Powers near those wanted, of batteries whose state is known, that keep cap and export."""
        able = [i for i, e in enumerate(seen.stored) if math.isfinite(e)]
        total = follow(sum(wanted[i] for i in able), seen.net, cap, max(self.site.export, -seen.net))
        batteries = [self.site.batteries[i] for i in able]
        shared = share([wanted[i] for i in able], total, batteries, [float(seen.stored[i]) for i in able], 24 / self._per_day)
        powers = [0.0] * len(self.site.batteries)
        for i, p in zip(able, shared, strict=True):
            powers[i] = p
        return powers


def _into(answer: Future[tuple[Decision, Paths]], make: Callable[[], tuple[Decision, Paths]]) -> None:
    try:
        answer.set_result(make())
    except BaseException as e:  # SystemExit too: whoever waits is told
        answer.set_exception(e if isinstance(e, Exception) else RuntimeError(type(e).__name__))
