"""The one entry to scheduling: a problem in, a checked plan out, with a bound. `solve` is anytime and cancellable, `first` is at once."""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict
from collections.abc import Callable

import msgspec

from ronghe.apps.scheduling import exact
from ronghe.apps.scheduling.bounds import lower_bound
from ronghe.apps.scheduling.check import check, stamped
from ronghe.apps.scheduling.problem import Assigned, Plan, Problem, Status
from ronghe.apps.scheduling.race import Race, prove
from ronghe.apps.scheduling.sound import sound
from ronghe.errors import AppError, MissingExtra
from ronghe.text import Text

_LOOK = 0.02  # s between two looks at what the threads found
_END = 0.5  # s that threads are given to end
_PROVE = 400  # operations up to which set-ups, calendars and due dates are worth a prover beside the local search
_LEAST = 2.0  # s of a whole solve, below which it is not
_HOPE = 0.4  # share of the time after which CP-SAT …
_HOPELESS = 0.01  # … gives way where the gap is larger


def solve(
    problem: Problem,
    *,
    seconds: float,
    seed: int = 0,
    workers: int = 2,
    start: Plan | None = None,
    told: Callable[[Plan], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Plan:
    """The best plan found within `seconds` on `workers` threads, or sooner where it is proven optimal or `stop()` says so.

    `start` is a plan to begin from; it is used where it holds. `told` gets every better plan, in the caller's thread where the make-span is
    the objective. Every plan given has been checked. Raises AppError for facts that are wrong, or where there is no plan.
    """
    _sound(problem)
    race = Race(problem, seconds, stop)
    race.prove(lower_bound(problem))
    plan = start if start is not None and not check(problem, start) else _first(problem)
    race.offer(plan)
    if told is not None:
        told(_answer(race))
    if not race.over():
        (_makespan if _plain(problem) else _local)(race, seed, workers, told)
    answer = _answer(race)
    faults = check(problem, answer)
    if faults:  # a defect of ours, never to be handed on as a plan
        raise AppError(
            Text(f"{answer.by} gave a plan that does not hold: {faults[0].en}", f"{answer.by} 给出的计划未通过校验：{faults[0].in_('zh')}"),
            where=problem.name,
        )
    return answer


def first(problem: Problem) -> Plan:
    """A plan that holds, at once, by dispatching. Raises AppError for facts that are wrong, or where there is no plan."""
    _sound(problem)
    began = time.monotonic()
    plan = stamped(problem, _first(problem))
    return msgspec.structs.replace(plan, lower_bound=lower_bound(problem), seconds=time.monotonic() - began)


def _sound(problem: Problem) -> None:
    faults = sound(problem)
    if faults:
        raise AppError(Text("; ".join(f.en for f in faults), "；".join(f.in_("zh") for f in faults)), where=problem.name)


def _plain(problem: Problem) -> bool:
    try:
        from ronghe.apps.scheduling.makespan import plain
    except ImportError as e:
        raise MissingExtra("planning", Text("scheduling", "排产")) from e
    return plain(problem)


def _answer(race: Race, plan: Plan | None = None) -> Plan:
    """A plan of the race, or the best so far, with bound, status and time."""
    plan = plan or race.plan
    assert plan is not None
    bound = min(race.lower, plan.objective)
    status: Status = "optimal" if race.closes(plan) else "feasible"
    return msgspec.structs.replace(plan, lower_bound=bound, status=status, seconds=race.spent)


def _first(problem: Problem) -> Plan:
    if _plain(problem):
        return _greedy(problem)
    from ronghe.apps.scheduling.dispatch import first as dispatched

    plan = dispatched(problem)
    faults = [] if plan.status == "unknown" else check(problem, plan)
    if plan.status != "unknown" and not faults:
        return plan
    if exact.exact(problem):
        outcome = exact.solve(problem, seconds=10.0)
        if outcome.plan is not None:
            return outcome.plan
    raise AppError(_no_plan(problem), where=problem.name)


def _no_plan(problem: Problem) -> Text:
    from ronghe.apps.scheduling.explain import conflict

    facts = conflict(problem)
    if not facts:
        return Text("no plan was found", "未找到可行计划")
    return Text("there is no plan: " + "; ".join(f.en for f in facts), "没有可行计划：" + "；".join(f.in_("zh") for f in facts))


def _greedy(problem: Problem) -> Plan:
    """The job that is ready first, and of those the one with most work left, on the machine that ends its operation first."""
    left = {j.name: sum(min(c.duration for c in o.choices) for o in j.operations) for j in problem.jobs}
    free: dict[str, int] = defaultdict(int)
    ready = [(max(0, j.release, problem.now), -left[j.name], k, 0) for k, j in enumerate(problem.jobs) if j.operations]
    heapq.heapify(ready)
    assigned = []
    while ready:
        at, most, k, i = heapq.heappop(ready)
        o = problem.jobs[k].operations[i]
        end, _, machine, lasts = min((max(at, free[c.machine]) + c.duration, n, c.machine, c.duration) for n, c in enumerate(o.choices))
        assigned.append(Assigned(operation=o.name, machine=machine, setup_start=end - lasts, start=end - lasts, end=end))
        free[machine] = end
        if i + 1 < len(problem.jobs[k].operations):
            heapq.heappush(ready, (end, most + lasts, k, i + 1))
    return Plan(assigned=tuple(assigned), objective=0.0, by="dispatching")


def _makespan(race: Race, seed: int, workers: int, told: Callable[[Plan], None] | None) -> None:
    """Tabu search on one thread, and CP-SAT on the others; where that is far from a proof after a while, a second tabu search instead."""
    from ronghe.apps.scheduling.makespan import Graph, Member, Population, evolve

    graph = Graph.of(race.problem)
    weight = race.problem.weights.makespan
    population = Population(
        graph, lambda m: race.offer(graph.plan(race.problem, m.order, m.on, by="tabu search")), target=round(race.lower / weight)
    )
    assert race.plan is not None
    population.add(Member(*graph.taken(race.problem, race.plan), race.plan.makespan))
    threads = [threading.Thread(target=evolve, args=(population, seed), name="tabu")]

    def second() -> None:
        if len(graph) <= exact.LARGEST:
            prove(race, workers=workers - 1, seed=seed, until=lambda: race.spent > _HOPE * race.seconds and race.gap > _HOPELESS)
        if not race.over():
            evolve(population, seed + 1)

    if workers > 1:
        threads.append(threading.Thread(target=second, name="cp-sat"))
    said = race.plan.objective
    for t in threads:
        t.start()
    try:
        while not race.over() and threads[0].is_alive():
            time.sleep(_LOOK)
            population.target = max(population.target, round(race.lower / weight))
            plan = race.plan
            if plan.objective < said:
                said = plan.objective
                if plan.makespan < population.best_makespan:  # CP-SAT found it
                    population.add(Member(*graph.taken(race.problem, plan), plan.makespan))
                if told is not None:
                    told(_answer(race, plan))
    finally:
        race.ended = True
        population.flag[0] = 1
        for t in threads:
            t.join(_END)  # not for ever: the first search of an installation may still be compiled, and ends when that is done


def _local(race: Race, seed: int, workers: int, told: Callable[[Plan], None] | None) -> None:
    """Local search, and beside it CP-SAT for the bound where the problem is small enough and there is time."""
    from ronghe.apps.scheduling.search import improve

    operations = sum(len(j.operations) for j in race.problem.jobs)
    prover = threading.Thread(target=prove, args=(race,), kwargs={"workers": 1, "seed": seed}, name="cp-sat")
    proving = workers > 1 and operations <= _PROVE and race.seconds >= _LEAST
    if proving:
        prover.start()

    def found(plan: Plan) -> None:
        race.offer(plan)
        if told is not None:
            told(_answer(race))

    try:
        assert race.plan is not None
        plan = improve(race.problem, race.plan, race.seconds - race.spent, seed=seed, told=found, stop=race.over, workers=workers)
        race.offer(plan)
    finally:
        race.ended = True
        if proving:
            prover.join(_END)
