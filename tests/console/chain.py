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
        """Never called."""
        raise AssertionError

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
