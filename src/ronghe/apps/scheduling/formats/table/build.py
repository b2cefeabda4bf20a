"""Rows → a problem: references between the tables are checked here, each with its cell; times become ticks."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ronghe.apps.scheduling.formats.table.cells import UNITS, Wrong, duration, moment, number
from ronghe.apps.scheduling.formats.table.kinds import TABLES, Row, rows
from ronghe.apps.scheduling.formats.table.sheets import Found, Sheet
from ronghe.apps.scheduling.problem import (
    Arrival,
    Choice,
    Fixed,
    Job,
    Machine,
    Off,
    Operation,
    Pool,
    Prices,
    Problem,
    Setup,
    Weights,
)
from ronghe.plant.problems import nearest

_SETTINGS: Final = ("name", "zone", "start", "now", "until", "tick", "makespan", "tardiness", "setup", "carbon_price")
_AFTER_LAST: Final = 28 * 86400 * 10**9  # ns: as long beyond the last due date do repeated entries of the calendar go on
_REPEATS: Final = 5000
_SLOTS: Final = 100_000  # of prices


@dataclass(frozen=True, slots=True)
class Clock:
    """Ticks of a problem. Durations and dates at which something may begin are rounded up, due dates down: never in the plan's favour."""

    start: int  # ns
    tick: float  # s

    def up(self, ns: int) -> int:
        """A point in time, rounded up."""
        return math.ceil((ns - self.start) / (self.tick * 1e9) - 1e-9)

    def down(self, ns: int) -> int:
        """A point in time, rounded down."""
        return math.floor((ns - self.start) / (self.tick * 1e9) + 1e-9)

    def span(self, seconds: float) -> int:
        """A duration, rounded up."""
        return math.ceil(seconds / self.tick - 1e-6)


def _routing(order: Row) -> str:
    """By what an order is made: the routing it names, else its product's."""
    return str(order.get("routing", order.get("product")))


