"""A hub of one server for all tests of a worker, plain and on 127.0.0.1; every test has a plant of its own in it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.cloud.spec import HubSpec

_numbers = itertools.count()


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    hub = Hub(tmp_path_factory.mktemp("hub"), HubSpec(port=0, most="1 GB"))
    asyncio.run_coroutine_threadsafe(hub.start(), loop).result(30)
    yield hub
    asyncio.run_coroutine_threadsafe(hub.stop(), loop).result(30)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def plant() -> str:
    """The path of a plant that no other test has."""
    return f"acme/site/area{next(_numbers)}"


@pytest.fixture
async def stream(hub: Hub, plant: str) -> AsyncIterator[JetStream]:
    bus = JetStream(hub.url, name="centre", in_hand=1.0)
    yield bus
    await bus.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"
