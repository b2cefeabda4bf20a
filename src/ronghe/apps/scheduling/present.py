"""A plan as the console's view `schedule` draws it: plain data; times in ms since 1970 UTC, durations in minutes or hours as named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ronghe.apps.scheduling.live.board import Event
from ronghe.apps.scheduling.problem import Job, Machine, Plan, Problem, Tick
from ronghe.text import Text

Why = Callable[[str], tuple[Text | None, Text | None]]
"""Job → why it is late, and what would mend that."""


def text(said: Text | None) -> dict[str, str] | None:
    """A text in both languages."""
    return None if said is None else {"en": said.en, "zh": said.in_("zh")}


class Times:
    """Ticks of a problem as ms, hours and minutes."""

    def __init__(self, problem: Problem) -> None:
        self._start, self._tick = problem.start, problem.tick

    def ms(self, tick: Tick) -> int:
        """ms since 1970."""
        return round(self._start / 1e6 + tick * self._tick * 1e3)

    def tick(self, ms: float) -> Tick:
        """The tick nearest to a time in ms."""
        return round((ms - self._start / 1e6) / (self._tick * 1e3))

    def hours(self, ticks: float) -> float:
        """A duration in h."""
        return ticks * self._tick / 3600

    def minutes(self, ticks: float) -> float:
        """A duration in min."""
        return ticks * self._tick / 60


def schedule(problem: Problem, plan: Plan | None, now: Tick, why: Why, title: Callable[[str], Text]) -> dict[str, Any]:
    """Machines, operations, jobs and figures of a plan; without one no operations, and figures that are null."""
    t = Times(problem)
    assigned = plan.assigned if plan is not None else ()
    ends = job_ends(problem, plan)
    last = max([now, *(a.end for a in assigned), *(j.due for j in problem.jobs if j.due is not None)])
    return {
        "now": t.ms(now),
        "from": t.ms(min([now, *(a.setup_start for a in assigned)])),
        "to": t.ms(last),
        "machines": [_machine(m, t, last, title) for m in problem.machines],
        "operations": _operations(problem, plan, now, t),
        "jobs": [_job(j, ends.get(j.name), t, why) for j in problem.jobs],
        "figures": figures(problem, plan, now),
        "by": plan.by if plan is not None else "",
        "status": plan.status if plan is not None else "unknown",
    }


def job_ends(problem: Problem, plan: Plan | None) -> dict[str, Tick]:
    """When each job of a plan ends."""
    of = {o.name: j.name for j in problem.jobs for o in j.operations}
    ends: dict[str, Tick] = {}
    for a in plan.assigned if plan is not None else ():
        if a.operation in of:
            ends[of[a.operation]] = max(ends.get(of[a.operation], a.end), a.end)
    return ends


def _machine(m: Machine, t: Times, last: Tick, title: Callable[[str], Text]) -> dict[str, Any]:
    off = [{"from": t.ms(o.start), "to": t.ms(o.end), "why": o.why, "stop": o.stop} for o in m.off if o.start < last]
    return {"name": m.name, "title": text(title(m.name)), "off": off}


def _operations(problem: Problem, plan: Plan | None, now: Tick, t: Times) -> list[dict[str, Any]]:
    fixed = {f.operation for f in problem.fixed}
    known = {o.name: (j, o) for j in problem.jobs for o in j.operations}
    rows = []
    for a in plan.assigned if plan is not None else ():
        if a.operation not in known:
            continue
        job, operation = known[a.operation]
        rows.append(
            {
                "name": a.operation,
                "job": job.name,
                "machine": a.machine,
                "choices": [{"machine": c.machine, "minutes": t.minutes(c.duration)} for c in operation.choices],
                "setup": t.ms(a.setup_start),
                "start": t.ms(a.start),
                "end": t.ms(a.end),
                "family": operation.family,
                "fixed": a.operation in fixed or a.setup_start < now,
                "done": a.end <= now,
                "batch": a.batch,
            }
        )
    return rows


def _job(job: Job, end: Tick | None, t: Times, why: Why) -> dict[str, Any]:
    late = max(0, end - job.due) if end is not None and job.due is not None else 0
    reason, fix = why(job.name) if late else (None, None)
    return {
        "name": job.name,
        "product": job.product,
        "quantity": job.quantity,
        "release": t.ms(job.release),
        "due": t.ms(job.due) if job.due is not None else None,
        "end": t.ms(end) if end is not None else None,
        "weight": job.weight,
        "late": t.minutes(late),
        "why": text(reason),
        "fix": text(fix),
    }


def figures(problem: Problem, plan: Plan | None, now: Tick) -> dict[str, Any]:
    """What a plan is worth. `tardiness_h` is not weighted: the hours by which orders are late, added up."""
    if plan is None:
        names = ("objective", "lower_bound", "gap", "makespan_h", "tardiness_h", "setup_h", "late_jobs")
        return {**dict.fromkeys(names), "utilisation": {}}
    t = Times(problem)
    late = lateness(problem, plan)
    return {
        "objective": plan.objective,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "makespan_h": t.hours(plan.makespan),
        "tardiness_h": t.hours(sum(late.values())),
        "setup_h": t.hours(plan.setup),
        "late_jobs": len(late),
        "utilisation": utilisation(problem, plan),
    }


def lateness(problem: Problem, plan: Plan | None) -> dict[str, Tick]:
    """By how much each late job is late."""
    ends = job_ends(problem, plan)
    return {j.name: ends[j.name] - j.due for j in problem.jobs if j.due is not None and ends.get(j.name, j.due) > j.due}


def utilisation(problem: Problem, plan: Plan) -> dict[str, float]:
    """Of the time in which a machine could work, from the first set-up of the plan to its last end: the part in which it does, set-up
    included. 0..1; 0 for a machine that is off all that time."""
    first = min((a.setup_start for a in plan.assigned), default=0)
    last = max((a.end for a in plan.assigned), default=0)
    taken: dict[str, list[tuple[Tick, Tick]]] = {m.name: [] for m in problem.machines}
    for a in plan.assigned:
        taken[a.machine].append((a.setup_start, a.end))
    found = {}
    for m in problem.machines:
        off = [(max(o.start, first), min(o.end, last)) for o in m.off if o.start < last and o.end > first]
        there = last - first - _length(off)
        busy = _length(taken[m.name] + off) - _length(off)  # a batch counts once, a pause within an operation not at all
        found[m.name] = min(1.0, busy / there) if there > 0 else 0.0
    return found


def _length(spans: list[tuple[Tick, Tick]]) -> Tick:
    """The length of a union of spans."""
    total, reached = 0, -(1 << 62)
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return total


def events(said: tuple[Event, ...]) -> list[dict[str, Any]]:
    """Events, newest first."""
    return [{"time": e.time // 1_000_000, "kind": e.kind, "text": text(e.text)} for e in reversed(said)]
