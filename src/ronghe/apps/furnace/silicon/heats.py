"""Rows of a silicon file: when a heat was assayed, what the process showed then, what the assay said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.text import Text

TARGET: Final = "SI"
FORMER: Final = ("Fomer SI", "Former SI")
"""Columns that hold earlier assays smoothed: no process variable. They are only given to persistence and ridge."""
SMOOTHING: Final = 0.3  # former = 0.7 former + 0.3 assay, where a file has no such column


@dataclass(frozen=True, slots=True, eq=False)
class Heats:
    """`time` int64[n] ns ascending, `process` float64[n, k] over `names`, `silicon` float64[n] %, `former` float64[n]: the earlier assays
    smoothed, as the file says or as computed here."""

    names: tuple[str, ...]
    time: NDArray[np.int64]
    process: NDArray[np.float64]
    silicon: NDArray[np.float64]
    former: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)

    def cut(self, rows: slice) -> Heats:
        """Some rows."""
        return Heats(self.names, self.time[rows], self.process[rows], self.silicon[rows], self.former[rows])


def smoothed(silicon: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    """What was known of earlier assays before each row, float64[n]; `first` before the first."""
    out = np.empty(len(silicon))
    held = first
    for i, value in enumerate(silicon):
        out[i] = held
        held += SMOOTHING * (value - held)
    return out


def read(folder: Path, target: str = TARGET) -> Heats:
    """All rows of a CSV file, or of the CSV files in a folder, by time; a row that two files have counts once.

    Raises AppError naming the file, for a column or a number that is missing, or where there is none.
    """
    paths = [folder] if folder.is_file() else sorted(folder.glob("*.csv"))
    if not paths:
        raise AppError(Text("there is no CSV file here", "此处没有 CSV 文件"), where=str(folder))
    parts = [_read(p, target) for p in paths]
    for path, part in zip(paths, parts, strict=True):
        if part.names != parts[0].names:
            what = Text(f"its columns are not those of {paths[0].name}", f"列与 {paths[0].name} 不一致")
            raise AppError(what, where=str(path))
    join = np.concatenate
    time = join([p.time for p in parts])
    _, order = np.unique(time, return_index=True)
    return Heats(
        parts[0].names,
        time[order],
        join([p.process for p in parts])[order],
        join([p.silicon for p in parts])[order],
        join([p.former for p in parts])[order],
    )


def _read(path: Path, target: str) -> Heats:
    try:
        table = pc.read_csv(path)
    except (OSError, pa.ArrowInvalid) as e:
        raise AppError(Text(f"cannot be read as a table: {e}", f"无法按表格读取：{e}"), where=str(path)) from e
    times = [n for n in table.column_names if pa.types.is_timestamp(table.column(n).type)]
    if not times:
        raise AppError(
            Text("no column holds times", "没有时间列"),
            where=str(path),
            todo=Text("write times as 2026-03-01 08:00:00", "时间请写为 2026-03-01 08:00:00"),
        )
    if target not in table.column_names:
        known = ", ".join(table.column_names)
        raise AppError(
            Text(f"there is no column {target!r}", f"没有列 {target!r}"),
            where=str(path),
            todo=Text(f"say --target; columns: {known}", f"请用 --target 指定；现有列：{known}"),
        )
    former = next((n for n in FORMER if n in table.column_names), "")
    names = tuple(n for n in table.column_names if n not in (times[0], target, former))
    time = table.column(times[0]).cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy()
    order = np.argsort(time, kind="stable")
    silicon = _numbers(path, table, [target])[:, 0]
    if (silicon <= 0).any():
        raise AppError(Text("an assay of silicon is not above 0", "有硅含量不大于 0"), where=f"{path}:{2 + int(np.argmax(silicon <= 0))}")
    process = _numbers(path, table, names)[order]
    silicon = silicon[order]
    known_before = _numbers(path, table, [former])[order, 0] if former else smoothed(silicon, float(silicon[0]))
    return Heats(names, np.asarray(time, np.int64)[order], process, silicon, known_before)


def _numbers(path: Path, table: pa.Table, names: Sequence[str]) -> NDArray[np.float64]:
    out = np.empty((table.num_rows, len(names)))
    for j, name in enumerate(names):
        try:
            out[:, j] = table.column(name).cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid as e:
            raise AppError(Text(f"{name} is no number throughout", f"{name} 并非全为数值"), where=str(path)) from e
    bad = ~np.isfinite(out)
    if bad.any():
        i, j = (int(v) for v in np.argwhere(bad)[0])
        raise AppError(Text(f"{names[j]} has no value", f"{names[j]} 缺少数值"), where=f"{path}:{i + 2}")
    return out
