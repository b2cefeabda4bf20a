"""B2MML-shaped JSON → a problem; every refusal names its element."""

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
    Pool,
    Problem,
    Setup,
    Tick,
    Weights,
)
from ronghe.errors import AppError, RongheError
from ronghe.signals.when import parse_time
from ronghe.text import Text

_LARGEST: Final = 64 * 1024 * 1024
_DURATION: Final = re.compile(r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?")


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
