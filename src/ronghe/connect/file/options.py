"""What a `[connections.NAME]` table with `driver = "file"` may hold."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ronghe.text import Text


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only `path` must be given: encoding, separator, decimal sign, layout and time format are found by looking at the file."""

    path: Annotated[
        str,
        Meta(
            min_length=1,
            description="a CSV or Parquet file, or a folder of them, read with its sub-folders; relative to the plant folder",
            extra={"path": True},
        ),
    ]
    speed: Annotated[float, Meta(ge=0, description="1: as fast as recorded, 10: ten times, 0: as fast as possible")] = 1.0
    times: Annotated[
        Literal["recorded", "now"], Meta(description="recorded: the times in the file; now: the time at which a sample is replayed")
    ] = "recorded"
    loop: Annotated[
        bool, Meta(description="begin again at the end; with recorded times each round is moved on by the length of the recording")
    ] = False
    layout: Annotated[
        Literal["auto", "wide", "long"],
        Meta(description="wide: one column a tag, the address is its name; long: columns tag, time, value and, if there, quality"),
    ] = "auto"
    time_column: Annotated[str, Meta(description="the column with the time; empty: found by name and content")] = ""
    time_format: Annotated[
        str,
        Meta(description="strptime pattern, e.g. %d.%m.%Y %H:%M:%S; empty: ISO 8601, year, day or month first, Unix time in s … ns"),
    ] = ""
    zone: Annotated[str, Meta(description="time zone of times that name none, e.g. Asia/Shanghai")] = "UTC"

    def __post_init__(self) -> None:
        if self.times == "now" and self.speed == 0:
            raise ValueError(str(Text('times = "now" needs a speed above 0', 'times = "now" 要求 speed 大于 0')))
        try:
            zoneinfo.ZoneInfo(self.zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as e:
            raise ValueError(
                str(Text(f"no time zone {self.zone!r}, e.g. Asia/Shanghai", f"没有时区 {self.zone!r}，例如 Asia/Shanghai"))
            ) from e
