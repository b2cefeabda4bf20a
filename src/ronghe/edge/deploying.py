"""Deploying: the apps of a running node get the models that the centre, or whoever brings a bundle, wants them to run.

A package is believed, fetched, proved, and tried on the plant's own newest data beside the app at work, with the clock running. Only then
is it switched, between two windows: no sample is lost. For some minutes it is on trial; if the app then fails, is slow or raises alarms as
it did not before, what ran before runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Literal, TypeVar

import msgspec
import numpy as np

from ronghe.apps.contract import App
from ronghe.bus.fleet import RunningModel, WantedModel
from ronghe.edge.node import Node
from ronghe.edge.runner import reason_of
from ronghe.errors import AppError, ModelError, RongheError, Unreachable
from ronghe.models.delivery import Bundle, Placed, Source, Store
from ronghe.models.delivery.store import NoRoom
from ronghe.signals import Grid, Window
from ronghe.signals.when import format_time
from ronghe.text import Text

log = logging.getLogger(__name__)

_LOOK: Final = 1.0  # s between two looks at what is on trial
_AGAIN: Final = 15.0  # s until what could not be done is tried again
_REFUSED: Final = 3600.0  # s for which a package that failed here is not tried again
_STUCK: Final = 30.0  # s that a switch waits for the step that the app is in
_TRIAL: Final = 120.0  # s that a trial may take; it ends by itself long before, unless the model hangs
_RUNS, _COLD, _LONGEST = 200, 5, 10.0  # of a trial: runs that are timed, runs before them that are not, s in all
INBOX: Final = "inbox"  # below the store: see `Inbox`
State = Literal["running", "fetching", "checking", "refused", "rolled_back", "failed"]
T = TypeVar("T")


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """What a model on trial must keep: for so many minutes, and fewer than `alarms` more active alarms of its app than before."""

    minutes: float = 10.0
    alarms: int = 5


class Inbox(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle, and which of its models which app is to run."""

    bundle: str
    models: tuple[WantedModel, ...]


class _NotYet(Exception):
    """Nothing has come that it could be tried on."""


class _Told(msgspec.Struct, frozen=True):
    state: State
    text: Text | None = None
    wanted: str = ""


