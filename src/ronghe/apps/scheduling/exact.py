"""CP-SAT (OR-Tools): plans with a proof, and lower bounds that hold.

The model holds choices of machines, precedence between any operations, releases, family set-ups, stops, people, fixed operations and the
three objectives. What it leaves out (`exact` says whether anything is) only makes the problem easier, so its bound is one of the whole
problem: pauses, batches larger than one, material that is used up by degrees (the first arrival still counts), and set-ups on machines
with too many operations. Plans come only from problems of which nothing is left out.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ronghe.apps.scheduling.problem import Assigned, Choice, Fixed, Machine, Off, Operation, Plan, Problem, Status
from ronghe.errors import MissingExtra
from ronghe.text import Text

LARGEST = 20_000  # operations; beyond, building the model takes longer than it is worth
_CIRCUIT = 120  # operations on a machine whose order is modelled arc by arc, for set-ups
_SCALE = 1000  # of weights, which are whole numbers in the model


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found and proven. The plan's figures are the model's; None where none was found or something was left out."""

    plan: Plan | None
    lower_bound: float | None
    status: Status


@dataclass(slots=True)
class _Part:
    """One operation in the model: its times, and of each choice the interval (set-up included) and whether it is taken."""

    operation: Operation
    setup_start: Any
    start: Any
    end: Any
    length: Any
    on: dict[str, tuple[Any, Any]] = field(default_factory=dict)  # machine → (interval, taken: literal)


def exact(problem: Problem) -> bool:
    """Whether the model holds the whole problem, so that its plans are plans."""
    users: dict[str, int] = defaultdict(int)
    for o in (o for j in problem.jobs for o in j.operations):
        for c in o.choices:
            users[c.machine] += 1
        if o.uses:
            return False
    return not (
        any(not off.stop for m in problem.machines for off in m.off)
        or any(p.off for p in problem.pools)
        or any(m.batch > 1 for m in problem.machines)
        or (problem.setups and max(users.values(), default=0) > _CIRCUIT)
    )


