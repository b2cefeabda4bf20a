"""One connection to a Modbus device or gateway, one request at a time. The only place that knows pymodbus.

pymodbus frames, sends and receives; answers are checked against their request and taken here, on the bytes, so that no answer of another
request, of another size or in a damaged frame becomes a value, and a block of registers goes into a column without an object a register.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.framer import FramerRTU

from ronghe.connect.driver import Still, always
from ronghe.connect.modbus.address import BIT_TABLES, Table
from ronghe.connect.modbus.options import Options
from ronghe.errors import BadFrame, Rejected, Unreachable
from ronghe.text import Text

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, ACKNOWLEDGE, BUSY = 1, 2, 3, 4, 5, 6
PATH_UNAVAILABLE, TARGET_SILENT = 10, 11
_READ: Final[dict[Table, int]] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
_BUSY_PAUSE: Final = 0.1  # s, before a busy device is asked again
_LATE: Final = 1.5  # time-outs: the answer to a request that was repeated comes one time-out after the answer to its first sending

_log = logging.getLogger("pymodbus")
_log.addHandler(logging.NullHandler())
if _log.level == logging.NOTSET:  # what pymodbus would print, health and quality codes say; a level set by the user holds
    _log.setLevel(logging.CRITICAL)


class Silent(Unreachable):
    """The unit did not answer in time."""


class Lost(Unreachable):
    """The connection broke during a request."""


class Garbled(BadFrame):
    """What came back is no answer to what was asked."""


class NotSent(Exception):
    """A write was called off before anything went out."""


class Refused(Rejected):
    """The unit answered with a Modbus exception; `code` is its number."""

    def __init__(self, code: int, where: str) -> None:
        self.code = code
        super().__init__(Text(f"Modbus exception {code}", f"Modbus 异常码 {code}"), where=where)


@dataclass(slots=True)
class _Question:
    """What a right answer looks like: its PDU begins with `head` and is `size` bytes long."""

    unit: int
    head: bytes
    size: int
    outcome: asyncio.Future[bytes | Exception]
    transaction: int = 0
    noise: bool = False  # something was received that is no answer

    def answers(self, pdu: bytes) -> bool:
        """Whether a whole PDU is an answer, be it an exception."""
        if pdu[0] == self.head[0] | 0x80:
            return len(pdu) == 2
        return len(pdu) == self.size and pdu.startswith(self.head)


class Link:
    """Opens on demand; safe for several tasks, whose requests queue."""

    def __init__(self, options: Options, clock: Callable[[], int]) -> None:
        self.options = options
        self._clock = clock
        self._client: AsyncModbusTcpClient | AsyncModbusSerialClient | None = None
        self._lock = asyncio.Lock()
        self._question: _Question | None = None
        self._late = False  # an answer to an earlier request may still be under way (RTU has no transaction number to tell them apart)
        self._last = 0.0  # loop time when the line was last used

    @property
    def is_open(self) -> bool:
        """Whether the connection stands, as far as is known."""
        return self._client is not None and bool(self._client.connected)

    async def open(self) -> None:
        """Connects unless connected. Raises Unreachable."""
        async with self._lock:
            await self._open()

    def close(self) -> None:
        """Lets go of the connection; the next request opens it again."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
            self._connection(False)

    async def read(self, unit: int, table: Table, start: int, count: int, *, retries: int | None = None) -> tuple[NDArray[np.uint16], int]:
        """`count` registers, or bits as 0/1, as uint16[count], and their time: the middle between request and answer, ns.
        Raises Silent, Lost, Garbled, Refused, or Unreachable."""
        bits = table in BIT_TABLES
        size = (count + 7) // 8 if bits else 2 * count

        def send(client: Any) -> Awaitable[Any]:
            ask = {
                "coil": client.read_coils,
                "discrete": client.read_discrete_inputs,
                "holding": client.read_holding_registers,
                "input": client.read_input_registers,
            }
            return ask[table](start, count=count, device_id=unit)

        pdu, time = await self._ask(unit, bytes([_READ[table], size]), 2 + size, send, retries)
        if bits:
            return np.unpackbits(np.frombuffer(pdu, np.uint8, offset=2), bitorder="little")[:count].astype(np.uint16), time
        return np.frombuffer(pdu, ">u2", offset=2).astype(np.uint16), time

    # Writes raise as `read`, and NotSent when `still` called them off before anything went out.

    async def write_coil(self, unit: int, at: int, on: bool, still: Still) -> None:
        """Function 5."""
        head = struct.pack(">BHH", 5, at, 0xFF00 if on else 0)
        await self._ask(unit, head, 5, lambda c: c.write_coil(at, on, device_id=unit), still=still)

    async def write_coils(self, unit: int, at: int, on: list[bool], still: Still) -> None:
        """Function 15."""
        head = struct.pack(">BHH", 15, at, len(on))
        await self._ask(unit, head, 5, lambda c: c.write_coils(at, on, device_id=unit), still=still)

    async def write_register(self, unit: int, at: int, value: int, still: Still) -> None:
        """Function 6."""
        head = struct.pack(">BHH", 6, at, value)
        await self._ask(unit, head, 5, lambda c: c.write_register(at, value, device_id=unit), still=still)

    async def write_registers(self, unit: int, at: int, values: list[int], still: Still) -> None:
        """Function 16: all or none."""
        head = struct.pack(">BHH", 16, at, len(values))
        await self._ask(unit, head, 5, lambda c: c.write_registers(at, values, device_id=unit), still=still)

    async def mask_register(self, unit: int, at: int, keep: int, put: int, still: Still) -> None:
        """Function 22: register = (register and keep) or (put and not keep), inside the device."""
        head = struct.pack(">BHHH", 22, at, keep, put)
        await self._ask(unit, head, 7, lambda c: c.mask_write_register(address=at, and_mask=keep, or_mask=put, device_id=unit), still=still)

    async def _ask(
        self,
        unit: int,
        head: bytes,
        size: int,
        send: Callable[[Any], Awaitable[Any]],
        retries: int | None = None,
        still: Still = always,
    ) -> tuple[bytes, int]:
        """The PDU of the answer, and its time. An unanswered, garbled or busy request is sent again while `still` says so: every request
        here may be repeated without harm. What may have reached the device raises what became of it, never NotSent."""
        attempts = 1 + (self.options.retries if retries is None else retries)
        failed: Exception | None = None
        async with self._lock:
            while True:
                attempts -= 1
                await self._open()
                await self._quiet(failed is not None)
                try:
                    return await self._once(unit, head, size, send, still)
                except NotSent:
                    if failed is not None:
                        raise failed from None
                    raise
                except Refused as e:
                    if e.code != BUSY or attempts <= 0:
                        raise
                    failed = e
                    await asyncio.sleep(_BUSY_PAUSE)
                except (Silent, Garbled) as e:
                    if isinstance(e, Garbled) and not self.options.rtu:
                        self.close()  # a stream that is out of step does not come back into step by itself
                    if attempts <= 0:
                        raise
                    failed = e
                except Lost as e:
                    self.close()
                    if attempts <= 0:
                        raise
                    failed = e

    async def _once(self, unit: int, head: bytes, size: int, send: Callable[[Any], Awaitable[Any]], still: Still) -> tuple[bytes, int]:
        loop = asyncio.get_running_loop()
        place = f"{self.options.place} unit {unit}"
        lost = _lost(self.options.place)
        if not self.is_open:
            raise lost
        question = self._question = _Question(unit, head, size, loop.create_future())
        done = False
        asked = self._clock()

        async def ask() -> None:
            if still():  # here, and not before the task was made: pymodbus sends before it first gives way
                await send(self._client)
            else:
                question.outcome.set_result(NotSent(place))

        request: asyncio.Future[Any] = asyncio.ensure_future(ask())
        try:
            await asyncio.wait({request, question.outcome}, return_when=asyncio.FIRST_COMPLETED, timeout=2 * self.options.timeout)
            if question.outcome.done():
                found = question.outcome.result()
                done = not isinstance(found, Exception) or isinstance(found, NotSent)
                if isinstance(found, Exception):
                    raise found
                if found[0] & 0x80:
                    raise Refused(found[1], place)
                return found, (asked + self._clock()) // 2
            if not self.is_open:
                raise lost
            if question.noise:
                raise _garbled(place)
            raise Silent(
                Text(f"no answer within {self.options.timeout:g} s", f"{self.options.timeout:g} 秒内无应答"),
                where=place,
                todo=Text("check unit number, wiring, baud rate and parity", "请检查站号、接线、波特率和校验位"),
            )
        finally:
            self._question = None
            self._late = self._late or not done
            self._last = loop.time()
            if not request.done():
                request.cancel()
            await asyncio.wait({request})
            if not request.cancelled():
                request.exception()  # taken note of: the outcome above says it better

    async def _quiet(self, again: bool) -> None:
        """Keeps the line silent as long as it must be before a request. In RTU a late answer cannot be told from the next: what may still
        come of an earlier request is waited for. Not so when the same is asked `again`, where a late answer is as good."""
        wait = self.options.pause - (asyncio.get_running_loop().time() - self._last)
        if self.options.serial:
            # 3.5 characters, 1.75 ms at the least (MODBUS over serial line V1.02, 2.5.1.1)
            wait = max(wait, max(0.00175, 3.5 * 11 / self.options.baudrate))
        if not again:
            if self._late and self.options.rtu:
                wait = max(wait, _LATE * self.options.timeout)
            self._late = False
        if wait > 0:
            await asyncio.sleep(wait)

    async def _open(self) -> None:
        if self.is_open:
            return
        self.close()
        o, framer = self.options, FramerType.RTU if self.options.rtu else FramerType.SOCKET
        hooks: dict[str, Any] = {"trace_packet": self._packet, "trace_connect": self._connection}
        always: dict[str, Any] = {"framer": framer, "timeout": o.timeout, "retries": 0, "reconnect_delay": 0, **hooks}
        try:
            if o.serial:
                self._client = AsyncModbusSerialClient(
                    o.serial, baudrate=o.baudrate, parity=o.parity, stopbits=o.stopbits, bytesize=8, **always
                )
            else:
                self._client = AsyncModbusTcpClient(o.host, port=o.port, **always)
            self._client.set_max_no_responses(2**31)  # when to give a connection up is decided here
            if await self._client.connect():
                return
        except (OSError, ValueError, ModbusException):
            pass  # what went wrong is found out below
        self.close()
        self._late = False
        raise await asyncio.to_thread(_unreachable, o)

    def _connection(self, connected: bool) -> None:
        """Called by pymodbus when the connection is made or lost."""
        question = self._question
        if not connected and question is not None and not question.outcome.done():
            question.outcome.set_result(_lost(self.options.place))

    def _packet(self, sending: bool, data: bytes) -> bytes:
        """Called by pymodbus with each frame it sends and with all bytes received and not used yet; gives the bytes that pymodbus
        is to decode: none but answers to earlier requests, which it drops."""
        question = self._question
        if sending:
            if question is not None and not self.options.rtu:
                question.transaction = int.from_bytes(data[:2], "big")
            return data
        if question is None or question.outcome.done():
            return b""
        return _rtu_answer(question, data) if self.options.rtu else _tcp_answer(question, data, self.options.place)


