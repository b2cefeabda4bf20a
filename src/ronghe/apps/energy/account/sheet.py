"""Energy and drivers from CSV files, gathered into periods. Every error names file and line."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.account.periods import NS, Calendar, Floats, Ints, Table
from ronghe.errors import AppError
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.textfile import read_text
from ronghe.text import Text

_FORMATS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%Y%m%d", "%Y年%m月%d日")
_CLOCKS: Final = ("", " %H:%M", " %H:%M:%S", "T%H:%M", "T%H:%M:%S")
GOOD: Final = 0.95
"""Least part of a period that must have been measured for it to count."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of the files mean what. `time` is one, or two (a date and an hour 1..24 that ends, or 0..23 that begins); `energy` is
    summed; `sums`, `means` are drivers; `labels` are categories (the most frequent of a period). `power`: energy is a power, in kW."""

    time: tuple[str, ...]
    energy: str
    sums: tuple[str, ...] = ()
    means: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    format: str = ""
    power: bool = False
    scale: float = 1.0  # of the energy, to kWh


@dataclass(slots=True)
class _File:
    """Columns of text of one file, and the line of each row."""

    path: Path
    head: list[str]
    rows: list[list[str]] = field(default_factory=list)
    line: list[int] = field(default_factory=list)

    def at(self, row: int) -> str:
        return f"{self.path}:{self.line[row]}"

    def text(self, name: str) -> list[str]:
        i = self.head.index(name)
        return [r[i].strip() if i < len(r) else "" for r in self.rows]

    def numbers(self, name: str) -> Floats:
        """float64[n]; NaN where nothing stands."""
        found = np.full(len(self.rows), np.nan)
        for i, t in enumerate(self.text(name)):
            try:
                found[i] = float(t.replace(",", "")) if t else np.nan
            except ValueError:
                raise AppError(Text(f"{name} is {t!r}, not a number", f"{name} 为 {t!r}，不是数值"), where=self.at(i)) from None
        return found


def read(paths: Sequence[Path], columns: Columns, calendar: Calendar, *, good: float = GOOD) -> Table:
    """The periods of the files together: each column is taken from the one file that has it, and all have the time. Raises AppError."""
    files = [_read(p) for p in paths]
    wanted = (columns.energy, *columns.sums, *columns.means, *columns.labels)
    of = {name: _holder(files, name) for name in wanted}
    used = [f for f in files if any(f is h for h in of.values())]
    times = {id(f): _times(f, columns, calendar) for f in used}
    starts: dict[int, int] = {}
    begins = {key: [calendar.start(t) for t in ts.tolist()] for key, ts in times.items()}
    for s in sorted({s for b in begins.values() for s in b}):
        starts[s] = len(starts)
    periods = np.array(list(starts), np.int64)
    lengths = np.array([calendar.end(s) - s for s in starts], np.float64)
    row = {key: np.array([starts[s] for s in b], np.int64) for key, b in begins.items()}

    def gather(name: str, mean: bool) -> tuple[Floats, Floats]:
        """(value, part that was measured) by period; NaN where too little was."""
        f = of[name]
        value, at = f.numbers(name), row[id(f)]
        known = np.isfinite(value)
        total = np.bincount(at[known], value[known], len(periods))
        count = np.bincount(at[known], minlength=len(periods))
        step = _step(times[id(f)])
        share = np.asarray(np.minimum(count * step / lengths, 1.0) if calendar.length > step else count > 0, np.float64)
        share[share > 1 - 1e-6] = 1.0
        with np.errstate(invalid="ignore", divide="ignore"):
            gathered = total / count if mean else total / np.where(share < 1, share, 1.0)
        gathered[(share < good) | (count == 0)] = np.nan
        return gathered, share

    power_hours = _step(times[id(of[columns.energy])]) / (3600 * NS) if columns.power else 1.0
    energy, measured = gather(columns.energy, mean=False)
    drivers = {c: gather(c, mean=False)[0] for c in columns.sums} | {c: gather(c, mean=True)[0] for c in columns.means}
    labels = {c: _labels(of[c].text(c), row[id(of[c])], len(periods)) for c in columns.labels}
    return Table(calendar, periods, energy * power_hours * columns.scale, measured, drivers, labels)


def _labels(texts: list[str], at: Ints, n: int) -> NDArray[np.str_]:
    counts: list[dict[str, int]] = [{} for _ in range(n)]
    for text, i in zip(texts, at.tolist(), strict=True):
        if text:
            counts[i][text] = counts[i].get(text, 0) + 1
    return np.array([max(c, key=lambda k: (c[k], k)) if c else "" for c in counts])


def _step(times: Ints) -> int:
    """ns between rows, usually."""
    unique = np.unique(times)
    return int(np.median(np.diff(unique))) if len(unique) > 1 else 0


def _read(path: Path) -> _File:
    problems = Problems()
    text = read_text(path, problems)
    if text is None:
        first = problems.sorted()[0]
        raise AppError(first.what, where=str(path))
    lines = text.splitlines()
    head_at = next((i for i, x in enumerate(lines) if x.strip() and not x.startswith("#")), None)
    if head_at is None:
        raise AppError(Text("the file is empty", "文件为空"), where=str(path))
    separator = max(",;\t", key=lines[head_at].count)
    reader = csv.reader(lines[head_at:], delimiter=separator)
    file = _File(path, [h.strip() for h in next(reader)])
    for cells in reader:
        if any(c.strip() for c in cells):
            file.rows.append(cells)
            file.line.append(head_at + reader.line_num)
    if not file.rows:
        raise AppError(Text("there is a head and no row under it", "只有表头，没有数据行"), where=str(path))
    return file


def _holder(files: list[_File], name: str) -> _File:
    found = [f for f in files if name in f.head]
    if len(found) == 1:
        return found[0]
    known = sorted({h for f in files for h in f.head})
    meant = nearest(name, known)
    where = ", ".join(str(f.path) for f in found or files)
    if found:
        raise AppError(Text(f"{name!r} stands in {len(found)} files", f"{name!r} 出现在 {len(found)} 个文件中"), where=where)
    raise AppError(
        Text(f"there is no column {name!r}", f"缺少列 {name!r}"),
        where=f"{where}:1",
        todo=Text(f"did you mean {meant!r}?", f"是否想写 {meant!r}？")
        if meant
        else Text(f"columns: {', '.join(known)}", f"现有列：{'、'.join(known)}"),
    )


def _times(file: _File, columns: Columns, calendar: Calendar) -> Ints:
    """int64[n] ns of each row. A date that reads both ways round must be told how."""
    for name in columns.time:
        if name not in file.head:
            _holder([file], name)
    texts = file.text(columns.time[0])
    hours = _hours(file, columns.time[1]) if len(columns.time) > 1 else None
    naive = _iso(texts) or _formatted(file, texts, columns.format)
    found = np.zeros(len(texts), np.int64)
    for i, t in enumerate(naive):
        found[i] = calendar.utc(t if hours is None else t + timedelta(hours=float(hours[i])))
    return found


def _hours(file: _File, name: str) -> Floats:
    hours = file.numbers(name)
    ends = float(np.nanmax(hours)) == 24
    low, high = (1, 24) if ends else (0, 23)
    wrong = np.flatnonzero(~((hours >= low) & (hours <= high)))
    if len(wrong):
        raise AppError(Text(f"{name} is no hour {low}..{high}", f"{name} 不是 {low}..{high} 的小时"), where=file.at(int(wrong[0])))
    found: Floats = hours - 1 if ends else hours
    return found


def _iso(texts: list[str]) -> list[datetime] | None:
    try:
        return [datetime.fromisoformat(t) for t in texts]
    except ValueError:
        return None


def _formatted(file: _File, texts: list[str], given: str) -> list[datetime]:
    forms = [given] if given else [d + c for d in _FORMATS for c in _CLOCKS]
    fits = {}
    furthest = 0
    for form in forms:
        parsed: list[datetime] = []
        try:
            parsed.extend(datetime.strptime(t, form) for t in texts)  # noqa: DTZ007 - the zone is the calendar's
            fits[form] = parsed
        except ValueError:
            furthest = max(furthest, len(parsed))
    if len(fits) == 1:
        return next(iter(fits.values()))
    if fits:
        both = " / ".join(fits)
        raise AppError(
            Text(f"dates read more than one way: {both}", f"日期有多种读法：{both}"),
            where=str(file.path),
            todo=Text("say --format", "请用 --format 指定"),
        )
    raise AppError(
        Text(f"{texts[furthest]!r} is not a date like the ones before", f"{texts[furthest]!r} 与前面的日期格式不一致"),
        where=file.at(furthest),
        todo=Text("write ISO 8601 (2026-03-09T08:00), or say --format", "请使用 ISO 8601（2026-03-09T08:00），或用 --format 指定"),
    )
