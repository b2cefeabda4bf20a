"""energy.optimise: batteries, machines that may wait and buffers, set anew every quarter of an hour at the economic optimum.

Rows → quarter-hours (`memory`) → order (`pilot`: optimiser, else safe rule) → advice; each finished day is valued (`worth`).

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; what is not known is null; see `present`):

    now      GET   how things are: powers, who decides and why, price and what comes next, the month so far
    plan     GET   24 h ahead by quarter-hours, with intervals, and what became of the last 24 h
    worth    GET   what each finished day saved
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Finding, Page, Priority, Question, Result, Right, Wants
from ronghe.apps.energy import demand, present, site, windows
from ronghe.apps.energy.forecast.ensemble import ready
from ronghe.apps.energy.memory import PER_DAY, Day, Memory, MonthSoFar, Quarter
from ronghe.apps.energy.pilot import NEW, Order, Pilot, Seen
from ronghe.apps.energy.settings import Options
from ronghe.apps.energy.tariff import QUARTER, Tariff
from ronghe.apps.energy.worth import WHOLE, Prices, worth
from ronghe.apps.standing import Standing
from ronghe.errors import AppError, Problem, RongheError
from ronghe.guard import Advice
from ronghe.guard.advice import Evidence
from ronghe.guard.saving import Interval, Saving
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_UNITS: Final = {"kW": 1.0, "W": 1e-3, "MW": 1e3, "%": 0.01, "1": 1.0, "": 1.0}
_FREE: Final = 1e6  # kW: the cap where there is no demand charge
_AGAIN: Final = 5  # between two steps a set-point may be put right so many times
_DEADBAND: Final = 0.02  # of the power: less is not put right
_KEEP: Final = 4 * QUARTER  # what is new is written down, and at once where it costs money to forget it
_NOTHING: Final = Text("")
_HALF: Final = 0.5  # of a quarter-hour's rows must be good


class Optimise(App):
    """One meter and what stands behind it. Signals: `by` (1: optimiser, 2: rule), `cap`, `peak`, `cost` of the month, `step_ms`."""

    uses: ClassVar[str] = "energy.optimise"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="energy", title=Text("Energy", "能源"), view="energy"),)
    verbs: ClassVar[Mapping[str, Right]] = {"now": "read", "plan": "read", "worth": "read"}

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(name, plant, equipment, options, state)
        o: Options = options
        self._every = parse_duration(o.every)
        if not 0 < self._every <= QUARTER or QUARTER % self._every:
            raise AppError(Text(f"every: {o.every} does not divide 15min", f"every：{o.every} 不能整除 15min"), where=f"apps.{name}.every")
        self.site = site.Site(
            tuple(site.Battery(s.name, s.capacity, s.power, s.efficiency, s.low, s.high, s.wear) for s in o.storage),
            tuple(site.Machine(f.name, f.power) for f in o.flexible),
            tuple(site.Buffer(b.name, b.capacity, b.power, b.draw, b.leak, b.low, b.high) for b in o.buffers),
            o.export,
        )
        self._windows = [windows.Daily.of(f, f"apps.{name}.flexible") for f in o.flexible]
        tags = [o.grid, o.pv, *(t for s in o.storage for t in (s.set, s.soc, s.measured)), *(b.level for b in o.buffers)]
        sets = [*(f.set for f in o.flexible), *(b.set for b in o.buffers)]
        self.tags = {t: resolve(plant, equipment, t, f"apps.{name}") for t in (*tags, *sets) if t}
        self._gain = {t: self._unit(full) for t, full in self.tags.items()}
        for t in (*(s.set for s in o.storage), *sets):
            if not plant.tags[self.tags[t]].writable:
                todo = Text("mark it writable in tags.csv and give it a guard", "请在 tags.csv 中标为可写，并配置守护")
                raise AppError(Text(f"{t} cannot be written", f"{t} 不可写"), where=f"apps.{name}", todo=todo)
        self._columns = tuple(dict.fromkeys(self.tags[t] for t in tags if t))
        self.memory = Memory(state / "energy.msgpack", len(o.storage))
        self._pilot = Pilot(self.site, PER_DAY, o.deadline)
        self._ahead = np.arange(self._pilot.ahead + PER_DAY) * QUARTER
        self._standing, self._told = Standing(state / "standing.json"), ""
        self._keys = set(self._standing.inherited)  # of the findings that stand
        self._tariff_file = Path(plant.folder) / o.tariff
        self._tariff_read: int | None = None  # mtime, ns
        self.tariff: Tariff | None = None
        self._tariff_trouble: RongheError | None = None
        self._rows: list[tuple[float, ...]] = []  # of the quarter-hour under way
        self._from = 0  # its beginning, ns
        self.seen: Seen | None = None
        self.values: dict[str, float] = {}
        self.ages: dict[str, float] = {}
        self.time = 0
        self.order: Order | None = None
        self.decided = 0  # ns
        self._sent: dict[str, tuple[int, float]] = {}
        self._look()

    def _unit(self, tag: str) -> float:
        unit = self.plant.unit_of(tag)
        if unit not in _UNITS:
            raise AppError(
                Text(f"{tag} is in {unit!r}, not in kW or %", f"{tag} 的单位为 {unit!r}，应为 kW 或 %"), where=f"apps.{self.name}"
            )
        return _UNITS[unit]

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """A row for every fifteenth part of `every`, no faster than the slowest tag."""
        slowest = max(self.plant.tags[t].every for t in self._columns)
        row = max(self._every / 15e9, 1e-3)
        if row < slowest:
            row = next((self._every / 1e9 / k for k in range(15, 0, -1) if self._every / 1e9 / k >= slowest), self._every / 1e9)
        return Wants(tags=self._columns, every=row, max_age=max(3 * row, self._every / 2e9))

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the tariff."""
        e = self._tariff_trouble
        return (Problem(self.options.tariff, 0, Text(e.in_("en"), e.in_("zh")), severity="warning"),) if e else ()

    def step(self, window: Window) -> Result:
        """Rows."""
        findings: list[Finding] = []
        advice: list[Advice] = []
        savings: list[Saving] = []
        for i in range(len(window)):
            t = int(window.time[i])
            self._take(t, window.value[i].tolist(), window.age[i].tolist())
            if t % QUARTER == 0:
                savings += self._quarter(t)
            if t % self._every == 0:
                found, given = self._decide(t)
                findings += found
                advice += given
            elif self.order is not None and t - self.decided < self._every:
                advice += self._put_right(t)
        return Result(findings=tuple(findings), advice=tuple(advice), savings=tuple(savings), signals=self._signals())

    def ask(self, question: Question) -> object:
        """Answers; see the module."""
        match question.verb:
            case "now":
                return present.now(self)
            case "plan":
                return present.plan(self)
            case "worth":
                return present.worth(self)
        return super().ask(question)

    def signal(self, name: str) -> Text:
        """What people call a signal."""
        names = {
            "by": Text("decided by (1 optimiser, 2 rule)", "决策方式（1 优化，2 规则）"),
            "cap": Text("cap on the import, kW", "需量上限（kW）"),
            "peak": Text("month's greatest quarter-hour, kW", "当月最大需量（kW）"),
            "cost": Text("month's electricity cost so far", "当月电费累计"),
            "step_ms": Text("time of a plan, ms", "单次优化用时（ms）"),
        }
        return names.get(name) or super().signal(name)

    def close(self) -> None:
        """Keeps what was learned."""
        self.memory.keep()

    # --- rows -------------------------------------------------------------------------------------------------------------------

    def value(self, tag: str) -> float:
        """Newest value of an option's tag in kW or as a share; NaN where there is none."""
        return self.values.get(self.tags[tag], math.nan) * self._gain[tag] if tag else 0.0

    def _take(self, t: int, values: list[float], ages: list[float]) -> None:
        self.time = t
        self.values, self.ages = dict(zip(self._columns, values, strict=True)), dict(zip(self._columns, ages, strict=True))
        start = (t - 1) // QUARTER * QUARTER
        if start != self._from:
            self._rows, self._from = [], start
        o = self.options
        batteries = [self.value(s.measured or s.set) for s in o.storage]
        self._rows.append((self.value(o.grid), self.value(o.pv), *batteries))

    def stored(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """kWh in each battery; NaN where not known or no state of charge."""
        soc = [self.value(s.soc) for s in self.options.storage]
        return np.array([e * s.capacity if -0.02 <= e <= 1.02 else math.nan for e, s in zip(soc, self.options.storage, strict=True)])

    def _quarter(self, end: int) -> list[Saving]:
        """Closes the quarter-hour that ends; values the day that does."""
        rows, wanted = np.array(self._rows), round(QUARTER / 1e9 / self.wants().every)
        good = np.isfinite(rows).all(axis=1)
        means = rows[good].mean(axis=0) if good.sum() >= max(1, _HALF * wanted) else np.full(rows.shape[1], np.nan)
        order = self.order if end - self.decided <= QUARTER else None
        other = sum((*order.machine, *order.buffer)) if order is not None else 0.0
        planned = float(order.decision.plan.buy[0] - order.decision.plan.feed[0]) if order is not None and order.decision else math.nan
        quarter = Quarter(
            start=end - QUARTER,
            grid=float(means[0]),
            pv=float(means[1]),
            battery=tuple(float(m) for m in means[2:]),
            other=other,
            stored=tuple(self.stored().tolist()),
            planned=planned,
        )
        self.memory.add(quarter)
        self._count(quarter)
        self.memory.kept.by_rule += order is None or order.decision is None
        saved = self._day(end) if self.tariff is not None and self.tariff.midnight(end) == end else []
        if saved or end % _KEEP == 0 or quarter.start == self.memory.kept.month.peak_at:
            self.memory.keep()
        return saved

    def _count(self, q: Quarter) -> None:
        """Adds a quarter-hour to the month's account."""
        tariff, k = self.tariff, self.memory.kept
        if tariff is None:
            return
        at = [q.start]
        month, price = int(tariff.month(at)[0]), float(tariff.price(at)[0])
        if month != k.month.month:
            k.month, k.ruled = MonthSoFar(month=month), MonthSoFar(month=month)
        if not k.month.floor:
            k.month.floor = k.ruled.floor = self._floor(q.start)
        if not math.isfinite(q.grid) or not math.isfinite(price):
            return
        bought, fed = max(q.grid, 0.0) / 4, max(-q.grid, 0.0) / 4
        k.month.energy += bought * price - fed * float(tariff.sell(at)[0])
        k.month.kg += bought * self.options.carbon
        k.month.rate = float(tariff.demand(at)[0])
        if q.grid > k.month.peak:
            k.month.peak, k.month.peak_at = q.grid, q.start

    # --- worth ------------------------------------------------------------------------------------------------------------------

    def _day(self, end: int) -> list[Saving]:
        """The saving of the day that ends, where it was measured."""
        tariff, k, o = self.tariff, self.memory.kept, self.options
        assert tariff is not None
        start = tariff.midnight(end - QUARTER)
        by_rule, k.by_rule = k.by_rule, 0
        day = [q for q in self.memory.of_day(start, end) if math.isfinite(q.grid) and all(map(math.isfinite, q.stored))]
        before = self.memory.of_day(start - QUARTER, start)
        times = start + QUARTER * np.arange(2 * PER_DAY + 8)
        known = before and np.isfinite(tariff.price(times)).all() and all(map(math.isfinite, before[0].stored))
        if not self.site.batteries or not known or len(day) < WHOLE * (end - start) / QUARTER:
            k.ruled_stored = []  # the rule begins anew where the battery then stands
            return []
        at = [q.start for q in day]
        later = np.concatenate([at, np.arange(end, end + PER_DAY * QUARTER, QUARTER)]).astype(np.int64)
        prices = Prices(tariff.price(later), tariff.sell(at), float(tariff.demand(at[:1])[0]))
        month_before = self._month_at(start, k.month)
        if not k.ruled_stored:
            k.ruled.peak = month_before.peak
        ruled_stored = k.ruled_stored or list(before[0].stored)
        w = worth(self.site, day, prices, month_before, k.ruled, before[0].stored, ruled_stored, o.accuracy)
        k.ruled_stored = list(w.ruled.stored)
        k.ruled.peak = max(k.ruled.peak, float(w.ruled.grid.max()))
        kg, by = w.kwh * o.carbon, "rule" if by_rule > PER_DAY // 2 else "optimiser"
        k.days = [*k.days[-400:], Day(start=start, money=(w.money, w.low, w.high), kwh=w.kwh, kg=kg, by=by)]
        part = o.accuracy / 100
        saving = Saving(
            key=f"{self.equipment or self.name}/battery",
            app=self.name,
            equipment=self.equipment,
            name=Text("Batteries at the optimum", "储能优化运行"),
            start=start,
            end=end,
            method="rule_on_measured",
            baseline=present.METHOD,
            energy=Interval(value=w.kwh, low=w.kwh - part * abs(w.kwh), high=w.kwh + part * abs(w.kwh)),
            money=Interval(value=w.money, low=w.low, high=w.high),
            currency=tariff.currency,
            carbon=Interval(value=kg, low=kg - part * abs(kg), high=kg + part * abs(kg)) if o.carbon else None,
        )
        return [saving]

    def _month_at(self, start: int, month: MonthSoFar) -> MonthSoFar:
        """The month as it was at the beginning of the day: its peak before."""
        tariff = self.tariff
        assert tariff is not None
        first = [q for q in self.memory.kept.quarters if q.start < start and int(tariff.month([q.start])[0]) == month.month]
        return MonthSoFar(month=month.month, floor=month.floor, peak=max((q.grid for q in first if math.isfinite(q.grid)), default=0.0))

    # --- decisions --------------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Reads the tariff where its file is new."""
        try:
            stamp = self._tariff_file.stat().st_mtime_ns
        except OSError:
            stamp = -1
        if stamp != self._tariff_read:
            self._tariff_read = stamp
            try:
                self.tariff, self._tariff_trouble = Tariff.read(self._tariff_file), None
            except RongheError as e:
                self.tariff, self._tariff_trouble = None, e

    def look(self, t: int) -> Seen:
        """How things are at `t`."""
        o, k, tariff = self.options, self.memory.kept, self.tariff
        ahead = t - t % QUARTER + self._ahead
        if tariff is None:
            price = sell = np.full(len(ahead), np.nan)
            rate, left, weekday, quarter = 0.0, len(ahead), 0, np.zeros(len(ahead), np.int64)
        else:
            price, sell, quarter = tariff.price(ahead), tariff.sell(ahead), tariff.quarter(ahead)
            months, weekday = tariff.month(ahead), tariff.weekday(t)
            rate = float(np.nan_to_num(tariff.demand(ahead[:1])[0]))
            left = int((months == months[0]).sum())
        begins = tariff is not None and int(tariff.month([t])[0]) != k.month.month  # the month, with this quarter-hour
        cap = self._floor(t) if begins else k.month.cap if k.month.floor else 0.0
        cap = cap if cap and (rate or tariff is None) else _FREE
        powers = [self.value(s.measured or s.set) for s in o.storage]
        other = sum((*self.order.machine, *self.order.buffer)) if self.order is not None else 0.0
        return Seen(
            net=self.value(o.grid) - sum(powers) - other,
            known=self.memory.series(t - t % QUARTER, "net"),
            stored=self.stored(),
            price=price + o.carbon * o.carbon_price,
            sell=sell,
            demand=rate,
            cap=cap,
            left=left,
            weekday=weekday,
            windows=tuple(
                w.ahead(quarter[: self._pilot.ahead], f.energy, k.taken.get(f.name, 0.0), f.power / 4)
                for w, f in zip(self._windows, o.flexible, strict=True)
            ),
            levels=np.array([self.value(b.level) * b.capacity for b in o.buffers]),
        )

    def _floor(self, t: int) -> float:
        """The cap that a month begins with, of what was measured until `t`; 0 where that is too little to say."""
        known = self.memory.series(t, "net")
        return demand.floor(known, PER_DAY, demand.Store.of(self.site)) if self.site.batteries and ready(len(known), PER_DAY) else 0.0

    def _decide(self, t: int) -> tuple[list[Finding], list[Advice]]:
        self._look()
        o, k = self.options, self.memory.kept
        if self.tariff is not None:
            quarter = int(self.tariff.quarter([t])[0])
            for w, f in zip(self._windows, o.flexible, strict=True):
                if quarter == w.first and t % QUARTER == 0:
                    k.taken[f.name] = 0.0
        self.seen = seen = self.look(t)
        self.order, self.decided = self._pilot.decide(seen), t
        for f, p in zip(o.flexible, self.order.machine, strict=True):
            k.taken[f.name] = k.taken.get(f.name, 0.0) + p * self._every / 3600e9
        findings = self._say(t, self.order)
        values = [*self.order.battery, *self.order.machine, *self.order.buffer]
        given = [self._advice(t, x.set, v) for x, v in zip((*o.storage, *o.flexible, *o.buffers), values, strict=True)]
        return findings, [a for a in given if not self._in_force(a)]

    def _put_right(self, t: int) -> list[Advice]:
        """Between two steps: batteries whose power would break cap or export."""
        seen, order, o = self.seen, self.order, self.options
        assert seen is not None
        assert order is not None
        now = Seen(
            net=self.value(o.grid) - sum(self.value(s.measured or s.set) for s in o.storage) - sum((*order.machine, *order.buffer)),
            known=seen.known, stored=self.stored(), price=seen.price, sell=seen.sell, demand=seen.demand, cap=seen.cap, left=seen.left,
            weekday=seen.weekday, windows=seen.windows, levels=seen.levels,
        )  # fmt: skip
        given = []
        for s, p in zip(o.storage, self._pilot.hold(now, order), strict=True):
            at, last = self._sent.get(s.set, (0, math.inf))
            if t - at >= self._every // _AGAIN and abs(p - last) > _DEADBAND * s.power:
                given.append(self._advice(t, s.set, p))
        return [a for a in given if not self._in_force(a)]

    def _in_force(self, advice: Advice) -> bool:
        """Whether the set-point is there already: then there is nothing to advise."""
        return abs(self.values.get(advice.tag, math.nan) - advice.value) < 1e-3

    def _advice(self, t: int, tag: str, kw: float) -> Advice:
        order, o = self.order, self.options
        assert order is not None
        self._sent[tag] = (t, kw)
        full = self.tags[tag]
        grid = self.value(o.grid)
        return Advice(
            id=f"{self.name}/{full}/{t}",
            app=self.name,
            tag=full,
            value=round(kw / self._gain[tag], 6),
            time=t,
            expires=self.decided + self._every,
            reason=present.reason(self, order, kw, t),
            evidence=(Evidence(tag=self.tags[o.grid], value=grid, expected=order.cap, unit="kW"),) if math.isfinite(grid) else (),
            finding=self._key("plan" if order.decision else "rule"),
        )

    def _key(self, kind: str) -> str:
        return f"{self.equipment or self.name}/{kind}"

    def _say(self, t: int, order: Order) -> list[Finding]:
        """Who decides, where that is new."""
        state = "plan" if order.decision else f"{order.kind} {order.why}"
        if state == self._told:
            return []
        key = self._key("plan" if order.decision else "rule")
        over = [
            self._finding(t, k, Text("no longer so", "已不再如此"), "low", active=False)
            for k in (self._key("plan"), self._key("rule"))
            if k != key and k in self._keys
        ]
        self._told = state
        if order.decision:
            found = self._finding(t, key, Text("the optimiser sets the batteries", "由优化程序设定储能功率"), "low")
        else:
            why = order.why or Text("no plan", "无优化计划")
            if order.kind == "tariff" and self._tariff_trouble is not None:
                e = self._tariff_trouble
                why = Text(f"{why.en} ({e.in_('en')})", f"{why.zh}（{e.in_('zh')}）")
            text = Text(f"the safe rule decides: {why.en}", f"由安全规则决策：{why.in_('zh')}")
            priority: Priority = "low" if order.kind == NEW else "high" if order.kind in ("meter", "solver") else "medium"
            found = self._finding(t, key, text, priority, action=present.ACTIONS.get(order.kind, _NOTHING))
        said = [*over, found]
        self._standing.note(said)
        self._keys = {f.key for f in said if f.active}
        return said

    def _finding(self, t: int, key: str, text: Text, priority: Priority, *, active: bool = True, action: Text = _NOTHING) -> Finding:
        return Finding(
            key=key, app=self.name, equipment=self.equipment, time=t, active=active, priority=priority, text=text, action=action, score=1.0
        )

    def _signals(self) -> dict[str, float]:
        order, month = self.order, self.memory.kept.month
        if order is None:
            return {}
        signals = {"by": 1.0 if order.decision else 2.0, "peak": month.peak, "cost": month.energy + month.peak * month.rate}
        if order.cap < _FREE:
            signals["cap"] = order.cap
        if math.isfinite(order.step_ms):
            signals["step_ms"] = order.step_ms
        return signals
