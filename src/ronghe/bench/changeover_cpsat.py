"""The peer: the same problem as a constraint model for OR-Tools CP-SAT, warm-started with a plan.

One optional interval for each operation on each of its machines, which includes the set-up; a circuit on each machine, whose arcs say how
long the set-up is; what is fixed gives each machine's first family and when it is free; breakdowns are intervals nothing may overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ronghe.apps.scheduling.check import measure
from ronghe.apps.scheduling.problem import Assigned, Operation, Plan, Problem


@dataclass(slots=True)
class _Model:
    problem: Problem
    model: Any
    horizon: int
    ends: dict[str, int]  # of the plan it begins from; what is fixed keeps them
    start: dict[str, Any] = field(default_factory=dict)
    end: dict[str, Any] = field(default_factory=dict)
    on: dict[tuple[str, str], Any] = field(default_factory=dict)  # (operation, machine) → whether it is there
    setup: dict[tuple[str, str], Any] = field(default_factory=dict)  # the length of its set-up there
    arcs: dict[tuple[str, str, str], Any] = field(default_factory=dict)  # (machine, from, to), "" the depot


def solve(problem: Problem, plan: Plan, seconds: float, workers: int) -> Plan:
    """The best plan CP-SAT finds from `plan` within `seconds`; `plan` itself where it finds none. For problems without people, materials,
    pauses and batches, minimising weighted tardiness."""
    from ortools.sat.python import cp_model

    m = _Model(problem, cp_model.CpModel(), 2 * plan.makespan, {a.operation: a.end for a in plan.assigned})
    free = [(o, j) for j in problem.jobs for o in j.operations if o.name not in {f.operation for f in problem.fixed}]
    for o, j in free:
        _operation(m, o, max(problem.now, j.release))
    _order(m)
    for machine in problem.machines:
        _machine(m, machine.name, [o for o, _ in free if any(c.machine == machine.name for c in o.choices)])
    _objective(m)
    _hint(m, plan)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    if solver.solve(m.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return plan
    return _read(m, solver, plan, free)


def _operation(m: _Model, o: Operation, ready: int) -> None:
    start = m.start[o.name] = m.model.new_int_var(ready, m.horizon, "")
    end = m.end[o.name] = m.model.new_int_var(ready, m.horizon, "")
    for c in o.choices:
        on = m.on[o.name, c.machine] = m.model.new_bool_var("")
        m.model.add(end == start + c.duration).only_enforce_if(on)
    m.model.add_exactly_one(m.on[o.name, c.machine] for c in o.choices)


def _order(m: _Model) -> None:
    for j in m.problem.jobs:
        for before, o in zip(j.operations, j.operations[1:], strict=False):
            if o.name in m.start:
                m.model.add(m.start[o.name] >= (m.end[before.name] if before.name in m.end else m.ends[before.name]))


def _machine(m: _Model, machine: str, operations: list[Operation]) -> None:
    length = {(s.before, s.after): s.duration for s in m.problem.setups}
    family = {o.name: o.family for j in m.problem.jobs for o in j.operations}
    facts = next(x for x in m.problem.machines if x.name == machine)
    fixed = sorted((f for f in m.problem.fixed if f.machine == machine), key=lambda f: f.start)
    left = next((family[f.operation] for f in reversed(fixed) if family[f.operation]), facts.family)
    free = max([m.problem.now, *(m.ends[f.operation] for f in fixed)])
    intervals = [m.model.new_fixed_size_interval_var(off.start, off.end - off.start, "") for off in facts.off]
    arcs = [(0, 0, m.model.new_bool_var(""))]
    for x, o in enumerate(operations, 1):
        on = m.on[o.name, machine]
        arcs.append((x, x, ~on))
        arcs.append((x, 0, m.model.new_bool_var("")))
        m.arcs[machine, o.name, ""] = arcs[-1][2]
        lengths = []
        for y, before in enumerate(["", *(b.name for b in operations)]):
            if y == x:
                continue
            arc = m.arcs[machine, before, o.name] = m.model.new_bool_var("")
            arcs.append((y, x, arc))
            lengths.append((arc, length.get((left if not before else family[before], o.family), 0)))
            if before:
                m.model.add(m.start[o.name] >= m.end[before] + lengths[-1][1]).only_enforce_if(arc)
        setup = m.setup[o.name, machine] = m.model.new_int_var(0, max(s for _, s in lengths), "")
        m.model.add(setup == sum(arc * s for arc, s in lengths)).only_enforce_if(on)
        begin = m.model.new_int_var(free, m.horizon, "")
        m.model.add(begin == m.start[o.name] - setup).only_enforce_if(on)
        size = m.model.new_int_var(0, m.horizon, "")
        intervals.append(m.model.new_optional_interval_var(begin, size, m.end[o.name], on, ""))
    m.model.add_circuit(arcs)
    m.model.add_no_overlap(intervals)


def _objective(m: _Model) -> None:
    terms = []
    for j in m.problem.jobs:
        last = j.operations[-1].name
        if j.due is not None and last in m.end:
            late = m.model.new_int_var(0, m.horizon, "")
            m.model.add(late >= m.end[last] - j.due)
            terms.append(round(j.weight) * late)
    m.model.minimize(sum(terms))


def _hint(m: _Model, plan: Plan) -> None:
    on: dict[str, list[Assigned]] = {}
    for a in sorted(plan.assigned, key=lambda a: a.start):
        if a.operation in m.start:
            m.model.add_hint(m.start[a.operation], a.start)
            m.model.add_hint(m.end[a.operation], a.end)
            on.setdefault(a.machine, []).append(a)
    for (name, machine), there in m.on.items():
        m.model.add_hint(there, any(a.operation == name for a in on.get(machine, ())))
    used = set()
    for machine, rows in on.items():
        names = ["", *(a.operation for a in rows), ""]
        used |= {(machine, b, a) for b, a in pairwise(names)}
        for a in rows:
            m.model.add_hint(m.setup[a.operation, machine], a.start - a.setup_start)
    for key, arc in m.arcs.items():
        m.model.add_hint(arc, key in used)


def _read(m: _Model, solver: Any, plan: Plan, free: list[tuple[Operation, Any]]) -> Plan:
    rows = [a for a in plan.assigned if a.operation not in m.start]
    for o, _ in free:
        machine = next(c.machine for c in o.choices if solver.value(m.on[o.name, c.machine]))
        start, end = solver.value(m.start[o.name]), solver.value(m.end[o.name])
        begin = start - solver.value(m.setup[o.name, machine])
        rows.append(Assigned(operation=o.name, machine=machine, setup_start=begin, start=start, end=end))
    found = Plan(assigned=tuple(rows), objective=0.0, by="CP-SAT")
    worth = measure(m.problem, found)
    return Plan(
        assigned=tuple(rows), objective=worth.objective, makespan=worth.makespan, tardiness=worth.tardiness, setup=worth.setup, by="CP-SAT"
    )
