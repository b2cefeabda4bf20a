"""The uplink: what a joined node records, and what its ledger says, goes to the centre; kept on disk until it is there.

    recorder ─▶ outbox, then historian          carrier, in a thread of its own ─▶ the centre
    ledger ─▶ outbox

The outbox comes first: a sample that the recorder has acknowledged is in both, whatever is killed. A sample in the outbox alone was never
acknowledged, and is a true measurement all the same. Were the historian first, a kill between the two would leave a sample that nobody
knows to send. Only when the outbox does not take a batch (its disk is full or fails), the historian has more than the outbox: the span of
the batch is noted durably before the historian has it, and is sent from there later. A centre knows a sample by tag and time, so that what
such a span holds besides is not there twice.

Acquisition, inference and guard never wait for any of this; a plant that has not joined imports nothing of it.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.contract import Priority
from ronghe.bus import subjects
from ronghe.bus.carry import Carrier, State
from ronghe.bus.contract import Bus, Message
from ronghe.bus.outbox import Outbox
from ronghe.bus.wire import Encoder
from ronghe.edge.joining import Membership, context, write
from ronghe.edge.runner import reason_of
from ronghe.errors import RongheError
from ronghe.guard import Ledger
from ronghe.historian import Historian
from ronghe.plant import Plant
from ronghe.plant.quantity import parse_bandwidth, parse_size
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

log = logging.getLogger(__name__)

_ROWS: Final = 50_000  # of a message at most
_LARGEST: Final = 700_000  # bytes of a message; NATS takes 1 MB
_ENTRIES: Final = 500  # of the ledger in a message
_SLICE: Final = 60_000_000_000  # ns of a span that is sent from the historian at once
_BEAT: Final = 1.0  # s
_PATIENCE: Final = 15_000_000_000  # ns without the centre before it is said
_NOTE: Final = 60_000_000_000  # ns between two notes of when the centre was there last
_AHEAD: Final = 86_400_000_000_000  # ns; the historian refuses what is further in the future


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Samples with start <= time <= end (ns) that the outbox may lack. `noted` (ns) makes the ids of its messages its own."""

    start: int
    end: int
    noted: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the uplink knows after a restart: how far the ledger is sent, and the spans that are to be sent from the historian."""

    ledger: int = 0
    head: str = ""  # hash of that entry: another ledger begins anew
    spans: tuple[Span, ...] = ()
    contact: int = 0  # ns, when the centre was there last
    aside: int = 0  # damaged outboxes that are known


class Uplink:
    """Between a node's recorder, its ledger, and the centre. `append` is the recorder's store."""

    gather = 1.0
    """s of samples that make a message: smaller ones cost more bytes a sample, and a sync each."""

    def __init__(
        self,
        plant: Plant,
        index: TagIndex,
        historian: Historian,
        ledger: Ledger,
        home: Path,
        member: Membership,
        *,
        boot: str,
        clock: Callable[[], int],
        bus: Callable[[], Bus] | None = None,
    ) -> None:
        """`home` is the folder `centre` of a joined plant; `boot` a text that no earlier start had, for the ids of messages.

        `bus` makes the way to the centre, in the uplink's own thread; by default the JetStream that `member` names.
        """
        self._index, self._historian, self._ledger, self._home, self._member = index, historian, ledger, home, member
        self._boot, self._clock, self._bus = boot, clock, bus or self._jetstream
        self._spec = plant.centre
        self._sends = np.empty(0, np.bool_)  # by tag id
        self._lock = threading.Lock()  # what is noted, and that no span is sent while its batch is still on its way to the historian
        self._kept = _read(home / "uplink.json")
        self._made: tuple[Batch, list[Message]] | None = None  # the batch at work; the recorder gives the same one again when it failed
        self._in_outbox: Batch | None = None
        self._encoder = self._new_encoder()
        self._count = 0
        self._trouble: Text | None = None  # why the outbox does not take what is recorded
        self._sending: Text | None = None  # why what waits is not sent
        self._began = clock()
        self.outbox: Outbox | None = None
        self.state: State | None = None  # how sending goes, as of the last second; None: nothing can be sent
        self._carrier: Carrier | None = None
        self._tls: ssl.SSLContext | None = None
        self._certificate = 0  # when its file was written
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._work()), name="uplink", daemon=True)

    def start(self) -> None:
        """Opens the outbox and begins to send."""
        self._open()
        self._thread.start()

    def close(self, timeout: float = 10.0) -> None:
        """Stops sending; what waits is sent after the next start. The recorder is closed before."""
        until = time.monotonic() + timeout
        while self._thread.is_alive() and time.monotonic() < until:
            if self._loop is not None:
                try:
                    self._loop.call_soon_threadsafe(self._end)
                except RuntimeError:
                    log.debug("the uplink had ended")
            self._thread.join(0.5)

    def _end(self) -> None:
        """In its loop. Every task, and again while one goes on: a cancellation that comes while nats-py connects is lost on the way."""
        for task in asyncio.all_tasks():
            task.cancel()

    # --- the recorder's thread -------------------------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> None:
        """Into the outbox and the historian. Raises what the historian raises; given the same batch again, the outbox takes it once."""
        with self._lock:
            before = self._kept
            if self._in_outbox is not batch and not self._to_outbox(batch):
                self._note(batch)
            try:
                self._historian.append(batch)
            except BaseException:
                if self._kept is not before:
                    self._keep(before)  # the recorder comes with it again, and the outbox may take it then
                raise
            self._made = self._in_outbox = None

    def _to_outbox(self, batch: Batch) -> bool:
        if self.outbox is None:
            return False
        try:
            if self._made is None or self._made[0] is not batch:
                self._made = batch, self._messages(self._sent_of(batch), self._next, self._clock())
            if self._made[1]:
                self.outbox.put(self._made[1])
        except Exception as e:  # also what nobody thought of: the historian goes on
            self._failed(e)
            return False
        self._in_outbox, self._trouble = batch, None
        return True

    def _failed(self, e: Exception) -> None:
        if self._trouble is None:
            log.exception("the outbox does not take what is measured")
        self._trouble = reason_of(e)
        self._encoder = self._new_encoder()  # the names that a message refers to may be among what was not taken

    def _not_sending(self, e: Exception) -> None:
        if self._sending is None:
            log.exception("what waits is not sent")
        self._sending = reason_of(e)

    def _new_encoder(self) -> Encoder:
        return Encoder(self._member.plant, self._member.node, self._clock)

    def _next(self) -> str:
        self._count += 1
        return f"{self._member.node}-{self._boot}-{self._count}"

    def _sent_of(self, batch: Batch) -> Batch:
        """The rows whose tags go to the centre."""
        if not self._spec.send:
            return batch
        if len(self._sends) < len(self._index):
            new = [self._spec.sends(tag) for tag in self._index.names[len(self._sends) : len(self._index)]]
            self._sends = np.concatenate([self._sends, np.array(new, np.bool_)])
        mask: NDArray[np.bool_] = self._sends[batch.tag]
        return batch if mask.all() else batch.take(mask)

    def _messages(self, batch: Batch, name: Callable[[], str], at: int) -> list[Message]:
        """Of at most so many rows and bytes each."""
        todo = (
            [batch] if len(batch) <= _ROWS else [batch.take(np.arange(i, min(i + _ROWS, len(batch)))) for i in range(0, len(batch), _ROWS)]
        )
        made: list[Message] = []
        while todo and len(todo[0]):
            part = todo.pop(0)
            *tables, samples = self._encoder.messages(part, name())
            made += tables
            if len(samples.data) > _LARGEST and len(part) > 1:
                half = len(part) // 2
                todo[:0] = [part.take(np.arange(half)), part.take(np.arange(half, len(part)))]
            else:
                made.append(msgspec.structs.replace(samples, at=at))
        return made

    def _note(self, batch: Batch) -> None:
        """Durably, if the disk lets it: this batch is to be sent from the historian."""
        now = self._clock()
        times = batch.time[(batch.time > 0) & (batch.time <= now + _AHEAD)]
        if not len(times):
            return
        start, end = int(times.min()), int(times.max())
        spans = list(self._kept.spans)
        if spans and start <= spans[-1].end + _SLICE and end >= spans[-1].start:
            last = spans.pop()
            spans.append(Span(min(start, last.start), max(end, last.end), last.noted))
        else:
            spans.append(Span(start, end, now))
        self._keep(msgspec.structs.replace(self._kept, spans=tuple(spans)))

    def _keep(self, kept: Kept) -> None:
        self._kept = kept
        try:
            write(self._home / "uplink.json", msgspec.json.encode(kept))
        except OSError as e:
            log.warning("%s: %s", self._home / "uplink.json", e)

    # --- the uplink's thread ---------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            outbox = Outbox(self._home / "outbox.sqlite", most=parse_size(self._spec.most), clock=self._clock)
        except RongheError as e:
            self._failed(e)
            return
        self.outbox = outbox

    async def _work(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                if self.outbox is None:
                    self._open()
                if self.outbox is not None:
                    await self._carry(self.outbox)
                await asyncio.sleep(_BEAT * 10)
        except asyncio.CancelledError:
            log.debug("the uplink ends")
        finally:
            if self.outbox is not None:
                await self.outbox.close()

    async def _carry(self, outbox: Outbox) -> None:
        try:
            bus = self._bus()
        except RongheError as e:
            self._not_sending(e)
            return
        bandwidth = parse_bandwidth(self._spec.bandwidth) / 8 if self._spec.bandwidth else None
        self._carrier = Carrier(outbox, bus, bandwidth=bandwidth, clock=self._clock)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carrier.run())
                tasks.create_task(self._beat(outbox))
        finally:
            await bus.close()

    def _jetstream(self) -> Bus:
        from ronghe.bus.jetstream import JetStream

        self._tls, self._certificate = context(self._home), self._certified()
        return JetStream(self._member.hub, name=self._member.node, tls=self._tls, patience=0.0)  # the carrier tries again

    def _certified(self) -> int:
        return (self._home / "node.pem").stat().st_mtime_ns

    async def _beat(self, outbox: Outbox) -> None:
        """Once a second what is not a sample, and what the outbox lacks."""
        while True:
            try:
                await asyncio.to_thread(self._second, outbox)
                self.state = self._carrier.state if self._carrier is not None else None  # in its loop, as what it counts
                self._sending = None
            except Exception as e:  # nobody else would hear of it
                self._not_sending(e)
            await asyncio.sleep(_BEAT)

    def _second(self, outbox: Outbox) -> None:
        self._look_aside(outbox)
        if self._tls is not None and self._certified() != self._certificate:  # renewed: the next connection shows the new one
            self._certificate = self._certified()
            self._tls.load_cert_chain(self._home / "node.pem", self._home / "key.pem")
        while self._send_ledger(outbox):
            pass
        if self._kept.spans and outbox.waiting().bytes < parse_size(self._spec.most) // 2:
            self._send_span(outbox)
        state = self.state
        if state is not None and state.sent and state.down is None:
            now = self._clock()
            if now - self._kept.contact > _NOTE:
                with self._lock:
                    self._keep(msgspec.structs.replace(self._kept, contact=now))

    def _look_aside(self, outbox: Outbox) -> None:
        """An outbox that was damaged and set aside: samples since the last contact are sent from the historian, and the ledger from its
        beginning, since the centre knows each line."""
        aside = len(list(self._home.glob(f"damaged-*{outbox.path.suffix}")))
        if aside != self._kept.aside:
            with self._lock:
                now = self._clock()
                since = (self._kept.contact or self._began) - _NOTE
                kept = msgspec.structs.replace(self._kept, aside=aside)
                if aside > self._kept.aside:
                    kept = msgspec.structs.replace(kept, spans=(*kept.spans, Span(since, now, now)), ledger=0, head="")
                self._keep(kept)

    def _send_ledger(self, outbox: Outbox) -> bool:
        """A message of new entries, if there are any. Sent twice, the centre knows each by its hash."""
        after = self._kept.ledger
        if after and (after > self._ledger.version or self._ledger.entries(after - 1, 1)[0].hash != self._kept.head):
            after = 0  # the ledger was begun anew
        lines = self._ledger.lines(after, _ENTRIES)
        if not lines:
            return False
        head = msgspec.json.decode(lines[-1])["hash"]
        subject = subjects.subject(self._member.plant, self._member.node, subjects.LEDGER)
        last = after + len(lines)
        id = f"{self._member.node}-ledger-{after + 1}-{last}-{head[:16]}"
        outbox.put([Message(subject, id, b"".join(lines), self._clock())])
        with self._lock:
            self._keep(msgspec.structs.replace(self._kept, ledger=last, head=head))
        return True

    def _send_span(self, outbox: Outbox) -> None:
        """A part of the first span, from the historian."""
        with self._lock:
            span, rest = self._kept.spans[0], self._kept.spans[1:]
            end = min(span.start + _SLICE, span.end + 1)
            batch = self._sent_of(self._historian.raw(None, span.start, end))
            ids = (f"{self._member.node}-span-{span.noted}-{span.start}-{i}" for i in range(len(batch) + 1))
            try:
                outbox.put(self._messages(batch, lambda: next(ids), end))
            except BaseException:
                self._encoder = self._new_encoder()  # see `_failed`
                raise
            left = (Span(end, span.end, span.noted),) if end <= span.end else ()
            self._keep(msgspec.structs.replace(self._kept, spans=(*left, *rest)))

    # --- what people hear ------------------------------------------------------------------------------------------------------------

    def look(self, now: int) -> tuple[Priority, Text] | None:
        """The alarm that is due at `now` (ns), or None."""
        said = self._trouble or self._sending or (self.outbox.trouble if self.outbox is not None else None)
        if said is not None:
            return "medium", Text(f"not everything gets to the centre: {said.en}", f"数据未能全部发往中心：{said.in_('zh')}")
        state = self.state
        if state is None or state.down is None or now - state.since < _PATIENCE:
            return None
        last = self._kept.contact if 0 < self._kept.contact < state.since else state.since
        age = _age(now - last)
        waits = _size(state.waiting_bytes)
        return "low", Text(
            f"no contact with the centre for {age.en}; {waits} wait here: {state.down.en}",
            f"与中心失联已 {age.zh}；本地待发 {waits}：{state.down.in_('zh')}",
        )


def _read(path: Path) -> Kept:
    """What was kept; from the beginning where there is nothing, or nothing that can be read: then the centre gets the ledger again."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept()
    except (OSError, msgspec.DecodeError) as e:
        log.error("%s cannot be read, and is begun anew: %s", path, e)
        return Kept()


def _age(ns: int) -> Text:
    """In one unit, so that an alarm's text changes seldom."""
    for unit, en, zh in ((86_400, "d", "天"), (3600, "h", "小时"), (60, "min", "分钟")):
        if ns >= 2 * unit * 1_000_000_000 or unit == 60:
            return Text(f"{ns // (unit * 1_000_000_000)} {en}", f"{ns // (unit * 1_000_000_000)} {zh}")
    raise AssertionError


def _size(n: int) -> str:
    """Bytes, in two digits."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if n >= unit:
            return f"{float(f'{n / unit:.2g}'):g} {name}"
    return f"{n} B"
