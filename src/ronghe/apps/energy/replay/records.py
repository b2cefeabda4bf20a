"""Recorded load read from a folder and its sub-folders: CSV files, plain or gzipped, of any split in time.

Two formats are known by their header: the steel works of UCI #851 (`date`, `Usage_kWh`, `NSM`: kWh of the quarter-hour that ends at `date`)
and the plain one (`time`, `load_kw`, and `pv_kw` where there is PV: means of the quarter-hour that begins at `time`, ISO 8601, wall clock).
Of a time that is there twice the value read last counts.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from ronghe.apps.energy.forecast.ensemble import Floats
from ronghe.errors import AppError
from ronghe.text import Text

STEP_S: Final = 900
_PER_DAY: Final = 96
_TODO: Final = Text(
    "give a folder with CSV files that have the columns time, load_kw (and pv_kw)", "请提供含 time、load_kw（及 pv_kw）列的 CSV 文件夹"
)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """Quarter-hours without a gap from `start` (wall clock, midnight). `load` float64[n], kW, NaN where nothing was recorded, so that the
    months without NaN are whole; `filled` the same with the value of a week (else a day) before put there. `pv` kW."""

    start: datetime
    load: Floats
    filled: Floats
    pv: Floats
    rows: int

    def months(self) -> list[tuple[str, int, int]]:
        """("2018-03", first, end) of every whole calendar month."""
        found: list[tuple[str, int, int]] = []
        year, month = self.start.year, self.start.month
        while True:
            first = datetime(year, month, 1)  # noqa: DTZ001 - wall clock
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
            a = round((first - self.start) / timedelta(seconds=STEP_S))
            b = round((datetime(year, month, 1) - self.start) / timedelta(seconds=STEP_S))  # noqa: DTZ001
            if a >= len(self.load):
                return found
            if a >= 0 and b <= len(self.load) and not np.isnan(self.load[a:b]).any():
                found.append((f"{first:%Y-%m}", a, b))

    def times(self, zone: ZoneInfo) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """ns of each quarter-hour's beginning, its wall clock being that of `zone` (an hour that summer time skips is the next one)."""
        base = np.array(
            [round((self.start + timedelta(days=d)).replace(tzinfo=zone).timestamp()) for d in range(len(self.load) // _PER_DAY + 1)]
        )
        i = np.arange(len(self.load))
        return (base[i // _PER_DAY] + (i % _PER_DAY) * STEP_S).astype(np.int64) * 10**9


def read(folder: Path) -> Record:
    """All files of a known format below `folder`. Raises AppError where there is none, or a row that cannot be read, with its place."""
    values: dict[datetime, tuple[float, float]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.name.endswith((".csv", ".csv.gz"))):
        values.update((at, (kw, sun)) for at, kw, sun in _rows(path))
    if not values:
        raise AppError(Text("no file of recorded load", "没有可用的负荷记录文件"), where=str(folder), todo=_TODO)
    start = min(values).replace(hour=0, minute=0, second=0, microsecond=0)
    n = round((max(values) - start) / timedelta(seconds=STEP_S)) + 1
    load, pv = np.full(n + -n % _PER_DAY, np.nan), np.zeros(n + -n % _PER_DAY)
    for at, (kw, sun) in values.items():
        i, rest = divmod((at - start).total_seconds(), STEP_S)
        if rest:
            raise AppError(Text(f"{at} is no quarter-hour", f"{at} 不是整刻钟"), where=str(folder), todo=_TODO)
        load[int(i)], pv[int(i)] = kw, sun
    return Record(start, load, _filled(load), pv, len(values))


def _filled(load: Floats) -> Floats:
    filled = load.copy()
    for i in np.flatnonzero(np.isnan(filled)).tolist():
        before = [filled[i - k] for k in (7 * _PER_DAY, _PER_DAY) if i >= k and np.isfinite(filled[i - k])]
        filled[i] = before[0] if before else 0.0
    return filled


def _rows(path: Path) -> Iterator[tuple[datetime, float, float]]:
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.name.endswith(".gz") else data).decode("utf-8-sig")
    reader = csv.DictReader(io.StringIO(text))
    columns = set(reader.fieldnames or ())
    try:
        if {"date", "Usage_kWh", "NSM"} <= columns:
            for row in reader:  # the quarter-hour ends at `date`; its last of a day, at 0:00, is written with the day that it ends
                day = datetime.strptime(row["date"].split()[0], "%d/%m/%Y")  # noqa: DTZ007 - wall clock
                ends = int(row["NSM"]) or 86_400
                yield day + timedelta(seconds=ends - STEP_S), 3600 / STEP_S * float(row["Usage_kWh"]), 0.0
        elif {"time", "load_kw"} <= columns:
            for row in reader:
                yield datetime.fromisoformat(row["time"]).replace(tzinfo=None), float(row["load_kw"]), float(row.get("pv_kw") or 0.0)
    except (ValueError, TypeError, AttributeError) as e:
        raise AppError(Text(f"not readable: {e}", f"无法读取：{e}"), where=f"{path}:{reader.line_num}", todo=_TODO) from None
