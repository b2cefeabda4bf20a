"""Schedules in the shape of B2MML, MESA's form of ISA-95 (IEC 62264-2), as JSON: what an ERP hands down and an MES hands back.

    OperationsSchedule → OperationsRequest (an order) → SegmentRequirement (an operation)
        → EquipmentRequirement (with EquipmentUse "Alternative" where one of several is needed), PersonnelRequirement, MaterialRequirement
    OperationsCapability → EquipmentCapability (CapabilityType "Unattainable": when off), PersonnelCapability, MaterialCapability
    ResourceRelationshipNetwork → ResourceNetworkConnection (set-up from family to family; ISA-95 has no other place for it)

Identifiers may stand bare or as {"Value": …}, quantities as numbers or as {"QuantityString": …}; one element may stand for a list of one.
What the standard leaves to properties is read from and written to these: Duration, SetupFamily, Pauses, BatchSize, Power, Weight.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.apps.scheduling.problem import (
    Arrival,
    Choice,
    Fixed,
    Job,
    Machine,
    Off,
    Operation,
    Plan,
    Pool,
    Problem,
    Setup,
    Tick,
    Weights,
)
from ronghe.errors import AppError, RongheError
from ronghe.signals.when import format_time, parse_time
from ronghe.text import Text

_LARGEST: Final = 64 * 1024 * 1024
_DURATION: Final = re.compile(r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?")


# --- reading ------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Node:
    """One element and its path in the file. A file of millions of wrong elements is refused at the first."""

    value: Any
    path: str
    file: str

    def wrong(self, en: str, zh: str) -> AppError:
        return AppError(Text(f"{self.path}: {en}", f"{self.path}：{zh}"), where=self.file)

    def each(self, key: str) -> Iterator[_Node]:
        value = self.value.get(key) if isinstance(self.value, dict) else None
        for i, one in enumerate(value if isinstance(value, list) else [] if value is None else [value]):
            node = _Node(one, f"{self.path}.{key}[{i}]", self.file)
            if not isinstance(one, dict):
                raise node.wrong("must be an object", "必须是对象")
            yield node

    def text(self, key: str, default: str | None = None) -> str:
        value = self.value.get(key)
        while isinstance(value, list | dict) and value:
            value = value[0] if isinstance(value, list) else value.get("Value", value.get("QuantityString"))
        if isinstance(value, bool | int | float):
            return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"
        if isinstance(value, str) and value.strip():
            return value.strip()
        if default is None:
            raise self.wrong(f"{key} is missing", f"缺少 {key}")
        return default

    def number(self, key: str, default: float | None = None) -> float:
        said = self.text(key, None if default is None else f"{default:.12g}")
        try:
            value = float(said)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise self.wrong(f"{key} is {said[:40]!r}, not a number of at least 0", f"{key} 为 {said[:40]!r}，应为不小于 0 的数字")
        return value

    def moment(self, key: str) -> int | None:
        said = self.text(key, "")
        try:
            return parse_time(said, 0) if said else None
        except RongheError as e:
            raise self.wrong(f"{key}: {e.what.en}", f"{key}：{e.what.in_('zh')}") from e

    def seconds(self, key: str) -> float:
        said = self.text(key)
        match = _DURATION.fullmatch(said)
        if match is None or not any(match.groups()):
            raise self.wrong(f"{key} is {said[:40]!r}, not a duration as PT15M", f"{key} 为 {said[:40]!r}，不是 PT15M 形式的时长")
        return sum(float(part or 0) * unit for part, unit in zip(match.groups(), (86400, 3600, 60, 1), strict=True))

    def properties(self, key: str) -> dict[str, _Node]:
        return {one.text("ID"): one for one in self.each(key)}


def read(path: Path) -> Problem:
    """The problem of a file. Raises AppError that names the element that is wrong, or missing."""
    try:
        if path.stat().st_size > _LARGEST:
            raise AppError(Text("is too large to plan at once", "文件过大，无法一次排产"), where=str(path))
        body = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise AppError(Text(f"is no JSON: {e}", f"不是有效的 JSON：{e}"), where=str(path)) from e
    schedule = body.get("OperationsSchedule", body.get("ProductionSchedule")) if isinstance(body, dict) else None
    if not isinstance(schedule, dict):
        raise AppError(
            Text(
                "holds no OperationsSchedule (B2MML), and no problem of Ronghe's own",
                "其中既没有 OperationsSchedule（B2MML），也不是融合的排产问题",
            ),
            where=str(path),
        )
    file = str(path)
    capability = body.get("OperationsCapability") or {}
    networks = _Node(body, "", file).each("ResourceRelationshipNetwork")
    if not isinstance(capability, dict):
        raise AppError(Text("OperationsCapability must be an object", "OperationsCapability 必须是对象"), where=file)
    return _Reader(_Node(schedule, "OperationsSchedule", file), _Node(capability, "OperationsCapability", file), list(networks)).problem()


class _Reader:
    def __init__(self, schedule: _Node, capability: _Node, networks: list[_Node]) -> None:
        self._schedule, self._capability, self._networks = schedule, capability, networks
        requests = [n for key in ("OperationsRequest", "ProductionRequest") for n in schedule.each(key)]
        if not requests:
            raise schedule.wrong("OperationsRequest is missing", "缺少 OperationsRequest")
        self._requests = requests
        begins = [t for n in requests if (t := n.moment("StartTime")) is not None]
        start = schedule.moment("StartTime")
        self._start = start if start is not None else min(begins, default=0)
        settings = schedule.properties("OperationsScheduleProperty")
        self._tick = settings["Tick"].seconds("Value") if "Tick" in settings else 1.0
        self._now = settings["Now"].moment("Value") if "Now" in settings else None
        w = Weights()
        names = {"Makespan": w.makespan, "Tardiness": w.tardiness, "Setup": w.setup}
        told = {k: settings[k].number("Value") for k in names if k in settings}
        self._weights = (
            Weights(makespan=told.get("Makespan", 0.0), tardiness=told.get("Tardiness", 0.0), setup=told.get("Setup", 0.0))
            if told
            else Weights(tardiness=1.0)
        )
        self._fixed: list[Fixed] = []

    def problem(self) -> Problem:
        jobs = tuple(self._job(n) for n in self._requests)
        machines = self._machines(jobs)
        return Problem(
            name=self._schedule.text("ID", ""),
            start=self._start,
            tick=self._tick,
            now=max(0, self._up(self._now)) if self._now is not None else 0,
            jobs=jobs,
            machines=machines,
            pools=self._pools(jobs),
            setups=tuple(self._setups()),
            arrivals=tuple(self._arrivals()),
            fixed=tuple(self._fixed),
            weights=self._weights,
        )

    def _up(self, ns: int) -> Tick:
        return math.ceil((ns - self._start) / (self._tick * 1e9) - 1e-9)

    def _down(self, ns: int) -> Tick:
        return math.floor((ns - self._start) / (self._tick * 1e9) + 1e-9)

    def _span(self, node: _Node, key: str) -> Tick:
        return math.ceil(node.seconds(key) / self._tick - 1e-6)

    def _job(self, n: _Node) -> Job:
        name = n.text("ID")
        more = n.properties("OperationsRequestProperty")
        segments = list(n.each("SegmentRequirement"))
        if not segments:
            raise n.wrong("SegmentRequirement is missing", "缺少 SegmentRequirement")
        release, due = n.moment("StartTime"), n.moment("EndTime")
        return Job(
            name=name,
            operations=tuple(self._operation(s) for s in segments),
            release=max(0, self._up(release)) if release is not None else 0,
            due=self._down(due) if due is not None else None,
            weight=more["Weight"].number("Value") if "Weight" in more else n.number("Priority", 1.0),
            product=n.text("OperationsDefinitionID", n.text("ProductProductionRuleID", "")),
            quantity=more["Quantity"].number("Value") if "Quantity" in more else 1.0,
        )

    def _operation(self, n: _Node) -> Operation:
        name = n.text("ID")
        parameters = n.properties("SegmentParameter")
        choices = []
        for e in n.each("EquipmentRequirement"):
            own = e.properties("EquipmentRequirementProperty")
            at, key = (own["Duration"], "Value") if "Duration" in own else (n, "Duration")
            choices.append(Choice(e.text("EquipmentID"), self._span(at, key)))
        if not choices:
            raise n.wrong("EquipmentRequirement is missing", "缺少 EquipmentRequirement")
        begun = n.moment("ActualStartTime")
        if begun is not None:
            end = n.moment("ActualEndTime")
            self._fixed.append(
                Fixed(
                    operation=name,
                    machine=n.text("ActualEquipmentID", choices[0].machine),
                    start=self._down(begun),
                    end=self._up(end) if end is not None else None,
                )
            )
        dependencies = [d.text("SegmentID") for d in n.each("SegmentDependency")]
        return Operation(
            name=name,
            choices=tuple(choices),
            family=parameters["SetupFamily"].text("Value", "") if "SetupFamily" in parameters else "",
            pauses=parameters["Pauses"].text("Value").lower() in ("true", "1") if "Pauses" in parameters else True,
            people={p.text("PersonnelClassID"): round(p.number("Quantity", 1.0)) for p in n.each("PersonnelRequirement")},
            uses={m.text("MaterialDefinitionID"): m.number("Quantity") for m in n.each("MaterialRequirement") if _taken(m)},
            after=tuple(dependencies) if dependencies else () if "First" in parameters else None,
        )

    def _offs(self, n: _Node) -> Iterator[Off]:
        for one in n.each("Unattainable"):
            start, end = one.moment("StartTime"), one.moment("EndTime")
            if start is None or end is None or end <= start:
                raise one.wrong("needs a StartTime and an EndTime after it", "须有 StartTime 及晚于它的 EndTime")
            yield Off(max(0, self._down(start)), self._up(end), one.text("Reason", ""), one.text("Stop", "false").lower() == "true")

    def _machines(self, jobs: tuple[Job, ...]) -> tuple[Machine, ...]:
        found: dict[str, Machine] = {}
        for n in self._capability.each("EquipmentCapability"):
            more = n.properties("EquipmentCapabilityProperty")
            name = n.text("EquipmentID")
            found[name] = Machine(
                name=name,
                off=tuple(self._offs(n)),
                family=more["SetupFamily"].text("Value", "") if "SetupFamily" in more else "",
                batch=max(1, round(more["BatchSize"].number("Value"))) if "BatchSize" in more else 1,
                power=more["Power"].number("Value") if "Power" in more else 0.0,
            )
        named = (c.machine for j in jobs for o in j.operations for c in o.choices)
        return tuple(found.values()) + tuple(Machine(name=m) for m in dict.fromkeys(named) if m not in found)

    def _pools(self, jobs: tuple[Job, ...]) -> tuple[Pool, ...]:
        found = {
            n.text("PersonnelClassID"): Pool(name=n.text("PersonnelClassID"), size=round(n.number("Quantity")), off=tuple(self._offs(n)))
            for n in self._capability.each("PersonnelCapability")
        }
        for name in (p for j in jobs for o in j.operations for p in o.people):
            if name not in found:
                raise self._capability.wrong(
                    f"PersonnelCapability of {name!r} is missing: how many there are", f"缺少 {name!r} 的 PersonnelCapability（人数）"
                )
        return tuple(found.values())

    def _arrivals(self) -> Iterator[Arrival]:
        for n in self._capability.each("MaterialCapability"):
            at = n.moment("StartTime")
            yield Arrival(
                material=n.text("MaterialDefinitionID"),
                at=max(0, self._up(at)) if at is not None else 0,
                quantity=n.number("Quantity"),
                source=n.text("Reason", ""),
            )

    def _setups(self) -> Iterator[Setup]:
        for network in self._networks:
            for n in network.each("ResourceNetworkConnection"):
                more = n.properties("ResourceNetworkConnectionProperty")
                if "Duration" not in more:
                    raise n.wrong("the property Duration is missing", "缺少属性 Duration")
                before, after = (next(iter(n.each(k)), None) for k in ("FromResourceReference", "ToResourceReference"))
                if before is None or after is None:
                    raise n.wrong(
                        "needs a FromResourceReference and a ToResourceReference", "须有 FromResourceReference 与 ToResourceReference"
                    )
                yield Setup(
                    before=before.text("ResourceID"),
                    after=after.text("ResourceID"),
                    duration=self._span(more["Duration"], "Value"),
                    machine=more["EquipmentID"].text("Value") if "EquipmentID" in more else "",
                )


def _taken(material: _Node) -> bool:
    return material.text("MaterialUse", "Consumed") == "Consumed"


# --- writing ------------------------------------------------------------------------------------------------------------------------


def write(problem: Problem, path: Path, plan: Plan | None = None) -> None:
    """Writes the problem; with a plan its times, too, see `document`."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document(problem, plan)), indent=1))


