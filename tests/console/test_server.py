"""The console comes and goes without the node."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import httpx
import pytest
from pump_station import write_plant
from served import free_port

from ronghe.console import Console
from ronghe.edge.node import Node
from ronghe.errors import RongheError
from ronghe.plant import load


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """The pump station's node, not started, without its OPC UA server."""
    return Node(load(write_plant(tmp_path, free_port())))


async def until(what: object, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_taken_address_is_told_before_the_node_starts(node: Node) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(RongheError, match=r"cannot listen there: Address already in use.*--port"):
            Console(node, "127.0.0.1", other.getsockname()[1])
    await node.stop()


async def test_two_consoles_never_have_one_address(node: Node) -> None:
    port = free_port()
    console = Console(node, "127.0.0.1", port)
    with pytest.raises(RongheError, match="cannot listen there"):
        Console(node, "127.0.0.1", port)
    console.close()
    Console(node, "127.0.0.1", port).close()
    await node.stop()


async def test_a_console_that_fails_is_an_alarm_and_the_node_goes_on(node: Node) -> None:
    ended, lines = asyncio.Event(), list[str]()
    await node.start()
    console = Console(node, "127.0.0.1", 0)
    console._sock.close()  # its address is lost
    serving = asyncio.create_task(console.serve(ended, lines.append))
    await until(lambda: node.alarms.is_active("system/console"))
    alarm = next(a for a in node.alarms.list() if a.key == "system/console")
    assert "控制台故障" in alarm.text.in_("zh")
    before = node.recorder.recorded
    await until(lambda: node.recorder.recorded > before)
    assert not serving.done()
    ended.set()
    await serving
    console.close()

    ended, console = asyncio.Event(), Console(node, "127.0.0.1", 0)
    serving = asyncio.create_task(console.serve(ended, lines.append))
    await until(lambda: not node.alarms.is_active("system/console") and lines)
    async with httpx.AsyncClient() as client:
        assert (await client.get(lines[0].split()[-1])).status_code == 200
    ended.set()
    await serving
    console.close()
    await node.stop()
