"""The tariff: what a kilowatt-hour costs at which hour, what the month's greatest quarter-hour mean costs, what is paid for feeding in.

    currency = "CNY"
    timezone = "Asia/Shanghai"

    [[version]]                        # from `from` 00:00 to `until` 00:00 or the next version, in the tariff's own timezone
    from = "2026-01-01"
    until = "2027-01-01"               # optional; afterwards nothing is known, and no price is made up
    demand = 40                        # optional: per kW of the calendar month's greatest quarter-hour mean
    sell = 0.25                        # optional: per kWh fed in

    [[version.period]]                 # the first period that fits is the hour's; every quarter-hour of the year must have one
    name = { en = "peak", zh = "峰" }
    price = 1.10                       # per kWh bought
    hours = ["10-15", "18-21"]         # optional: quarter-hours of the day, "22:30-7" runs over midnight
    days = ["mon", "tue"]              # optional: weekdays
    months = [7, 8]                    # optional

A time belongs to the period in which its interval begins: `price(t)` is that of [t, t + 15 min). Times are ns since 1970 UTC.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.text import Text

QUARTER: Final = 900 * 10**9  # ns
_DAY: Final = 96  # quarter-hours
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS: Final = re.compile(r"(\d{1,2})(?::(00|15|30|45))?\s*[-–~]\s*(\d{1,2})(?::(00|15|30|45))?", re.ASCII)
_TODO: Final = Text("see docs/energy.md for an example", "示例见 docs/energy.md")

Floats = NDArray[np.float64]
Times = NDArray[np.int64] | Sequence[int]


class Period(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours of one price."""

    name: Text
    price: Annotated[float, Meta(ge=-100, le=1000)]
    hours: tuple[str, ...] = ()
    days: tuple[str, ...] = ()
    months: tuple[Annotated[int, Meta(ge=1, le=12)], ...] = ()

    def __post_init__(self) -> None:
        self.fits()

    def fits(self) -> NDArray[np.bool_]:
        """bool[12 months, 7 weekdays from Monday, 96 quarter-hours]. Raises ValueError for hours or days that are none."""
        hours = np.zeros(_DAY, np.bool_)
        for text in self.hours or ("0-24",):
            hours[list(quarters(text))] = True
        unknown = [d for d in self.days if d not in _DAYS]
        if unknown:
            raise ValueError(f"{unknown[0]!r}: {', '.join(_DAYS)}")
        days = np.array([not self.days or d in self.days for d in _DAYS])
        months = np.array([not self.months or m in self.months for m in range(1, 13)])
        fits: NDArray[np.bool_] = months[:, None, None] & days[None, :, None] & hours[None, None, :]
        return fits


