"""Carries what an outbox holds to the centre: live data first, what waited behind it with the rest of the bandwidth.

Two loops share one link. The live one sends what is young as it comes, never held back. The other drains the rest, oldest first, in
portions that queue for no more than `_QUEUE` s on whatever link there is (after LEDBAT, RFC 6817: the delay of a portion beyond the
least seen lately tells how much queues), so that live data finds the link free. Some portions are on their way at once: they begin oldest
first, and who reads JetStream finds them in that order unless one had to be sent again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import msgspec

from ronghe.bus import subjects
from ronghe.bus.contract import Bus, Message
from ronghe.bus.outbox import Outbox
from ronghe.errors import RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)

CONSUMER: Final = "carry"
_LIVE: Final = 5_000_000_000  # ns; what is younger is live
_AT_ONCE: Final = 256  # messages in flight
_QUEUE: Final = 0.3  # s that a portion of history may take beyond the least that one took
_REMEMBERS: Final = 600_000_000_000  # ns; then the least is found anew: the line may be another
_LEAST: Final = 20_000  # bytes of a portion, and below the most
_MOST: Final = 4_000_000
_WINDOW: Final = 10_000_000_000  # ns over which rates are told
_BESIDE: Final = 4  # groups of live messages on their way at once
_SETTLE: Final = 0.05  # s
_LOOK: Final = 1.0  # s between two looks whether something waits that is not young
_RETRY: Final = 1.0  # s between two tries while the link is down
_HEADERS: Final = 300  # bytes of subject, headers and frames a message
_FRAMES: Final = 1.04  # share of TLS and TCP/IP


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How carrying goes. `drain_x`: seconds of history that go over in one second; None while none goes."""

    waiting: int  # messages
    waiting_bytes: int
    oldest: int  # ns; when the oldest that waits was made; 0: none
    dropped: int  # messages of samples for which there was no room
    sent: int  # messages, since start
    sent_bytes: int
    rate: float  # bytes/s, over the last 10 s
    drain_x: float | None
    down: Text | None  # why nothing reaches the centre
    since: int  # ns; when `down` began; 0 when up


class Bucket:
    """A token bucket on bytes: `rate` a second, a burst of one second. `tick` in ns. Without a rate everything passes."""

    def __init__(self, rate: float | None, tick: Callable[[], int]) -> None:
        self.rate, self._tick = rate, tick
        self._level, self._at = rate or 0.0, tick()

    def left(self) -> float:
        """Bytes that may go now; negative when more went than there was."""
        if self.rate is None:
            return float("inf")
        now = self._tick()
        self._level = min(self._level + self.rate * (now - self._at) / 1e9, self.rate)
        self._at = now
        return self._level

    def take(self, size: float) -> None:
        """They went."""
        if self.rate is not None:
            self._level = self.left() - size

    def wait(self) -> float:
        """Seconds until there is half a burst again."""
        return 0.0 if self.rate is None else max(self.rate / 2 - self.left(), 0.0) / self.rate


