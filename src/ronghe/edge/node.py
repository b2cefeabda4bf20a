"""The life of one edge node: one process that runs a plant folder.

    drivers ─▶ boundary ─▶ latest values ─▶ recorder ─▶ historian
                              │
                              └─▶ apps ─▶ findings ─▶ alarms
                                     └──▶ advice ─▶ guard ─▶ driver

Acquisition, guard and alarms live in one event loop; recorder, journal and every app have a thread of their own. A part that fails is said
aloud as an alarm under `system/`, is tried again, and stops nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe import plugins
from ronghe.apps.contract import App, Question, Result
from ronghe.connect import Driver, Still, Write, always
from ronghe.connect.boundary import Boundary
from ronghe.edge.alarms import Alarms
from ronghe.edge.asked import Asked
from ronghe.edge.clockhealth import ClockHealth
from ronghe.edge.conditions import Conditions
from ronghe.edge.journal import Journal
from ronghe.edge.lapse import Lapsed, slowed
from ronghe.edge.outcomes import Outcomes
from ronghe.edge.placements import Placements
from ronghe.edge.recorder import Recorder
from ronghe.edge.runner import AppState, Runner, reason_of
from ronghe.edge.storehealth import StoreHealth
from ronghe.errors import AppError, ConnectError, RongheError
from ronghe.guard import Guard, Ledger
from ronghe.historian import Historian
from ronghe.models.delivery import Store
from ronghe.picture import Picture
from ronghe.plant import Plant
from ronghe.signals import Batch, Latest, TagIndex
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.edge.uplink import Uplink

log = logging.getLogger(__name__)

_PATIENCE = 10_000_000_000  # ns after the start in which a connection may still be connecting
_LOOK_AT_STORE = 10.0  # s
_PULSE = 0.1  # s
_ANSWER = 15.0  # s that a person waits for an app's answer
_CAUSE_FIRST = 1.0  # s that advice waits for the journal of the alarms before it
_NOTHING = Result()
Find = Callable[[str], Any]
STATE = ".ronghe"  # the folder in a plant folder that holds all that the node itself writes


class Node:
    """A plant at work. `start` → runs in the caller's event loop → `stop`. Everything public may be read at any time from that loop."""

    def __init__(
        self,
        plant: Plant,
        *,
        folder: Path | None = None,
        clock: Callable[[], int] = time.time_ns,
        drivers: Find | None = None,
        apps: Find | None = None,
    ) -> None:
        """`drivers` and `apps` find the types that the plant names, and raise RongheError; by default, what is installed."""
        self.plant, self.clock = plant, clock
        self._find_driver = drivers or partial(plugins.load, "ronghe.drivers")
        self._find_app = apps or partial(plugins.load, "ronghe.apps")
        self.folder = folder if folder is not None else Path(plant.folder) / STATE
        self.folder.mkdir(parents=True, exist_ok=True)
        self.index = TagIndex(plant.tags)
        self.latest = Latest(self.index)
        self.boundary = Boundary(plant, self.index)
        keep = parse_duration(plant.historian.keep) / 1e9 if plant.historian.keep else None
        self.historian = Historian(self.folder / "historian", self.index, clock=clock, keep=keep)
        self.ledger = Ledger(self.folder / "ledger", clock=clock)
        self.journal = Journal(self.ledger.append)
        self.alarms = Alarms(self.folder / "alarms", record=lambda event, body: self.journal.put(f"alarm.{event}", body), clock=clock)
        self._conditions = Conditions(plant, self.alarms, clock)
        self.say = self._system = self._conditions.say
        self.uplink = self._uplink()
        if self.uplink is None:
            self.recorder = Recorder(self.historian.append)
        else:
            self.recorder = Recorder(self.uplink.append, gather=self.uplink.gather)
        self.guard = Guard(
            plant, self.latest, self.ledger, self.write, clock=clock, folder=self.folder, history=self._history, held=self.held
        )
        self.models = Store(self.folder / "models", clock=clock)
        self.placements = Placements(plant, self.folder, clock)
        self.drivers: dict[str, Driver] = {}
        self.runners: dict[str, Runner] = {}
        self.broken: dict[str, AppState] = {}  # apps that could not be started
        self._items: dict[str, NDArray[np.int32]] = {}  # per connection, the ids of its tags
        self._tasks: list[asyncio.Task[None]] = []
        self._outcomes = Outcomes(self.guard, self.alarms, self._system, clock)
        self._clocks = ClockHealth()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)  # per app
        self._spoke: dict[str, set[str]] = defaultdict(set)  # per app, the people who told it more than to read
        self._asked = Asked(self.journal.put)
        self._started = 0
        for tag in plant.tags.values():
            self.latest.stale_after[self.index.id(tag.tag)] = round(max(3 * tag.every, 5.0) * 1e9)

    @property
    def apps(self) -> Mapping[str, AppState]:
        """How each app is, by its name in plant.toml."""
        return {**{name: r.state for name, r in self.runners.items()}, **self.broken}

    async def start(self, *, by_itself: bool = True) -> None:
        """Opens every connection and starts every app. What cannot start becomes an alarm; nothing is raised for it.

        Not `by_itself`, whoever gave the clock has its time told too: `second` is awaited as often as the clock has gone on.
        """
        self._loop = asyncio.get_running_loop()
        self._started = self.clock()
        if self.uplink is not None:
            self.uplink.start()
        self.recorder.start()
        self.journal.start()
        self._conditions.clear_orphans()
        self.placements.start()
        self._tasks.append(asyncio.create_task(self.guard.warm(), name="twins"))
        for name in self.plant.connections:
            self._start_connection(name)
        for event in self.models.recover():
            log.warning("models: %s", event.text)
        for name in self.plant.apps:
            self.start_app(name)
        if by_itself:
            self._tasks.append(asyncio.create_task(self._beat(), name="beat"))
            self._tasks.append(asyncio.create_task(self._pulse(), name="pulse"))
        self._tasks.append(asyncio.create_task(self._watch_store(), name="store"))
        self._tasks.append(asyncio.create_task(self._keep_alarms(), name="alarms"))

    async def stop(self) -> None:
        """Stops acquiring, lets the apps finish their step, records what waits, closes the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(d.close() for d in self.drivers.values()), return_exceptions=True)
        for runner in self.runners.values():
            await asyncio.to_thread(runner.close)
        await asyncio.to_thread(self.placements.close)
        await asyncio.to_thread(self.recorder.close)
        if self.uplink is not None:
            await asyncio.to_thread(self.uplink.close)
        await asyncio.to_thread(self.historian.close)
        await asyncio.to_thread(self.alarms.sync)
        await asyncio.to_thread(self.guard.close)
        self._asked.close()
        await asyncio.to_thread(self.journal.close)
        self.ledger.close()

    def _uplink(self) -> Uplink | None:
        """The way to the centre that this plant has joined, if it has."""
        home = self.folder / "centre"
        if not (home / "centre.json").exists():
            for what in ("centre", "fleet"):  # it may have left one
                self._system(what, "low", None)
            return None
        from ronghe.edge.joining import membership  # a plant that never joined imports nothing of all this
        from ronghe.edge.uplink import Uplink

        try:
            member = membership(home)
            assert member is not None
            return Uplink(self.plant, self.index, self.historian, self.ledger, home, member, boot=secrets.token_hex(6), clock=self.clock)
        except RongheError as e:  # the plant works on without a centre
            self._system("centre", "medium", e.what)
            return None

    # --- samples in -------------------------------------------------------------------------------------------------------------

    def take(self, batch: Batch) -> None:
        """Samples as a device gave them: into the plant's units, to the latest values, the recorder and the apps."""
        now = self.clock()
        batch = self.boundary.inward(batch, now)
        self.latest.update(batch, now)
        self.recorder.put(batch)
        for runner in self.runners.values():
            runner.put(batch)

    def show(self, picture: Picture) -> None:
        """A picture as a camera gave it: to the apps that look at this camera. Its number and quality came before, as a sample."""
        for runner in self.runners.values():
            if picture.tag in runner.pictures:
                runner.show(picture)

    def _start_connection(self, name: str) -> None:
        spec = self.plant.connections[name]
        try:
            driver: Driver = self._find_driver(spec.driver)(spec.options, self.index)
        except RongheError as e:
            self._system(f"connection/{name}", "high", e.what)
            return
        driver.show = self.show
        self.drivers[name] = driver
        items = self.boundary.items(name)
        self._items[name] = np.array([i.id for i in items], np.int32)
        self._tasks.append(asyncio.create_task(self._acquire(name, driver, items), name=f"connection {name}"))

    async def _acquire(self, name: str, driver: Driver, items: list[Any]) -> None:
        """Runs a driver for ever. A driver handles a lost device by itself; what gets here cannot be helped by waiting, or is a bug."""
        pause = 5.0
        while True:
            try:
                await driver.run(items, self.take)
                return  # a replay that has come to its end
            except Exception as e:
                _log_failure(f"connection {name}", e)
                driver.health.state, driver.health.reason = "down", reason_of(e)
                self._lost(name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 60.0)

    def _lost(self, name: str) -> None:
        """No value of a dead source stays Good."""
        ids = self._items[name]
        alive = ids[~q.is_bad(self.latest.quality(self.clock(), ids))]
        if len(alive):
            lost = Batch.of(self.index, alive, self.clock(), np.nan, q.BAD_NO_COMMUNICATION)
            self.latest.update(lost, self.clock())
            self.recorder.put(lost)

    # --- apps -------------------------------------------------------------------------------------------------------------------

    def make_app(self, name: str, model: Path | None = None, state: Path | None = None) -> App:
        """The app of this name in plant.toml, with this model package instead of what its options name, and another state folder.

        Raises what its constructor raises.
        """
        spec = self.plant.apps[name]
        state = state or self.folder / "apps" / name
        state.mkdir(parents=True, exist_ok=True)
        plant = self.plant if spec.lapse is None else slowed(self.plant, spec.lapse.pace)
        kind = self._find_app(spec.uses)
        options = spec.options
        if model is not None:
            options = msgspec.structs.replace(kind.Options() if options is None else options, model=str(model.resolve()))
        app: App = kind(name, plant, spec.equipment, options, state)
        return app if spec.lapse is None else Lapsed(app, spec.lapse)

    def takes_model(self, name: str) -> bool:
        """Whether the options of this app have a `model`."""
        try:
            return "model" in self._find_app(self.plant.apps[name].uses).Options.__struct_fields__
        except RongheError:
            return False

    def start_app(self, name: str) -> None:
        """Starts an app with its model in the store, or with the one before, or with its own: the newest that it takes."""
        spec = self.plant.apps[name]
        held = {t.tag for t in self.plant.tags.values() if t.connection in self.drivers and self.drivers[t.connection].by_exception}
        try:
            with self.placements.of(name, self._find_app(spec.uses)):
                runner = Runner(self._first_app(name), self.index, lambda result, at: self._from_app(name, result, at), held=held)
        except (Exception, SystemExit) as e:  # an app that calls sys.exit() does not end the node
            _log_failure(f"app {name} does not start", e)
            self.broken[name] = AppState(uses=spec.uses, equipment=spec.equipment, state="failed", reason=reason_of(e))
            return
        self.broken.pop(name, None)
        self.runners[name] = runner
        runner.start()

    def _first_app(self, name: str) -> App:
        """Only where an older model works, it was the newer that did not."""
        failed: list[BaseException] = []
        for model in self.models.choices(name):
            try:
                app = self.make_app(name, model)
            except (Exception, SystemExit) as e:
                failed.append(e)
                continue
            for why in failed:
                _log_failure(f"app {name}: its model is taken back", why)
                self.models.back(name, reason_of(why))
            return app
        raise failed[0]

    def _from_app(self, name: str, result: Result, at: int) -> None:
        """In the app's thread: hands a result over to the loop, where alarms and guard live."""
        if self._loop is not None and result != _NOTHING:
            try:
                self._loop.call_soon_threadsafe(self._result, name, result, at)
            except RuntimeError:
                log.info("a result of %s came after the end", name)

    def _result(self, name: str, result: Result, at: int) -> None:
        for finding in result.findings:
            self.alarms.take(finding, self.clock())
        if result.signals:
            tags = [f"apps/{name}/{signal}" for signal in result.signals]
            batch = Batch.of(self.index, tags, at, list(result.signals.values()))
            self.latest.update(batch, self.clock())
            self.recorder.put(batch)
        self._outcomes.book(name, result.savings, self.journal.put)
        ended = [f.key for f in result.findings if not f.active]
        if ended or result.advice or result.changes or result.told:
            task = asyncio.create_task(self._advise(name, ended, result), name=f"advice of {name}")
            self._tasks.append(task)
            task.add_done_callback(self._tasks.remove)

    async def _advise(self, name: str, ended: list[str], result: Result) -> None:
        """To the guard, an app's results in their order: nobody may approve what no longer has a reason.

        In the ledger the alarm that an advice answers comes first, unless the disk is too slow for that.
        """
        async with self._turns[name]:
            if result.advice and self.journal.behind:
                await asyncio.to_thread(self.journal.flush, _CAUSE_FIRST)
            for finding in ended:  # first: a set-point has one open case
                await self._ask_guard(partial(self.guard.withdraw, name, finding))
            await asyncio.gather(*(self._ask_guard(partial(self.guard.submit, a)) for a in result.advice))
            for change in result.changes:
                await self._ask_guard(partial(self.guard.submit_change, change))
            for told in result.told:
                if told.who in self._spoke[name]:  # an app knows nobody but by what he told it
                    await self._ask_guard(partial(self.guard.told, told))

    async def _ask_guard(self, request: Callable[[], Awaitable[object]]) -> None:
        try:
            await request()
            self._system("guard", "high", None)
        except Exception as e:
            log.exception("guard")
            why = reason_of(e)
            self._system("guard", "high", Text(f"the guard failed: {why.en}", f"守护出错：{why.in_('zh')}"))

    async def ask(self, name: str, question: Question) -> object:
        """Asks an app in its thread; a question that changes something is in the ledger, with who asked it. Raises AppError."""
        runner = self.runners.get(name)
        if runner is None:
            raise AppError(Text("no such app is at work", "没有此应用在运行"), where=f"apps.{name}")
        right = runner.app.verbs.get(question.verb)
        if right is None:
            raise AppError(Text(f"it does not know {question.verb[:80]!r}", f"应用不支持 {question.verb[:80]!r}"), where=f"apps.{name}")
        if right != "read":
            self._spoke[name].add(question.who)
        try:
            answer = await asyncio.wait_for(asyncio.wrap_future(runner.ask(question)), _ANSWER)
        except (TimeoutError, asyncio.CancelledError) as e:
            if isinstance(e, asyncio.CancelledError) and not runner.stopping:
                raise
            why = Text(f"no answer within {_ANSWER:.0f} s: it is busy", f"{_ANSWER:.0f} 秒内未应答：应用正忙")
            raise AppError(why, where=f"apps.{name}", todo=Text("try again", "请重试")) from e
        if right != "read":
            self._asked.tell(name, question, self.clock())
        return answer

    async def settle(self) -> None:
        """Returns when nothing that came so far is still under way: every app has taken what it was given, and the guard what they said."""
        quiet = 0
        while quiet < 2:  # what an app said last may have been handed over between two looks
            await asyncio.gather(*(asyncio.to_thread(r.settle) for r in self.runners.values() if not r.idle))
            advising = [t for t in self._tasks if t.get_name().startswith("advice of ")]
            await asyncio.gather(*advising, return_exceptions=True)
            await asyncio.sleep(0)
            quiet = 0 if advising or not all(r.idle for r in self.runners.values()) else quiet + 1

    # --- the guard's hands --------------------------------------------------------------------------------------------------------

    async def write(self, tag: str, value: float, still: Still = always) -> int:
        """Writes one set-point, in its property's unit, if it may `still` be sent; gives an OPC UA StatusCode. For the guard alone."""
        spec = self.plant.tags[tag]
        driver = self.drivers.get(spec.connection)
        if driver is None:
            return q.BAD_NO_COMMUNICATION
        try:
            async with asyncio.timeout(10.0):
                codes = await driver.write([self._request(tag, value)], still=still)
        except ConnectError:
            return q.BAD_NO_COMMUNICATION
        except TimeoutError:
            return q.BAD_TIMEOUT
        return codes[0]

    def held(self, tag: str, value: float) -> float:
        """What a set-point's device will hold of a value, both in the property's unit: scale and register may round it."""
        request, driver = self._request(tag, value), self.drivers.get(self.plant.tags[tag].connection)
        device = driver.held(request) if driver is not None else request.value
        return self.boundary.value(tag, float(device))

    def _request(self, tag: str, value: float) -> Write:
        return Write(address=self.plant.tags[tag].address, value=self.boundary.outward(tag, value), type=self.plant.property_of(tag).type)

    def _history(self, tag: str, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        found = self.historian.raw([tag], start, end)
        found = found.take(found.good)
        return found.time, found.value

    # --- the beat -----------------------------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        """Once a second: the clock's part of everything."""
        while True:
            try:
                await self.second()
                self._system("node", "high", None)
            except Exception as e:
                log.exception("beat")
                self._system("node", "high", reason_of(e))
            await asyncio.sleep(1.0)

    async def second(self) -> None:
        """What is done once a second: health, alarms, rows that wait for a silent tag, and the guard's part."""
        now = self.clock()
        self._asked.beat(now)
        for name, driver in self.drivers.items():
            if driver.by_exception and driver.health.state == "up" and driver.health.lag < 5.0:
                ids = self._items[name]
                self.latest.confirm(ids[~q.is_bad(self.latest.code[ids])], now)
            link = driver.health.state
            down = link == "down" or (link == "connecting" and now - self._started > _PATIENCE)
            why = driver.health.reason or Text("not connected yet", "尚未连接")
            what = Text(f"connection {name} is down: {why.en}", f"连接 {name} 中断：{why.in_('zh')}") if down else None
            self._system(f"connection/{name}", "high", what)
        for name, state in self.apps.items():
            why = state.reason or Text(state.state, state.state)
            bad = Text(f"app {name}: {why.en}", f"应用 {name}：{why.in_('zh')}") if state.state in ("failed", "slow") else None
            self._system(f"app/{name}", "medium", bad)
        for name, no in self.guard.twins.items():
            what = (
                Text(f"twin {name}: nothing can be tried: {no.en}", f"孪生体 {name} 无法试算：{no.in_('zh')}") if no is not None else None
            )
            self._system(f"twin/{name}", "medium", what)
        trouble = self.recorder.look()
        what = Text(f"nothing is being recorded: {trouble.en}", f"数据未能入库：{trouble.in_('zh')}") if trouble else None
        self._system("recorder", "critical", what)
        trouble = self.alarms.trouble or self.journal.trouble
        what = Text(f"alarms are not being kept: {trouble.en}", f"报警未能保存：{trouble.in_('zh')}") if trouble else None
        self._system("alarms", "high", what)
        self.placements.tell(self._system, self.journal.put)
        if self.uplink is not None:
            self._system("centre", *(self.uplink.look(now) or ("low", None)))
        self._system("clock", "low", self._clocks.look(self.boundary.corrected))
        for runner in self.runners.values():
            runner.flush(now)
        self.alarms.tick(now)
        self._outcomes.tell_people()
        await self.guard.tick()
        self._outcomes.tell_apps(self.runners)

    async def _pulse(self) -> None:
        """Ten times a second: a silent camera is told within a second, and while set-points are changed as one, a step of the change waits
        for nothing but its device."""
        while True:
            await asyncio.sleep(_PULSE)
            try:
                for runner in self.runners.values():
                    if runner.pictures:
                        runner.flush(self.clock())
                if self.guard.changing:
                    await self.guard.pulse()
                    self._outcomes.tell_of_changes(self.runners)
            except Exception:
                log.exception("pulse")

    async def _keep_alarms(self) -> None:
        """Once a second, beside the beat: a disk that answers slowly holds neither it nor the loop."""
        while True:
            try:
                await asyncio.to_thread(self.alarms.sync)
            except Exception:  # not of the disk, which the alarms say themselves
                log.exception("alarms")
            await asyncio.sleep(1.0)

    async def _watch_store(self) -> None:
        """Looks at the store now and then, in a thread: its files may lie on a disk that answers slowly."""
        health = StoreHealth()
        while True:
            try:
                due = health.look(await asyncio.to_thread(self.historian.stats), self.clock())
                self._system("historian", *(due if due is not None else ("high", None)))
            except Exception as e:
                log.exception("store")
                why = reason_of(e)
                self._system("historian", "high", Text(f"the store cannot be looked at: {why.en}", f"无法查看历史数据库：{why.in_('zh')}"))
            await asyncio.sleep(_LOOK_AT_STORE)


def _log_failure(what: str, e: BaseException) -> None:
    """A bug with its traceback, the rest in a line."""
    if isinstance(e, RongheError):
        log.warning("%s: %s", what, e)
    else:
        log.error("%s", what, exc_info=e)
