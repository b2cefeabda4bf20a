"""The runner: gives one app its windows in a thread of its own, so that a slow or broken app stops nobody else."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Literal

import msgspec
import numpy as np

from ronghe.apps.contract import App, Page, Question, Result, Wants
from ronghe.errors import AppError, RongheError
from ronghe.guard import ChangeCase
from ronghe.picture import Picture
from ronghe.signals import Batch, Grid, TagIndex, Window
from ronghe.text import Text

log = logging.getLogger(__name__)

_PICTURES = 8  # that wait for a slow app: what is older is of no use to a line that has moved on


def reason_of(e: BaseException) -> Text:
    """What people are told of an error: ours and the system's say it; of a bug only the log says more, and whoever calls this logs it."""
    if isinstance(e, RongheError):
        return e.what
    if isinstance(e, OSError):
        return Text(str(e), str(e))
    if isinstance(e, MemoryError):
        return Text("out of memory", "内存不足")
    if isinstance(e, SystemExit):
        return Text("it tried to end the whole process", "应用试图结束整个进程")
    return Text("internal error; see the log of the node", "内部错误，详见节点日志")


class AppState(msgspec.Struct, kw_only=True):
    """How an app is, for people and metrics. Times in µs are processor time of one row of `step`, or of one `see`."""

    uses: str
    equipment: str
    state: Literal["starting", "up", "slow", "failed", "stopped"] = "starting"
    reason: Text | None = None
    rows: int = 0
    skipped: int = 0  # samples passed over because the app was slow
    pictures: int = 0
    unseen: int = 0  # pictures passed over because the app was slow
    last_us: float = 0.0
    p99_us: float = 0.0
    signals: dict[str, float] = {}
    pages: tuple[Page, ...] = ()
    tags: tuple[str, ...] = ()


class _Asked:
    """A question on its way, and where its answer goes."""

    def __init__(self, question: Question, answer: Future[object]) -> None:
        self.question, self.answer = question, answer

    def put(self, app: App) -> None:
        if not self.answer.set_running_or_notify_cancel():
            return  # whoever asked has gone
        try:
            self.answer.set_result(app.ask(self.question))
        except BaseException as e:  # the question has failed, not the app
            if not isinstance(e, RongheError):
                log.exception("app %s, asked %s", app.name, self.question.verb)
            self.answer.set_exception(e if isinstance(e, RongheError) else AppError(reason_of(e)))


class _Swap:
    """Another app is to take over, and how both are made."""

    def __init__(self, make: Callable[[], App], again: Callable[[], App], answer: Future[float]) -> None:
        self.make, self.again, self.answer = make, again, answer


_Job = Batch | int | tuple[str, str] | ChangeCase | _Asked | _Swap | Picture