class Carrier:
    """Moves messages from `outbox` to `bus`: each goes here when it is acknowledged there. `bandwidth` in bytes/s; None: no limit."""

    def __init__(
        self,
        outbox: Outbox,
        bus: Bus,
        *,
        bandwidth: float | None = None,
        clock: Callable[[], int] = time.time_ns,
        tick: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`clock`: the time of day (ns, UTC), by which a message is young or not; `tick` never goes back, by which bytes are counted."""
        self._outbox, self._bus, self._clock, self._tick = outbox, bus, clock, tick
        self._bucket = Bucket(bandwidth, tick)
        self._portion = float(_LEAST * 10)
        self._least, self._least_at = float("inf"), 0  # s, the fastest portion lately, and when (tick)
        self._went: deque[tuple[int, float]] = deque()  # (tick, bytes)
        self._drained: deque[tuple[int, int]] = deque()  # (tick, `at` of the oldest)
        self._sent, self._sent_bytes = 0, 0
        self._beside = self._draining = 0
        self._done: list[Message] = []
        self._settling = asyncio.Event()
        self._down: Text | None = None
        self._since = 0

    @property
    def state(self) -> State:
        """Now."""
        now = self._tick()
        for row in (self._went, self._drained):
            while row and row[0][0] < now - _WINDOW:
                row.popleft()
        waiting = self._outbox.waiting()
        drain = None
        if len(self._drained) > 1 and self._drained[-1][0] > self._drained[0][0]:
            drain = (self._drained[-1][1] - self._drained[0][1]) / (self._drained[-1][0] - self._drained[0][0])
        return State(
            waiting=waiting.messages,
            waiting_bytes=waiting.bytes,
            oldest=waiting.oldest,
            dropped=self._outbox.dropped,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            rate=sum(size for _, size in self._went) / (_WINDOW / 1e9),
            drain_x=drain,
            down=self._down,
            since=self._since,
        )

    async def run(self) -> None:
        """Carries until cancelled; what is in hand then stays in the outbox."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for step in (lambda: self._live(tasks), lambda: self._history(tasks), self._settle):
                    tasks.create_task(self._forever(step))
        finally:
            with contextlib.suppress(RongheError):  # then some are sent once more, and taken once
                await self._settle_now()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            if not await self._try(step):
                await asyncio.sleep(_RETRY)

    def _begin(self, tasks: asyncio.TaskGroup, step: Callable[[], Awaitable[None]], ended: Callable[[asyncio.Task[bool]], None]) -> None:
        trying = self._try(step)
        try:
            tasks.create_task(trying).add_done_callback(ended)
        except RuntimeError as e:  # the group is ending, and this task has not been told: `wait_for` of Python 3.11 may keep it to itself
            trying.close()
            raise asyncio.CancelledError from e

    async def _try(self, step: Callable[[], Awaitable[None]]) -> bool:
        try:
            await step()
        except RongheError as e:
            self._fell(e.what, e)
        except Exception as e:  # nobody else would hear of it, and from then on nothing would be sent
            log.exception("carrying failed")
            self._fell(Text(f"carrying failed: {e!r}", f"发送出错：{e!r}"), e)
        else:
            return True
        return False

    def _fell(self, why: Text, e: Exception) -> None:
        if self._down is None:
            self._since = self._clock()
            log.warning("nothing reaches the centre: %s", e)
        self._down = why

    async def _live(self, tasks: asyncio.TaskGroup) -> None:
        """Sends what is young as soon as it is there, and before it what it refers to."""
        young = self._clock() - _LIVE
        messages = await self._outbox.pull(CONSUMER, most=_AT_ONCE, wait=60.0, newest=True, since=young)
        if not messages:
            return
        if self._beside >= _BESIDE or self._down is not None:
            await self._send(messages)
        else:
            self._beside += 1
            self._begin(tasks, lambda: self._send(messages), self._ended)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        self._beside -= 1

    async def _history(self, tasks: asyncio.TaskGroup) -> None:
        """Sends one portion of what waited, oldest first, or waits until there is some."""
        waiting = self._outbox.waiting()
        if not waiting.messages or waiting.oldest > self._clock() - _LIVE:
            self._drained.clear()
            await asyncio.sleep(_LOOK)
            return
        if (pause := self._bucket.wait()) > 0:
            await asyncio.sleep(pause)
        room = min(self._portion, self._bucket.left())
        most = min(max(round(room * waiting.messages / max(waiting.bytes, 1)), 1), _AT_ONCE)
        portion = await self._outbox.pull(CONSUMER, most=most, wait=0.0)
        if not portion:
            await asyncio.sleep(_SETTLE)  # all of it is in hand
            return
        if self._draining >= 2 or self._down is not None:
            await self._drain(portion)
        else:  # the next is read while this one is on its way
            self._draining += 1
            self._begin(tasks, lambda: self._drain(portion), self._drained_one)

    def _drained_one(self, task: asyncio.Task[bool]) -> None:
        self._draining -= 1

    async def _drain(self, portion: Sequence[Message]) -> None:
        begun = self._tick()
        await self._send([msgspec.structs.replace(m, subject=subjects.late(m.subject)) for m in portion])
        took = (self._tick() - begun) / 1e9
        self._drained.append((self._tick(), portion[0].at))
        if took <= self._least or self._tick() - self._least_at > _REMEMBERS:
            self._least, self._least_at = took, self._tick()
        size = sum(map(_on_wire, portion))
        better = size * _QUEUE / max(took - self._least, _QUEUE / 4)
        self._portion = min(max(min(better, 2 * self._portion), _LEAST), _MOST)

    async def _settle(self) -> None:
        """Acknowledges in the outbox what the bus has, several at a time: each time costs as much as putting a message."""
        await self._settling.wait()
        await asyncio.sleep(_SETTLE)
        self._settling.clear()
        await self._settle_now()

    async def _settle_now(self) -> None:
        done, self._done = self._done, []
        try:
            if done:
                await self._outbox.ack(CONSUMER, done)
        except BaseException:
            self._done += done
            raise

    async def _send(self, messages: Sequence[Message]) -> None:
        size = sum(map(_on_wire, messages))
        self._bucket.take(size)
        try:
            await self._bus.append(messages)
        except BaseException:
            await self._outbox.give_back(CONSUMER, messages)
            raise
        self._done += messages
        self._settling.set()
        self._went.append((self._tick(), size))
        self._sent += len(messages)
        self._sent_bytes += sum(len(m.data) for m in messages)
        if self._down is not None:
            log.info("the centre is reached again")
        self._down, self._since = None, 0


def _on_wire(message: Message) -> float:
    return len(message.data) * _FRAMES + _HEADERS