def _unreachable(o: Options) -> Unreachable:
    """Why there is no connection: pymodbus does not say."""
    if o.serial:
        if not os.path.exists(o.serial):
            what = Text("no such serial port", "没有此串口")
        elif not os.access(o.serial, os.R_OK | os.W_OK):
            what = Text("no right to use this serial port", "没有使用此串口的权限")
        else:
            what = Text("this serial port cannot be opened; another program may hold it", "无法打开串口，可能被其他程序占用")
        return Unreachable(what, where=o.place, todo=Text("check the cable, the port's name and its rights", "请检查线缆、串口名称及权限"))
    try:
        socket.getaddrinfo(o.host, o.port)
        what = Text(f"refused, or no answer within {o.timeout:g} s", f"连接被拒绝，或 {o.timeout:g} 秒内无应答")
    except (OSError, UnicodeError):
        what = Text("no such host", "找不到此主机")
    return Unreachable(what, where=o.place, todo=Text("check host, port, network and firewall", "请检查主机、端口、网络和防火墙"))


def _lost(place: str) -> Lost:
    return Lost(
        Text("the device closed the connection", "设备断开了连接"),
        where=place,
        todo=Text("check that the device allows one more connection", "请检查设备是否还允许新的连接"),
    )


def _garbled(place: str) -> Garbled:
    return Garbled(
        Text("the answer is not Modbus, or not to this request", "应答不是 Modbus 报文，或与请求不符"),
        where=place,
        todo=Text("check framing (tcp or rtu), baud rate, parity and the port", "请检查 framing（tcp 或 rtu）、波特率、校验位和端口"),
    )