class Runner:
    """One app at work. `put` and `flush` never block; `took(result, time)` is called from the app's thread, time being the last row's.

    `held` are the tags whose device reports changes only, see `Grid`.
    """

    def __init__(
        self, app: App, index: TagIndex, took: Callable[[Result, int], None], *, held: Collection[str] = (), most: int = 500_000
    ) -> None:
        self._index, self._held = index, held
        self.state = AppState(uses=app.uses, equipment=app.equipment)
        self._times, self._timed = np.zeros(512), 0
        self._install(app, self._grid_of(app.wants()))
        self.last: Picture | None = None  # that the app has seen
        self._took, self._most = took, most
        self._queue: deque[Batch | int] = deque()  # an int is a clock reading: rows up to it are due
        self._told: deque[tuple[str, str] | ChangeCase | _Asked | _Swap] = deque()  # for `feedback`, `follow` and `ask`; never skipped
        self._shown: deque[Picture] = deque()
        self._samples = 0
        self._busy_since = 0.0
        lock = threading.RLock()
        self._ready, self._rests = threading.Condition(lock), threading.Condition(lock)
        self._stopping = False
        self._working = False
        self._thread = threading.Thread(target=contextvars.copy_context().run, args=(self._work,), name=f"app {app.name}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Takes samples; those that no tag of the app needs cost a look-up only."""
        with self._ready:
            self._queue.append(batch)
            self._samples += len(batch)
            while self._samples > self._most and len(self._queue) > 1:
                old = self._queue.popleft()
                if isinstance(old, Batch):
                    self._samples -= len(old)
                    self.state.skipped += len(old)
            self._ready.notify()

    def show(self, picture: Picture) -> None:
        """Takes a picture that the app wants; a few wait for it, and of more the oldest are passed over."""
        with self._ready:
            self._shown.append(picture)
            if len(self._shown) > _PICTURES:
                self._shown.popleft()
                self.state.unseen += 1
            self._ready.notify()

    def ask(self, question: Question) -> Future[object]:
        """Asks the app in its thread, between two windows or pictures. The answer may be an error of the app's own."""
        answer: Future[object] = Future()
        with self._ready:
            if self._stopping:
                answer.set_exception(AppError(Text("the app has been stopped", "应用已停止")))
            else:
                self._told.append(_Asked(question, answer))
                self._ready.notify()
        return answer

    def flush(self, now: int) -> None:
        """The clock says `now` (ns): rows that wait for a silent tag are due. Also sees whether the app is stuck."""
        busy = self._busy_since
        if busy and time.monotonic() - busy > 10:
            self.state.state = "slow"
            self.state.reason = Text(
                f"has been computing for {time.monotonic() - busy:.0f} s", f"已连续计算 {time.monotonic() - busy:.0f} 秒"
            )
            return
        with self._ready:
            self._queue.append(now)
            self._ready.notify()

    def tell(self, advice: str, outcome: str) -> None:
        """What became of an advice, for the app's `feedback`: called in its thread, before the next window."""
        with self._ready:
            self._told.append((advice, outcome))
            self._ready.notify()

    def follow(self, change: ChangeCase) -> None:
        """How a change goes, for the app's `follow`, as `tell`."""
        with self._ready:
            self._told.append(change)
            self._ready.notify()

    def swap(self, make: Callable[[], App], again: Callable[[], App]) -> Future[float]:
        """Another app takes over between two windows or pictures; what waits, waits for it, and every row is given to one of the two.

        The app ends (`close`), then `make` makes the other, in the app's thread; fails that, `again` makes the old anew, and the answer is
        the error. The answer is how long nobody was at work, in s.
        """
        answer: Future[float] = Future()
        with self._ready:
            if self._stopping:
                answer.set_exception(AppError(Text("the app has been stopped", "应用已停止")))
            else:
                self._told.append(_Swap(make, again, answer))
                self._ready.notify()
        return answer

    @property
    def idle(self) -> bool:
        """Whether it has taken all that it was given."""
        return self._stopping or not (self._working or self._told or self._queue or self._shown)

    def settle(self) -> None:
        """Waits until it is idle."""
        with self._rests:
            self._rests.wait_for(lambda: self.idle)

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def close(self, timeout: float = 5.0) -> None:
        """Stops after the present step."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
            self._rests.notify_all()
            for asked in self._told:
                if isinstance(asked, _Asked | _Swap):
                    asked.answer.cancel()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self.state.state = "stopped"
        if not self._thread.is_alive():
            try:
                self.app.close()
            except (Exception, SystemExit):  # the node has more to close after it: what waits to be recorded would be lost
                log.exception("app %s did not close", self.app.name)

    def _next(self) -> _Job | None:
        """Waits for something to do; None at the end."""
        with self._ready:
            self._working = False
            if self.idle:
                self._rests.notify_all()
            while not (self._told or self._queue or self._shown or self._stopping):
                self._ready.wait()
            if self._stopping:
                return None
            self._working = True
            if self._told:
                return self._told.popleft()
            if self._shown:
                return self._shown.popleft()
            job = self._queue.popleft()
            if isinstance(job, Batch):
                self._samples -= len(job)
            return job

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._busy_since = time.monotonic()
            try:
                self._do(job)
            except BaseException as e:  # SystemExit too: it would end this thread without a word
                # Whatever a third party's app raises, the node goes on and says so; the next window is a new try.
                if self.state.state != "failed":  # once, not at every window
                    log.exception("app %s failed", self.app.name)
                self.state.state = "failed"
                self.state.reason = reason_of(e)
            finally:
                self._busy_since = 0.0

    def _do(self, job: _Job) -> None:
        if isinstance(job, tuple):
            self.app.feedback(*job)
            return
        if isinstance(job, ChangeCase):
            self.app.follow(job)
            return
        if isinstance(job, _Asked):
            job.put(self.app)
            return
        if isinstance(job, _Swap):
            self._swap(job)
            return
        if isinstance(job, Picture):
            self._see(job)
            return
        window = self.grid.push(job) if isinstance(job, Batch) else self.grid.flush(job)
        if window is not None:
            self._step(window)

    def _grid_of(self, wants: Wants) -> Grid:
        return Grid(self._index, wants.tags, round(wants.every * 1e9), max_age=round(wants.max_age * 1e9) or None, held=self._held)

    def _install(self, app: App, grid: Grid) -> None:
        wants = app.wants()
        self.app, self.grid = app, grid
        self.pictures = frozenset(wants.pictures)
        self.state.pages, self.state.tags = app.pages, tuple(dict.fromkeys([*wants.tags, *wants.pictures]))
        self._timed, self.state.last_us, self.state.p99_us = 0, 0.0, 0.0

    def _swap(self, job: _Swap) -> None:
        if not job.answer.set_running_or_notify_cancel():
            return
        began = time.monotonic()
        try:
            self.app.close()
        except (Exception, SystemExit):  # what it had learned is lost; what comes after it is not
            log.exception("app %s did not close", self.app.name)
        failed: BaseException | None = None
        try:
            try:
                app = job.make()
            except BaseException as e:
                failed, app = e, job.again()
        except BaseException as e:
            job.answer.set_exception(AppError(reason_of(e)))
            raise
        grid, old = self._grid_of(app.wants()), self.grid
        if (grid.tags, grid.every, grid.max_age) == (old.tags, old.every, old.max_age):
            grid = old
        else:
            grid.adopt(old)
        self._install(app, grid)
        if failed is None:
            self.state.state, self.state.reason = "starting", None
            job.answer.set_result(time.monotonic() - began)
        else:
            job.answer.set_exception(failed if isinstance(failed, RongheError) else AppError(reason_of(failed)))

    def _step(self, window: Window) -> None:
        began = time.thread_time()
        result = self.app.step(window)
        spent = (time.thread_time() - began) * 1e6
        self._took(result, int(window.time[-1]))  # the decision first, the statistics after
        self.state.rows += len(window)
        self._note(result, spent / len(window), timed=not self.pictures)

    def _see(self, picture: Picture) -> None:
        began = time.thread_time()
        result = self.app.see(picture)
        spent = (time.thread_time() - began) * 1e6
        self._took(result, picture.time)
        self.state.pictures += 1
        self.last = picture
        self._note(result, spent, timed=True)

    def _note(self, result: Result, spent: float, *, timed: bool) -> None:
        """Statistics; of an app that looks at pictures the rows are not timed: the two would make one figure that means nothing."""
        state = self.state
        state.state, state.reason = "up", None
        if result.signals:
            state.signals = {**state.signals, **result.signals}
        if timed:
            self._times[self._timed % len(self._times)] = spent
            self._timed += 1
            state.last_us = spent
            if self._timed % 16 == 0:
                state.p99_us = float(np.percentile(self._times[: self._timed], 99))
