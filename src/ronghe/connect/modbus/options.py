"""What a `[connections.NAME]` table with `driver = "modbus"` may hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ronghe.text import Text

Order = Literal["abcd", "badc", "cdab", "dcba"]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Either `host` (Modbus TCP) or `serial` (Modbus RTU); the rest has defaults that suit most devices."""

    host: Annotated[str, Meta(description="name or IP address of the device or gateway")] = ""
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port")] = 502
    serial: Annotated[str, Meta(description="serial port instead of host: /dev/ttyUSB0, COM3")] = ""
    baudrate: Annotated[int, Meta(gt=0, description="bits per second on the serial port")] = 9600
    parity: Annotated[Literal["N", "E", "O"], Meta(description="none, even or odd")] = "N"
    stopbits: Annotated[Literal[1, 2], Meta(description="stop bits")] = 1
    framing: Annotated[
        Literal["auto", "tcp", "rtu"],
        Meta(description='"rtu" with host: RTU frames through TCP, as plain serial servers speak; auto: tcp for host, rtu for serial'),
    ] = "auto"
    unit: Annotated[int, Meta(ge=0, le=255, description="unit (station, slave) number of addresses that name none")] = 1
    order: Annotated[Order, Meta(description="byte and word order of 32- and 64-bit values whose address names none")] = "abcd"
    timeout: Annotated[float, Meta(gt=0, le=60, description="s to wait for an answer, and for a connection")] = 1.0
    retries: Annotated[int, Meta(ge=0, le=10, description="how often an unanswered request is sent again")] = 1
    pause: Annotated[float, Meta(ge=0, le=10, description="s of silence between requests, for slow devices")] = 0.0
    gap: Annotated[int, Meta(ge=0, le=124, description="largest run of unwanted registers that is read along to join two reads")] = 16
    block: Annotated[int, Meta(ge=4, le=125, description="most registers a read (coils and discrete inputs: 16 times as many)")] = 125

    def __post_init__(self) -> None:
        if bool(self.host) == bool(self.serial):
            raise ValueError(str(Text("give either host or serial, one of them", "host 与 serial 必须且只能填一个")))
        if self.serial and self.framing == "tcp":
            raise ValueError(str(Text("a serial port speaks RTU: leave framing out", "串口只支持 RTU：请删去 framing")))
        if not self.speaks_to(self.unit):
            raise ValueError(str(Text("units of RTU are 1 to 247; 0 would write to all of them", "RTU 站号为 1 到 247；0 是对所有站广播")))

    @property
    def rtu(self) -> bool:
        """Whether frames are RTU (address … CRC) rather than Modbus TCP (MBAP header)."""
        return bool(self.serial) or self.framing == "rtu"

    def speaks_to(self, unit: int) -> bool:
        """Whether one unit answers to this number: in RTU 0 is a broadcast to all, and 248 to 255 are reserved."""
        return not self.rtu or 1 <= unit <= 247

    @property
    def place(self) -> str:
        """Where the device is, for people: `host:port` or the serial port."""
        return self.serial or f"{self.host}:{self.port}"
