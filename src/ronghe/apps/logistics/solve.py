"""The one entry: a problem in, the best plan found in the time given out.

plan = solve(problem, seconds=30)          # ronghe.apps.logistics.problem.Problem → Plan
wrong = check(problem, plan)               # [] where it holds; shares no code with the solver
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from ronghe.apps.logistics.engine import MANNERS, Engine
from ronghe.apps.logistics.problem import Order, Plan, Problem, Status
from ronghe.apps.logistics.schedule import Facts, Visit, plan, visits_of
from ronghe.apps.logistics.sound import why_not
from ronghe.apps.logistics.strings import Strings, fits
from ronghe.text import Text

_TELL: Final = 0.25  # s between two plans told
_PATIENCE: Final = 0.4  # part of the time after which a plan that leaves orders out is better than none
_STRINGS_FROM: Final = 3.0  # s below which string removals are not worth their compiling
_STRINGS: Final = 0.85  # part of the time that they have; PyVRP goes on from there
_EXCHANGES: Final = 6  # parts of that time, after which each search goes on from the best of all
_CROWDED: Final = Text("no vehicle has the time or the room left", "车辆剩余时间或容量不足")


@dataclass(slots=True)
class _Run:
    """What the threads of one run share."""

    ends: float
    stop: Callable[[], bool] | None
    told: Callable[[Plan], None] | None
    best: Plan | None = None
    said: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def over(self) -> bool:
        return time.monotonic() >= self.ends or (self.stop is not None and self.stop())

    def due(self) -> bool:
        """Whether a better plan is to be told now, and notes that it is."""
        with self.lock:
            now = time.monotonic()
            due = self.told is not None and now - self.said >= _TELL
            self.said = now if due else self.said
        return due


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
    """The best plan found in `seconds`, never worse than `start`. Threads have their own seeds and search without the interpreter's lock.

    `told` is given better plans as they come, from those threads; `stop` ends it early. Where not everything that must be served can be,
    the plan leaves out as little as it can ("partial") and says why. Raises MissingExtra without PyVRP.
    """
    began = time.monotonic()
    run = _Run(began + seconds, stop, told)
    facts = Facts(problem)
    if start is not None:
        run.best = start
    if not problem.orders or not problem.vehicles:
        return _explained(facts, plan(facts, [(v.name, []) for v in problem.vehicles], by="nothing to plan"))
    impossible = start is not None and start.status != "feasible"
    if not impossible:
        _search(run, Engine(problem), seed, workers, start, began + _PATIENCE * seconds)
    if run.best is None or run.best.status != "feasible":
        _search(run, Engine(problem, leave_out=True), seed, workers, start, None)
    best = run.best or plan(facts, [(v.name, []) for v in problem.vehicles])
    return _explained(facts, msgspec.structs.replace(best, seconds=time.monotonic() - began))


def _search(run: _Run, engine: Engine, seed: int, workers: int, start: Plan | None, patience: float | None) -> None:
    """Keeps the best plan that holds in `run.best`. With `patience`: given up then, where nothing feasible was found."""
    facts = engine.facts
    begin = engine.solution(start) if start is not None else None

    def give_up(best_cost: int) -> bool:
        return run.over() or (patience is not None and best_cost >= _NOTHING and time.monotonic() >= patience)

    def consider(solution: Any) -> None:
        if solution.is_feasible():
            alone = run.best is None or "SISR" not in run.best.by
            take(plan(facts, engine.visits(solution), by="PyVRP" if alone else "SISR, PyVRP"))

    def take(found: Plan) -> None:
        with run.lock:
            if found.status == "infeasible" or (run.best is not None and rank(found, problem) >= rank(run.best, problem)):
                return
            run.best = found
        if run.told is not None:
            run.told(found)

    problem = facts.problem

    def found(solution: Any) -> None:
        if run.due():
            consider(solution)

    began = time.monotonic()
    long_enough = run.ends - began >= _STRINGS_FROM
    strings = _StringsFirst(run, facts, began, take) if long_enough and not engine.leave_out and fits(problem) else None

    def one(k: int) -> Any:
        manner = MANNERS[k % len(MANNERS)]
        if strings is None:
            return engine.run(give_up, seed + k, manner, begin, found)
        if k:  # meanwhile the first may have to compile
            consider(engine.run(lambda _: run.over() or strings.ready.is_set(), seed + k, manner, begin, found))
        strings.search(seed + k)
        best = engine.solution(run.best) if run.best is not None else None
        return engine.run(give_up, seed + k, manner, best, found)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        for solution in pool.map(one, range(max(1, workers))):
            consider(solution)


@dataclass(frozen=True, slots=True)
class _StringsFirst:
    """String removals in every thread, for the first part of the time. `take` is given plans; `ready` is set once all is compiled."""

    run: _Run
    facts: Facts
    began: float
    take: Callable[[Plan], None]
    ready: threading.Event = field(default_factory=threading.Event)

    def share(self) -> float:
        """Of the time for strings, what is over."""
        return 1.0 if self.run.over() else (time.monotonic() - self.began) / (_STRINGS * (self.run.ends - self.began))

    def search(self, seed: int) -> None:
        """Leaves its best with `take`. Where the vehicles hardly suffice it begins from the best plan that there is, or not at all."""
        problem = self.facts.problem
        number = {o.name: i for i, o in enumerate(problem.orders)}
        search = Strings(problem, seed)
        built = search.build()
        self.ready.set()
        if not self.follow(search, number) and not built:
            return
        exchange = 1

        def share() -> float:
            nonlocal exchange
            done = self.share()
            if exchange / _EXCHANGES <= done < 1.0:
                exchange += 1
                self.leave(search)
                self.follow(search, number)
            return done

        search.run(share, lambda: self.leave(search) if self.run.due() else None)
        self.leave(search)

    def follow(self, search: Strings, number: dict[str, int]) -> bool:
        """Goes on from the best plan that there is, where it is better than all that the search has seen."""
        best = self.run.best
        if best is None or best.status != "feasible" or 0 < search.cost <= round(best.objective * self.facts.problem.money):
            return False
        search.follow([[number[v.name] for v in visits_of(r)] for r in best.routes])
        return True

    def leave(self, search: Strings) -> None:
        """The best of a search, as a plan."""
        orders, vehicles = self.facts.problem.orders, self.facts.problem.vehicles
        routes = [(v.name, [Visit("serve", orders[i].name) for i in r]) for v, r in zip(vehicles, search.best, strict=False)]
        self.take(plan(self.facts, routes, by="SISR"))


_NOTHING: Final = 1 << 62  # what PyVRP calls the cost of no feasible solution is above


def rank(found: Plan, problem: Problem) -> tuple[int, int, float]:
    """What is better comes first: a plan that holds, with less left out that must be served, at less cost."""
    order: dict[Status, int] = {"feasible": 0, "partial": 0, "infeasible": 1}
    prizes = {o.name: o.prize for o in problem.orders}
    return order[found.status], sum(prizes[u.order] is None for u in found.unserved), found.objective


def _explained(facts: Facts, found: Plan) -> Plan:
    """With a reason for each order left out that must be served."""
    by_name: dict[str, Order] = facts.orders
    told = []
    for u in found.unserved:
        o = by_name[u.order]
        why = u.why if o.prize is not None else why_not(facts, o, facts.problem.vehicles) or _CROWDED
        told.append(msgspec.structs.replace(u, why=why))
    return msgspec.structs.replace(found, unserved=tuple(told))
