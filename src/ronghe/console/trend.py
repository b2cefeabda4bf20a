"""/api/trend: values over any span, few enough to draw and honest about what is between them.

A span with few samples is given raw; a longer one as mean, min and max of equal intervals, so that a spike of one sample is seen in a
year's trend. Where no sample was Good there is no value, and the span is named in `bad`. Times of this address are in ms since 1970 UTC.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
import numpy as np
from litestar import get
from litestar.params import QueryParameter
from numpy.typing import NDArray

from ronghe.console.desk import Call, Desk, desk_of, needs
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.signals import Batch
from ronghe.signals.when import parse_time
from ronghe.text import Text

MOST_TAGS: Final = 50
MS: Final = 1_000_000  # ns
_STEPS: Final = [s * 1000 for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)]

Column = list[float | None]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One tag in columns. Raw: `v` are samples. Aggregate: `v` is the mean of `every` ms about `t`, with `min` and `max`.

    `bad` are the spans, in ms, in which nothing was Good.
    """

    tag: str
    mode: str  # "raw" | "aggregate"
    every: int  # ms; 0 for raw
    t: list[float]
    v: Column
    min: Column
    max: Column
    bad: list[tuple[float, float]]


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """The span that was asked for, and a series a tag in the order asked."""

    from_: int = msgspec.field(name="from")
    to: int
    series: list[Series]


@dataclass(frozen=True, slots=True)
class _Habit:
    """How a tag is sampled: how often, and whether it holds its value while nothing is heard (a set-point, a state)."""

    every: int  # ns
    holds: bool
    hole: int  # ns without a sample, beyond which it was not there


