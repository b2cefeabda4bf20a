"""Servers that are none, or that talk nonsense at some point: always a ConnectError, never another exception, never for ever."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import struct
from collections.abc import AsyncIterator

import pytest
from tests.connect.contract import PATIENCE, Collected, until
from tests.connect.opcua.servers import NodeServer, Proxy

from ronghe.connect import Item
from ronghe.connect.opcua import OpcUa, Options, shard
from ronghe.connect.opcua.acquire import Acquisition
from ronghe.errors import ConnectError
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

ACKNOWLEDGE = b"ACKF" + struct.pack("<IIIIII", 28, 0, 65535, 65535, 0, 0)


@contextlib.asynccontextmanager
async def stranger(first: bytes, second: bytes) -> AsyncIterator[str]:
    """Answers the first message with one thing and every later one with another."""

    talks = set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        answer = first
        with contextlib.suppress(OSError):
            while await reader.read(65536):
                writer.write(answer)
                await writer.drain()
                answer = second
        writer.transport.abort()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.gather(*talks)


NOISE = random.Random(7).randbytes(300)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""),
        (NOISE, NOISE),
        (b"ERRF" + struct.pack("<III", 16, 0x80830000, 0xFFFFFFFF), b""),
        (b"ACKF" + struct.pack("<I", 2**31), b""),
        (ACKNOWLEDGE, NOISE),
        (ACKNOWLEDGE, b"OPNF" + struct.pack("<II", 60, 1) + NOISE[:48]),
        (ACKNOWLEDGE, b"MSGF" + struct.pack("<IIIII", 28, 0, 0, 1, 1) + b"\0" * 4),
        (ACKNOWLEDGE, b"ERRF" + struct.pack("<III", 16, 0x80550000, 0xFFFFFFFF)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("security", ["None", "Basic256Sha256/Sign"])
async def test_nonsense_while_connecting(first: bytes, second: bytes, security: str) -> None:
    async with stranger(first, second) as url:
        driver = OpcUa(Options(url=url, timeout=0.5, security=security), TagIndex())
        with pytest.raises(ConnectError) as raised:
            await asyncio.wait_for(driver.read([Item(id=0, address="i=2258")]), PATIENCE)
        assert raised.value.where == url
        assert raised.value.what.zh
        await driver.close()


async def test_nonsense_in_the_middle(press: NodeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy spoils bytes of a connection that worked: lost, told, built again; `run` never ends by it."""
    monkeypatch.setattr(shard, "_PAUSES", (0.02,))
    monkeypatch.setattr(Acquisition, "keep_alive", 0.2)
    dice = random.Random(3)

    def patched(data: bytes) -> bytes:
        out = bytearray(data)
        for _ in range(5):
            out[dice.randrange(len(out))] = dice.randrange(256)
        return bytes(out)

    proxy, index, sink = Proxy("127.0.0.1", press.port), TagIndex(), Collected()
    await proxy.mend()
    driver = OpcUa(Options(url=proxy.url, timeout=1), index)
    item = Item(id=index.id("n"), address="nsu=http://example.org/press;s=Press.Count", every=0.05)
    task = asyncio.create_task(driver.run([item], sink))
    for _ in range(10):
        seen = sink.good("n")
        proxy.spoil = patched
        await until(lambda n=seen: task.done() or (proxy.spoil is None and sink.good("n") > n), "samples go on")
        assert not task.done(), task.exception()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await proxy.cut()
    told = [r[2] == q.BAD_NO_COMMUNICATION for r in sink.rows("n")]
    assert not any(a and b for a, b in itertools.pairwise(told)), "a loss was told twice"
