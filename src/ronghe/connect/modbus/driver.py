"""The Modbus driver: reads, writes and scans on request; acquires on an even grid. See docs/modbus.md."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final

import numpy as np

from ronghe.connect.driver import Driver, Found, Item, Sink, Still, Write, always
from ronghe.connect.modbus import address
from ronghe.connect.modbus import link as l
from ronghe.connect.modbus import options as o
from ronghe.connect.modbus.address import Malformed, Point
from ronghe.connect.modbus.codec import encode, held, is_bits
from ronghe.connect.modbus.link import Garbled, Link, NotSent, Refused, Silent
from ronghe.connect.modbus.poll import Group, Poller
from ronghe.connect.modbus.unit import WRITE_CODES, Columns, Dead, Unit
from ronghe.errors import BadAddress, ConnectError, Unreachable
from ronghe.plant.model import ValueType
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

_UNANSWERED: Final[dict[type, int]] = {Silent: q.BAD_TIMEOUT, Garbled: q.BAD_DECODING}
_RANGE: Final = re.compile(r"(?:(\d{1,3})/)?(coil|discrete|input|holding):(\d{1,5})-(\d{1,5})")


class Modbus(Driver):
    """One connection: a device, or a gateway or serial line with several units."""

    name: ClassVar[str] = "modbus"
    Options = o.Options

    def __init__(self, options: o.Options, index: TagIndex, *, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(options, index)
        self.options: o.Options = options
        self._clock = clock
        self._link = Link(options, clock)
        self._units: dict[int, Unit] = {}
        self._no_mask: set[int] = set()  # units without function 22
        self._writing = asyncio.Lock()

    @classmethod
    def check_address(cls, address_: str, type: ValueType) -> Text | None:
        return address.check(address_, type)

    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        groups, malformed = self._groups(items)
        if malformed:
            ids = np.array([i.id for i in malformed], np.int32)
            self.health.delivered += len(ids)
            sink(Batch.of(self.index, ids, self._clock(), np.nan, q.BAD_CONFIGURATION))
        if not groups and items:
            said = address.check(items[0].address, items[0].type) or Text("nothing to acquire", "没有可采集的点")
            raise BadAddress(said, where=items[0].address, todo=Text("mend the address in tags.csv", "请修正 tags.csv 中的地址"))
        poller = Poller(self._link, self._units, groups, self.index, self.health, sink, self._clock)
        try:
            await poller.run()
        finally:
            self._link.close()
            self.health.state, self.health.since = "stopped", self._clock()

    async def read(self, items: Sequence[Item]) -> Batch:
        n = len(items)
        into = Columns(n)
        wanted: dict[int, tuple[list[Point], list[int]]] = {}
        for row, item in enumerate(items):
            point = self._point(item.address, item.type)
            if point is None:
                into.fail([row], q.BAD_CONFIGURATION, self._clock())
                continue
            points, rows = wanted.setdefault(self._number(point), ([], []))
            points.append(point)
            rows.append(row)
        answered, error = False, None
        for number, (points, rows) in wanted.items():
            failed = await self._read_unit(number, points, rows, into)
            answered, error = answered or failed is None, failed or error
        if error is not None and not answered:
            raise error
        text = [into.text.get(i) for i in range(n)] if into.text else None
        ids = np.fromiter((i.id for i in items), np.int32, n)
        return Batch.of(self.index, ids, into.time, into.value, into.quality, text)

    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        if writes:
            await self._link.open()
        codes: list[int] = []
        error: ConnectError | None = None
        answered = False
        async with self._writing:
            for write in writes:
                try:
                    codes.append(await self._write(write, still))
                    answered = True
                except (Unreachable, Garbled) as e:
                    error = e
                    codes.append(_UNANSWERED.get(type(e), q.BAD_NO_COMMUNICATION))
        if error is not None and not answered:
            raise error
        return codes

    def held(self, write: Write) -> float | str:
        point = self._point(write.address)
        return write.value if point is None or isinstance(write.value, str) else held(point, write.value)

    async def browse(self, under: str = "") -> list[Found]:
        """A scan of the range that `under` names ("holding:0-199", "5/coil:0-63"): the registers or bits that can be read, with values.
        Modbus itself has no browsing: an empty list for "". Raises BadAddress for anything else."""
        if not under:
            return []
        found = _RANGE.fullmatch(under.strip().lower())
        if found is None or int(found[3]) > int(found[4]) or int(found[4]) > 65535 or int(found[1] or 0) > 255:
            raise BadAddress(
                Text(f"no range of registers: {under!r}", f"不是寄存器范围：{under!r}"),
                where=self.options.place,
                todo=Text("write TABLE:FIRST-LAST, e.g. holding:0-199 or 5/coil:0-63", "请写 表:起-止，例如 holding:0-199 或 5/coil:0-63"),
            )
        unit, prefix = (int(found[1]), f"{found[1]}/") if found[1] else (self.options.unit, "")
        place = f"unit{unit}/" if prefix else ""
        kind: ValueType = "bool" if found[2] in address.BIT_TABLES else "int"
        numbers = range(int(found[3]), int(found[4]) + 1)
        points = [address.parse(f"{found[2]}:{n}") for n in numbers]
        into = Columns(len(points))
        error = await self._read_unit(unit, points, range(len(points)), into)
        if error is not None:
            raise error
        return [
            Found(
                address=f"{prefix}{found[2]}:{n}",
                path=f"{place}{found[2]}_{n}",
                type=kind,
                writable=points[i].writable,
                value=float(into.value[i]),
            )
            for i, n in enumerate(numbers)
            if into.quality[i] == q.GOOD
        ]

    async def close(self) -> None:
        self._link.close()

    def _point(self, text: str, type: ValueType | None = None) -> Point | None:
        """What an address means; None where it cannot be used (for a value of this type)."""
        try:
            point = address.parse(text)
        except Malformed:
            return None
        if type is not None and address.check(text, type) is not None:
            return None
        return point if self.options.speaks_to(self._number(point)) else None

    def _number(self, point: Point) -> int:
        return self.options.unit if point.unit is None else point.unit

    def _unit(self, number: int) -> Unit:
        if number not in self._units:
            self._units[number] = Unit(number, self._link, self.options, self._clock)
        return self._units[number]

    def _groups(self, items: Sequence[Item]) -> tuple[list[Group], list[Item]]:
        """Items by unit and interval; and those whose address cannot be used."""
        sorted_: dict[tuple[int, float], tuple[list[Point], list[int]]] = {}
        malformed = []
        for item in items:
            point = self._point(item.address, item.type)
            if point is None:
                malformed.append(item)
                continue
            points, ids = sorted_.setdefault((self._number(point), item.every), ([], []))
            points.append(point)
            ids.append(item.id)
        keys = sorted(sorted_, key=lambda k: (k[1], k[0]))
        return [Group(self._unit(k[0]), k[1], *sorted_[k]) for k in keys], malformed

    async def _read_unit(self, number: int, points: Sequence[Point], rows: Sequence[int], into: Columns) -> ConnectError | None:
        """Reads points of one unit; gives what went wrong when the unit did not answer at all. Raises Unreachable."""
        unit = self._unit(number)
        unit.forget_in_time()
        planned, refused = unit.plan(points, rows)
        where = dict(zip(rows, points, strict=True))
        for row in refused:
            into.fail([row], unit.refusal(where[row]), self._clock())
        try:
            for block in planned:
                await unit.fetch(block, into)
        except Dead as e:
            missing = [r for r in rows if not into.got[r]]
            into.fail(missing, q.BAD_TIMEOUT if isinstance(e.error, Silent) else q.BAD_DECODING, self._clock())
        return None if np.any(q.is_good(into.quality[list(rows)])) else unit.error

    async def _write(self, write: Write, still: Still) -> int:
        """One write, and its OPC UA StatusCode. Raises Silent, Garbled, Lost or Unreachable where there was no answer."""
        point = self._point(write.address)
        if point is None:
            return q.BAD_CONFIGURATION
        if not point.writable:
            return q.BAD_NOT_WRITABLE
        data = encode(point, write.value, self.options.order)
        if isinstance(data, int):
            return data
        try:
            await self._send(self._number(point), point, data, still)
        except NotSent:
            return q.BAD_NOT_SENT
        except Refused as e:
            return WRITE_CODES.get(e.code, q.BAD)
        return q.GOOD

    async def _send(self, unit: int, point: Point, data: list[int], still: Still) -> None:
        """Writes a coil (function 5, else 15), a bit (22, else read and write), or registers (6, else 16: all or none)."""
        at = point.start
        if point.bit is not None:
            await self._send_bit(unit, at, 1 << point.bit, bool(data[0]), still)
        elif is_bits(point):
            await _first_known(
                lambda: self._link.write_coil(unit, at, bool(data[0]), still),
                lambda: self._link.write_coils(unit, at, [bool(data[0])], still),
            )
        elif len(data) == 1:
            await _first_known(
                lambda: self._link.write_register(unit, at, data[0], still), lambda: self._link.write_registers(unit, at, data, still)
            )
        else:
            await self._link.write_registers(unit, at, data, still)

    async def _send_bit(self, unit: int, at: int, mask: int, on: bool, still: Still) -> None:
        put = mask if on else 0
        if unit not in self._no_mask:
            try:
                await self._link.mask_register(unit, at, 0xFFFF ^ mask, put, still)
                return
            except Refused as e:
                if e.code != l.ILLEGAL_FUNCTION:
                    raise
                self._no_mask.add(unit)
        registers, _ = await self._link.read(unit, "holding", at, 1)
        await self._send(unit, Point(unit, "holding", at, "uint16", 1), [int(registers[0]) & ~mask | put], still)


async def _first_known(*ways: Callable[[], Awaitable[None]]) -> None:
    """The first way whose function the device knows. Raises what the last raised."""
    for i, way in enumerate(ways):
        try:
            await way()
            return
        except Refused as e:
            if e.code != l.ILLEGAL_FUNCTION or i == len(ways) - 1:
                raise
