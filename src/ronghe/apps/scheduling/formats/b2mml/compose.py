"""A problem, and its plan, → B2MML-shaped JSON."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.apps.scheduling.problem import (
    Assigned,
    Off,
    Operation,
    Plan,
    Problem,
    Tick,
)
from ronghe.signals.when import format_time

_LARGEST: Final = 64 * 1024 * 1024
_DURATION: Final = re.compile(r"P(?:(\d+(?:\.\d+)?)D)?(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?")


def write(problem: Problem, path: Path, plan: Plan | None = None) -> None:
    """Writes the problem; with a plan its times, too, see `document`."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document(problem, plan)), indent=1))


def document(problem: Problem, plan: Plan | None = None) -> dict[str, Any]:
    """The problem. With a plan, each SegmentRequirement has the window that the plan gives it (EarliestStartTime, LatestEndTime) and its
    machine (PlannedEquipmentID), and what has ended by the problem's `now` is in OperationsPerformance."""
    w = _Writer(problem, plan)
    said: dict[str, Any] = {"OperationsSchedule": w.schedule(), "OperationsCapability": w.capability()}
    if problem.setups:
        said["ResourceRelationshipNetwork"] = [{"ID": "setup", "ResourceNetworkConnection": w.connections()}]
    if plan is not None:
        said["OperationsPerformance"] = w.performance(plan)
    return said


class _Writer:
    def __init__(self, problem: Problem, plan: Plan | None) -> None:
        self._p = problem
        self._planned = {a.operation: a for a in plan.assigned} if plan is not None else {}
        self._begun = {f.operation: f for f in problem.fixed}

    def _at(self, tick: Tick) -> str:
        return format_time(self._p.start + round(tick * self._p.tick * 1e9))

    def _span(self, ticks: Tick) -> str:
        return f"PT{ticks * self._p.tick:.10g}S"

    def _off(self, entries: tuple[Off, ...]) -> list[dict[str, Any]]:
        return [
            {
                "CapabilityType": "Unattainable",
                "StartTime": self._at(o.start),
                "EndTime": self._at(o.end),
                "Reason": o.why,
                "Stop": o.stop,
            }
            for o in entries
        ]

    def schedule(self) -> dict[str, Any]:
        """OperationsSchedule."""
        p = self._p
        return {
            "ID": p.name,
            "StartTime": self._at(0),
            "OperationsScheduleProperty": _properties(
                Tick=f"PT{p.tick:.10g}S",
                Now=self._at(p.now),
                Makespan=p.weights.makespan,
                Tardiness=p.weights.tardiness,
                Setup=p.weights.setup,
            ),
            "OperationsRequest": [
                {
                    "ID": j.name,
                    "StartTime": self._at(j.release),
                    **({"EndTime": self._at(j.due)} if j.due is not None else {}),
                    "OperationsDefinitionID": j.product,
                    "OperationsRequestProperty": _properties(Weight=j.weight, Quantity=j.quantity),
                    "SegmentRequirement": [self._segment(o) for o in j.operations],
                }
                for j in p.jobs
            ],
        }

    def _segment(self, o: Operation) -> dict[str, Any]:
        said: dict[str, Any] = {
            "ID": o.name,
            "ProcessSegmentID": o.name.rpartition("/")[2],
            "SegmentParameter": _properties(SetupFamily=o.family, Pauses=o.pauses, **({"First": True} if o.after == () else {})),
            "EquipmentRequirement": [
                {
                    "EquipmentID": c.machine,
                    "EquipmentUse": "Alternative" if len(o.choices) > 1 else "Required",
                    "EquipmentRequirementProperty": _properties(Duration=self._span(c.duration)),
                }
                for c in o.choices
            ],
            "PersonnelRequirement": [{"PersonnelClassID": name, "Quantity": n} for name, n in o.people.items()],
            "MaterialRequirement": [{"MaterialDefinitionID": name, "MaterialUse": "Consumed", "Quantity": q} for name, q in o.uses.items()],
            "SegmentDependency": [{"DependencyType": "AfterEnd", "SegmentID": name} for name in o.after or ()],
        }
        if (f := self._begun.get(o.name)) is not None:
            said |= {"ActualStartTime": self._at(f.start), "ActualEquipmentID": f.machine}
            said |= {"ActualEndTime": self._at(f.end)} if f.end is not None else {}
        if (a := self._planned.get(o.name)) is not None:
            said |= {"EarliestStartTime": self._at(a.start), "LatestEndTime": self._at(a.end), "PlannedEquipmentID": a.machine}
        return {k: v for k, v in said.items() if v != []}

    def capability(self) -> dict[str, Any]:
        """OperationsCapability."""
        p = self._p
        return {
            "EquipmentCapability": [
                {
                    "EquipmentID": m.name,
                    "Unattainable": self._off(m.off),
                    "EquipmentCapabilityProperty": _properties(SetupFamily=m.family, BatchSize=m.batch, Power=m.power),
                }
                for m in p.machines
            ],
            "PersonnelCapability": [
                {"PersonnelClassID": pool.name, "Quantity": pool.size, "Unattainable": self._off(pool.off)} for pool in p.pools
            ],
            "MaterialCapability": [
                {"MaterialDefinitionID": a.material, "StartTime": self._at(a.at), "Quantity": a.quantity, "Reason": a.source}
                for a in p.arrivals
            ],
        }

    def connections(self) -> list[dict[str, Any]]:
        """The set-ups, as ResourceNetworkConnection."""
        return [
            {
                "FromResourceReference": {"ResourceID": s.before, "ResourceType": "SetupFamily"},
                "ToResourceReference": {"ResourceID": s.after, "ResourceType": "SetupFamily"},
                "ResourceNetworkConnectionProperty": _properties(
                    Duration=self._span(s.duration), **({"EquipmentID": s.machine} if s.machine else {})
                ),
            }
            for s in self._p.setups
        ]

    def performance(self, plan: Plan) -> dict[str, Any]:
        """OperationsPerformance: what has ended by now."""
        ended = {a.operation: a for a in plan.assigned if a.end <= self._p.now}
        responses = []
        for job in self._p.jobs:
            done = [ended[o.name] for o in job.operations if o.name in ended]
            if done:
                responses.append(
                    {
                        "OperationsRequestID": job.name,
                        "ResponseState": "Completed" if len(done) == len(job.operations) else "Running",
                        "SegmentResponse": [self._response(a) for a in done],
                    }
                )
        return {"ID": self._p.name, "OperationsResponse": responses}

    def _response(self, a: Assigned) -> dict[str, Any]:
        return {
            "ID": a.operation,
            "ActualStartTime": self._at(a.start),
            "ActualEndTime": self._at(a.end),
            "EquipmentActual": [{"EquipmentID": a.machine}],
        }


def _properties(**values: str | float | bool) -> list[dict[str, Any]]:
    return [{"ID": name, "Value": value} for name, value in values.items() if value != ""]
