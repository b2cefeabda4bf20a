"""Periods of the books: quarter-hours, hours, local days or calendar months, and the tables of energy and drivers by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.signals.when import parse_duration
from ronghe.text import Text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NS: Final = 10**9
DAY: Final = 86_400 * NS


class Calendar:
    """Cuts time (ns since 1970 UTC) into periods. Days and months are those of `zone`; shorter ones divide a day, and are of UTC."""

    def __init__(self, every: str, zone: str = "UTC") -> None:
        """`every`: "1d", "month", or what divides a day ("1h", "15min"). Raises AppError for anything else."""
        try:
            self.zone = ZoneInfo(zone)
        except (LookupError, ValueError, OSError):
            raise AppError(
                Text(f"{zone!r} is no time zone", f"{zone!r} 不是时区"), todo=Text("e.g. Asia/Shanghai", "例如 Asia/Shanghai")
            ) from None
        self.every = every
        self._length = 0 if every == "month" else parse_duration(every)
        if self._length and (self._length > DAY or DAY % self._length):
            raise AppError(
                Text(f"{every!r} is no period of the books", f"{every!r} 不能作为统计周期"),
                todo=Text("say month, 1d, 1h or what else divides a day", "可用 month、1d、1h 或其他能整除一天的时长"),
            )

    @property
    def length(self) -> int:
        """ns of a usual period; of a month 30 days."""
        return self._length or 30 * DAY

    @property
    def calendar_days(self) -> bool:
        """Whether periods are local days or months."""
        return self._length in (0, DAY)

    def local(self, t: int) -> datetime:
        """The wall clock of the zone."""
        return datetime.fromtimestamp(t // NS, self.zone)

    def _midnight(self, day: date) -> int:
        return round(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()) * NS

    def start(self, t: int) -> int:
        """Begin of the period that holds `t`."""
        if not self.calendar_days:
            return t - t % self._length
        day = self.local(t).date()
        return self._midnight(day.replace(day=1) if not self._length else day)

    def end(self, start: int) -> int:
        """End of the period that begins at `start`."""
        if not self.calendar_days:
            return start + self._length
        day = self.local(start).date()
        return self._midnight((day.replace(day=28) + timedelta(days=4)).replace(day=1) if not self._length else day + timedelta(days=1))

    def number(self, start: int) -> int:
        """Consecutive numbers of periods: what is one apart follows one another."""
        if not self.calendar_days:
            return start // self._length
        day = self.local(start).date()
        return day.toordinal() if self._length else day.year * 12 + day.month - 1

    def weekday(self, start: int) -> int:
        """0 is Monday, by the wall clock."""
        return self.local(start).weekday()

    def hour(self, start: int) -> int:
        """0..23, by the wall clock."""
        return self.local(start).hour

    def utc(self, naive: datetime) -> int:
        """ns of a wall clock's reading; one that names its offset is taken by that."""
        aware = naive if naive.tzinfo is not None else naive.replace(tzinfo=self.zone)
        since = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
        return (since.days * 86_400 + since.seconds) * NS + since.microseconds * 1000


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """n periods in order. `energy` float64[n] is NaN where the period does not count; `good` float64[n] is the part of it that was
    measured; `drivers` are float64[n] by name, NaN where not known; `labels` are categories by name, "" where not known."""

    calendar: Calendar
    start: Ints
    energy: Floats
    good: Floats
    drivers: dict[str, Floats]
    labels: dict[str, NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.start)

    @property
    def number(self) -> Ints:
        """int64[n], see `Calendar.number`."""
        return np.array([self.calendar.number(s) for s in self.start.tolist()], np.int64)

    @property
    def end(self) -> Ints:
        """int64[n] ns."""
        return np.array([self.calendar.end(s) for s in self.start.tolist()], np.int64)

    def rows(self, mask: NDArray[np.bool_]) -> Table:
        """Those where `mask` bool[n] holds."""
        return Table(
            self.calendar,
            self.start[mask],
            self.energy[mask],
            self.good[mask],
            {k: v[mask] for k, v in self.drivers.items()},
            {k: v[mask] for k, v in self.labels.items()},
        )

    def between(self, start: int, end: int) -> NDArray[np.bool_]:
        """Which begin in start <= t < end (ns)."""
        inside: NDArray[np.bool_] = (self.start >= start) & (self.start < end)
        return inside
