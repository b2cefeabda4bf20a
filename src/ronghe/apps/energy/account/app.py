"""energy.account: the books of a plant's energy: what each meter used, indicators against their baseline, carbon by scope, footprints.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; a number without a value is null):

    enpi      GET   → {"indicators": [{"name", "title", "unit", "driver", "model", "r2", "cv_rmse", "valid", "why",
                       "target" (of the last period), "periods": [{"time", "actual", "expected", "low", "high"}], "cusum": [...]}]}
    carbon    GET   → {"scope1_kg", "scope2_location_kg", "scope2_market_kg", "factors", "days", "products"}, of this year
    meters    GET   → [{"name", "title", "unit", "amount", "good", "time"}] of the period closed last
    rebase    POST  {"from", "to"}: the span of days that is the baseline from now on; as an engineer

Signals, at the end of each period: by indicator `NAME_enpi` (actual / expected), `NAME_actual`, `NAME_expected`; `carbon_scope1`,
`carbon_location`, `carbon_market` (kg CO2e of the period).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Finding, Page, Question, Result, Right, Wants
from ronghe.apps.energy.account import present
from ronghe.apps.energy.account.baseline import Baseline, Spec
from ronghe.apps.energy.account.books import Books, Row
from ronghe.apps.energy.account.carbon import Emitted, Metered, emitted, scopes
from ronghe.apps.energy.account.enpi import Departure, Indicator, departure, indicator
from ronghe.apps.energy.account.factors import Factors
from ronghe.apps.energy.account.meter import Channel
from ronghe.apps.energy.account.periods import Calendar, Table
from ronghe.apps.energy.account.settings import DriverSpec, IndicatorSpec, MeterSpec, Options
from ronghe.apps.standing import Standing
from ronghe.errors import AppError
from ronghe.guard.advice import Evidence
from ronghe.plant import Plant, units
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_NOTHING: Final = Text("")
_SAVE: Final = 300 * 10**9  # ns between two savings of the open period
_BRIDGE: Final = 3  # readings that may fail before it is a gap


class Account(App):
    """The books of one equipment, or of the whole plant."""

    uses: ClassVar[str] = "energy.account"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="energy-books", title=Text("Energy books", "能源账"), view="energy-books"),)
    verbs: ClassVar[Mapping[str, Right]] = {"enpi": "read", "carbon": "read", "meters": "read", "rebase": "change"}

    def __init__(self, name: str, plant: Plant, equipment: str, options: Any, state: Path) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        self._every = parse_duration(o.every)
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"apps.{name}.every")
        if not o.meters:
            raise AppError(Text("there is no meter", "未配置表计"), where=f"apps.{name}.meters")
        self.calendar = Calendar(o.period, o.zone)
        if self.calendar.length < self._every:
            raise AppError(Text("a period must not be shorter than every", "统计周期不得短于 every"), where=f"apps.{name}.period")
        try:
            self.factors = Factors.read(Path(plant.folder) / o.factors) if o.factors else Factors.shipped()
        except AppError as e:  # whoever reads plant.toml is told the place in the other file, too
            raise AppError(Text(e.in_("en"), e.in_("zh")), where=f"apps.{name}.factors") from e
        specs: list[MeterSpec | DriverSpec] = [*o.meters, *o.drivers]
        self._specs = {s.name: s for s in specs}
        if len(self._specs) < len(o.meters) + len(o.drivers):
            raise AppError(Text("two meters or drivers have the same name", "表计或变量名称重复"), where=f"apps.{name}.meters")
        self._tag = {n: resolve(plant, equipment, s.tag, f"apps.{name}.{n}") for n, s in self._specs.items()}
        self._tags = tuple(dict.fromkeys(self._tag.values()))
        self.unit: dict[str, str] = {}
        self._channels = {n: self._channel(n, s) for n, s in self._specs.items()}
        self._check()
        self.books = Books(state, self.calendar, self._channels, o.good)
        self._base_file = state / "baseline.json"
        self._base = self._span()
        self._said = Standing(state / "standing.json")
        self._standing: set[str] = set(self._said.inherited)
        self._fitted: dict[str, tuple[int, Baseline | None]] = {}  # and to how many periods
        self._judged: dict[str, tuple[int, Indicator | None, Text]] = {}

    # --- what is configured -----------------------------------------------------------------------------------------------------

    def _channel(self, name: str, spec: MeterSpec | DriverSpec) -> Channel:
        """How a tag is turned into amounts, and in which unit: kW.h where it is an energy."""
        tag = self._tag[name]
        unit = self.plant.unit_of(tag)
        kind = {"power": "power", "rate": "power", "counter": "counter"}.get(spec.kind, "mean")
        code = f"{unit or '1'}.h" if kind == "power" else unit
        gain, offset, self.unit[name] = 1.0, 0.0, unit if kind == "mean" else code
        if kind != "mean" and isinstance(spec, MeterSpec):
            for known in ("kW.h", "m3", "kg"):
                if units.compatible(code, known):
                    gain, self.unit[name] = units.factor(code, known)[0], known
        every = max(self._every, round(self.plant.tags[tag].every * 1e9))
        return Channel(
            kind="power" if kind == "power" else "counter" if kind == "counter" else "mean",
            calendar=self.calendar,
            bridge=_BRIDGE * every,
            gain=gain,
            offset=offset,
            rollover=spec.rollover,
            highest=spec.highest if isinstance(spec, MeterSpec) else 0.0,
        )

    def _check(self) -> None:
        """Raises AppError where names, units or factors do not fit together."""
        o: Options = self.options
        meters, drivers = {m.name for m in o.meters}, {d.name: d for d in o.drivers}
        for i in o.indicators:
            where = f"apps.{self.name}.indicators.{i.name}"
            for m in i.meters:
                if m not in meters:
                    raise AppError(Text(f"there is no meter {m!r}", f"没有表计 {m!r}"), where=where)
            if len({self.unit[m] for m in i.meters}) > 1:
                raise AppError(Text("its meters have different units", "其表计单位不一致"), where=where)
            if unknown := [d for d in i.drivers if d not in drivers]:
                raise AppError(Text(f"there is no driver {unknown[0]!r}", f"没有变量 {unknown[0]!r}"), where=where)
            if i.target is not None and not 0 <= i.target < 1:
                raise AppError(Text(f"its target is {i.target:g}, not 0..1", f"目标 {i.target:g} 不在 0..1 内"), where=where)
            if sum(drivers[d].kind == "temperature" for d in i.drivers) > 1:
                raise AppError(Text("at most one driver is a temperature", "温度变量至多一个"), where=where)
        for p in o.products:
            where = f"apps.{self.name}.products.{p.name}"
            if p.quantity not in drivers or not set(p.meters) <= meters:
                raise AppError(Text("names a driver or meter that there is not", "引用了不存在的变量或表计"), where=where)
            for f in p.materials:
                _ = self.factors[f]
        now = np.array([2**62], np.int64)
        for meter in o.meters:
            if meter.factor:
                emitted(Metered(meter.name, meter.factor, self.unit[meter.name], np.zeros(1)), now, self.factors)

    def _span(self) -> tuple[int, int]:
        """The baseline, ns; (0, length) where it is the first so long."""
        try:
            return msgspec.json.decode(self._base_file.read_bytes(), type=tuple[int, int])
        except (OSError, msgspec.DecodeError):
            pass
        text = self.options.baseline
        first, dots, last = text.partition("..")
        where = f"apps.{self.name}.baseline"
        if not dots:
            return 0, parse_duration(text)
        try:
            a, b = (self.calendar.utc(datetime.combine(date.fromisoformat(x.strip()), datetime.min.time())) for x in (first, last))
        except ValueError:
            raise AppError(
                Text(f"{text!r} is no span", f"{text!r} 不是时段"),
                where=where,
                todo=Text("say 28d, or 2026-01-01..2026-04-01", "例如 28d 或 2026-01-01..2026-04-01"),
            ) from None
        return a, b

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """The tags of meters and drivers."""
        slowest = max(self.plant.tags[t].every for t in self._tags)
        return Wants(tags=self._tags, every=self._every / 1e9, max_age=_BRIDGE * max(slowest, self._every / 1e9))

    def step(self, window: Window) -> Result:
        """Rows into the books; what each closed period says."""
        column = {n: window.tags.index(t) for n, t in self._tag.items()}
        findings: list[Finding] = []
        signals: dict[str, float] = {}
        for i in range(len(window)):
            now, values = int(window.time[i]), window.value[i]
            for row in self.books.add(now, ((n, float(values[c])) for n, c in column.items())):
                self._closed(row, now, findings, signals)
        if len(window):
            self.books.tick(_SAVE)
        if findings:
            self._said.note(findings)
        return Result(findings=tuple(findings), signals=signals)

    def ask(self, question: Question) -> object:
        """Answers for its page."""
        match question.verb:
            case "enpi":
                return {"indicators": [present.indicator(self, i) for i in self.options.indicators]}
            case "carbon":
                return present.carbon(self)
            case "meters":
                return present.meters(self)
            case "rebase":
                return self._rebase(question.body)
        return super().ask(question)

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        known = {
            "carbon_scope1": Text("scope 1, kg CO2e", "范围一，kg CO2e"),
            "carbon_location": Text("scope 2 by location, kg CO2e", "范围二（基于位置），kg CO2e"),
            "carbon_market": Text("scope 2 by market, kg CO2e", "范围二（基于市场），kg CO2e"),
        }
        if name in known:
            return known[name]
        of, _, what = name.rpartition("_")
        title = next((self.title(i) for i in self.options.indicators if i.name == of), Text(of))
        words = {"enpi": ("EnPI", "能源绩效参数"), "actual": ("energy", "能耗"), "expected": ("expected energy", "期望能耗")}
        en, zh = words.get(what, (what, what))
        return Text(f"{title.en}: {en}", f"{title.in_('zh')}：{zh}")

    def close(self) -> None:
        """Keeps the open period."""
        self.books.save()

    def title(self, spec: Any) -> Text:
        """What people call a meter, driver, indicator or product."""
        return spec.title if spec.title.en else Text(spec.name, spec.name)

    # --- the books --------------------------------------------------------------------------------------------------------------

    def table(self, of: IndicatorSpec) -> tuple[Table, Spec]:
        """All closed periods of an indicator, and its model."""
        start, amounts, good = self.books.columns()
        kinds = {d.name: d.kind for d in self.options.drivers}
        temperature = next((d for d in of.drivers if kinds[d] == "temperature"), "")
        spec = Spec(tuple(d for d in of.drivers if d != temperature), temperature, of.weekday, of.hour)
        energy = np.sum([amounts[m] for m in of.meters], axis=0) if len(start) else np.zeros(0)
        return Table(self.calendar, start, energy, good, {d: amounts[d] for d in of.drivers}, {}), spec

    def base(self, table: Table) -> tuple[NDArray[np.bool_], Text | None]:
        """(which periods are the baseline, why there is none yet)."""
        first, last = self._base
        if not first and len(table):
            first, last = int(table.start[0]), int(table.start[0]) + last
        inside = table.between(first, last)
        if len(table) and int(table.end[-1]) >= last:
            return inside, None
        n = int(inside.sum())
        return inside, Text(f"the baseline is still being measured: {n} periods so far", f"基准期尚未结束：已有 {n} 个周期")

    def judge(self, of: IndicatorSpec) -> tuple[Indicator | None, Text]:
        """The indicator as it stands, or why there is none."""
        table, spec = self.table(of)
        last = int(table.start[-1]) if len(table) else 0
        if of.name in self._judged and self._judged[of.name][0] == last:
            return self._judged[of.name][1:]
        base, waits = self.base(table)
        found, why = None, waits or Text("")
        if waits is None:
            try:
                n, fitted = self._fitted.get(of.name, (-1, None))
                found = indicator(table, spec, base, target=of.target, baseline=fitted if n == int(base.sum()) else None)
                self._fitted[of.name] = int(base.sum()), found.baseline
            except AppError as e:
                why = e.what
        self._judged[of.name] = last, found, why
        return found, why

    def emissions(self) -> tuple[NDArray[np.int64], list[Emitted]]:
        """(start int64[n], kg CO2e of every meter with a factor) of the closed periods."""
        start, amounts, _ = self.books.columns()
        if not len(start):
            return start, []
        return start, [
            emitted(Metered(m.name, m.factor, self.unit[m.name], amounts[m.name], m.accuracy), start, self.factors)
            for m in self.options.meters
            if m.factor
        ]

    def _closed(self, row: Row, now: int, findings: list[Finding], signals: dict[str, float]) -> None:
        for name in self._specs:
            self._tell_gap(name, row, now, findings)
        for of in self.options.indicators:
            found, _ = self.judge(of)
            if found is not None:
                values = {"actual": float(found.table.energy[-1]), "expected": float(found.expected[-1])}
                values["enpi"] = values["actual"] / values["expected"] if values["expected"] else math.nan
                signals |= {f"{of.name}_{k}": v for k, v in values.items() if math.isfinite(v)}
                self._tell_departure(of, departure(found, self.options.hold, self.options.false_alarm), now, findings)
        start, found_kg = np.array([row.start], np.int64), []
        for m in self.options.meters:
            amount = row.amount.get(m.name)
            if m.factor:
                metered = Metered(m.name, m.factor, self.unit[m.name], np.array([math.nan if amount is None else amount]), m.accuracy)
                found_kg.append(emitted(metered, start, self.factors))
        by = scopes(found_kg, 1)
        kg = {"carbon_scope1": by.scope1[0], "carbon_location": by.location[0], "carbon_market": by.market[0]}
        signals |= {k: float(v) for k, v in kg.items() if np.isfinite(v)}

    def _rebase(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            first, last = (int(body[k]) * 10**6 for k in ("from", "to"))
        except (KeyError, TypeError, ValueError):
            raise AppError(Text("from and to are times in ms", "from 与 to 须为毫秒时间")) from None
        if last - first < timedelta(days=1).total_seconds() * 1e9:
            raise AppError(Text("a baseline lasts a day at least", "基准期至少一天"))
        self._base = first, last
        self._base_file.write_bytes(msgspec.json.encode(self._base))
        self._judged.clear()
        self._fitted.clear()
        return {"indicators": [present.indicator(self, i) for i in self.options.indicators]}

    # --- findings ---------------------------------------------------------------------------------------------------------------

    def _tell_gap(self, name: str, row: Row, now: int, findings: list[Finding]) -> None:
        key, title = f"{self.equipment or self.name}/{name}/gap", self.title(self._specs[name])
        end = self.calendar.end(row.start)
        exchanged = row.start < self._channels[name].exchanged <= end
        if row.amount[name] is None and key not in self._standing:
            share, least = row.good[name], self.options.good
            en = f"{title.en}: {share:.0%} of the period was measured, {least:.0%} is needed; it does not count"
            zh = f"{title.in_('zh')}：本周期有效数据 {share:.0%}，需 {least:.0%}，不计入"
            if exchanged:
                en, zh = f"{en}; its counter fell or leapt: was it exchanged?", f"{zh}；读数回退或突增，是否更换过表计？"
            action = Text("see to the meter and its connection", "请检查表计及其通信")
            findings.append(self._finding(key, now, True, "low", Text(en, zh), action, 1.0))
        elif row.amount[name] is not None and key in self._standing:
            findings.append(self._finding(key, now, False, "low", Text(f"{title.en} counts again", f"{title.in_('zh')}恢复计量")))

    def _tell_departure(self, of: IndicatorSpec, d: Departure | None, now: int, findings: list[Finding]) -> None:
        key, title = f"{self.equipment or self.name}/{of.name}/enpi", self.title(of)
        if d is not None and d.away and key not in self._standing:
            more = d.score > 0
            part = abs(d.ratio - 1)
            en = f"{title.en}: {part:.1%} {'more' if more else 'less'} energy than the baseline expects, over {d.periods} periods"
            zh = f"{title.in_('zh')}：最近 {d.periods} 个周期能耗较基准{'高' if more else '低'} {part:.1%}"
            action = (
                Text("look for what has changed: leaks, idle running, settings, raw material", "请查找变化原因：泄漏、空转、参数、原料")
                if more
                else Text("if a measure did it, have it verified, and renew the baseline", "如为节能措施所致，请核证节能量并更新基准")
            )
            tag = f"apps/{self.name}/{of.name}_enpi"
            evidence = (Evidence(tag=tag, value=round(d.ratio, 4), expected=1.0),)
            findings.append(self._finding(key, now, True, "medium" if more else "low", Text(en, zh), action, abs(d.score), evidence))
        elif d is not None and d.back and key in self._standing:
            text = Text(f"{title.en} is within its band again", f"{title.in_('zh')}已回到正常区间")
            findings.append(self._finding(key, now, False, "low", text))

    def _finding(
        self,
        key: str,
        now: int,
        active: bool,
        priority: Any,
        text: Text,
        action: Text = _NOTHING,
        score: float = 0.0,
        evidence: tuple[Evidence, ...] = (),
    ) -> Finding:
        (self._standing.add if active else self._standing.discard)(key)
        return Finding(
            key=key,
            app=self.name,
            equipment=self.equipment,
            time=now,
            active=active,
            priority=priority,
            text=text,
            action=action,
            score=score,
            evidence=evidence,
        )
