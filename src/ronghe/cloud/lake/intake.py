"""What nodes send, taken in at the centre: samples into the historian of their plant, lines of the ledger into a file per node.

A message is acknowledged only after what it carries would survive a power cut. Killed at any moment before that, it comes again: a sample
is known by tag and time and a line by its hash, so that a second delivery changes nothing. A message that cannot be read is set aside in a
file with the reason, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import threading
import time as system_time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.bus import subjects
from ronghe.bus.contract import Bus, Message
from ronghe.bus.wire import Decoder, UnknownTags
from ronghe.errors import BusError, ConnectError, HistorianError, RongheError
from ronghe.historian import Historian
from ronghe.historian.disk import replace, sync_folder
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

log = logging.getLogger(__name__)

CONSUMER: Final = "intake"
"""The durable name by which the bus knows what was taken in; that of what came late ends in `-late`."""
_LANES: Final = ((CONSUMER, subjects.ROOT, 64), (f"{CONSUMER}-late", subjects.LATE, 16))  # and messages at a time: history yields soon
_AGAIN: Final = 2.0  # s until a full disk or a bus that is away is tried again
_TAKEN: Final = ("historian", "folders", "ledger", "tags")  # names in the folder of a plant that no part of a plant's path may have


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node of a plant, since the intake started. `last` (ms since 1970 UTC): the newest that it sent was made then; `behind_s`: how old
    the oldest of what was taken in last was at that moment."""

    plant: str
    node: str
    last: int
    messages: int
    points: int
    lines: int
    aside: int
    behind_s: float
    trouble: Text | None = None


class _Node:
    """Counts of one node."""

    def __init__(self) -> None:
        self.last = self.messages = self.points = self.lines = self.aside = 0
        self.behind = 0.0


class _Plant:
    """The historian of one plant, its names, and what keeps it from taking in."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self.folder, self._clock = folder, clock
        self.index = TagIndex()
        self.decoder = Decoder(self.index, folder / "tags")
        self.trouble: Text | None = None
        self._historian: Historian | None = None
        self.ledgers: dict[str, _Lines] = {}

    @property
    def historian(self) -> Historian:
        """Opened at its first use. Raises HistorianError."""
        if self._historian is None:
            self._historian = Historian(self.folder / "historian", self.index, clock=self._clock)
        return self._historian

    def flush(self) -> None:
        """Seals what is in memory, if anything came. Raises HistorianError."""
        if self._historian is not None:
            self._historian.flush()

    def close(self) -> None:
        if self._historian is not None:
            self._historian.close()
        for lines in self.ledgers.values():
            lines.close()


class _Lines:
    """An append-only file of lines, each once, whatever comes twice."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        sync_folder(path.parent)
        data = path.read_bytes()
        end = data.rfind(b"\n") + 1  # a line without its end was never acknowledged
        os.ftruncate(self._fd, end)
        self._known = {_digest(line) for line in data[:end].splitlines()}

    def append(self, lines: Sequence[bytes]) -> int:
        """Adds those that are not there yet; durable when it returns; gives how many. Raises OSError, with nothing added."""
        new = {d: line for line in lines if (d := _digest(line)) not in self._known}
        if new:
            size = os.fstat(self._fd).st_size
            data = b"".join(line + b"\n" for line in new.values())
            try:
                if os.write(self._fd, data) < len(data):
                    raise OSError("the disk is full")
                os.fdatasync(self._fd)
            except OSError:
                os.ftruncate(self._fd, size)
                raise
            self._known.update(new)
        return len(new)

    def close(self) -> None:
        os.close(self._fd)


