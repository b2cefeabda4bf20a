"""One `run` of a camera: from frames to samples, with the camera's health."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.camera.source import Ended, Frame, Source
from ronghe.connect.driver import Item, Sink
from ronghe.connect.lag import LagMeter
from ronghe.picture import Picture
from ronghe.picture.health import COMPARED, NAMES, CameraHealth, Kind, Limits
from ronghe.signals import Batch
from ronghe.signals import quality as q
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.connect.camera.driver import Camera

QUALITY: Final[dict[Kind, int]] = {
    "silent": q.BAD_NO_COMMUNICATION,
    "frozen": q.BAD_SENSOR_FAILURE,
    "dark": q.BAD_SENSOR_FAILURE,
    "over-exposed": q.BAD_SENSOR_FAILURE,
    "covered": q.BAD_SENSOR_FAILURE,
    "out of focus": q.UNCERTAIN,
    "moved": q.UNCERTAIN,
}
"""What a condition makes of a picture: Bad where there is nothing to be judged on it, Uncertain where a person would still see
something."""

_AGREE: Final = 10_000_000_000  # ns, by which the camera's clock may be behind ours before it is not believed
_AHEAD: Final = 1_000_000_000
_RATE_OVER: Final = 2.0  # s
_HEALTH_EVERY: Final = 0.09  # s; where fewer pictures are wanted, so many are still looked at, for the camera's health
_LOOK: Final = 0.1  # s, between two looks for silence
_NAN: Final = float("nan")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame, looked at: what the samples are made of."""

    frame: Frame
    time: int  # ns
    quality: int
    reason: Text | None
    light: float
    focus: float
    rate: float
    dropped: int

    def value(self, address: str) -> tuple[float, int]:
        """Value and quality of an address that a camera has."""
        if address == "picture":
            return float(self.frame.number), self.quality
        if address in ("rate", "dropped"):
            return (self.rate if address == "rate" else float(self.dropped)), q.GOOD
        if self.frame.pixels is None:
            return _NAN, q.BAD_DECODING
        return (self.light if address == "light" else self.focus), q.GOOD