def solve(
    problem: Problem,
    *,
    seconds: float,
    workers: int = 2,
    seed: int = 0,
    start: Plan | None = None,
    below: float | None = None,
    told: Callable[[Plan], None] | None = None,
    bounded: Callable[[float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Outcome:
    """Searches for `seconds`. `start` is a hint; `below` asks for better than that only (then "infeasible" proves it optimal).
    `told` gets each plan found, `bounded` each lower bound, from the solver's threads; `stop` is asked some twenty times a second.
    """
    cp_model = _cp_model()
    model = _Model(problem, cp_model)
    if below is not None:
        model.below(below)
    if start is not None:
        model.hint(start)
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = max(0.01, seconds)
    solver.parameters.num_workers = max(1, workers)
    solver.parameters.random_seed = seed
    solver.parameters.catch_sigint_signal = False  # Ctrl-C is the process's own: a node stops cleanly
    whole = exact(problem)

    class Watch(cp_model.CpSolverSolutionCallback):  # type: ignore[name-defined]
        def on_solution_callback(self) -> None:
            if told is not None and whole:
                told(model.plan(self.value))

    def bound(value: float) -> None:
        if bounded is not None:
            bounded(model.bound(value))

    solver.best_bound_callback = bound
    done = threading.Event()
    watch = threading.Thread(target=_watch, args=(solver, stop, done), name="cp-sat-stop")
    watch.start()
    try:
        status = solver.solve(model.model, Watch())
    finally:
        done.set()
        watch.join()
    if status == cp_model.INFEASIBLE:
        return Outcome(None, below, "infeasible")
    lower = model.bound(solver.best_objective_bound) if status != cp_model.MODEL_INVALID else None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE) or not whole:
        return Outcome(None, lower, "unknown")
    plan = model.plan(solver.value)
    return Outcome(plan, lower, "optimal" if status == cp_model.OPTIMAL else "feasible")


def _watch(solver: Any, stop: Callable[[], bool] | None, done: threading.Event) -> None:
    """Ends the search when it is told to: the solver's own callbacks may not come for a long time."""
    while stop is not None and not done.wait(0.05):
        if stop():
            solver.stop_search()


def _cp_model() -> Any:
    try:
        from ortools.sat.python import cp_model
    except ImportError as e:
        raise MissingExtra("planning", Text("scheduling", "排产")) from e
    return cp_model


class _Model:
    """The problem in CP-SAT's terms."""

    def __init__(self, problem: Problem, cp_model: Any) -> None:
        self.problem = problem
        self.model = cp_model.CpModel()
        self.horizon = _horizon(problem)
        self.parts: dict[str, _Part] = {}
        self.given: dict[str, tuple[int, int]] = {}  # fixed operation → start and end
        self.setup_terms: list[Any] = []
        self.longest_setup = max((x.duration for x in problem.setups), default=0)
        self.lead: dict[str, Any] = {}  # operation → the length of its set-up
        self.leads: dict[str, list[Any]] = defaultdict(list)  # operation → terms whose sum that is
        begun = {f.operation: f for f in problem.fixed}
        for job in problem.jobs:
            for o in job.operations:
                self._operation(o, job.release, begun.get(o.name))
        self._precede()
        for machine in problem.machines:
            self._machine(machine)
        for name, lead in self.lead.items():
            self.model.add(lead == sum(self.leads[name]))
        self._people()
        self._objective()

    def _operation(self, o: Operation, release: int, fixed: Fixed | None) -> None:
        m, now = self.model, self.problem.now
        if fixed is not None:
            lasts = {c.machine: c.duration for c in o.choices}.get(fixed.machine, 0)
            end = fixed.end if fixed.end is not None else fixed.start + lasts
            self.given[o.name] = (fixed.start, end)
            if fixed.start < now:
                self.parts[o.name] = _Part(o, fixed.start, fixed.start, end, end - fixed.start)
                self.parts[o.name].on[fixed.machine] = (m.new_fixed_size_interval_var(fixed.start, end - fixed.start, o.name), True)
                return
            choices: tuple[Choice, ...] = (Choice(fixed.machine, end - fixed.start),)
            start = m.new_constant(fixed.start)
        else:
            choices = o.choices
            start = m.new_int_var(max(now, release, self._material(o)), self.horizon, "")
        shortest, longest = min(c.duration for c in choices), max(c.duration for c in choices)
        setup_start, lead = start, 0
        if o.family and self.longest_setup:
            lead = self.lead[o.name] = m.new_int_var(0, self.longest_setup, "")
            setup_start = m.new_int_var(now, self.horizon, "")
            m.add(setup_start + lead == start)
        one = len(choices) == 1
        end = start + shortest if one else m.new_int_var(now + shortest, self.horizon + longest, "")
        length = shortest if one else m.new_int_var(shortest, longest, "")
        part = self.parts[o.name] = _Part(o, setup_start, start, end, length)
        if one:
            part.on[choices[0].machine] = (m.new_interval_var(setup_start, shortest + lead, end, o.name), True)
            return
        m.add(end == start + length)
        for c in choices:
            taken = m.new_bool_var("")
            part.on[c.machine] = (m.new_optional_interval_var(setup_start, c.duration + lead, end, taken, o.name), taken)
            m.add(length == c.duration).only_enforce_if(taken)
        m.add_exactly_one(taken for _, taken in part.on.values())

    def _material(self, o: Operation) -> int:
        """Nothing can be taken before its first arrival."""
        first: dict[str, int] = {}
        for a in self.problem.arrivals:
            first[a.material] = min(a.at, first.get(a.material, a.at))
        return max((first.get(material, 0) for material, quantity in o.uses.items() if quantity > 0), default=0)

    def _precede(self) -> None:
        fixed = {f.operation for f in self.problem.fixed if f.start < self.problem.now}
        for job in self.problem.jobs:
            previous: tuple[str, ...] = ()
            for o in job.operations:
                for name in previous if o.after is None else o.after:
                    if o.name not in fixed and name in self.parts:
                        self.model.add(self.parts[o.name].start >= self.parts[name].end)
                previous = (o.name,)

    def _machine(self, machine: Machine) -> None:
        """One at a time, none across a stop, and set-ups between."""
        here = [(p, *p.on[machine.name]) for p in self.parts.values() if machine.name in p.on]
        if not here or machine.batch > 1:
            return
        stops = [self.model.new_fixed_size_interval_var(o.start, o.end - o.start, "") for o in _merged(machine.off)]
        # What is fixed may lie on stops and on what has begun (its facts are as they are): then it is not held against them here.
        taken = [(o.start, o.end) for o in _merged(machine.off)]
        held = []
        for part, interval, _ in here:
            if (given := self.given.get(part.operation.name)) is not None:
                if any(given[0] < e and s < given[1] for s, e in taken):
                    continue
                taken.append(given)
            held.append(interval)
        self.model.add_no_overlap(held + stops)
        if self.longest_setup and len(here) <= _CIRCUIT and any(p.operation.family for p, _, _ in here):
            self._sequence(machine, here)

    def _sequence(self, machine: Machine, here: list[tuple[_Part, Any, Any]]) -> None:
        """The order on a machine as a circuit through those taken (node 0 is the machine before and after); times where set-ups are."""
        lookup = {(s.before, s.after): s.duration for s in self.problem.setups if s.machine == ""}
        lookup |= {(s.before, s.after): s.duration for s in self.problem.setups if s.machine == machine.name}
        # An operation without a family leaves the machine as it is: what comes after it is set up from the family before it, which an
        # arc cannot see. Such operations stay out of the circuit, and so out of the set-ups.
        nodes = [(p, taken) for p, _, taken in here if p.operation.family and p.operation.name in self.lead]
        # What has begun comes before all others: the last of it says what the machine is set up for.
        begun = sorted(
            (*self.given[p.operation.name], p.operation.family)
            for p, _, _ in here
            if p.operation.name not in self.lead and p.operation.family
        )
        family = begun[-1][2] if begun else machine.family
        m, arcs = self.model, []
        for j, (q, taken) in enumerate(nodes, 1):
            first = m.new_bool_var("")
            arcs += [(0, j, first), (j, 0, m.new_bool_var(""))]
            self._arc(None, q, first, lookup.get((family, q.operation.family), 0) if family else 0)
            if taken is not True:
                arcs.append((j, j, ~taken))
            for i, (p, _) in enumerate(nodes, 1):
                if i != j:
                    arc = m.new_bool_var("")
                    arcs.append((i, j, arc))
                    self._arc(p, q, arc, lookup.get((p.operation.family, q.operation.family), 0))
        empty = m.new_bool_var("")
        arcs.append((0, 0, empty))
        m.add_circuit(arcs)

    def _arc(self, before: _Part | None, part: _Part, arc: Any, lasts: int) -> None:
        earliest = self.problem.now if before is None else before.end
        self.model.add(part.start >= earliest + lasts).only_enforce_if(arc)
        if lasts:
            self.setup_terms.append(lasts * arc)
            self.leads[part.operation.name].append(lasts * arc)

    def _people(self) -> None:
        for pool in self.problem.pools:
            users = [(p, p.operation.people[pool.name]) for p in self.parts.values() if p.operation.people.get(pool.name, 0) > 0]
            begun = [(p, n) for p, n in users if isinstance(p.start, int)]
            if sum(n for _, n in begun) > pool.size:  # it is so, whatever it should be: not held against the others here
                users = [(p, n) for p, n in users if not isinstance(p.start, int)]
            if users:
                intervals = [
                    self.model.new_interval_var(p.setup_start, p.length + self.lead.get(p.operation.name, 0), p.end, "")
                    if isinstance(p.length, int) or p.operation.name not in self.lead
                    else self._held(p)
                    for p, _ in users
                ]
                self.model.add_cumulative(intervals, [n for _, n in users], pool.size)

    def _held(self, p: _Part) -> Any:
        """From the start of its set-up to its end, where both lengths are to be found."""
        size = self.model.new_int_var(0, self.horizon, "")
        return self.model.new_interval_var(p.setup_start, size, p.end, "")

    def _objective(self) -> None:
        w, terms = self.problem.weights, []
        if w.makespan:
            makespan = self.model.new_int_var(0, 2 * self.horizon, "makespan")
            for p in self.parts.values():
                self.model.add(makespan >= p.end)
            terms.append((w.makespan, makespan))
        if w.tardiness:
            for job in self.problem.jobs:
                if job.due is None or not job.weight:
                    continue
                late = self.model.new_int_var(0, 2 * self.horizon + max(0, -job.due), "")
                for o in job.operations:
                    self.model.add(late >= self.parts[o.name].end - job.due)
                terms.append((w.tardiness * job.weight, late))
        if w.setup:
            terms += [(w.setup, t) for t in self.setup_terms]
        # Whole weights: scaled only where they are not. Rounded down, so that the bound stays one.
        self.scale = 1 if all(float(k).is_integer() for k, _ in terms) else _SCALE
        self.total = sum(int(k * self.scale + 1e-9) * t for k, t in terms)
        self.model.minimize(self.total)

    def below(self, value: float) -> None:
        """Asks for an objective below `value`."""
        self.model.add(self.total <= math.ceil(value * self.scale - 1e-6) - 1)

    def bound(self, value: float) -> float:
        """A bound of the model in the problem's own terms."""
        return max(0.0, value) / self.scale

    def hint(self, plan: Plan) -> None:
        """Where to look first."""
        for a in plan.assigned:
            part = self.parts.get(a.operation)
            if part is None or a.operation in self.given or a.machine not in part.on:
                continue
            self.model.add_hint(part.start, a.start)
            for machine, (_, taken) in part.on.items():
                if taken is not True:
                    self.model.add_hint(taken, machine == a.machine)

    def plan(self, value: Callable[[Any], int]) -> Plan:
        """The solver's solution as a plan."""
        assigned = []
        for name, p in self.parts.items():
            machine = next(m for m, (_, taken) in p.on.items() if taken is True or value(taken))
            start, end = self.given.get(name) or (int(value(p.start)), int(value(p.end)))
            setup = int(value(self.lead[name])) if name in self.lead else 0
            assigned.append(Assigned(operation=name, machine=machine, setup_start=start - setup, start=start, end=end))
        return Plan(assigned=tuple(assigned), objective=value(self.total) / self.scale, by="CP-SAT")


def _horizon(problem: Problem) -> int:
    """A tick by which everything can have ended: one after another, after everything that is waited for."""
    longest = sum(max((c.duration for c in o.choices), default=0) for j in problem.jobs for o in j.operations)
    setups = max((s.duration for s in problem.setups), default=0) * sum(len(j.operations) for j in problem.jobs)
    waited = [problem.now, *(j.release for j in problem.jobs), *(a.at for a in problem.arrivals)]
    offs = [o for m in problem.machines for o in m.off] + [o for p in problem.pools for o in p.off]
    ends = [f.end if f.end is not None else f.start for f in problem.fixed]
    return max([0, *waited, *(o.end for o in offs), *ends]) + longest + setups


def _merged(offs: tuple[Off, ...]) -> list[Off]:
    """The stops, overlapping ones made one."""
    out: list[Off] = []
    for o in sorted((o for o in offs if o.stop and o.end > o.start), key=lambda o: o.start):
        if out and o.start <= out[-1].end:
            out[-1] = Off(out[-1].start, max(out[-1].end, o.end), stop=True)
        else:
            out.append(o)
    return out