@get("/api/trend", opt=needs(Role.VIEWER))
async def trend(
    request: Call,
    tags: Annotated[str, QueryParameter(description="names, comma between them", max_length=20_000)],
    from_: Annotated[str, QueryParameter(name="from", description='ms since 1970 UTC, or "-15min", or ISO 8601')] = "-15min",
    to: Annotated[str, QueryParameter(description='as `from`, or "now"')] = "now",
    points: Annotated[int, QueryParameter(ge=10, le=5000, description="about how many points a tag")] = 600,
) -> Trend:
    """Values of some tags over a span: raw or as mean, min and max, whichever is honest at that many points."""
    desk = desk_of(request)
    names = list(dict.fromkeys(filter(None, tags.split(","))))
    for name in names:
        if desk.node.index.find(name) is None:
            raise Refused(404, Text(f"there is no tag {name!r}", f"没有测点 {name!r}"), where=name)
    if len(names) > MOST_TAGS:
        raise Refused(400, Text(f"at most {MOST_TAGS} tags at once", f"一次最多 {MOST_TAGS} 个测点"))
    now = desk.node.clock()
    start, end = _moment(from_, now), _moment(to, now)
    if end <= start:
        raise Refused(400, Text("the span ends before it begins", "时间范围的终点早于起点"))
    series = await asyncio.to_thread(_read, desk, names, start, end, points)
    return Trend(from_=start // MS, to=end // MS, series=series)


def _moment(text: str, now: int) -> int:
    digits = text.removeprefix("-")
    return int(text) * MS if digits.isdigit() and len(digits) <= 14 else parse_time(text, now)


def _read(desk: Desk, names: list[str], start: int, end: int, points: int) -> list[Series]:
    habits = {name: _habit(desk, name) for name in names}
    raw = [name for name in names if (end - start) / habits[name].every <= 2 * points]
    found = {s.tag: s for s in _raw(desk, raw, start, end, habits)}
    rest = [name for name in names if name not in found]
    found.update({s.tag: s for s in _aggregate(desk, rest, start, end, _step((end - start) / points), habits)})
    return [found[name] for name in names]


def _habit(desk: Desk, name: str) -> _Habit:
    plant = desk.node.plant
    tag = plant.tags.get(name)
    if tag is None:
        return _Habit(1_000_000_000, False, 60_000_000_000)
    every = round(tag.every * 1e9)
    driver = desk.node.drivers.get(tag.connection)
    told_only_changes = driver is not None and driver.by_exception
    holds = told_only_changes and (tag.writable or plant.property_of(name).type in ("bool", "int"))
    # A measured value that is told only when it changes may stand still for a while; a polled one may not miss many polls.
    return _Habit(every, holds, max(20 * every, 60_000_000_000) if told_only_changes else 5 * every)


def _step(least: float) -> int:
    """The next round interval, in ns."""
    ms = least / MS
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, *_STEPS):
        if step >= ms:
            return step * MS
    return int(-(-ms // _STEPS[-1]) * _STEPS[-1]) * MS


def _raw(desk: Desk, names: list[str], start: int, end: int, habits: dict[str, _Habit]) -> list[Series]:
    if not names:
        return []
    before = desk.node.historian.last(names, start)
    batch = Batch.concat([before, desk.node.historian.raw(names, start, end)])
    out = []
    for name in names:
        rows = batch.take(batch.tag == desk.node.index.find(name))
        values = np.where(rows.good, rows.value, np.nan)
        out.append(_finish(name, rows.time, (values, values, values), start, end, habits[name], 0, desk.node.clock()))
    return out


def _aggregate(desk: Desk, names: list[str], start: int, end: int, every: int, habits: dict[str, _Habit]) -> list[Series]:
    if not names:
        return []
    table = desk.node.historian.aggregate(names, start, end, every, ("mean", "min", "max"))
    ids = table.column("tag").combine_chunks()
    ids = ids.dictionary.take(ids.indices).to_numpy(zero_copy_only=False) if len(ids) else np.array([], object)
    column = {n: table.column(n).to_numpy().astype(np.float64) for n in ("mean", "min", "max", "good")}
    time = table.column("time").cast("int64").to_numpy()
    out = []
    for name in names:
        rows = np.flatnonzero(ids == name)
        middle = time[rows] + every // 2
        values = [column[n][rows] for n in ("mean", "min", "max")]
        # After an interval that was partly bad and then silence, the value was gone: it says so where the silence begins.
        t = middle
        silent = np.flatnonzero((column["good"][rows] < 1) & (np.diff(np.append(middle, end)) > 1.5 * every))
        if len(silent):
            t = np.insert(middle, silent + 1, middle[silent] + every // 2)
            values = [np.insert(v, silent + 1, np.nan) for v in values]
        out.append(_finish(name, t, (values[0], values[1], values[2]), start, end, habits[name], every, desk.node.clock()))
    return out


def _finish(
    name: str,
    time: NDArray[np.int64],
    values: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    start: int,
    end: int,
    habit: _Habit,
    every: int,
    now: int,
) -> Series:
    """Names the spans without a Good value, and breaks the line where nothing was heard for too long."""
    good = ~np.isnan(values[0])
    bad = [(max(int(time[i]), start), int(time[i + 1]) if i + 1 < len(time) else min(end, now)) for i in np.flatnonzero(~good).tolist()]
    if not habit.holds and len(time) > 1:
        holes = np.flatnonzero((np.diff(time) > max(habit.hole, 3 * every)) & good[:-1] & good[1:])
        bad += [(int(time[i]) + habit.every, int(time[i + 1])) for i in holes.tolist()]
        time = np.insert(time, holes + 1, time[holes] + habit.every)
        values = tuple(np.insert(v, holes + 1, np.nan) for v in values)  # type: ignore[assignment]
    inside = time >= start - every
    if habit.holds and every == 0 and len(time) and not inside[0]:
        time = np.where(inside, time, start)  # what was set before the span holds from its beginning
        inside = time >= start
    shown = [v[inside] for v in values]
    return Series(
        tag=name,
        mode="aggregate" if every else "raw",
        every=every // MS,
        t=[t / MS if t % MS else t // MS for t in time[inside].tolist()],
        v=_column(shown[0]),
        min=_column(shown[1]) if every else [None] * int(inside.sum()),
        max=_column(shown[2]) if every else [None] * int(inside.sum()),
        bad=_merge([(a / MS, b / MS) for a, b in bad if b > max(a, start)]),
    )


def _column(values: NDArray[np.float64]) -> Column:
    return [None if v != v else float(f"{v:.7g}") for v in values.tolist()]


def _merge(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for a, b in sorted(spans):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged


HANDLERS = [trend]