class Intake:
    """Takes in what a bus holds, for all plants. `folder` is where `plants/` lies. One process runs it."""

    def __init__(self, bus: Bus, folder: Path, clock: Callable[[], int] = system_time.time_ns) -> None:
        self._bus, self._folder, self._clock = bus, folder, clock
        self._plants: dict[str, _Plant] = {}
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._taking = threading.Lock()
        self.trouble: Text | None = None
        """Why nothing comes in from the bus, if nothing does."""

    async def start(self) -> None:
        """Begins to take in; comes back at once."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._run(*lane), name=lane[0]) for lane in _LANES]

    async def stop(self) -> None:
        """Ends after what is in hand, and closes the historians. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for plant in self._plants.values():
            await asyncio.to_thread(plant.close)
        self._plants.clear()

    def historian(self, plant: str) -> Historian:
        """The historian of a plant, open for writing here: for whoever reads it in this process. Raises RongheError."""
        return self._plant(plant).historian

    def seal(self) -> None:
        """Seals what the historians hold in memory, so that it can go to the lake. One in trouble says so in `view`."""
        with self._taking:
            plants = list(self._plants.values())
        for plant in plants:
            try:
                plant.flush()
            except HistorianError as e:
                plant.trouble = e.what

    def view(self) -> list[dict[str, Any]]:
        """Each node as a `NodeView`, for JSON."""
        return [
            msgspec.to_builtins(
                NodeView(
                    plant=plant, node=node, last=n.last // 1_000_000, messages=n.messages, points=n.points, lines=n.lines, aside=n.aside,
                    behind_s=round(n.behind, 3), trouble=self._plants[plant].trouble if plant in self._plants else None,
                )
            )
            for (plant, node), n in sorted(self._nodes.items())
        ]  # fmt: skip

    async def _run(self, consumer: str, root: str, most: int) -> None:
        while True:
            try:
                messages = await self._bus.pull(consumer, f"{root}.>", most=most, wait=1.0)
                self.trouble = None
                if not messages:
                    continue
                work = asyncio.ensure_future(asyncio.to_thread(self.take, messages))
                try:
                    done = await asyncio.shield(work)
                except asyncio.CancelledError:  # stopped: what was done and is not acknowledged comes again
                    await work
                    raise
                await self._bus.ack(consumer, done)
                if len(done) < len(messages):
                    known = {m.seq for m in done}
                    await self._bus.give_back(consumer, [m for m in messages if m.seq not in known])
                    await asyncio.sleep(_AGAIN)
            except (BusError, ConnectError) as e:
                self.trouble = e.what
                log.warning("intake: %s", e)
                await asyncio.sleep(_AGAIN)
            except Exception as e:  # whatever it is, taking in must not end unheard: what is not acknowledged comes again
                self.trouble = Text(f"taking in failed: {e!r}", f"接收失败：{e!r}")
                log.exception("intake")
                await asyncio.sleep(_AGAIN)

    def take(self, messages: Sequence[Message]) -> list[Message]:
        """Makes durable what messages carry; gives those that are done with, which may be acknowledged. Those of a plant whose disk or
        store is in trouble are not among them. Called by one thread for what is live and one for what is late, in turns."""
        with self._taking:
            return self._take(messages)

    def _take(self, messages: Sequence[Message]) -> list[Message]:
        now = self._clock()
        samples: dict[str, list[tuple[Message, Batch]]] = {}
        done: list[Message] = []
        for message in messages:
            try:
                plant, node, kind = subjects.origin(message.subject)
                if kind in (subjects.SAMPLES, subjects.TAGS):  # a table of tags is a batch without rows, durable once it is decoded
                    batch = self._plant(plant).decoder.decode(message.data)
                    samples.setdefault(plant, []).append((message, batch))
                    continue
                if kind != subjects.LEDGER:
                    raise ValueError(f"not a kind that is taken in: {kind}")
                lines = self._lines(plant, node).append([line for line in message.data.splitlines() if line])
                self._count(message, now, lines=lines)
            except (OSError, UnknownTags) as e:  # the table that a batch refers to may come after it
                log.warning("intake: %s", e)
                continue
            except (RongheError, ValueError) as e:
                if not self._set_aside(message, e, now):
                    continue
            done.append(message)
        for plant, some in samples.items():
            done += self._store(plant, some, now)
        return done

    def _store(self, plant: str, some: Sequence[tuple[Message, Batch]], now: int) -> list[Message]:
        """All samples of a plant in one append, in the order in which they came."""
        here = self._plant(plant)
        try:
            here.historian.append(Batch.concat([b for _, b in some]))
        except HistorianError as e:
            here.trouble = e.what
            log.warning("intake of %s: %s", plant, e)
            return []
        here.trouble = None
        for message, batch in some:
            self._count(message, now, points=len(batch))
        return [m for m, _ in some]

    def _plant(self, plant: str) -> _Plant:
        if plant not in self._plants:
            parts = plant.split("/")
            if any(not p or p.startswith(".") or "\0" in p or p in _TAKEN for p in parts):
                raise ValueError(f"not the path of a plant: {plant!r}")
            self._plants[plant] = _Plant(self._folder.joinpath("plants", *parts), self._clock)
        return self._plants[plant]

    def _lines(self, plant: str, node: str) -> _Lines:
        here = self._plant(plant)
        if node not in here.ledgers:
            if "/" in node or node.startswith(".") or "\0" in node:
                raise ValueError(f"not the name of a node: {node!r}")
            here.ledgers[node] = _Lines(here.folder / "ledger" / f"{node}.jsonl")
        return here.ledgers[node]

    def _set_aside(self, message: Message, why: Exception, now: int) -> bool:
        """Keeps a message that cannot be read, with the reason; whether it could be kept."""
        path = self._folder / "aside" / f"{hashlib.sha256(message.id.encode()).hexdigest()[:32]}.message"
        record = {"subject": message.subject, "id": message.id, "at": message.at, "why": str(why), "data": message.data}
        log.error("intake: a message of %s cannot be read, set aside in %s: %s", message.subject, path, why)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, msgspec.msgpack.encode(record))
        except OSError as e:
            log.warning("intake: %s", e)
            return False
        self._count(message, now, aside=1)
        return True

    def _count(self, message: Message, now: int, *, points: int = 0, lines: int = 0, aside: int = 0) -> None:
        try:
            plant, node, _ = subjects.origin(message.subject)
        except ValueError:
            plant, node = "", message.subject
        n = self._nodes.setdefault((plant, node), _Node())
        n.messages += 1
        n.points += points
        n.lines += lines
        n.aside += aside
        n.last = max(n.last, message.at)
        n.behind = max(0.0, (now - message.at) / 1e9)


def _digest(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()
