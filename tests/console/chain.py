"""Apps that answer what the views of the chain ask, small but at work: a dispatcher, a changeover, routes, and a stock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from ronghe.apps.contract import App, Page, Question, Result, Right, Wants
from ronghe.errors import AppError
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.text import Text

MINUTE = 60_000
HOUR = 60 * MINUTE


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """None."""


class Answering(App):
    """An app that only answers."""

    Options = Options

    def __init__(self, name: str, plant: Plant, equipment: str, state: Path) -> None:
        super().__init__(name, plant, equipment, Options(), state)
        self.now = int(time.time()) // 60 * MINUTE

    def wants(self) -> Wants:
        """Nothing."""
        return Wants(tags=(), every=1.0)

    def step(self, window: Window) -> Result:
        """Nothing comes of it."""
        return Result()

    def ask(self, question: Question) -> object:
        """Each verb is a method."""
        return getattr(self, f"do_{question.verb}")(question.body)


class Scheduling(Answering):
    """Jobs in the order of their due dates, each operation on the machine that ends it first; what a person moved comes before."""

    uses = "test.schedule"
    pages = (Page(slug="plan", title=Text("Plan", "排程"), view="schedule"),)
    verbs: ClassVar[Mapping[str, Right]] = {
        "plan": "read",
        "try": "read",
        "adopt": "change",
        "improve": "operate",
        "stop": "operate",
        "export": "read",
    }

    def __init__(self, name: str, plant: Plant, equipment: str, state: Path, *, jobs: int = 18, machines: int = 6) -> None:
        super().__init__(name, plant, equipment, state)
        rng = np.random.default_rng(3)
        self.machines = [f"M{k + 1}" for k in range(machines)]
        self.off: dict[str, list[dict[str, Any]]] = {m: [] for m in self.machines}
        for m in self.machines:
            for day in range(-1, 8):
                end = self.now - self.now % (24 * HOUR) + day * 24 * HOUR + 22 * HOUR
                self.off[m].append({"from": end, "to": end + 8 * HOUR, "why": "night", "stop": False})
        self.jobs: list[dict[str, Any]] = []
        self.steps: dict[str, list[dict[str, Any]]] = {}
        for k in range(jobs):
            job, family = f"A-{101 + k}", "ABC"[int(rng.integers(3))]
            steps = []
            for s in range(4):
                some = rng.choice(machines, 2, replace=False)
                choices = [{"machine": self.machines[m], "minutes": int(rng.integers(4, 14)) * 15} for m in some]
                steps.append({"name": f"{job}.{10 * (s + 1)}", "job": job, "choices": choices, "family": family})
            due = self.now + int(rng.integers(30, 40 + 2 * jobs)) * HOUR
            self.jobs.append(
                {"name": job, "product": f"{family}-{k % 4}00", "quantity": int(rng.integers(1, 9)) * 10, "due": due, "weight": 1.0}
            )
            self.steps[job] = steps
        self.moves: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.version, self.changed = 1, list[str]()
        self.improving_until = 0.0

    def _free(self, machine: str, off: list[dict[str, Any]], start: int, long: int) -> tuple[int, int]:
        """When an operation that may pause begins and ends, from `start` on."""
        at, left, began = start, long, 0
        for one in [*sorted(off, key=lambda o: o["from"]), {"from": 1 << 60, "to": 1 << 60, "stop": False}]:
            if one["to"] <= at:
                continue
            room = max(0, one["from"] - at)
            if room and left <= room:
                return began or at, at + left
            if room and not one["stop"]:
                began, left = began or at, left - room
            elif one["stop"]:
                began, left = 0, long
            at = one["to"]
        raise AssertionError

    def _plan(self, moves: list[dict[str, Any]], event: dict[str, Any] | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        off = {m: list(o) for m, o in self.off.items()}
        if event and event["kind"] in ("breakdown", "maintenance", "quality_stop"):
            off[event["machine"]].append({"from": event["from"], "to": event["to"], "why": event["kind"], "stop": True})
        pinned = {m["operation"]: m for m in moves}
        free, family = dict.fromkeys(self.machines, self.now - 2 * HOUR), dict.fromkeys(self.machines, "A")
        placed: list[dict[str, Any]] = []
        problems: list[dict[str, Any]] = []
        jobs = []
        for job in sorted(self.jobs, key=lambda j: (-j["weight"], j["due"])):
            ready = self.now - 2 * HOUR
            for step in self.steps[job["name"]]:
                best: tuple[int, int, int, str] | None = None
                for choice in step["choices"]:
                    m = choice["machine"]
                    setup = 30 * MINUTE if family[m] != step["family"] else 0
                    s, e = self._free(m, off[m], max(free[m] + setup, ready), choice["minutes"] * MINUTE)
                    if best is None or e < best[0]:
                        best = (e, s, s - setup, m)
                assert best is not None
                end, start, begin, machine = best
                if (pin := pinned.get(step["name"])) is not None:
                    machine, start = pin["machine"], int(pin["start"])
                    minutes = next((c["minutes"] for c in step["choices"] if c["machine"] == machine), None)
                    begin, end = start, self._free(machine, off[machine], start, (minutes or 60) * MINUTE)[1]
                    why = None
                    if minutes is None:
                        why = Text(f"{machine} cannot do {step['name']}", f"设备 {machine} 不能加工 {step['name']}")
                    elif start < ready:
                        why = Text(f"{step['name']} would begin before the operation before it ends", f"{step['name']} 早于前道工序完工")
                    elif start < free[machine] and any(p["end"] > start and p["start"] < end for p in placed if p["machine"] == machine):
                        why = Text(f"{machine} is taken then", f"设备 {machine} 届时已被占用")
                    if why is not None:
                        problems.append({"operation": step["name"], "text": why})
                free[machine], family[machine], ready = max(free[machine], end), step["family"], end
                begun = start < self.now
                placed.append(
                    {
                        **step,
                        "machine": machine,
                        "setup": begin,
                        "start": start,
                        "end": end,
                        "fixed": begun,
                        "done": end < self.now,
                        "batch": 0,
                    }
                )
            late = max(0, ready - job["due"]) // MINUTE
            why = Text(f"waits for {machine}, which is taken until then", f"等待设备 {machine}，该设备此前被占用") if late else None
            fix = Text("on M1 it would end 2.5 h earlier", "改用 M1 可提前 2.5 小时") if late else None
            jobs.append({**job, "release": self.now, "end": ready, "late": late, "why": why, "fix": fix})
        makespan = max(p["end"] for p in placed)
        tardiness = sum(j["late"] for j in jobs) / 60
        setups = sum(p["start"] - p["setup"] for p in placed) / HOUR
        busy = {m: sum(p["end"] - p["start"] for p in placed if p["machine"] == m) / (makespan - self.now) for m in self.machines}
        figures = {
            "objective": tardiness + 0.2 * setups,
            "lower_bound": 0.62 * tardiness,
            "gap": 0.38 if tardiness else None,
            "makespan_h": (makespan - self.now) / HOUR,
            "tardiness_h": tardiness,
            "setup_h": setups,
            "late_jobs": sum(1 for j in jobs if j["late"]),
            "utilisation": {m: min(1.0, share) for m, share in busy.items()},
        }
        plan = {
            "now": self.now,
            "from": self.now - 2 * HOUR,
            "to": makespan + HOUR,
            "machines": [{"name": m, "title": {"en": f"Press {m[1:]}", "zh": f"{m[1:]} 号压机"}, "off": o} for m, o in off.items()],
            "operations": placed,
            "jobs": jobs,
            "figures": figures,
            "by": "earliest due date, earliest end",
            "status": "feasible",
            "checked": not problems,
            "improving": time.monotonic() < self.improving_until,
            "version": self.version,
            "changed": self.changed,
            "events": self.events,
        }
        return plan, problems

    def do_plan(self, body: dict[str, Any]) -> object:
        """The plan."""
        return self._plan(self.moves)[0]

    def do_try(self, body: dict[str, Any]) -> object:
        """What would be."""
        before = self._plan(self.moves)[0]
        after, problems = self._plan([*self.moves, *body.get("moves", [])], body.get("event"))
        was = {o["name"]: o for o in before["operations"]}
        moved = sum(1 for o in after["operations"] if (was[o["name"]]["start"], was[o["name"]]["machine"]) != (o["start"], o["machine"]))
        names = ("tardiness_h", "makespan_h", "setup_h")
        delta = {name: after["figures"][name] - before["figures"][name] for name in names}
        return {"problems": problems, "plan": after, "delta": {**delta, "moved": moved}}

    def do_adopt(self, body: dict[str, Any]) -> object:
        """Makes it so. Raises AppError where it cannot be."""
        event, moves = body.get("event"), [*self.moves, *body.get("moves", [])]
        if self._plan(moves, event)[1]:
            raise AppError(Text("this plan does not hold", "该计划不可行"))
        was = {o["name"]: (o["start"], o["machine"]) for o in self._plan(self.moves)[0]["operations"]}
        self.moves = moves
        if event:
            self.off[event["machine"]].append({"from": event["from"], "to": event["to"], "why": event["kind"], "stop": True})
            text = Text(f"{event['machine']} stands still", f"{event['machine']} 停机")
            self.events.append({"time": self.now, "kind": event["kind"], "text": text})
        self.version += 1
        plan = self._plan(self.moves)[0]
        self.changed = [o["name"] for o in plan["operations"] if was[o["name"]] != (o["start"], o["machine"])] if event else []
        return plan

    def do_improve(self, body: dict[str, Any]) -> object:
        """Takes its time."""
        self.improving_until = time.monotonic() + float(body["seconds"])
        return self._plan(self.moves)[0]

    def do_stop(self, body: dict[str, Any]) -> object:
        """Ends it."""
        self.improving_until = 0.0
        return self._plan(self.moves)[0]

    def do_export(self, body: dict[str, Any]) -> object:
        """A table."""
        return "".join(f"{o['name']},{o['machine']},{o['start']}\n" for o in self._plan(self.moves)[0]["operations"]).encode()


class Changeover(Answering):
    """Steps that take a fifth of a second each; the last waits for a person. `broken` is a step that fails."""

    uses = "test.changeover"
    pages = (Page(slug="change", title=Text("Changeover", "换线"), view="changeover"),)
    verbs: ClassVar[Mapping[str, Right]] = {
        "state": "read",
        "recipe": "read",
        "start": "operate",
        "confirm": "operate",
        "cancel": "operate",
    }

    NAMES: ClassVar[dict[str, Text]] = {
        "ready": Text("Material and people are there", "物料与人员就位"),
        "write": Text("Set-points written and read back", "写入设定值并回读"),
        "inspect": Text("Inspection looks for the new part", "检测切换至新产品"),
        "first": Text("First piece is good", "首件合格"),
    }

    def __init__(self, name: str, plant: Plant, equipment: str, state: Path) -> None:
        super().__init__(name, plant, equipment, state)
        self.current, self.broken, self.count = "plate-a", "", 0
        self.run: dict[str, Any] | None = None
        self.last: list[dict[str, Any]] = []
        self.recipes = [
            {
                "name": n,
                "title": Text(f"Plate {n[-1].upper()}", f"标牌 {n[-1].upper()}"),
                "product": n.upper(),
                "version": "3",
                "equipment": equipment,
            }
            for n in ("plate-a", "plate-b", "plate-c")
        ]

    def _clock(self) -> int:
        return time.time_ns() // 1_000_000

    def _end(self, state: str, outcome: Text) -> None:
        assert self.run is not None
        self.last.insert(0, self.run | {"state": state, "ends": self._clock(), "outcome": outcome})
        self.run = None

    def _advance(self) -> None:
        now = self._clock()
        for step in self.run["steps"] if self.run else ():
            if step["state"] == "waiting":
                step["state"], step["began"] = "doing", now
            if step["state"] == "doing":
                if step["confirm"] or now - step["began"] < 200:
                    return
                if step["name"] == self.broken:
                    step |= {"state": "failed", "ended": now, "text": Text("the press does not answer", "压机无应答")}
                    self._back(Text("The press does not answer; everything is as it was before.", "压机无应答，已恢复换线前状态。"))
                    return
                step |= {"state": "done", "ended": now}

    def _back(self, outcome: Text) -> None:
        assert self.run is not None
        for step in self.run["steps"]:
            if step["state"] in ("done", "doing"):
                step |= {"state": "rolled_back", "ended": self._clock()}
        self._end("rolled_back", outcome)

    def do_state(self, body: dict[str, Any]) -> object:
        """Where it stands."""
        self._advance()
        last, running = self.last[:20], self.run
        return {"now": self._clock(), "limit": 60, "recipes": self.recipes, "current": self.current, "running": running, "last": last}

    def do_recipe(self, body: dict[str, Any]) -> object:
        """What it will change."""
        recipe = next(r for r in self.recipes if r["name"] == body["name"])
        tag = next(t for t in self.plant.tags.values() if t.writable).tag
        title = Text("Speed set-point", "转速设定值")
        parameter = {"tag": tag, "title": title, "unit": "1/min", "now": 900.0, "quality": "good", "will": 1200.0}
        return {
            **recipe,
            "parameters": [parameter],
            "checks": [Text("the pump is not running", "泵未运行")],
            "materials": [{"name": "Sheet 2 mm", "quantity": 40.0, "unit": "kg", "ok": True}],
            "people": [Text("1 setter", "调机工 1 人")],
            "orders": [{"name": "A-104", "product": recipe["product"], "quantity": 40, "start": self._clock() + HOUR}],
        }

    def do_start(self, body: dict[str, Any]) -> object:
        """Begins."""
        recipe = next(r for r in self.recipes if r["name"] == body["recipe"])
        self.count += 1
        steps = [
            {"name": n, "title": t, "state": "waiting", "began": None, "ended": None, "text": None, "confirm": n == "first", "by": ""}
            for n, t in self.NAMES.items()
        ]
        self.run = {"id": f"c{self.count}", "recipe": recipe["name"], "title": recipe["title"], "began": self._clock()}
        self.run |= {"state": "writing", "steps": steps, "ends": None, "outcome": None}
        return self.do_state({})

    def do_confirm(self, body: dict[str, Any]) -> object:
        """A person says that a step is done."""
        assert self.run is not None
        step = next(s for s in self.run["steps"] if s["name"] == body["step"])
        step |= {"state": "done", "ended": self._clock(), "by": "operator1"}
        self.current = self.run["recipe"]
        self._end("done", Text("Changed over, first piece good.", "换线完成，首件合格。"))
        return self.do_state({})

    def do_cancel(self, body: dict[str, Any]) -> object:
        """As it was before."""
        self._back(Text("Cancelled; everything is as it was before.", "已取消，恢复换线前状态。"))
        return self.do_state({})


class Routes(Answering):
    """Each vehicle takes the nearest stop that it has room for; a late vehicle is late everywhere."""

    uses = "test.routes"
    pages = (Page(slug="routes", title=Text("Routes", "路线"), view="routes"),)
    verbs: ClassVar[Mapping[str, Right]] = {"plan": "read", "try": "read", "adopt": "change", "improve": "operate", "stop": "operate"}

    def __init__(self, name: str, plant: Plant, equipment: str, state: Path, *, stops: int = 28, vehicles: int = 4) -> None:
        super().__init__(name, plant, equipment, state)
        rng = np.random.default_rng(4)
        self.vehicles = [f"T{k + 1}" for k in range(vehicles)]
        self.at = rng.uniform(-40, 40, (stops, 2)).round(2)
        self.demand = rng.integers(1, 6, stops)
        opens = rng.integers(0, 3, stops)
        self.windows = [(self.now + int(o) * HOUR, self.now + (int(o) + 6) * HOUR) for o in opens]
        self.events: list[dict[str, Any]] = []

    def _plan(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        gone = {e["place"] for e in events if e["kind"] == "cancel"}
        broken = {e["vehicle"] for e in events if e["kind"] == "breakdown"}
        delay = {v: sum(e["minutes"] for e in events if e["kind"] == "late_vehicle" and e["vehicle"] == v) for v in self.vehicles}
        left = [k for k in range(len(self.at)) if f"S{k + 1}" not in gone]
        places = {
            f"S{k + 1}": {
                "name": f"S{k + 1}",
                "title": {"en": f"Shop {k + 1}", "zh": f"门店 {k + 1}"},
                "x": float(self.at[k][0]),
                "y": float(self.at[k][1]),
                "depot": False,
                "from": self.windows[k][0],
                "to": self.windows[k][1],
                "demand": int(self.demand[k]),
                "arrive": None,
                "late": 0,
            }
            for k in left
        }
        depot = {"name": "D", "title": {"en": "Works", "zh": "工厂"}, "x": 0.0, "y": 0.0, "depot": True, "from": None, "to": None}
        routes = []
        for vehicle in [v for v in self.vehicles if v not in broken]:
            at, clock, room, km = np.zeros(2), self.now + delay[vehicle] * MINUTE, 24, 0.0
            stops = [{"place": "D", "arrive": clock, "start": clock, "depart": clock, "load": None}]
            while (fits := [k for k in left if self.demand[k] <= room]) and len(stops) <= -(-len(self.at) // len(self.vehicles)):
                k = min(fits, key=lambda k: float(np.hypot(*(self.at[k] - at))))
                way = float(np.hypot(*(self.at[k] - at)))
                km, clock, at, room = km + way, clock + int(way * 1.5) * MINUTE, self.at[k], room - int(self.demand[k])
                start = max(clock, self.windows[k][0])
                stops.append({"place": f"S{k + 1}", "arrive": clock, "start": start, "depart": start + 10 * MINUTE, "load": 24 - room})
                places[f"S{k + 1}"] |= {"arrive": clock, "late": max(0, clock - self.windows[k][1]) // MINUTE}
                clock = start + 10 * MINUTE
                left.remove(k)
            way = float(np.hypot(*at))
            km, clock = km + way, clock + int(way * 1.5) * MINUTE
            stops.append({"place": "D", "arrive": clock, "start": clock, "depart": clock, "load": 0})
            title = {"en": f"Truck {vehicle[1:]}", "zh": f"{vehicle[1:]} 号车"}
            hours = (clock - self.now) / HOUR
            route = {"vehicle": vehicle, "title": title, "stops": stops, "distance_km": km, "hours": hours, "cost": 40 + 1.2 * km}
            routes.append(route | {"carbon_kg": 0.6 * km, "load": 24 - room, "capacity": 24, "done": 0})
        why = Text("no vehicle has room for it", "没有车辆可装载")
        return {
            "now": self.now,
            "map": "plane",
            "places": [depot | {"demand": None, "arrive": None, "late": 0}, *places.values()],
            "routes": routes,
            "unserved": [{"place": f"S{k + 1}", "why": why} for k in left],
            "figures": {"cost": sum(r["cost"] for r in routes)},
            "status": "feasible",
            "checked": True,
            "improving": False,
        }

    def do_plan(self, body: dict[str, Any]) -> object:
        """The routes."""
        return self._plan(self.events)

    def do_try(self, body: dict[str, Any]) -> object:
        """What would be."""
        return {"problems": [], "plan": self._plan([*self.events, body["event"]])}

    def do_adopt(self, body: dict[str, Any]) -> object:
        """Makes it so."""
        self.events.append(body["event"])
        return self._plan(self.events)


class Stock(Answering):
    """Weekly demand, smoothed; ordered up to a mean and two deviations over the lead time."""

    uses = "test.stock"
    pages = (Page(slug="stock", title=Text("Stock", "库存"), view="stock"),)
    verbs: ClassVar[Mapping[str, Right]] = {"items": "read", "item": "read", "status": "read"}
    WEEK: ClassVar[int] = 7 * 24 * HOUR

    def __init__(self, name: str, plant: Plant, equipment: str, state: Path) -> None:
        super().__init__(name, plant, equipment, state)
        rng = np.random.default_rng(8)
        season = 1 + 0.3 * np.sin(np.arange(104) * 2 * np.pi / 52)
        self.demand = {f"P-{k + 1:03d}": rng.poisson(rng.uniform(3, 120) * season).astype(float) for k in range(24)}
        self.stock = {n: float(rng.integers(0, int(6 * d.mean()) + 1)) for n, d in self.demand.items()}

    def _figures(self, name: str) -> tuple[float, float, float, float]:
        """Mean and deviation of a week's demand, the reorder point, and the level that is ordered up to."""
        recent = self.demand[name][-26:]
        mean, deviation = float(recent.mean()), float(recent.std())
        return mean, deviation, 2 * mean + 2 * deviation * 2**0.5, 4 * mean + 2 * deviation * 2

    def do_status(self, body: dict[str, Any]) -> object:
        """All is planned."""
        return {"planned": len(self.demand), "of": len(self.demand), "trouble": None, "warnings": []}

    def do_items(self, body: dict[str, Any]) -> object:
        """Every item."""
        rows = []
        for name, stock in self.stock.items():
            mean, _, reorder, up_to = self._figures(name)
            days = 7 * stock / mean
            state = "short" if days < 7 else "order" if stock < reorder else "excess" if days > 35 else "ok"
            text = Text(f"order {up_to - stock:.0f} pcs", f"订货 {up_to - stock:.0f} 件") if state in ("short", "order") else Text("", "")
            row = {"name": name, "title": {"en": f"Sheet {name[2:]}", "zh": f"板材 {name[2:]}"}, "unit": "pcs", "on_hand": stock}
            row |= {"on_order": 0.0, "reorder_at": reorder, "order_up_to": up_to, "days_of_cover": days, "service_target": 0.97}
            rows.append(row | {"service_simulated": 0.974, "state": state, "text": text})
        return rows

    def do_item(self, body: dict[str, Any]) -> object:
        """One item."""
        demand, (mean, deviation, reorder, up_to) = self.demand[body["name"]], self._figures(body["name"])
        times = [self.now - (len(demand) - k) * self.WEEK for k in range(len(demand))]
        ahead = [self.now + k * self.WEEK for k in range(13)]
        stock, projection = self.stock[body["name"]], []
        for k, at in enumerate(ahead):
            come = max(0.0, up_to - stock) if k == 2 else 0.0
            stock = max(0.0, stock + come - mean)
            wide = 2 * deviation * (k + 1) ** 0.5
            projection.append({"time": at, "on_hand": stock, "low": max(0.0, stock - wide), "high": stock + wide, "in": come, "out": mean})
        naive = float(np.abs(demand[52:] - demand[:-52]).mean())
        smooth = float(np.abs(demand[52:] - demand[51:-1]).mean())
        backtest = [
            {"method": "seasonal naive", "wape": naive / float(demand[52:].mean()), "mase": 1.0, "bias": 0.01},
            {"method": "last value", "wape": smooth / float(demand[52:].mean()), "mase": smooth / naive, "bias": -0.002},
        ]
        return {
            "history": [{"time": t, "demand": float(d)} for t, d in zip(times, demand, strict=True)],
            "forecast": [{"time": t, "mean": mean, "low": max(0.0, mean - 2 * deviation), "high": mean + 2 * deviation} for t in ahead],
            "method": "simple exponential smoothing",
            "backtest": backtest,
            "projection": projection,
            "curve": [{"service": s / 100, "cost": 100 + deviation * 40 / (101 - s)} for s in range(80, 100)],
            "policy": {
                "kind": "sS",
                "text": Text(f"Below {reorder:.0f} order up to {up_to:.0f}.", f"低于 {reorder:.0f} 时订货至 {up_to:.0f}。"),
            },
        }