class Version(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds from a day on."""

    start: date = msgspec.field(name="from")
    until: date | None = None
    period: Annotated[tuple[Period, ...], Meta(min_length=1)]
    demand: Annotated[float, Meta(ge=0, le=10_000)] = 0.0
    sell: Annotated[float, Meta(ge=-100, le=1000)] = 0.0

    def __post_init__(self) -> None:
        if self.until is not None and self.until <= self.start:
            raise ValueError(f"until {self.until} ≤ from {self.start}")
        self.table()

    def table(self) -> NDArray[np.int64]:
        """Which period is that of each [month, weekday, quarter-hour]. Raises ValueError where none is."""
        table = np.full((12, 7, _DAY), -1, np.int64)
        for i, p in reversed(list(enumerate(self.period))):
            table[p.fits()] = i
        if (table < 0).any():
            m, d, q = (int(x[0]) for x in np.nonzero(table < 0))
            raise ValueError(f"from {self.start}: no period holds in month {m + 1}, {_DAYS[d]}, {q // 4}:{15 * (q % 4):02d}")
        return table


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[tuple[Version, ...], Meta(min_length=1)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "CNY"
    timezone: str = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one price, `start` ≤ t < `end` in ns. `price` is None, and `name` empty, where no version holds."""

    start: int
    end: int
    price: float | None
    name: Text


class Tariff:
    """Prices by time. All methods take int64[n] ns (the beginnings of intervals) and give float64[n], NaN where no version holds.

    `versions` ascend by date; `currency` is ISO 4217; `zone` is the timezone in which hours and calendar months are counted.
    """

    def __init__(self, versions: Sequence[Version], *, currency: str = "CNY", timezone: str = "Asia/Shanghai") -> None:
        """Raises ValueError where two versions begin on one day, LookupError or OSError for a timezone that is none."""
        self.versions = tuple(sorted(versions, key=lambda v: v.start))
        self.currency, self.zone = currency, ZoneInfo(timezone)
        self._last: tuple[NDArray[np.int64], NDArray[Any]] | None = None
        self._tables = [v.table() for v in self.versions]
        starts = [self._midnight(v.start) for v in self.versions]
        ends = [self._midnight(v.until) if v.until else np.iinfo(np.int64).max for v in self.versions]
        if len(set(starts)) < len(starts):
            raise ValueError("from: the same day twice")
        self._starts, self._ends = np.array(starts, np.int64), np.array(ends, np.int64)
        self._prices = [np.array([p.price for p in v.period]) for v in self.versions]

    @classmethod
    def read(cls, path: Path) -> Tariff:
        """Reads a tariff file. Raises AppError with file and line."""
        try:
            text = path.read_text(encoding="utf-8-sig")
            table = tomllib.loads(text)
        except (OSError, UnicodeDecodeError) as e:
            raise AppError(Text(f"the tariff cannot be read: {e}", f"无法读取电价文件：{e}"), where=str(path), todo=_TODO) from None
        except tomllib.TOMLDecodeError as e:
            line = re.search(r"line (\d+)", str(e))
            where = f"{path}:{line[1]}" if line else str(path)
            raise AppError(Text(f"not TOML: {e}", f"不是有效的 TOML：{e}"), where=where, todo=_TODO) from None
        try:
            file = msgspec.convert(_dates(table), _File)
            return cls(file.version, currency=file.currency, timezone=file.timezone)
        except Exception as e:
            if not isinstance(e, ValueError | LookupError | OSError):  # a timezone that is none raises LookupError, or OSError for a path
                raise
            what, _, at = str(e).partition(" - at `")
            raise AppError(
                Text(f"the tariff is not usable: {what}", f"电价文件无法使用：{what}"), where=f"{path}:{_line(text, at)}", todo=_TODO
            ) from None

    def price(self, times: Times) -> Floats:
        """Per kWh bought."""
        t, which = self._which(times)
        prices = np.full(len(t), np.nan)
        for k in np.unique(which[which >= 0]).tolist():
            mine = which == k
            prices[mine] = self._prices[k][self._index(t[mine], k)]
        return prices

    def sell(self, times: Times) -> Floats:
        """Per kWh fed in; 0 where nothing is paid for it."""
        return self._by_version(times, [v.sell for v in self.versions])

    def demand(self, times: Times) -> Floats:
        """Per kW of the calendar month's greatest quarter-hour mean; 0 where there is no demand charge."""
        return self._by_version(times, [v.demand for v in self.versions])

    def month(self, times: Times) -> NDArray[np.int64]:
        """The calendar month in the tariff's timezone: 12 · year + month − 1."""
        months = self._local(np.asarray(times, np.int64)).astype("datetime64[M]").astype(np.int64)
        return months + 12 * 1970

    def version(self, time: int) -> Version | None:
        """The version that holds at `time`, or None."""
        which = int(self._which([time])[1][0])
        return self.versions[which] if which >= 0 else None

    def spans(self, start: int, end: int) -> tuple[Span, ...]:
        """[start, end) cut where period or version changes; `start` is rounded down to a quarter-hour."""
        t = np.arange(start - start % QUARTER, end, QUARTER, dtype=np.int64)
        which = self._which(t)[1]
        index = np.full(len(t), -1)
        for k in np.unique(which[which >= 0]).tolist():
            index[which == k] = self._index(t[which == k], k)
        cuts = [0, *(np.flatnonzero((np.diff(which) != 0) | (np.diff(index) != 0)) + 1).tolist(), len(t)]
        spans = []
        for a, b in pairwise(cuts):
            if b > a:
                period = self.versions[which[a]].period[index[a]] if which[a] >= 0 else None
                spans.append(
                    Span(
                        int(t[a]), min(end, int(t[b - 1]) + QUARTER), period.price if period else None, period.name if period else Text("")
                    )
                )
        return tuple(spans)

    def quarter(self, times: Times) -> NDArray[np.int64]:
        """The quarter-hour of the local day, 0..95."""
        local = self._local(np.asarray(times, np.int64))
        return (local - local.astype("datetime64[D]")).astype("timedelta64[s]").astype(np.int64) // 900

    def weekday(self, time: int) -> int:
        """The local day of the week, 0: Monday."""
        return datetime.fromtimestamp(time / 1e9, self.zone).weekday()

    def midnight(self, time: int) -> int:
        """The beginning of the local day that holds `time`, in ns."""
        return self._midnight(datetime.fromtimestamp(time / 1e9, self.zone).date())

    def _midnight(self, day: date) -> int:
        return round(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()) * 10**9

    def _by_version(self, times: Times, values: list[float]) -> Floats:
        which = self._which(times)[1]
        found: Floats = np.where(which >= 0, np.array(values)[which], np.nan)
        return found

    def _which(self, times: Times) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        t = np.asarray(times, np.int64)
        which = np.searchsorted(self._starts, t, side="right") - 1
        which[(which >= 0) & (t >= self._ends[which])] = -1
        return t, which.astype(np.int64)

    def _local(self, t: NDArray[np.int64]) -> NDArray[Any]:
        """Wall-clock times; offsets from UTC change at quarter-hours only, wherever they change. The last ones are kept: they are asked for
        again and again."""
        if self._last is not None and np.array_equal(self._last[0], t):
            return self._last[1]
        quarters, back = np.unique(t // QUARTER, return_inverse=True)
        offsets: list[int] = []
        day, offset = None, 0
        for q in quarters.tolist():
            if q // _DAY != day:  # a day whose ends agree has one offset
                day = q // _DAY
                ends = [self._offset(day * _DAY), self._offset(day * _DAY + _DAY)]
                offset = ends[0]
            offsets.append(offset if ends[0] == ends[1] else self._offset(q))
        local = (t + np.array(offsets, np.int64)[back] * 10**9).astype("datetime64[ns]")
        self._last = (t, local)
        return local

    def _offset(self, quarter: int) -> int:
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=quarter * 900)
        return round((at.astimezone(self.zone).utcoffset() or timedelta()).total_seconds())

    def _index(self, t: NDArray[np.int64], version: int) -> NDArray[np.int64]:
        local = self._local(t)
        days = local.astype("datetime64[D]")
        quarter = ((local - days).astype("timedelta64[s]").astype(np.int64)) // 900
        weekday = (days.astype(np.int64) + 3) % 7  # 1970-01-01 was a Thursday
        month = days.astype("datetime64[M]").astype(np.int64) % 12
        return self._tables[version][month, weekday, quarter]


def time_of_use(valley: float, flat: float, peak: float, demand: float, *, valley_hours: str, peak_hours: str, zone: str = "UTC") -> Tariff:
    """The usual three prices, at the same hours on every day, for all time; hours as "23-7" or "10-15,18-21"."""
    periods = (
        Period(name=Text("peak", "峰"), price=peak, hours=tuple(h.strip() for h in peak_hours.split(","))),
        Period(name=Text("valley", "谷"), price=valley, hours=tuple(h.strip() for h in valley_hours.split(","))),
        Period(name=Text("flat", "平"), price=flat),
    )
    return Tariff([Version(start=date(1970, 1, 2), period=periods, demand=demand)], timezone=zone)


def quarters(text: str) -> range | list[int]:
    """Quarter-hours of a day (0..95) in "8-11" or "22:30-7". Raises ValueError."""
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r}: 8-11, 22:30-7")
    first = 4 * int(match[1]) + int(match[2] or 0) // 15
    last = 4 * int(match[3]) + int(match[4] or 0) // 15
    if first >= _DAY or last > _DAY or first == last:
        raise ValueError(f"{text!r}: 8-11, 22:30-7")
    return range(first, last) if first < last else [*range(first, _DAY), *range(last)]


