"""The plan in force, with the facts it is for: one immutable state, changed under a lock and kept on disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from ronghe.apps.scheduling import check
from ronghe.apps.scheduling.problem import Fixed, Plan, Problem, Tick
from ronghe.text import Text

log = logging.getLogger(__name__)

_EVENTS = 50


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to the plan. `time` in ns."""

    time: int
    kind: str
    text: Text


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What is in force. `wrong` is what the checker says of the plan, () when it holds; `source` tells which files it came from."""

    problem: Problem
    plan: Plan | None = None
    wrong: tuple[Text, ...] = ()
    version: int = 0  # of the facts
    revision: int = 0  # of facts and plan
    changed: tuple[str, ...] = ()  # operations that the last event moved
    events: tuple[Event, ...] = ()
    standing: dict[str, Tick] = {}  # machine that has broken down → until when it is taken to stand
    source: str = ""

    @property
    def checked(self) -> bool:
        """Whether there is a plan and it holds."""
        return self.plan is not None and not self.wrong


def measured(problem: Problem, plan: Plan) -> Plan:
    """The plan with its figures as the checker measures them."""
    f = check.measure(problem, plan)
    return msgspec.structs.replace(plan, makespan=f.makespan, tardiness=f.tardiness, setup=f.setup, objective=f.objective)


def begun(problem: Problem, plan: Plan | None, now: Tick, standing: dict[str, Tick] | None = None) -> Problem:
    """The problem at `now`: what has begun by the plan, its set-up included, is fixed where it is.

    What is still at work ends as its calendar has it: later, where its machine has broken down meanwhile. On a machine that is `standing`
    nothing begins that was to begin when it was to work again.
    """
    known = {f.operation for f in problem.fixed}
    more = tuple(
        Fixed(operation=a.operation, machine=a.machine, start=a.start, end=a.end if a.end <= now or a.batch else None)
        for a in (plan.assigned if plan is not None else ())
        if a.setup_start < now and a.operation not in known and not a.setup_start >= (standing or {}).get(a.machine, now)
    )
    return msgspec.structs.replace(problem, now=max(now, problem.now), fixed=problem.fixed + more)


class Board:
    """Holds the state. Every method may be called from any thread."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.RLock()
        self._state: State | None = None
        try:
            self._state = msgspec.json.decode(path.read_bytes(), type=State)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", path, e)

    @property
    def kept(self) -> State | None:
        """What an earlier life of the process left, or what is in force."""
        return self._state

    @property
    def state(self) -> State:
        """What is in force."""
        assert self._state is not None, "nothing has been put on the board"
        return self._state

    def tick(self, problem: Problem | None = None, ahead: float = 0.0) -> Tick:
        """The tick that it is now, or `ahead` s later; a problem without a date stands still."""
        p = problem or self.state.problem
        if p.start == 0:
            return p.now
        return max(p.now, int((self._clock() + ahead * 1e9 - p.start) // (p.tick * 1e9)))

    def put(self, state: State) -> State:
        """A new state: its plan is measured and checked; it has the next version."""
        with self._lock:
            plan = state.plan
            if plan is not None:
                plan = measured(state.problem, plan)
            wrong = tuple(check.check(state.problem, plan)) if plan is not None else ()
            before = self._state if self._state is not None else state
            version, revision = before.version + 1, before.revision + 1
            self._state = msgspec.structs.replace(state, plan=plan, wrong=wrong, version=version, revision=revision)
            self._save()
            return self._state

    def happened(self, state: State, kind: str, text: Text, changed: tuple[str, ...]) -> State:
        """A new state because of an event."""
        event = Event(time=self._clock(), kind=kind, text=text)
        return self.put(msgspec.structs.replace(state, changed=changed, events=(*state.events, event)[-_EVENTS:]))

    def better(self, version: int, plan: Plan) -> bool:
        """Takes a better plan for the facts of `version`; not where those have changed, or where it does not hold."""
        with self._lock:
            state = self.state
            if state.version != version:
                return False
            plan = measured(state.problem, plan)
            if state.checked and state.plan is not None and plan.objective > state.plan.objective:
                return False
            if wrong := check.check(state.problem, plan):
                log.error("a plan by %s does not hold and is passed over: %s", plan.by, wrong[0].en)
                return False
            self._state = msgspec.structs.replace(state, plan=plan, wrong=(), revision=state.revision + 1)
            self._save()
            return True

    def _save(self) -> None:
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(self._state))
            part.replace(self._path)
        except OSError as e:  # a full disk must not stop the shop
            log.warning("%s is not written: %s", self._path, e)
