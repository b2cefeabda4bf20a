"""The plan in force and the thread that improves it while the clock runs. What is known is kept on disk."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ronghe.apps.logistics import formats, replan, running
from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.problem import Order, Place, Plan, Tick, Vehicle
from ronghe.apps.logistics.roads import with_place
from ronghe.apps.logistics.running import Day, Rest
from ronghe.apps.logistics.schedule import Facts, plan
from ronghe.errors import RongheError
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
        self._wake = threading.Condition(threading.RLock())
        self._until = 0.0  # by the monotonic clock
        self._asked = 0  # times: what is asked for while it works is not over with it
        self._closed = self.improving = False
        self._events = 0  # that happened
        self._thread: threading.Thread | None = None
        self.failed: Text | None = None
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
        with self._wake:
            day, wrong = self.tried(events)
            self._events += 1
            self._put(day, wrong)

    def reload(self) -> None:
        """The day's files have changed: from the beginning."""
        fresh = self._fresh()
        with self._wake:
            self._events += 1
            self.shown = Shown(fresh.day, version=self.shown.version + 1)

    def _put(self, day: Day, wrong: list[Text]) -> None:
        self.shown = Shown(day, tuple(wrong), planned=True, version=self.shown.version + 1)
        self._keep(day)

    # --- improving --------------------------------------------------------------------------------------------------------------

    def first(self) -> None:
        """A plan at once where there is none yet and the day is small enough for that."""
        with self._wake:
            day = self.shown.day
            if not self.shown.planned and len(day.problem.orders) <= _AT_ONCE:
                left, found = replan.repaired(day, self.now())
                self._put(running.merged(day, left, found), check(left.problem, found))

    def improve(self, seconds: float) -> None:
        """Asks for so many seconds from now."""
        with self._wake:
            seconds = seconds if self.shown.planned else max(seconds, _FIRST)
            self._until = time.monotonic() + seconds
            self._asked += 1
            self.improving = seconds > 0
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="logistics", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def stop(self) -> None:
        """Enough: the plan stays as it is."""
        with self._wake:
            self._until = 0.0

    def close(self) -> None:
        """Ends the thread."""
        with self._wake:
            self._closed, self._until = True, 0.0
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(10)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._closed and not self.improving:
                    self._wake.wait()
                if self._closed:
                    return
                shown, events, asked = self.shown, self._events, self._asked
            try:
                self._once(shown, events)
                self.failed = None
            except RongheError as e:
                self.failed = e.what
            except Exception:  # a bug in a solver must not end dispatching: the plan in force stays
                log.exception("improving failed")
                self.failed = Text("internal error; see the log of the node", "内部错误，详见节点日志")
            with self._wake:
                more = self._events != events or self._asked != asked
                self.improving = time.monotonic() < self._until and self.failed is None and more

    def _once(self, shown: Shown, events: int) -> None:
        """Improves one state until the time is over or something happens."""
        from ronghe.apps.logistics.solve import solve

        seconds = self._until - time.monotonic()
        if seconds <= 0:
            return
        # What a driver begins while it is being improved must not move: it will have begun when the better plan is there.
        if shown.planned:
            left, start = replan.repaired(shown.day, self.now(ahead=seconds))
        else:
            left, start = running.rest(shown.day, self.now()), None

        def over() -> bool:
            return self._closed or time.monotonic() >= self._until or self._events != events

        def better(found: Plan) -> None:
            self._better(left, found, events)

        better(solve(left.problem, seconds=seconds, start=start, told=better, stop=over))

    def _better(self, left: Rest, found: Plan, events: int) -> None:
        wrong = check(left.problem, found)
        with self._wake:
            if self._events == events and not (wrong and self.shown.planned):
                self._put(running.merged(self.shown.day, left, found), wrong)


def _fingerprint(source: Path) -> str:
    """Hash of the day's files."""
    digest = hashlib.sha256()
    for path in sorted(source.glob("*.csv")) if source.is_dir() else [source]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