class Deploying:
    """Of one node, in its loop: `start` → `apply` as often as something else is wanted → `stop`."""

    def __init__(self, node: Node, store: Store | None = None, *, gate: Gate = Gate()) -> None:  # noqa: B008 - frozen
        self.node, self.store, self.gate = node, store or node.models, gate
        self._told: dict[str, _Told] = {}
        self._refused: dict[str, tuple[WantedModel, float]] = {}  # until when (monotonic s) it is not tried again
        self._switch_ms: dict[str, float] = {}
        self._run_ms: dict[str, float] = {}
        self._alarms: dict[str, int] = {}  # active of an app, when its trial began
        self._bad: dict[str, int] = {}  # looks in a row at which it did not do well
        self._last: tuple[Sequence[WantedModel], Sequence[str], Source] | None = None
        self._unsettled = False
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watches what is on trial, and tries again what could not be done."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch(), name="models")

    async def stop(self) -> None:
        """Ends watching. What is on trial goes on being so at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @property
    def running(self) -> tuple[RunningModel, ...]:
        """Of every app that takes a model: what it runs, and how its last change went."""
        return tuple(self._running(app) for app in self.node.plant.apps if self.node.takes_model(app))

    def _running(self, app: str) -> RunningModel:
        now, told = self.store.pointer(app).now or _OWN, self._told.get(app, _Told("running"))
        text = told.text
        if text is None and now.until and self.node.clock() > now.until:
            ended = format_time(now.until)[:10]
            text = Text(
                f"its release ended on {ended}; it goes on until another comes", f"发布有效期已于 {ended} 结束，新模型到来前继续运行"
            )
        return RunningModel(
            app=app,
            name=now.name,
            version=now.version,
            hash=now.hash,
            state=told.state,
            text=text,
            wanted=told.wanted or now.hash,
            switch_ms=self._switch_ms.get(app),
            run_ms=self._run_ms.get(app),
        )

    async def apply(self, wanted: Sequence[WantedModel], trusted: Sequence[str], source: Source) -> None:
        """Brings the apps to what is wanted, one after the other. What goes wrong is told in `running`, and nothing is raised for it.

        `trusted`: see `Store.vet`.
        """
        async with self._turn:
            self._last, self._unsettled = (wanted, trusted, source), False
            self.start()
            for one in wanted:
                await self._bring(one, trusted, source)

    async def install(self, wanted: Sequence[WantedModel], source: Source) -> None:
        """For a node that is not at work: the same checks, and the apps run these from the next start on. Raises what is wrong."""
        for w in wanted:
            try:
                if not self._is_so(w):
                    await asyncio.to_thread(self.store.vet, w)
                    await self._prepare(w, source)
                    await asyncio.to_thread(self.store.switch, w)
            except _NotYet as e:
                todo = Text("start the node once, or leave the limit out", "请先运行节点，或不设时限")
                raise ModelError(_NO_DATA, where=w.app, todo=todo) from e
            except RongheError as e:
                self.store.say("refused", w.app, w.hash, e.what)
                raise

    async def _bring(self, w: WantedModel, trusted: Sequence[str], source: Source) -> None:
        try:
            if self._is_so(w):
                return
            if w.hash:
                await asyncio.to_thread(self.store.vet, w, trusted)
        except RongheError as e:
            self._say(w, "refused", e.what)
            self._unsettled = True  # a key or a date may make it right
            return
        try:
            await self._prepare(w, source)
            await self._switch(w, trusted)
        except Unreachable as e:
            self._unsettled = True
            self._say(w, "fetching", e.what)
        except NoRoom as e:
            self._unsettled = True
            self._say(w, "failed", e.what)
        except _NotYet:
            self._unsettled = True
            self._say(w, "checking", _NO_DATA)
        except RongheError as e:
            self._refused[w.app] = (w, time.monotonic() + _REFUSED)
            self._say(w, "refused", e.what)

    def _is_so(self, w: WantedModel) -> bool:
        """Whether there is nothing to do. Raises ModelError for an app that is not here."""
        if w.app not in self.node.plant.apps or not self.node.takes_model(w.app):
            raise ModelError(Text(f"no app {w.app!r} that takes a model", f"没有可更换模型的应用 {w.app!r}"))
        pointer = self.store.pointer(w.app)
        if (pointer.now.hash if pointer.now is not None else "") == w.hash:
            if pointer.spoilt:
                self.store.forgive(w.app)
            self._say(w, "running")
            return True
        if w.hash and pointer.spoilt == w.hash:
            self._say(w, "rolled_back", pointer.why)
            return True
        refused, until = self._refused.get(w.app, (None, 0.0))
        return refused == w and time.monotonic() < until

    async def _prepare(self, w: WantedModel, source: Source) -> None:
        if not w.hash:
            return
        self._say(w, "fetching")
        await asyncio.to_thread(self.store.fetch, w, source)
        self._say(w, "checking")
        await asyncio.to_thread(self.store.check, w)
        tried: Future[float | None] = _aside(lambda: self._try(w))
        try:
            async with asyncio.timeout(_TRIAL):
                run = await asyncio.wrap_future(tried)
        except TimeoutError as e:
            raise ModelError(Text(f"no end after {_TRIAL:.0f} s on this node", f"在本节点运行 {_TRIAL:.0f} 秒仍未结束")) from e
        if run is None:
            if w.slowest_ms is not None:
                raise _NotYet
            return
        self._run_ms[w.app] = run
        if w.slowest_ms is not None and run > w.slowest_ms:
            raise ModelError(
                Text(
                    f"too slow on this node: 99 % of its runs take up to {run:.3g} ms, {w.slowest_ms:.3g} ms are allowed",
                    f"在本节点上过慢：99 % 的运行耗时达 {run:.3g} 毫秒，允许 {w.slowest_ms:.3g} 毫秒",
                )
            )

    # --- the trial before ---------------------------------------------------------------------------------------------------------

    def _try(self, w: WantedModel) -> float | None:
        """Makes the app with the package beside the one at work, and runs it; ms of wall time, 99th percentile. None: there is no data.

        Twice, if the first is too slow: the machine may have had something else to do.
        """
        folder = self.store.folder / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            app = self.node.make_app(w.app, self.store.path(w.hash), folder)
            try:
                runs = self._inputs(w.app, app)
                found = _timed(runs)
                if found is not None and w.slowest_ms is not None and found > w.slowest_ms:
                    found = min(found, _timed(runs) or found)
                return found
            finally:
                app.close()
        except RongheError:
            raise
        except (Exception, SystemExit) as e:
            log.warning("app %s does not run with %s", w.app, w.name, exc_info=e)
            why = reason_of(e)
            raise AppError(Text(f"the app fails with it: {why.en}", f"应用无法使用该模型：{why.in_('zh')}")) from e
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _inputs(self, name: str, app: App) -> list[Callable[[], object]]:
        """Runs of the app on the newest that this plant has shown: the last picture, else the last rows."""
        wants, runner = app.wants(), self.node.runners.get(name)
        seen = runner.last if runner is not None else None
        if seen is not None and seen.tag in wants.pictures:
            picture = seen
            return [lambda: app.see(picture)] * (_RUNS + _COLD)
        if wants.pictures or not wants.tags:
            return []
        every, now = round(wants.every * 1e9), self.node.clock()
        grid = Grid(self.node.index, wants.tags, every, max_age=round(wants.max_age * 1e9) or None)
        rows = grid.push(self.node.historian.raw(wants.tags, now - (_RUNS + _COLD) * every, now))
        return [] if rows is None else [_step(app, rows, i) for i in range(len(rows))]

    # --- the switch, and the trial after ------------------------------------------------------------------------------------------

    async def _switch(self, w: WantedModel, trusted: Sequence[str]) -> None:
        began, old = time.perf_counter(), self.store.current(w.app)
        self._alarms[w.app], self._bad[w.app] = self._active(w.app), 0
        if w.hash:
            await asyncio.to_thread(self.store.switch, w, trusted)
        else:
            await asyncio.to_thread(self.store.drop, w.app)
        try:
            await self._take_up(w.app, old)
        except RongheError as e:
            await asyncio.to_thread(self.store.back, w.app, e.what)
            self._say(w, "rolled_back", e.what)
            return
        self._switch_ms[w.app] = (time.perf_counter() - began) * 1e3
        self._refused.pop(w.app, None)
        self._record("switched", w.app)
        self._say(w, "running")

    async def _take_up(self, app: str, old: Path | None) -> None:
        """The app at work changes to what the store says is current. Raises RongheError, and then it runs the `old` on."""
        new, runner = self.store.current(app), self.node.runners.get(app)
        if runner is None:
            self.node.start_app(app)
            if app in self.node.broken:
                raise AppError(self.node.broken[app].reason or Text("it does not start", "无法启动"))
            return
        swapped = runner.swap(lambda: self.node.make_app(app, new), lambda: self.node.make_app(app, old))
        try:
            async with asyncio.timeout(_STUCK):
                await asyncio.wrap_future(swapped)
        except TimeoutError as e:
            if not swapped.cancelled():  # the other is being made: then back from it, after it
                runner.swap(lambda: self.node.make_app(app, old), lambda: self.node.make_app(app, new))
            raise AppError(Text("the app does not end its step", "应用未能结束当前计算")) from e

    async def _watch(self) -> None:
        next_try = time.monotonic() + _AGAIN
        while True:
            await asyncio.sleep(_LOOK)
            try:
                async with self._turn:
                    for app in self.store.apps():
                        await self._look(app)
                await self._open_inbox()
                if self._unsettled and self._last is not None and time.monotonic() > next_try:
                    await self.apply(*self._last)
                    next_try = time.monotonic() + _AGAIN
            except Exception:
                log.exception("models")

    async def _open_inbox(self) -> None:
        """What `ronghe models install` laid there while the node was at work."""
        for path in sorted((self.store.folder / INBOX).glob("*.json")):
            try:
                given = msgspec.json.decode(path.read_bytes(), type=Inbox)
                async with self._turn:
                    for one in given.models:
                        await self._bring(one, (), Bundle(Path(given.bundle)))
            except (RongheError, msgspec.DecodeError) as e:
                log.warning("models: %s: %s", path.name, e)
            finally:
                path.unlink()

    async def _look(self, app: str) -> None:
        """At a model on trial: does it do well, and has it for long enough?"""
        pointer, state = self.store.pointer(app), self.node.apps.get(app)
        if pointer.proved or pointer.now is None or state is None:
            return
        self._alarms.setdefault(app, self._active(app))
        why = self._complaint(app, pointer.now)
        self._bad[app] = self._bad.get(app, 0) + 1 if why is not None else 0
        if why is not None and self._bad[app] > 1:  # not for one row that it could not take
            await self._roll_back(app, why)
        elif why is None and state.state == "up" and self.node.clock() - pointer.since > self.gate.minutes * 60e9:
            await asyncio.to_thread(self.store.prove, app)
            await asyncio.to_thread(self.store.collect)

    def _complaint(self, app: str, now: Placed) -> Text | None:
        state, more = self.node.apps[app], self._active(app) - self._alarms[app]
        if state.state in ("failed", "slow"):
            why = state.reason or Text(state.state)
            return Text(f"the app fails with it: {why.en}", f"应用使用该模型出错：{why.in_('zh')}")
        if now.slowest_ms is not None and state.p99_us > now.slowest_ms * 1e3:
            return Text(
                f"too slow at work: {state.p99_us / 1e3:.3g} ms of {now.slowest_ms:.3g} ms",
                f"运行过慢：{state.p99_us / 1e3:.3g} 毫秒，允许 {now.slowest_ms:.3g} 毫秒",
            )
        if more >= self.gate.alarms:
            return Text(f"{more} more alarms than before it came", f"更换后报警增加 {more} 条")
        return None

    async def _roll_back(self, app: str, why: Text) -> None:
        bad = self.store.current(app)
        spoilt = self.store.pointer(app).now
        await asyncio.to_thread(self.store.back, app, why)
        with contextlib.suppress(RongheError):  # the app says itself how it is
            await self._take_up(app, bad)
        self._record("rolled_back", app)
        if spoilt is not None:
            self._tell(app, _Told("rolled_back", why, spoilt.hash))

    # --- what is told -------------------------------------------------------------------------------------------------------------

    def _active(self, app: str) -> int:
        return sum(a.active and a.app == app for a in self.node.alarms.list())

    def _say(self, w: WantedModel, state: State, text: Text | None = None) -> None:
        if state == "refused" and self._told.get(w.app) != _Told(state, text, w.hash):
            self.store.say("refused", w.app, w.hash, text or Text(""))
        self._tell(w.app, _Told(state, text, w.hash))

    def _tell(self, app: str, told: _Told) -> None:
        self._told[app] = told
        trouble = told.text if told.state in ("refused", "rolled_back", "failed") else None
        what = Text(f"model of {app}: {trouble.en}", f"{app} 的模型：{trouble.in_('zh')}") if trouble is not None else None
        self.node.say(f"model/{app}", "medium", what)

    def _record(self, event: str, app: str) -> None:
        """In the ledger: what decides about machines from now on."""
        now = self.store.pointer(app).now or _OWN
        body = {"app": app, "name": now.name, "version": now.version, "hash": now.hash, "serial": now.serial, "signed_by": now.signed_by}
        self.node.journal.put(f"model.{event}", body)


_NO_DATA: Final = Text("nothing has come yet that it could be tried on", "尚无可用于试运行的数据")
_OWN: Final = Placed(name="", version="", hash="", file="", serial=0, floor=0)


def _step(app: App, rows: Window, i: int) -> Callable[[], object]:
    at = slice(i, i + 1)
    row = Window(rows.tags, rows.time[at], rows.value[at], rows.quality[at], rows.age[at])
    return lambda: app.step(row)


def _timed(runs: Sequence[Callable[[], object]]) -> float | None:
    """The 99th percentile of the time of a run in ms, once it is warm; None where there are too few to say."""
    times, began = [], time.perf_counter()
    for run in runs:
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
        if time.perf_counter() - began > _LONGEST and len(times) > _COLD:
            break
    return float(np.percentile(times[_COLD:], 99)) if len(times) > _COLD else None


def _aside(work: Callable[[], T]) -> Future[T]:
    """In a thread that does not keep the node from ending."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as e:
            done.set_exception(e)
        else:
            done.set_result(result)

    threading.Thread(target=run, name="trial", daemon=True).start()
    return done
