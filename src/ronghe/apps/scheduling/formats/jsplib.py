"""Job shop problems in the standard text of the OR-Library and JSPLIB: jobs and machines, then a line a job of (machine, time) pairs.

Source: Beasley 1990, OR-Library; https://github.com/tamy0612/JSPLIB.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ronghe.apps.scheduling.formats.lines import Line, base, counts, rows
from ronghe.apps.scheduling.problem import Choice, Job, Machine, Operation, Problem
from ronghe.apps.scheduling.sound import LARGEST
from ronghe.text import Text


def parse(path: Path, first: Line, found: Iterator[Line]) -> Problem:
    """The problem of a file whose first line is given apart. Raises AppError with file and line."""
    jobs, machines = counts(path, first)
    if jobs * machines > LARGEST:
        what = Text(
            f"{jobs * machines} operations: at most {LARGEST} are planned at once",
            f"{jobs * machines} 道工序：一次最多排 {LARGEST} 道",
        )
        raise first.wrong(path, what)
    held = rows(path, first, jobs, found)
    read = [_pairs(path, line, machines) for line in held]
    used = [(line, pick(m for m, _ in row)) for pick in (max, min) for line, row in zip(held, read, strict=True)]
    start = base(path, machines, used)
    return Problem(
        name=path.stem,
        machines=tuple(Machine(name=f"M{m + start}") for m in range(machines)),
        jobs=tuple(
            Job(
                name=f"J{j}",
                operations=tuple(Operation(name=f"J{j}.{k}", choices=(Choice(f"M{m}", d),)) for k, (m, d) in enumerate(row, 1)),
            )
            for j, row in enumerate(read, 1)
        ),
    )


def _pairs(path: Path, line: Line, machines: int) -> list[tuple[int, int]]:
    row = line.whole(path)
    if len(row) != 2 * machines:
        what = Text(
            f"{len(row)} numbers; a job on {machines} machines has {2 * machines}",
            f"本行有 {len(row)} 个数；{machines} 台设备的订单应有 {2 * machines} 个",
        )
        raise line.wrong(path, what)
    return list(zip(row[::2], row[1::2], strict=True))
