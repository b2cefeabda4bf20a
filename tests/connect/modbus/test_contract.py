"""The driver contract, over TCP and over a serial line, with servers of two other implementations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from contract import Bench, DriverContract
from modbus_servers import SerialLine, Server, libmodbus, libmodbus_rtu, modbus_serial

from ronghe.connect.modbus import Modbus


class ModbusBench(Bench):
    driver = Modbus
    unknown = "holding:201"
    malformed = "holding;100"
    text = "holding:50:text[8]"
    writable = "holding:100:float32"
    readonly = "input:100"
    browsable = False

    def __init__(self, server: Server, **options: object) -> None:
        self.server, self.options = server, options
        self.moving = ["holding:0", "input:1:uint16"]

    def start(self) -> None:
        self.server.start()
        self.server.set("holding", 50, *(int.from_bytes(w.encode(), "big") for w in ("Pu", "mp", " 7")), 0)
        if "serial" not in self.options:
            self.options = {**self.options, "host": "127.0.0.1", "port": self.server.port}

    def stop(self) -> None:
        self.server.stop()


class TestLibmodbusTcp(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        bench = ModbusBench(libmodbus(), timeout=1.0)
        bench.start()
        yield bench
        bench.stop()


class TestModbusSerialTcp(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        bench = ModbusBench(modbus_serial(), timeout=1.0)
        bench.unknown = "holding:200"
        bench.start()
        yield bench
        bench.stop()


class TestLibmodbusRtu(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        line = SerialLine()
        bench = ModbusBench(libmodbus_rtu(line), serial=line.near, baudrate=115200, timeout=0.3)
        bench.start()
        yield bench
        bench.stop()
        line.close()