def _tcp_answer(question: _Question, data: bytes, place: str) -> bytes:
    """Finds the answer among frames with an MBAP header (transaction, protocol 0, length, unit), passing over answers to older requests."""
    at = 0
    while len(data) - at >= 7:
        transaction, protocol, length = struct.unpack_from(">HHH", data, at)
        frame = data[at + 7 : at + 6 + length]
        if protocol or not 3 <= length <= 254:
            question.outcome.set_result(_garbled(place))
            return b""
        if len(frame) < length - 1:
            break
        if transaction in (question.transaction, 0):
            mine = not question.unit or data[at + 6] == question.unit
            question.outcome.set_result(frame if mine and question.answers(frame) else _garbled(place))
            return b""
        at += 6 + length
    question.noise = len(data) > at
    return data if at else b""


def _rtu_answer(question: _Question, data: bytes) -> bytes:
    """Finds the answer (unit, PDU, CRC) among received bytes; noise before and after it is passed over."""
    question.noise = True
    for at in range(len(data)):
        if data[at] != question.unit:
            continue
        if len(data) - at < 5:
            return b""
        size = 2 if data[at + 1] & 0x80 else question.size
        frame = data[at : at + size + 3]
        if not question.answers(frame[1 : 1 + size]):
            if len(frame) < size + 3 and frame[1:].startswith(question.head[: len(frame) - 1]):
                return b""
            continue
        if len(frame) < size + 3:
            return b""
        if FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big")):
            question.outcome.set_result(frame[1:-2])
            return b""
    return b""
