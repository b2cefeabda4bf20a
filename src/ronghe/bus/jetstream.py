"""The bus at the centre: one NATS JetStream stream. Works with the servers that `hub` starts and with any nats-server from 2.10 on.

A message is acknowledged when the stream has it: on disk and synced, if the server runs with `sync_interval: always`, as ours do; on most
of its copies, if there are three. Its id goes as `Nats-Msg-Id`, so that the stream takes it once however often it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import re
import socket
import ssl
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ronghe.bus import subjects as names
from ronghe.bus.contract import Message
from ronghe.errors import BusError, BusFull, MissingExtra, Rejected, Unreachable
from ronghe.text import Text

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

_MADE: Final = "Ronghe-At"  # header: when the message was made, ns
_UNCONFIRMED: Final = 8_000  # ms for which sent bytes may stay unconfirmed before the connection is made anew
_TRY: Final = 2.0  # s: some leaders are elected anew within that time; then what is not acknowledged is sent again
_SLOWEST: Final = 12_500.0  # bytes/s of a line on which an acknowledgement is still waited for
# A connection of nats-py begins plain and is made TLS after the server's first line; asyncio then says at each end what changes nothing.
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("returning true from eof_received"))
_REPLY: Final = re.compile(r"\$JS\.ACK\.(?:[^.]+\.[^.]+\.)?[^.]+\.[^.]+\.\d+\.(\d+)\.\d+\.(\d+)\.\d+")


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """How the stream is made if it is not there. Within `window` s an id sent again is known; it costs memory, 0.2 kB an id."""

    replicas: int = 1
    keep: float = 7 * 86_400.0  # s; also what nobody took is gone then
    most: int = 50_000_000_000  # bytes; when full, senders keep what they have
    window: float = 7_200.0


class JetStream:
    """A `Bus` over the stream RONGHE. Connects when first used and again whenever the connection was lost.

    `patience` s is how long `append` tries while servers are away or elect a leader, before it raises Unreachable. `in_hand` s is how long
    a consumer that vanished has messages in hand before they are given to another.
    """

    def __init__(
        self,
        urls: str | Sequence[str],
        *,
        name: str,
        tls: ssl.SSLContext | None = None,
        stream: Stream | None = None,
        patience: float = 10.0,
        in_hand: float = 30.0,
    ) -> None:
        """`urls`: several, in a list or with commas between, are the servers of one hub. `name` is the node's (or `centre`): answers come
        to `subjects.inbox(name)`. With `stream`, it is made or brought up to date."""
        self.urls = ",".join([urls] if isinstance(urls, str) else urls).split(",")
        self._name, self._tls, self._stream, self.patience, self._in_hand = name, tls, stream, patience, in_hand
        self._connection: Client | None = None
        self._connecting = asyncio.Lock()
        self._acks: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._readers: dict[str, _Reader] = {}
        self._hands: dict[str, dict[int, str]] = {}  # by consumer: seq → where its acknowledgement goes
        self._requests = 0
        self._refused: Rejected | None = None

    async def connect(self) -> None:
        """Connects now instead of when first used. Raises Unreachable."""
        await self._client()

    async def append(self, messages: Sequence[Message]) -> None:
        """See `Bus`. Raises Rejected when the server does not permit the subject."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience
        left = list(messages)
        while left:
            try:
                left, why = await self._publish(left)
            except Unreachable as e:
                why = e
            if not left:
                return
            if isinstance(why, BusFull | Rejected) or loop.time() > deadline:
                raise why
            await asyncio.sleep(0.1)

    async def pull(self, consumer: str, subjects: str = ">", *, most: int = 256, wait: float = 1.0, newest: bool = False) -> list[Message]:
        """See `Bus`."""
        if newest:
            raise BusError(Text("JetStream gives the oldest first", "JetStream 只能按从旧到新的顺序读取"))
        client = await self._client()
        name = _durable(consumer, subjects)
        with self._reached():
            reader = await self._reader(client, name, subjects)
            found = await reader.take(client, most, wait)
        messages = [_message(msg) for msg in found]
        self._hands.setdefault(name, {}).update((m.seq, msg.reply) for m, msg in zip(messages, found, strict=True))
        return sorted(messages, key=lambda m: m.seq)

    async def ack(self, consumer: str, messages: Sequence[Message]) -> None:
        """See `Bus`."""
        await self._settle(consumer, messages, b"+ACK")

    async def give_back(self, consumer: str, messages: Sequence[Message]) -> None:
        """See `Bus`: again after a second."""
        await self._settle(consumer, messages, b'-NAK {"delay": 1000000000}')

    async def close(self) -> None:
        """See `Bus`."""
        client, self._connection = self._connection, None
        self._readers.clear()
        if client is not None:
            await _end(client)

    # Connecting

    async def _client(self) -> Client:
        async with self._connecting:
            if self._connection is not None and self._connection.is_connected:
                return self._connection
            await self.close()
            try:
                import nats.errors
                from nats.aio.client import Client
            except ImportError as e:
                raise MissingExtra("cloud", Text("the link to the centre", "与中心的连接")) from e
            last: Exception | None = None

            async def on_error(e: Exception) -> None:
                nonlocal last
                last = e
                await self._on_error(e)

            for url in random.sample(self.urls, len(self.urls)):
                client = Client()
                try:
                    await client.connect(
                        url,
                        name=self._name,
                        tls=self._tls,
                        inbox_prefix=names.inbox(self._name),
                        allow_reconnect=False,  # we do it, so that whoever waits is told
                        max_reconnect_attempts=1,  # of this one connect
                        reconnect_time_wait=0,
                        connect_timeout=3,
                        ping_interval=10,
                        max_outstanding_pings=2,
                        error_cb=on_error,
                        closed_cb=self._on_closed,
                    )
                    await client.subscribe(f"{names.inbox(self._name)}.acks.*", cb=self._on_ack)
                    if self._stream is not None:
                        await self._ensure_stream(client, self._stream)
                    self._connection = client
                    _soon_over(client)
                    return client
                except (OSError, TimeoutError, nats.errors.Error) as e:
                    last = last if isinstance(e, nats.errors.NoServersError) else e  # of that one, `on_error` was told why
                finally:
                    if self._connection is not client:
                        await _end(client)
            raise self._away(last)

    async def _ensure_stream(self, client: Client, wanted: Stream) -> None:
        from nats.js.api import DiscardPolicy, StorageType, StreamConfig
        from nats.js.errors import APIError, NotFoundError

        config = StreamConfig(
            name=names.STREAM,
            subjects=[f"{names.ROOT}.>", f"{names.LATE}.>"],
            storage=StorageType.FILE,
            discard=DiscardPolicy.NEW,
            num_replicas=wanted.replicas,
            max_age=wanted.keep,
            max_bytes=wanted.most,
            duplicate_window=min(wanted.window, wanted.keep),
        )
        manager = client.jsm(timeout=5)
        try:
            await manager.stream_info(names.STREAM)
            await manager.update_stream(config)
        except NotFoundError:
            await manager.add_stream(config)
        except APIError as e:
            raise Unreachable(Text(f"the stream cannot be made: {e}", f"无法创建消息流：{e}"), where=self._where) from e

    @property
    def _where(self) -> str:
        return ", ".join(self.urls)

    def _away(self, e: Exception | None) -> Unreachable:
        why = str(e) or type(e).__name__
        return Unreachable(
            Text(f"the hub does not answer: {why}", f"消息中心无响应：{why}"),
            where=self._where,
            todo=Text("nothing is lost; it is tried again by itself", "数据不会丢失，将自动重试"),
        )

    @contextlib.contextmanager
    def _reached(self) -> Iterator[None]:
        """Turns what the client library raises into Unreachable."""
        import nats.errors

        try:
            yield
        except (OSError, TimeoutError, nats.errors.Error) as e:
            raise self._away(e) from e

    async def _on_error(self, e: Exception) -> None:
        if "permissions violation" in str(e).lower():
            self._refused = Rejected(
                Text(f"the hub does not permit this: {e}", f"消息中心拒绝：{e}"),
                where=self._where,
                todo=Text("a node sends only what is its own: join it under its own name", "节点只能发送自己的数据：请以本节点名称接入"),
            )
            self._fail(self._refused)

    async def _on_closed(self) -> None:
        for reader in self._readers.values():
            reader.end()
        self._fail(self._away(None))

    def _fail(self, why: Exception) -> None:
        for future in self._acks.values():
            if not future.done():
                future.set_exception(why)

    # Sending

    async def _publish(self, messages: Sequence[Message]) -> tuple[list[Message], Exception]:
        """Sends all at once. Gives those that were not acknowledged, and why."""
        client = await self._client()
        self._refused = None
        tokens = {}
        try:
            with self._reached():
                for m in messages:
                    token = self._token()
                    self._acks[token] = asyncio.get_running_loop().create_future()
                    tokens[token] = m
                    reply = f"{names.inbox(self._name)}.acks.{token}"
                    await client.publish(m.subject, m.data, reply=reply, headers={"Nats-Msg-Id": m.id, _MADE: str(m.at)})
            patience = _TRY + sum(len(m.data) for m in messages) / _SLOWEST
            await asyncio.wait([self._acks[t] for t in tokens], timeout=patience)
        finally:
            futures = {t: self._acks.pop(t) for t in tokens}
        left: list[Message] = []
        why: Exception = self._refused or self._away(None)
        for token, future in futures.items():
            error = self._error_of(future)
            if error is not None:
                left.append(tokens[token])
                why = error if isinstance(error, BusFull | Rejected) or not isinstance(why, BusFull | Rejected) else why
        return left, why

    def _error_of(self, future: asyncio.Future[dict[str, Any]]) -> Exception | None:
        if not future.done():
            future.cancel()
            return self._away(TimeoutError("no acknowledgement"))
        if future.exception() is not None:
            return self._away(future.exception()) if not isinstance(future.exception(), Rejected) else future.exception()  # type: ignore[arg-type,return-value]
        error = future.result().get("error")
        if error is None:
            return None
        what = error.get("description", "")
        if "maximum bytes" in what or "insufficient" in what or "resource" in what:
            return BusFull(
                Text(f"the hub is full: {what}", f"消息中心已满：{what}"),
                where=self._where,
                todo=Text("give it more room: `most` of [hub] in cloud.toml", "请增大 cloud.toml 中 [hub] 的 `most`"),
            )
        return self._away(BusError(what))

    async def _on_ack(self, msg: Msg) -> None:
        future = self._acks.get(msg.subject.rpartition(".")[2])
        if future is None or future.done():
            return
        status = (msg.headers or {}).get("Status")
        future.set_result({"error": {"description": f"status {status}"}} if status else json.loads(msg.data))

    def _token(self) -> str:
        self._requests += 1
        return str(self._requests)

    # Taking

    async def _reader(self, client: Client, name: str, pattern: str) -> _Reader:
        if name not in self._readers:
            from nats.js.api import AckPolicy, ConsumerConfig

            config = ConsumerConfig(
                durable_name=name,
                filter_subject=None if pattern == ">" else pattern,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=self._in_hand,
                max_ack_pending=20_000,
            )
            await client.jsm(timeout=5).add_consumer(names.STREAM, config)
            reader = _Reader(f"{names.inbox(self._name)}.pull.{name}", name)
            await client.subscribe(f"{reader.inbox}.*", cb=reader.arrived)
            self._readers[name] = reader
        return self._readers[name]

    async def _settle(self, consumer: str, messages: Sequence[Message], what: bytes) -> None:
        """Says `what` of each message; when the last is confirmed, the others arrived before it."""
        if not messages:
            return
        client = await self._client()
        for name, hand in self._hands.items():
            replies = [r for m in messages if (r := hand.get(m.seq))] if _is_of(name, consumer) else []
            if not replies:
                continue
            with self._reached():
                for reply in replies[:-1]:
                    await client.publish(reply, what)
                await client.request(replies[-1], what, timeout=5)
            for m in messages:
                hand.pop(m.seq, None)


