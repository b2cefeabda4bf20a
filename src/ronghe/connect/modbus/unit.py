"""Reading one unit (station): its points as planned blocks, what it refuses, and what that teaches."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.modbus import link as l
from ronghe.connect.modbus.address import Point, Table
from ronghe.connect.modbus.link import Garbled, Link, Refused, Silent
from ronghe.connect.modbus.options import Options
from ronghe.connect.modbus.plan import Block, Learned, blocks, split
from ronghe.signals import quality as q
from ronghe.text import Text

READ_CODES: Final = {
    l.ILLEGAL_FUNCTION: q.BAD_NOT_READABLE,
    l.ILLEGAL_ADDRESS: q.BAD_NODE_UNKNOWN,
    l.ILLEGAL_VALUE: q.BAD_NODE_UNKNOWN,
    l.DEVICE_FAILURE: q.BAD_DEVICE_FAILURE,
    l.ACKNOWLEDGE: q.BAD_WAITING,
    l.BUSY: q.BAD_OUT_OF_SERVICE,
    l.PATH_UNAVAILABLE: q.BAD_NO_COMMUNICATION,
    l.TARGET_SILENT: q.BAD_NO_COMMUNICATION,
}
"""Quality of a value whose read was answered with a Modbus exception; any other code is Bad."""
WRITE_CODES: Final = {
    **READ_CODES,
    l.ILLEGAL_FUNCTION: q.BAD_NOT_WRITABLE,
    l.ILLEGAL_VALUE: q.BAD_OUT_OF_RANGE,
    l.ACKNOWLEDGE: q.UNCERTAIN,  # taken, not done yet: not confirmed
}
_MISSES: Final = 2  # requests without an answer, one after the other, until a unit counts as dead
_ISOLATIONS: Final = 16  # blocks of a failing device that are parted, each
_ISOLATE_EVERY: Final = 60.0  # s
_FORGET: Final = 600.0  # s, after which what a device refused is tried again: its program may have changed


class Dead(Exception):
    """The unit gave no answer, several times; `error` is the last failure."""

    def __init__(self, error: Silent | Garbled) -> None:
        self.error = error
        super().__init__(str(error))


class Columns:
    """Where the values of a group of points are put; `got` marks the rows that were filled since `take`."""

    def __init__(self, n: int) -> None:
        self.value = np.full(n, np.nan)
        self.time = np.zeros(n, np.int64)
        self.quality = np.zeros(n, np.uint32)
        self.got = np.zeros(n, np.bool_)
        self.text: dict[int, str] = {}

    def put(self, block: Block, registers: NDArray[np.uint16], time: int) -> None:
        """Decodes an answer."""
        for d in block.decoders:
            if d.kind == "text":
                self.text.update(zip(d.rows.tolist(), d.texts(registers), strict=True))
                self.value[d.rows], self.quality[d.rows] = np.nan, q.GOOD
            else:
                self.value[d.rows], self.quality[d.rows] = d.values(registers)
            self.time[d.rows], self.got[d.rows] = time, True

    def fail(self, rows: Sequence[int], code: int, time: int) -> None:
        """No value, and why."""
        at = list(rows)
        self.value[at], self.quality[at], self.time[at], self.got[at] = np.nan, code, time, True
        for i in at:
            self.text.pop(i, None)


class Unit:
    """One unit behind a link: knows which of its registers can be read together, and whether it answers."""

    def __init__(self, number: int, link: Link, options: Options, clock: Callable[[], int]) -> None:
        self.number = number
        self.state: Literal["unproven", "alive", "dead"] = "unproven"
        self.retry_at = 0.0  # loop time at which a dead unit is tried again
        self.error: Silent | Garbled | None = None  # the last failure; None after an answer
        self.version = 0  # grows when what is known about its holes changes
        self._link, self._options, self._clock = link, options, clock
        self._learned: dict[Table, Learned] = defaultdict(Learned)
        self._learned_at: float | None = None
        self._misses = 0
        self._pause = 1.0
        self._isolations = 0  # extra requests spent on finding the register that makes a block fail, since `_isolated_at`
        self._isolated_at = 0.0

    def plan(self, points: Sequence[Point], rows: Sequence[int]) -> tuple[list[Block], list[int]]:
        """The reads for some points, and the rows that are known to be refused."""
        o, refused = self._options, []
        tables: dict[Table, tuple[list[Point], list[int]]] = defaultdict(lambda: ([], []))
        for point, row in zip(points, rows, strict=True):
            if (point.start, point.words) in self._learned[point.table].illegal:
                refused.append(row)
            else:
                tables[point.table][0].append(point)
                tables[point.table][1].append(row)
        made = [blocks(p, r, gap=o.gap, limit=o.block, order=o.order, cuts=self._learned[t].cuts) for t, (p, r) in sorted(tables.items())]
        return [b for some in made for b in some], refused

    def refusal(self, point: Point) -> int:
        """The quality of a point that is known to be refused."""
        return self._learned[point.table].illegal[point.start, point.words]

    def forget_in_time(self) -> None:
        """Lets go of what was learned ten minutes ago or earlier."""
        if self._learned_at is not None and asyncio.get_running_loop().time() - self._learned_at > _FORGET:
            self.forget()

    def forget(self) -> None:
        """Lets go of all that was learned of its registers."""
        self._learned.clear()
        self._learned_at = None
        self.version += 1

    def reconnected(self) -> None:
        """Behind a new connection nothing is known of it."""
        self.forget()
        self.state, self.error, self._misses, self._pause = "unproven", None, 0, 1.0

    async def fetch(self, block: Block, into: Columns) -> bool:
        """Reads one block; where the unit refuses it, reads its parts and remembers. False when a point of it failed.
        Raises Dead, Lost, Unreachable."""
        try:
            registers, time = await self._link.read(
                self.number, block.table, block.start, block.count, retries=0 if self.state == "dead" else None
            )
        except Refused as e:
            if e.code not in (l.PATH_UNAVAILABLE, l.TARGET_SILENT):
                self._answered()
                return await self._refused(block, into, e.code)
            self._missed(block, into, _behind_gateway(e), q.BAD_TIMEOUT)
        except Silent as e:
            self._missed(block, into, e, q.BAD_TIMEOUT)
        except Garbled as e:
            self._missed(block, into, e, q.BAD_DECODING)
        else:
            self._answered()
            into.put(block, registers, time)
            return True
        return False

    async def _refused(self, block: Block, into: Columns, code: int) -> bool:
        illegal = code in (l.ILLEGAL_ADDRESS, l.ILLEGAL_VALUE)
        if len(block.points) > 1 and (illegal or (code == l.DEVICE_FAILURE and self._may_isolate())):
            left, right = split(block, self._options.order)
            good = [await self.fetch(left, into), await self.fetch(right, into)]
            if all(good) or (any(good) and not illegal):  # what can be read apart cannot be read together
                self._learn(block.table).cuts.add(right.start)
            return all(good)
        quality = READ_CODES.get(code, q.BAD)
        into.fail(block.rows, quality, self._clock())
        if illegal or code == l.ILLEGAL_FUNCTION:
            for point in block.points:
                self._learn(block.table).forbid(point, quality)
        return False

    def _may_isolate(self) -> bool:
        """One failing register must not spoil its neighbours; nor may a failing device cost many requests: some a minute."""
        now = asyncio.get_running_loop().time()
        if now - self._isolated_at > _ISOLATE_EVERY:
            self._isolations, self._isolated_at = 0, now
        self._isolations += 1
        return self._isolations <= _ISOLATIONS

    def _learn(self, table: Table) -> Learned:
        self.version += 1
        self._learned_at = asyncio.get_running_loop().time()
        return self._learned[table]

    def _answered(self) -> None:
        self.state, self.error, self._misses, self._pause = "alive", None, 0, 1.0

    def _missed(self, block: Block, into: Columns, error: Silent | Garbled, code: int) -> None:
        self._misses += 1
        self.error = error
        if self.state != "alive" or self._misses >= _MISSES:
            self.state = "dead"
            self.retry_at = asyncio.get_running_loop().time() + self._pause
            self._pause = min(2 * self._pause, 30.0)
            raise Dead(error)
        into.fail(block.rows, code, self._clock())


def _behind_gateway(e: Refused) -> Silent:
    return Silent(
        Text("the gateway says that the unit does not answer", "网关报告该站无应答"),
        where=e.where,
        todo=Text("check the unit number, and the line behind the gateway", "请检查站号以及网关之后的线路"),
    )
