"""Flexible job shop problems in Brandimarte's text: jobs, machines (and perhaps the mean number of choices), then a line a job.

A job's line: how many operations; for each, how many choices, and so many (machine, time) pairs.
Source: Brandimarte 1993, Annals of OR 41; https://github.com/SchedulingLab/fjsp-instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ronghe.apps.scheduling.formats.lines import Line, base, counts, rows
from ronghe.apps.scheduling.problem import Choice, Job, Machine, Operation, Problem
from ronghe.apps.scheduling.sound import LARGEST
from ronghe.text import Text

_Row = list[list[tuple[int, int]]]  # operations of choices


def parse(path: Path, first: Line, found: Iterator[Line]) -> Problem:
    """The problem of a file whose first line is given apart. Raises AppError with file and line."""
    jobs, machines = counts(path, first)
    held = rows(path, first, jobs, found)
    read: list[_Row] = []
    total = 0
    for line in held:
        read.append(_row(path, line))
        total += len(read[-1])
        if total > LARGEST:
            raise line.wrong(path, Text(f"more than {LARGEST} operations", f"工序超过 {LARGEST} 道"))
    used = [(line, pick(m for o in row for m, _ in o)) for pick in (max, min) for line, row in zip(held, read, strict=True)]
    start = base(path, machines, used)
    return Problem(
        name=path.stem,
        machines=tuple(Machine(name=f"M{m + start}") for m in range(machines)),
        jobs=tuple(
            Job(
                name=f"J{j}",
                operations=tuple(
                    Operation(name=f"J{j}.{k}", choices=tuple(Choice(f"M{m}", d) for m, d in choices)) for k, choices in enumerate(row, 1)
                ),
            )
            for j, row in enumerate(read, 1)
        ),
    )


def fits(row: list[int]) -> bool:
    """Whether these numbers are a job's line, to the last one."""
    at, left = 1, row[0] if row else -1
    while left > 0 and at < len(row) and row[at] > 0:
        at += 1 + 2 * row[at]
        left -= 1
    return left == 0 and at == len(row)


def _row(path: Path, line: Line) -> _Row:
    row = line.whole(path)
    out: _Row = []
    at = 1
    for k in range(1, row[0] + 1):
        if at >= len(row):
            raise line.wrong(path, Text(f"the line ends before operation {k} of {row[0]}", f"本行在第 {k}/{row[0]} 道工序前结束"))
        n = row[at]
        if n < 1:
            raise line.wrong(path, Text(f"operation {k} has no machine", f"第 {k} 道工序没有可用设备"))
        pairs = row[at + 1 : at + 1 + 2 * n]
        if len(pairs) < 2 * n:
            raise line.wrong(path, Text(f"the line ends within operation {k} of {row[0]}", f"本行在第 {k}/{row[0]} 道工序中途结束"))
        machines = pairs[::2]
        if len(set(machines)) < n:
            raise line.wrong(path, Text(f"operation {k} names a machine twice", f"第 {k} 道工序重复列出同一设备"))
        out.append(list(zip(machines, pairs[1::2], strict=True)))
        at += 1 + 2 * n
    if not out:
        raise line.wrong(path, Text("a job without operations", "订单没有工序"))
    if at < len(row):
        what = Text(f"{len(row) - at} numbers too many after {row[0]} operations", f"{row[0]} 道工序之后多出 {len(row) - at} 个数")
        raise line.wrong(path, what)
    return out