class _Reader:
    """What comes for one consumer. A request stays open until it is filled or its time is over, so that what comes meanwhile needs none."""

    def __init__(self, inbox: str, name: str) -> None:
        self.inbox, self._subject = inbox, f"$JS.API.CONSUMER.MSG.NEXT.{names.STREAM}.{name}"
        self._queue: deque[Msg] = deque()
        self._event = asyncio.Event()
        self._requests, self._due, self._until = 0, 0, 0.0  # of the last request: its number, what it may still bring, its end
        self._failed: str = ""

    async def arrived(self, msg: Msg) -> None:
        """A message, or how a request ended."""
        status = (msg.headers or {}).get("Status")
        if status is None:
            self._queue.append(msg)
            self._due -= 1
        elif msg.subject.endswith(f".{self._requests}") and status != "100":
            self._due = 0
            self._failed = "" if status in ("404", "408", "409") else f"status {status}"
        self._event.set()

    def end(self) -> None:
        """The connection is gone."""
        self._failed = "connection lost"
        self._event.set()

    async def take(self, client: Client, most: int, wait: float) -> list[Msg]:
        """What is there, or (`wait` s) what comes first. Raises OSError."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait
        if not self._queue and (self._due <= 0 or self._until <= clock()):
            await self._ask(client, {"batch": most, "no_wait": True}, most, clock() + 5.0)
            while self._due > 0 and clock() < self._until:
                await self._wait(self._until - clock())
        while not self._queue and (left := deadline - clock()) > 0:
            if self._due <= 0 or self._until <= clock():
                await self._ask(client, {"batch": most, "expires": max(int(left * 1e9), 1_000_000)}, most, deadline)
            await self._wait(min(left, self._until - clock()))
        return [self._queue.popleft() for _ in range(min(most, len(self._queue)))]

    async def _ask(self, client: Client, request: dict[str, Any], due: int, until: float) -> None:
        self._requests, self._due, self._until = self._requests + 1, due, until
        await client.publish(self._subject, json.dumps(request).encode(), f"{self.inbox}.{self._requests}")

    async def _wait(self, seconds: float) -> None:
        if self._failed:
            raise ConnectionError(self._failed)
        self._event.clear()
        if not self._queue or self._due > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._event.wait(), max(seconds, 0.001))


async def _end(client: Client) -> None:
    """Closes a client, also one that never connected: of that, the library would wait for ever, or leave the socket open."""
    if client.is_connected:
        with contextlib.suppress(Exception):  # whatever it says, it is not used again
            await asyncio.wait_for(client.close(), 3)
    for task in (client._reading_task, client._ping_interval_task, client._flusher_task):
        if task is not None:
            task.cancel()
    transport: Any = client._transport
    if transport is not None:
        transport.close()


def _soon_over(client: Client) -> None:
    """A line that is cut says nothing, and TCP alone would wait for it longer each time: up to two minutes after it is back (RFC 5482)."""
    writer = getattr(client._transport, "_bare_io_writer", None)
    wire = writer.get_extra_info("socket") if writer is not None else None
    if wire is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNCONFIRMED)


def _durable(consumer: str, pattern: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]", "_", consumer)
    return name if pattern == ">" else f"{name}-{zlib.crc32(pattern.encode()):08x}"


def _is_of(name: str, consumer: str) -> bool:
    plain = _durable(consumer, ">")
    return name == plain or (name[: len(plain) + 1] == plain + "-" and len(name) == len(plain) + 9)


def _message(msg: Msg) -> Message:
    headers = msg.headers or {}
    found = _REPLY.match(msg.reply)
    if found is None:
        raise BusError(Text(f"not a message of a stream: {msg.reply}", f"不是消息流中的消息：{msg.reply}"))
    seq, stored = int(found[1]), int(found[2])
    return Message(msg.subject, headers.get("Nats-Msg-Id", f"{names.STREAM}-{seq}"), msg.data, int(headers.get(_MADE, stored)), seq)
