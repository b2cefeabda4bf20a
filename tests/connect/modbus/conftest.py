"""Servers under the Modbus driver's tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

for folder in (Path(__file__).parent, Path(__file__).parent.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

pytest.register_assert_rewrite("contract")

from modbus_servers import SerialLine, Server, libmodbus, libmodbus_rtu, modbus_serial  # noqa: E402


@pytest.fixture(scope="session")
def c_server() -> Iterator[Server]:
    """libmodbus over TCP, for tests that do not stop it."""
    server = libmodbus()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def node_server() -> Iterator[Server]:
    """modbus-serial over TCP, for tests that do not stop it."""
    server = modbus_serial()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def line() -> Iterator[SerialLine]:
    """A serial cable."""
    line = SerialLine()
    yield line
    line.close()


@pytest.fixture(scope="session")
def rtu() -> Iterator[tuple[SerialLine, Server]]:
    """libmodbus as unit 1 on the far end of a serial cable, for tests that do not stop it."""
    line = SerialLine()
    server = libmodbus_rtu(line)
    server.start()
    yield line, server
    server.stop()
    line.close()