def _dates(table: dict[str, Any]) -> dict[str, Any]:
    """A name in one language only is the same in both."""
    for version in table.get("version", ()) if isinstance(table.get("version"), list) else ():
        for period in version.get("period", ()) if isinstance(version, dict) and isinstance(version.get("period"), list) else ():
            if isinstance(period, dict) and isinstance(period.get("name"), str):
                period["name"] = {"en": period["name"], "zh": period["name"]}
    return table


def _line(text: str, at: str) -> int:
    """The line of the version or period that a path such as `$.version[1].period[0].price` names; 1 where it names none."""
    wanted = [int(n) for n in re.findall(r"(?:version|period)\[(\d+)\]", at)]
    version, period, line = -1, -1, 1
    for n, row in enumerate(text.splitlines(), 1):
        header = row.partition("#")[0].replace(" ", "").strip()
        if header == "[[version]]":
            version, period = version + 1, -1
            if wanted[:1] == [version]:
                line = n
        elif header == "[[version.period]]":
            period += 1
            if wanted == [version, period]:
                line = n
        elif wanted == [version, period][: len(wanted)] and (len(wanted) == 2 or period < 0):
            key = at.rpartition(".")[2].strip("`")
            if re.match(rf"\s*{re.escape(key)}\s*=", row):
                return n
    return line
