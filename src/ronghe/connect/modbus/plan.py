"""Plans of block reads: many values in few requests, and what is learned of a device's holes.

Points of one table are sorted and merged into blocks: across at most `gap` unwanted registers, up to `limit` registers a block, and never
across a cut. A cut at register r says that r-1 and r cannot be read together; cuts are learned when a device refuses a block.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from ronghe.connect.modbus.address import BIT_TABLES, Point, Table
from ronghe.connect.modbus.codec import Decoder, decoders

BITS_A_REGISTER: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One read: `count` registers (or bits) of `table` from `start`; `rows[i]` is where the value of `points[i]` goes."""

    table: Table
    start: int
    count: int
    points: tuple[Point, ...]
    rows: tuple[int, ...]
    decoders: tuple[Decoder, ...]


@dataclass(slots=True)
class Learned:
    """What one unit's table was found to be like."""

    cuts: set[int] = field(default_factory=set)
    illegal: dict[tuple[int, int], int] = field(default_factory=dict)  # (start, words) the unit refused on its own: its quality

    def forbid(self, point: Point, quality: int) -> None:
        """A value that the unit does not have: not asked for again, and not read across."""
        self.illegal[point.start, point.words] = quality
        self.cuts.add(point.start)


def blocks(points: Sequence[Point], rows: Sequence[int], *, gap: int, limit: int, order: str, cuts: set[int]) -> list[Block]:
    """The reads for points of one table, sorted by register. `gap` and `limit` are in registers; in tables of bits 16 times as many.
    A single value longer than `limit` is still one read, since a value must not be torn."""
    if not points:
        return []
    if points[0].table in BIT_TABLES:
        gap, limit = gap * BITS_A_REGISTER, limit * BITS_A_REGISTER
    marks = sorted(cuts)
    ordered = sorted(range(len(points)), key=lambda i: (points[i].start, points[i].end))
    made: list[Block] = []
    members = [ordered[0]]
    end = points[ordered[0]].end
    for i in ordered[1:]:
        start, new_end = points[members[0]].start, max(end, points[i].end)
        if points[i].start - end > gap or new_end - start > limit or _crosses(marks, start, new_end):
            made.append(_block(points, rows, members, order))
            members, end = [i], points[i].end
        else:
            members.append(i)
            end = new_end
    made.append(_block(points, rows, members, order))
    return made


def split(block: Block, order: str) -> tuple[Block, Block]:
    """Two halves of a block of two or more points, parted at its widest gap; in the middle where it has none."""
    ends = [block.points[0].end]
    for p in block.points[1:]:
        ends.append(max(ends[-1], p.end))
    gaps = [p.start - e for p, e in zip(block.points[1:], ends, strict=False)]
    widest = max(gaps)
    at = gaps.index(widest) + 1 if widest > 0 else len(block.points) // 2
    left, right = range(at), range(at, len(block.points))
    return _block(block.points, block.rows, left, order), _block(block.points, block.rows, right, order)


def _block(points: Sequence[Point], rows: Sequence[int], members: Sequence[int], order: str) -> Block:
    mine = tuple(points[i] for i in members)
    start, end = mine[0].start, max(p.end for p in mine)
    where = tuple(rows[i] for i in members)
    return Block(mine[0].table, start, end - start, mine, where, tuple(decoders(mine, where, start, order)))


def _crosses(marks: list[int], start: int, end: int) -> bool:
    """Whether a cut lies strictly inside [start, end)."""
    at = bisect_right(marks, start)
    return at < len(marks) and marks[at] < end
