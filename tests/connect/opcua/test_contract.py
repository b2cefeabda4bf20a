from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from asyncua import ua
from tests.connect.contract import Bench, DriverContract
from tests.connect.opcua.servers import NodeServer

from ronghe.connect.opcua import OpcUa
from ronghe.connect.opcua.wire import FAILURES, Wire, code_of

PRESS = "nsu=http://example.org/press;s="


LIMITS = ("maxNodesPerRead", "maxNodesPerWrite", "maxNodesPerBrowse", "maxMonitoredItemsPerCall")


class Press(Bench):
    """A small server, that takes two nodes a request."""

    driver = OpcUa
    moving = [f"{PRESS}Press.Temperature", f"{PRESS}Press.Speed", f"{PRESS}Press.Count"]  # noqa: RUF012
    unknown = f"{PRESS}Press.NoSuchThing"
    malformed = "Press.Temperature"
    text = f"{PRESS}Types.String"
    writable = f"{PRESS}Types.WriteDouble"
    readonly = f"{PRESS}Types.Double"

    def __init__(self, pki: Path) -> None:
        self.server = NodeServer(pki, limits=dict.fromkeys(LIMITS, 2))

    def start(self) -> None:
        self.server.start()
        self.options = {"url": self.server.url}

    def stop(self) -> None:
        self.server.stop()


@pytest.fixture(scope="module")
def bench(pki: Path) -> Iterator[Bench]:
    press = Press(pki)
    press.start()
    yield press
    press.stop()


class TestOpcUaContract(DriverContract):
    async def test_the_server_is_as_small_as_it_should_be(self, bench: Bench) -> None:
        """Else nothing here would show that its limits are kept."""
        wire = Wire(bench.options["url"], 5.0)
        await wire.open()
        request = ua.ReadRequest()
        request.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.Value)] * 3
        with pytest.raises(FAILURES) as raised:
            await wire.raw(request)
        assert code_of(raised.value) == ua.StatusCodes.BadTooManyOperations
        await wire.close()