def document(p: Problem, plan: Plan | None = None) -> dict[str, Any]:
    """The problem. With a plan, each SegmentRequirement has the window that the plan gives it (EarliestStartTime, LatestEndTime) and its
    machine (PlannedEquipmentID), and what has ended by the problem's `now` is in OperationsPerformance."""
    planned = {a.operation: a for a in plan.assigned} if plan is not None else {}
    begun = {f.operation: f for f in p.fixed}

    def at(tick: Tick) -> str:
        return format_time(p.start + round(tick * p.tick * 1e9))

    def span(ticks: Tick) -> str:
        return f"PT{ticks * p.tick:.10g}S"

    def off(entries: tuple[Off, ...]) -> list[dict[str, Any]]:
        return [
            {"CapabilityType": "Unattainable", "StartTime": at(o.start), "EndTime": at(o.end), "Reason": o.why, "Stop": o.stop}
            for o in entries
        ]

    def segment(o: Operation) -> dict[str, Any]:
        said: dict[str, Any] = {
            "ID": o.name,
            "ProcessSegmentID": o.name.rpartition("/")[2],
            "SegmentParameter": _properties(SetupFamily=o.family, Pauses=o.pauses, **({"First": True} if o.after == () else {})),
            "EquipmentRequirement": [
                {
                    "EquipmentID": c.machine,
                    "EquipmentUse": "Alternative" if len(o.choices) > 1 else "Required",
                    "EquipmentRequirementProperty": _properties(Duration=span(c.duration)),
                }
                for c in o.choices
            ],
            "PersonnelRequirement": [{"PersonnelClassID": name, "Quantity": n} for name, n in o.people.items()],
            "MaterialRequirement": [{"MaterialDefinitionID": name, "MaterialUse": "Consumed", "Quantity": q} for name, q in o.uses.items()],
            "SegmentDependency": [{"DependencyType": "AfterEnd", "SegmentID": name} for name in o.after or ()],
        }
        if (f := begun.get(o.name)) is not None:
            said |= {"ActualStartTime": at(f.start), "ActualEquipmentID": f.machine} | (
                {"ActualEndTime": at(f.end)} if f.end is not None else {}
            )
        if (a := planned.get(o.name)) is not None:
            said |= {"EarliestStartTime": at(a.start), "LatestEndTime": at(a.end), "PlannedEquipmentID": a.machine}
        return {k: v for k, v in said.items() if v != []}

    schedule = {
        "ID": p.name,
        "StartTime": at(0),
        "OperationsScheduleProperty": _properties(
            Tick=f"PT{p.tick:.10g}S",
            Now=at(p.now),
            Makespan=p.weights.makespan,
            Tardiness=p.weights.tardiness,
            Setup=p.weights.setup,
        ),
        "OperationsRequest": [
            {
                "ID": j.name,
                "StartTime": at(j.release),
                **({"EndTime": at(j.due)} if j.due is not None else {}),
                "OperationsDefinitionID": j.product,
                "OperationsRequestProperty": _properties(Weight=j.weight, Quantity=j.quantity),
                "SegmentRequirement": [segment(o) for o in j.operations],
            }
            for j in p.jobs
        ],
    }
    capability = {
        "EquipmentCapability": [
            {
                "EquipmentID": m.name,
                "Unattainable": off(m.off),
                "EquipmentCapabilityProperty": _properties(SetupFamily=m.family, BatchSize=m.batch, Power=m.power),
            }
            for m in p.machines
        ],
        "PersonnelCapability": [{"PersonnelClassID": pool.name, "Quantity": pool.size, "Unattainable": off(pool.off)} for pool in p.pools],
        "MaterialCapability": [
            {"MaterialDefinitionID": a.material, "StartTime": at(a.at), "Quantity": a.quantity, "Reason": a.source} for a in p.arrivals
        ],
    }
    connections = [
        {
            "FromResourceReference": {"ResourceID": s.before, "ResourceType": "SetupFamily"},
            "ToResourceReference": {"ResourceID": s.after, "ResourceType": "SetupFamily"},
            "ResourceNetworkConnectionProperty": _properties(
                Duration=span(s.duration), **({"EquipmentID": s.machine} if s.machine else {})
            ),
        }
        for s in p.setups
    ]
    said: dict[str, Any] = {"OperationsSchedule": schedule, "OperationsCapability": capability}
    if connections:
        said["ResourceRelationshipNetwork"] = [{"ID": "setup", "ResourceNetworkConnection": connections}]
    if plan is not None:
        said["OperationsPerformance"] = _performance(p, plan, at)
    return said


def _performance(p: Problem, plan: Plan, at: Any) -> dict[str, Any]:
    ended = {a.operation: a for a in plan.assigned if a.end <= p.now}
    responses = []
    for job in p.jobs:
        done = [ended[o.name] for o in job.operations if o.name in ended]
        if done:
            responses.append(
                {
                    "OperationsRequestID": job.name,
                    "ResponseState": "Completed" if len(done) == len(job.operations) else "Running",
                    "SegmentResponse": [
                        {
                            "ID": a.operation,
                            "ActualStartTime": at(a.start),
                            "ActualEndTime": at(a.end),
                            "EquipmentActual": [{"EquipmentID": a.machine}],
                        }
                        for a in done
                    ],
                }
            )
    return {"ID": p.name, "OperationsResponse": responses}


def _properties(**values: str | float | bool) -> list[dict[str, Any]]:
    return [{"ID": name, "Value": value} for name, value in values.items() if value != ""]
