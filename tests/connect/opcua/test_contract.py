from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.connect.contract import Bench, DriverContract
from tests.connect.opcua.servers import NodeServer

from ronghe.connect.opcua import OpcUa

PRESS = "nsu=http://example.org/press;s="


class Press(Bench):
    driver = OpcUa
    moving = [f"{PRESS}Press.Temperature", f"{PRESS}Press.Speed", f"{PRESS}Press.Count"]  # noqa: RUF012
    unknown = f"{PRESS}Press.NoSuchThing"
    malformed = "Press.Temperature"
    text = f"{PRESS}Types.String"
    writable = f"{PRESS}Types.WriteDouble"
    readonly = f"{PRESS}Types.Double"

    def __init__(self, pki: Path) -> None:
        self.server = NodeServer(pki)

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
    pass