class Session:
    """Frames become samples of the items, and pictures for `Driver.show`."""

    def __init__(
        self, driver: Camera, items: Sequence[Item], sink: Sink, *, clock: Callable[[], int], monotonic: Callable[[], float]
    ) -> None:
        self._driver, self._sink, self._clock, self._monotonic = driver, sink, clock, monotonic
        self._items = list(items)
        self._due: dict[int, float] = {}  # item → monotonic time of its next sample
        self._arrived: deque[tuple[float, int]] = deque(maxlen=1000)  # monotonic time and number
        self._watch: CameraHealth | None = None
        self._watching = threading.Lock()
        self._lost = False
        self._passed = 0  # frames that the event loop was too busy to take
        self._newest = 0  # ns, time of the newest frame
        self._lag = LagMeter(driver.health)
        self.seen: Seen | None = None
        """The latest frame."""
        self.frames = 0

    async def play(self, source: Source) -> None:
        """All frames of a source, to its end. Raises ConnectError when it is lost."""
        try:
            await (self._follow(source) if source.live else self._pace(source))
        except Ended:
            health = self._driver.health
            health.state, health.since = "stopped", self._clock()
            health.reason = Text("all pictures have been played", "图像已全部播放完毕")

    def look(self, frame: Frame, source: Source) -> Seen:
        """Looks at a frame: its time, its quality and the camera's health. Called in the thread that decodes."""
        now = self._clock()
        at = frame.time if now - _AGREE <= frame.time <= now + _AHEAD else now
        self._newest = at = max(at, self._newest + 1000)  # a camera's clock may be set, and no two pictures are of one time
        rate = self._rate(frame.number)
        dropped = source.dropped + self._passed
        if frame.pixels is None:
            return Seen(frame, at, q.BAD_DECODING, frame.reason, _NAN, _NAN, rate, dropped)
        watch = self._health_of(source)
        with self._watching:
            conditions = watch.see(frame.pixels, at)
        worst = max(conditions, key=lambda c: QUALITY[c.kind], default=None)
        quality = q.GOOD if worst is None else QUALITY[worst.kind]
        name = None if worst is None else NAMES[worst.kind]
        reason = None if worst is None or name is None else Text(f"{name.en}: {worst.reason.en}", f"{name.zh}：{worst.reason.zh}")
        last = watch.last
        assert last is not None
        return Seen(frame, at, quality, reason, last.light, last.focus, rate, dropped)

    def _rate(self, number: int) -> float:
        """Pictures a second that the source gives, seen or not."""
        arrived = self._arrived
        arrived.append((self._monotonic(), number))
        while len(arrived) > 2 and arrived[-1][0] - arrived[0][0] > _RATE_OVER:
            arrived.popleft()
        span = arrived[-1][0] - arrived[0][0]
        return (number - arrived[0][1]) / span if span else 0.0

    def lose(self, why: Text) -> None:
        """The camera cannot be reached: told once for each item."""
        health = self._driver.health
        if health.state != "down":
            health.state, health.since = "down", self._clock()
        health.reason = why
        if self._lost:
            return
        self._lost = True
        at = max(self._clock(), self._newest + 1000)
        self._newest = at
        ids = np.array([i.id for i in self._items], np.int32)
        self._hand(Batch.of(self._driver.index, ids, at, np.nan, q.BAD_NO_COMMUNICATION))
        self._show(self.seen.frame.number if self.seen is not None else 0, None, at, q.BAD_NO_COMMUNICATION, why, "")

    def tell_unknown(self, known: Container[str]) -> None:
        """Items that a camera does not have are told once, and left out from then on."""
        ids = np.array([i.id for i in self._items if i.address not in known], np.int32)
        self._hand(Batch.of(self._driver.index, ids, self._clock(), np.nan, q.BAD_NODE_UNKNOWN))
        self._items = [i for i in self._items if i.address in known]

    async def _follow(self, source: Source) -> None:
        """A live source: a thread opens it and decodes, and the newest frame wins."""
        loop, ready, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        newest: deque[Seen] = deque()
        ended: list[BaseException] = []
        rate = self._driver.options.rate
        apart = 0.9 / rate if rate else 0.0  # s, between pictures that are shown; a little early is not too early
        looks = min(apart, _HEALTH_EVERY)

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(ready.set)

        def decode() -> None:
            looked = shown = float("-inf")
            quality = q.GOOD
            try:
                source.open()
                while not stop.is_set():
                    frame, now = source.next(), self._monotonic()
                    if frame is None or now - looked < looks:
                        continue
                    looked, seen = now, self.look(frame, source)
                    if now - shown < apart and seen.quality == quality:
                        continue
                    shown, quality = now, seen.quality
                    newest.append(seen)
                    if len(newest) > 1:
                        with contextlib.suppress(IndexError):  # it was taken in this very moment
                            newest.popleft()
                            self._passed += 1
                    wake()
            except BaseException as e:  # whatever it is, the driver must hear of it
                ended.append(e)
            finally:
                source.close()
                wake()

        thread = threading.Thread(target=decode, name="camera pictures", daemon=True)
        thread.start()
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK):  # not wait_for, which before Python 3.12 may lose a cancellation
                        await ready.wait()
                ready.clear()
                if newest:
                    self._give(newest.popleft())
                elif ended:
                    raise ended[0]
                else:
                    self._listen()
        finally:
            stop.set()
            await _in_thread(lambda: thread.join(self._driver.options.timeout + 1))

    async def _pace(self, source: Source) -> None:
        """Files: every picture, at the rate that is wanted."""
        rate, due = self._driver.options.rate, self._monotonic()

        def step() -> Seen | None:
            frame = source.next()
            return None if frame is None else self.look(frame, source)

        await _in_thread(source.open)
        try:
            while True:
                seen = await _in_thread(step)
                if seen is None:
                    if self._driver.health.state != "up":
                        self._up(None)
                    continue
                self._give(seen)
                interval = 1 / rate if rate and source.interval else source.interval
                due = max(due + interval, self._monotonic() - 1.0)  # what was late is made good for, by a second at most
                await asyncio.sleep(max(0.0, due - self._monotonic()))
        finally:
            await _in_thread(source.close)

    def _health_of(self, source: Source) -> CameraHealth:
        """The judge of this source's pictures."""
        if self._watch is None:
            options = self._driver.options
            if not source.continuous:
                limits = Limits(within=0, structure=0, ignore=(*COMPARED, *options.ignore))
            else:
                film: tuple[Kind, ...] = () if source.live else ("frozen", "silent")
                limits = Limits(learn=options.learn, ignore=(*film, *options.ignore))
            self._watch = CameraHealth(limits)
        return self._watch

    def _listen(self) -> None:
        """Nothing has come for a while: is the camera silent?"""
        if self._watch is not None and not self._lost:
            with self._watching:
                conditions = self._watch.at(self._clock())
            for condition in conditions:
                if condition.kind == "silent":
                    self.lose(condition.reason)

    def _give(self, seen: Seen) -> None:
        """Hands over the samples that are due, and shows the picture."""
        driver, frame = self._driver, seen.frame
        now = self._monotonic()
        if self._lost and self.frames:
            driver.health.reconnects += 1
        self._lost = False
        self.seen, self.frames = seen, self.frames + 1
        self._up(seen.reason)
        driver.health.dropped = seen.dropped
        items = []
        for item in self._items:
            if item.address == "picture" or now >= self._due.get(item.id, now):
                items.append(item)
                self._due[item.id] = max(self._due.get(item.id, now) + item.every, now)
        values = [seen.value(i.address) for i in items]
        ids = np.array([i.id for i in items], np.int32)
        self._lag.seen(max(0.0, (self._clock() - seen.time) / 1e9), self._clock())
        self._hand(Batch.of(driver.index, ids, seen.time, [v for v, _ in values], [c for _, c in values]))
        self._show(frame.number, frame.pixels, seen.time, seen.quality, seen.reason, frame.name)

    def _up(self, reason: Text | None) -> None:
        health = self._driver.health
        if health.state != "up":
            health.state, health.since = "up", self._clock()
        health.reason = reason

    def _hand(self, batch: Batch) -> None:
        if len(batch):
            self._driver.health.delivered += len(batch)
            self._sink(batch)

    def _show(self, number: int, pixels: NDArray[np.uint8] | None, time: int, quality: int, reason: Text | None, name: str) -> None:
        for item in self._items:
            if item.address == "picture":
                self._driver.show(Picture(self._driver.index.names[item.id], time, number, pixels, quality, reason, name))


async def _in_thread(call: Callable[[], T]) -> T:
    """A blocking call in a thread; when this is cancelled, the call is waited for all the same: what it uses is closed next."""
    task = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(task)
    finally:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # raised above, or of no interest any more