class Builder:
    """One problem from its sheets."""

    def __init__(self, sheets: dict[str, Sheet], found: Found, name: str) -> None:
        self._found, self._name = found, name
        self._settings = self._read_settings(sheets)
        self.zone = self._zone()
        self._rows = {n: rows(sheets[n], self.zone, found) if n in sheets else [] for n in TABLES if n != "settings"}
        for needed in ("machines", "orders", "routings"):
            if needed not in sheets:
                found.problems.error(needed, 0, "the table is missing", "缺少该表")

    def problem(self) -> Problem | None:
        """The problem, or None with the reasons in `found`."""
        machines = self._unique("machines", "machine")
        pools = self._unique("people", "pool")
        orders = self._unique("orders", "order")
        routes = self._routes(machines, pools)
        for row in self._rows["orders"]:
            if _routing(row) not in routes:
                self._unknown(row, "routing" if row.get("routing") else "product", _routing(row), routes)
        self._refer("bom", "product", routes)
        self._refer("calendar", "machine", [*machines, *pools, "*"])
        self._refer("setups", "machine", [*machines, "*"])
        for kind in ("begun",):
            self._refer(kind, "order", orders)
            self._refer(kind, "machine", machines)
        clock = self._clock()
        if clock is None or self._found.problems.errors():
            return None
        off = self._off(clock, machines, pools)
        uses = self._uses(routes)
        setting = self._number
        return Problem(
            name=str(self._settings["name"].get("value")) if "name" in self._settings else self._name,
            start=clock.start,
            tick=clock.tick,
            now=max(0, clock.up(self._moment("now", clock.start))),
            machines=tuple(
                Machine(
                    name=name,
                    off=tuple(off[name]),
                    family=r.get("family", ""),
                    batch=r.get("batch", 1),
                    power=r.get("power", 0.0),
                )
                for name, r in machines.items()
            ),
            jobs=tuple(self._job(name, r, routes[_routing(r)], uses, clock) for name, r in orders.items()),
            setups=tuple(
                Setup(
                    before=r.get("from"),
                    after=r.get("to"),
                    duration=clock.span(r.get("duration")),
                    machine="" if r.get("machine", "") == "*" else r.get("machine", ""),
                )
                for r in self._rows["setups"]
            ),
            pools=tuple(Pool(name=name, size=r.get("size"), off=tuple(off[name])) for name, r in pools.items()),
            arrivals=tuple(self._arrivals(clock)),
            fixed=tuple(self._fixed(routes, orders, clock)),
            prices=self._prices(clock),
            weights=Weights(makespan=setting("makespan", 0.0), tardiness=setting("tardiness", 1.0), setup=setting("setup", 0.0)),
        )

    # --- settings and time --------------------------------------------------------------------------------------------------------

    def _read_settings(self, sheets: dict[str, Sheet]) -> dict[str, Row]:
        known: dict[str, Row] = {}
        for row in rows(sheets["settings"], UTC, self._found) if "settings" in sheets else []:
            key = row.get("key").lower()
            if key not in _SETTINGS:
                en, zh = f"no setting is called {key!r}; {', '.join(_SETTINGS)}", f"没有名为 {key!r} 的设置；可用：{'、'.join(_SETTINGS)}"
                row.wrong(self._found, "key", en, zh, nearest(key, _SETTINGS))
            else:
                known[key] = row
        return known

    def _zone(self) -> tzinfo:
        row = self._settings.get("zone")
        if row is None:
            return UTC
        said = row.get("value")
        if said.upper() in ("UTC", "Z"):
            return UTC
        if said[:1] in "+-" and said[1:3].isdigit():
            minutes = int(said[1:3]) * 60 + int(said[-2:] if len(said) > 3 else 0)
            if minutes < 24 * 60:
                return timezone(timedelta(minutes=minutes if said[0] == "+" else -minutes))
        try:
            return ZoneInfo(said)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            row.wrong(
                self._found,
                "value",
                f"{said!r} is no time zone; write Asia/Shanghai or +08:00",
                f"{said!r} 不是时区，请写 Asia/Shanghai 或 +08:00",
            )
            return UTC

    def _setting(self, key: str, read: Any, default: Any) -> Any:
        row = self._settings.get(key)
        if row is None:
            return default
        try:
            return read(row.get("value"))
        except Wrong as e:
            row.wrong(self._found, "value", e.en, e.zh, e.meant)
            return default

    def _number(self, key: str, default: float) -> float:
        return float(self._setting(key, number, default))

    def _moment(self, key: str, default: int) -> int:
        return int(self._setting(key, moment(self.zone), default))

    def _clock(self) -> Clock | None:
        """Tick 0 is what the settings say, else the first date anywhere; a tick is a minute where every duration is whole minutes."""
        times = [
            v
            for r in self._all()
            for k, v in r.values.items()
            if k in ("release", "due", "from", "to", "at", "start", "end") and isinstance(v, int)
        ]
        begins = min(times, default=0)
        start = self._moment("start", begins // (60 * 10**9) * (60 * 10**9))
        spans = [v for r in self._all() for k, v in r.values.items() if k in ("duration", "per_piece", "repeat")]
        whole = all(math.isclose(s % 60, 0, abs_tol=1e-9) for s in spans) and all((t - start) % (60 * 10**9) == 0 for t in times)
        tick = float(self._setting("tick", duration(UNITS["s"]), 60.0 if whole else 1.0))
        if tick <= 0:
            self._settings["tick"].wrong(self._found, "value", "a tick must be longer than 0", "tick 必须大于 0")
            return None
        return Clock(start, tick)

    def _all(self) -> Iterable[Row]:
        return (r for name, table in self._rows.items() if name != "prices" for r in table)

    # --- references ---------------------------------------------------------------------------------------------------------------

    def _unique(self, table: str, key: str) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for row in self._rows[table]:
            name = row.get(key)
            if name in found:
                row.wrong(
                    self._found, key, f"{name!r} already stands in line {found[name].line}", f"{name!r} 已在第 {found[name].line} 行出现"
                )
            else:
                found[name] = row
        return found

    def _refer(self, table: str, key: str, known: Iterable[str]) -> None:
        names = known if isinstance(known, dict) else list(known)
        for row in self._rows[table]:
            name = row.get(key)
            if name is not None and name not in names:
                self._unknown(row, key, name, names)

    def _unknown(self, row: Row, key: str, name: str, known: Iterable[str]) -> None:
        what = {"machine": ("machine", "机器"), "product": ("product", "产品"), "order": ("order", "订单"), "step": ("step", "工序")}
        en, zh = what.get(key, (key, key))
        tail = " in routings" if key == "product" else ""
        row.wrong(self._found, key, f"there is no {en} {name!r}{tail}", f"没有{zh} {name!r}", nearest(name, known))

    def _routes(self, machines: dict[str, Row], pools: dict[str, Row]) -> dict[str, dict[str, list[Row]]]:
        """product → step → its lines, one a machine."""
        routes: dict[str, dict[str, list[Row]]] = {}
        for row in self._rows["routings"]:
            lines = routes.setdefault(row.get("product"), {}).setdefault(row.get("step"), [])
            if any(r.get("machine") == row.get("machine") for r in lines):
                row.wrong(self._found, "machine", "this step already has a line for this machine", "该工序在这台机器上已有一行")
            if row.get("duration") is None and row.get("per_piece") is None:
                row.wrong(
                    self._found,
                    "duration",
                    "neither duration nor per_piece says how long it takes",
                    "duration 与 per_piece 均未填，无法得知时长",
                )
            for key in ("family", "people", "pauses", "after"):
                if lines and row.get(key) is not None and row.get(key) != lines[0].get(key):
                    row.wrong(
                        self._found,
                        key,
                        f"differs from line {lines[0].line}; it belongs to the step",
                        f"与第 {lines[0].line} 行不一致；该值属于整个工序",
                    )
            for pool in row.get("people", {}):
                if pool not in pools:
                    row.wrong(self._found, "people", f"there are no people {pool!r}", f"没有人员组 {pool!r}", nearest(pool, pools))
            lines.append(row)
        self._refer("routings", "machine", machines)
        for steps in routes.values():
            for lines in steps.values():
                for before in lines[0].get("after", ()):
                    if before not in steps:
                        self._unknown(lines[0], "step", before, steps)
        return routes

    # --- parts --------------------------------------------------------------------------------------------------------------------

    def _off(self, clock: Clock, machines: dict[str, Row], pools: dict[str, Row]) -> dict[str, list[Off]]:
        off: dict[str, list[Off]] = defaultdict(list)
        last = max((r.get("due") or 0 for r in self._rows["orders"]), default=0)
        until = self._moment("until", max(last, clock.start) + _AFTER_LAST)
        for row in self._rows["calendar"]:
            start, end, step = row.get("from"), row.get("to"), round(row.get("repeat", 0.0) * 1e9)
            if end <= start:
                row.wrong(self._found, "to", "is not after its start", "不晚于开始时间")
                continue
            if step and (step < end - start or (until - start) / step > _REPEATS):
                row.wrong(self._found, "repeat", "repeats before it has ended, or too often", "重复间隔短于其时长，或重复次数过多")
                continue
            names = list(machines) if row.get("machine") == "*" else [row.get("machine")]
            times = range(start, max(until, start + 1), step) if step else (start,)
            for at in times:
                # Off is rounded outwards, and what is over before the problem starts is of no interest.
                first, after = max(clock.down(at), 0), clock.up(at + end - start)
                if after > 0:
                    for name in names:
                        off[name].append(Off(first, after, row.get("why", ""), row.get("stop", False)))
        return {name: sorted(entries, key=lambda o: (o.start, o.end)) for name, entries in off.items()} | {
            n: [] for n in (*machines, *pools) if n not in off
        }

    def _uses(self, routes: dict[str, dict[str, list[Row]]]) -> dict[tuple[str, str], dict[str, float]]:
        """(product, step) → material → quantity a piece."""
        uses: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for row in self._rows["bom"]:
            product, material = row.get("product"), row.get("material")
            step = row.get("step", next(iter(routes[product])))
            if step not in routes[product]:
                self._unknown(row, "step", step, routes[product])
            uses[product, step][material] = uses[product, step].get(material, 0.0) + row.get("quantity")
        return uses

    def _prices(self, clock: Clock) -> Prices | None:
        """What electricity costs from each line on, as slots of one length."""
        rows = sorted(self._rows["prices"], key=lambda r: r.get("from"))
        if not rows:
            return None
        at = [max(0, clock.down(r.get("from"))) for r in rows]
        if clock.down(rows[0].get("from")) > 0:
            rows[0].wrong(self._found, "from", "nothing is said of the time before", "未给出此前的电价")
        slot = math.gcd(*at) or 1
        if at[-1] // slot > _SLOTS:
            rows[-1].wrong(
                self._found, "from", f"more than {_SLOTS} slots of {slot} ticks", f"超过 {_SLOTS} 个时段（每段 {slot} 个时间单位）"
            )
            return None
        which = [bisect_right(at, k * slot) - 1 for k in range(at[-1] // slot + 1)]
        carbon = tuple(rows[i].get("carbon", 0.0) for i in which) if any("carbon" in r.values for r in rows) else ()
        money = tuple(rows[i].get("price") for i in which)
        return Prices(slot=slot, money=money, carbon=carbon, carbon_price=self._number("carbon_price", 0.0) / 1000)

    def _job(self, name: str, row: Row, steps: dict[str, list[Row]], uses: dict[tuple[str, str], dict[str, float]], clock: Clock) -> Job:
        product, quantity = _routing(row), row.get("quantity", 1.0)
        operations = []
        for step, lines in steps.items():
            head = lines[0]
            after = head.get("after")
            operations.append(
                Operation(
                    name=f"{name}/{step}",
                    choices=tuple(
                        Choice(r.get("machine"), clock.span(r.get("duration", 0.0) + r.get("per_piece", 0.0) * quantity)) for r in lines
                    ),
                    family=head.get("family", ""),
                    pauses=head.get("pauses", True),
                    people=head.get("people", {}),
                    uses={m: q * quantity for m, q in uses.get((product, step), {}).items()},
                    after=tuple(f"{name}/{s}" for s in after) if after is not None else None,
                )
            )
        due = row.get("due")
        return Job(
            name=name,
            operations=tuple(operations),
            release=max(0, clock.up(row.get("release", clock.start))),
            due=clock.down(due) if due is not None else None,
            weight=row.get("weight", 1.0),
            product=row.get("product"),
            quantity=quantity,
        )

    def _arrivals(self, clock: Clock) -> Iterable[Arrival]:
        for row in self._rows["stock"]:
            yield Arrival(material=row.get("material"), at=0, quantity=row.get("quantity"))
        for row in self._rows["arrivals"]:
            yield Arrival(
                material=row.get("material"),
                at=max(0, clock.up(row.get("at"))),
                quantity=row.get("quantity"),
                source=row.get("source", ""),
            )

    def _fixed(self, routes: dict[str, dict[str, list[Row]]], orders: dict[str, Row], clock: Clock) -> Iterable[Fixed]:
        for row in self._rows["begun"]:
            order, step, machine = row.get("order"), row.get("step"), row.get("machine")
            steps = routes[_routing(orders[order])]
            if step not in steps:
                self._unknown(row, "step", step, steps)
                continue
            if all(r.get("machine") != machine for r in steps[step]):
                row.wrong(self._found, "machine", f"{machine!r} cannot do this step", f"{machine!r} 不能做该工序")
            end = row.get("end")
            yield Fixed(
                operation=f"{order}/{step}",
                machine=machine,
                start=clock.down(row.get("start")),
                end=clock.up(end) if end is not None else None,
            )
