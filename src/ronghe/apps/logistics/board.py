"""The plan in force and the thread that improves it while the clock runs. What is known is kept on disk."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ronghe.apps.improving import Improver, Turn
from ronghe.apps.logistics import formats, replan, running
from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.problem import Order, Place, Plan, Tick, Vehicle
from ronghe.apps.logistics.roads import with_place
from ronghe.apps.logistics.running import Day, Rest
from ronghe.apps.logistics.schedule import Facts, plan
from ronghe.text import Text

log = logging.getLogger(__name__)

_DAY = 86_400_000_000_000  # ns
_AT_ONCE = 150  # orders that are inserted one by one within a second
_FIRST = 5.0  # s for a first plan where there are more


class _Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart must not forget; ways are computed anew. `source`: hash of the files that it came from."""

    source: str
    start: int
    places: tuple[Place, ...]
    orders: tuple[Order, ...]
    vehicles: tuple[Vehicle, ...]
    plan: Plan
    broken: dict[str, str]


@dataclass(frozen=True, slots=True)
class Shown:
    """One state: the day, what the checker says of what is left of it, how many times it was changed."""

    day: Day
    wrong: tuple[Text, ...] = ()
    planned: bool = False
    version: int = 0


class Board:
    """The day in force. Every method may be called from any thread."""

    def __init__(self, source: Path, state: Path, clock: Callable[[], int]) -> None:
        """Reads the day's files, and the plan of an earlier life of the process where it is of the same files. Raises AppError."""
        self._source, self._path, self._clock = source, state / "routes.json", clock
        self._lock = threading.RLock()
        self._events = 0  # that happened
        self._improver = Improver("logistics", self._once, lambda: self._events)
        self.shown = self._taken_up() or self._fresh()

    def _fresh(self) -> Shown:
        problem = formats.read(self._source)
        if not problem.start:
            now = self._clock()
            problem = msgspec.structs.replace(problem, start=now - now % _DAY)
        return Shown(Day(problem, plan(Facts(problem), [])))

    def _taken_up(self) -> Shown | None:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", self._path, e)
            return None
        if kept.source != _fingerprint(self._source):
            return None
        problem = formats.read(self._source)
        known = {p.name for p in problem.places}
        for place in kept.places:
            problem = problem if place.name in known else with_place(problem, place)
        problem = msgspec.structs.replace(problem, start=kept.start, orders=kept.orders, vehicles=kept.vehicles)
        return Shown(Day(problem, kept.plan, kept.broken), planned=True)

    def _keep(self, day: Day) -> None:
        p = day.problem
        kept = _Kept(
            source=_fingerprint(self._source),
            start=p.start,
            places=p.places,
            orders=p.orders,
            vehicles=p.vehicles,
            plan=day.plan,
            broken=day.broken,
        )
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(kept))
            part.replace(self._path)
        except OSError as e:  # a full disk must not keep the plan from being used
            log.warning("%s is not written: %s", self._path, e)

    def now(self, ahead: float = 0.0) -> Tick:
        """The tick that it is, `ahead` s from now."""
        p = self.shown.day.problem
        return max(0, int((self._clock() + ahead * 1e9 - p.start) // (p.tick * 1e9)))

    # --- changes ----------------------------------------------------------------------------------------------------------------

    def tried(self, events: list[replan.Event]) -> tuple[Day, list[Text]]:
        """The day as it would be after events, and what the checker says of it; nothing is changed. Raises AppError."""
        day, wrong = self.shown.day, list(self.shown.wrong)
        for event in events:
            day, left, found = replan.apply(day, event, self.now())
            wrong = check(left.problem, found)
        return day, wrong

    def happened(self, events: list[replan.Event]) -> None:
        """Something happened: planned anew at once. Raises AppError."""
        with self._lock:
            day, wrong = self.tried(events)
            self._events += 1
            self._put(day, wrong)

    def reload(self) -> None:
        """The day's files have changed: from the beginning."""
        fresh = self._fresh()
        with self._lock:
            self._events += 1
            self.shown = Shown(fresh.day, version=self.shown.version + 1)

    def _put(self, day: Day, wrong: list[Text]) -> None:
        self.shown = Shown(day, tuple(wrong), planned=True, version=self.shown.version + 1)
        self._keep(day)

    # --- improving --------------------------------------------------------------------------------------------------------------

    def first(self) -> None:
        """A plan at once where there is none yet and the day is small enough for that."""
        with self._lock:
            day = self.shown.day
            if not self.shown.planned and len(day.problem.orders) <= _AT_ONCE:
                left, found = replan.repaired(day, self.now())
                self._put(running.merged(day, left, found), check(left.problem, found))

    def improve(self, seconds: float) -> None:
        """Asks for so many seconds from now."""
        self._improver.improve(seconds if self.shown.planned else max(seconds, _FIRST))

    def stop(self) -> None:
        """Enough: the plan stays as it is."""
        self._improver.stop()

    def close(self) -> None:
        """Ends the thread."""
        self._improver.close()

    @property
    def improving(self) -> bool:
        """Whether it is being improved now."""
        return self._improver.improving

    @property
    def failed(self) -> Text | None:
        """Why there is no better plan."""
        return self._improver.failed

    def _once(self, turn: Turn) -> None:
        """Improves one state until the time is over or something happens."""
        from ronghe.apps.logistics.solve import solve

        shown, seconds = self.shown, turn.left()
        if seconds <= 0 or turn.over():
            return
        # What a driver begins while it is being improved must not move: it will have begun when the better plan is there.
        if shown.planned:
            left, start = replan.repaired(shown.day, self.now(ahead=seconds))
        else:
            left, start = running.rest(shown.day, self.now()), None

        def better(found: Plan) -> None:
            self._better(left, found, turn.version)

        better(solve(left.problem, seconds=seconds, start=start, told=better, stop=turn.over))

    def _better(self, left: Rest, found: Plan, events: int) -> None:
        wrong = check(left.problem, found)
        with self._lock:
            if self._events == events and not (wrong and self.shown.planned):
                self._put(running.merged(self.shown.day, left, found), wrong)


def _fingerprint(source: Path) -> str:
    """Hash of the day's files."""
    digest = hashlib.sha256()
    for path in sorted(source.glob("*.csv")) if source.is_dir() else [source]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
