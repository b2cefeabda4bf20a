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
from ronghe.console.trace import HIGH, LOW, VALUE, Trace, merge
from ronghe.signals import Batch
from ronghe.signals.when import parse_time
from ronghe.text import Text

MOST_TAGS: Final = 50
MS: Final = 1_000_000  # ns
QUIET: Final = 60_000_000_000  # ns in which nothing at all was recorded, beyond which the node was not running
_WITNESSES: Final = 5  # tags that are asked whether the node was running
_STEPS: Final = [s * 1000 for s in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)]

Column = list[float | None]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One tag in columns. Raw: `v` are samples. Aggregate: `v` is the mean (of a set-point or state: the last) of `every` ms about `t`,
    with `min` and `max`.

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
    """How a tag is sampled: how often (ns), and after how long without a sample (ns) it was not there.

    A tag of a device that tells changes only holds its value while it is silent; it was not there in the `absent` spans, in which
    the node itself was not.
    """

    every: int
    hole: int
    holds: bool = False
    steps: bool = False  # a set-point or a state: between two of its values there is none
    absent: tuple[tuple[int, int], ...] = ()


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
    end = min(end, desk.node.clock())
    if end <= start:
        return [_empty(name) for name in names]
    habits = _habits(desk, names, start, end)
    raw = [name for name in names if (end - start) / habits[name].every <= 2 * points]
    found = {s.tag: s for s in _raw(desk, raw, start, end, habits)}
    rest = [name for name in names if name not in found]
    found.update({s.tag: s for s in _aggregate(desk, rest, start, end, _step((end - start) / points), habits)})
    return [found[name] for name in names]


def _empty(name: str) -> Series:
    return Series(tag=name, mode="raw", every=0, t=[], v=[], min=[], max=[], bad=[])


def _habits(desk: Desk, names: list[str], start: int, end: int) -> dict[str, _Habit]:
    node = desk.node
    absent: tuple[tuple[int, int], ...] | None = None
    habits = {}
    for name in names:
        tag = node.plant.tags.get(name)
        if tag is None:  # computed by an app
            habits[name] = _Habit(1_000_000_000, 60_000_000_000)
            continue
        every = round(tag.every * 1e9)
        driver = node.drivers.get(tag.connection)
        steps = tag.writable or node.plant.property_of(name).type in ("bool", "int")
        if driver is None or not driver.by_exception:
            habits[name] = _Habit(every, max(5 * every, 5_000_000_000), steps=steps)
            continue
        if absent is None:
            absent = tuple(_silence(desk, start, end))
        habits[name] = _Habit(every, 0, True, steps, absent)
    return habits


def _silence(desk: Desk, start: int, end: int) -> list[tuple[int, int]]:
    """The spans in which this node recorded nothing at all: it was not running.

    The tags that were heard of last are asked, for those change most often. Where even they change so seldom that their silence says
    nothing, the node is taken to have been there: a device that was lost meanwhile is recorded as such by its driver.
    """
    node = desk.node
    witnesses = sorted(node.index.names, key=lambda t: -_heard(desk, t))[:_WITNESSES]
    step = _step(max(QUIET / 6, (end - start) / 2000))
    heard = np.unique(node.historian.aggregate(witnesses, start, end, step, ("count",)).column("time").cast("int64").to_numpy())
    if len(heard) < 5 or np.median(np.diff(heard)) > 2 * step:
        return []
    edges = np.concatenate([[start - step], heard, [end]])
    gaps = np.flatnonzero(np.diff(edges) > max(QUIET, 2 * step))
    return [(max(start, int(edges[i]) + step), int(edges[i + 1])) for i in gaps.tolist()]


def _heard(desk: Desk, name: str) -> int:
    number = desk.node.index.find(name)
    return 0 if number is None or number >= len(desk.node.latest.time) else int(desk.node.latest.time[number])


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
    batch = Batch.concat([desk.node.historian.last(names, start), desk.node.historian.raw(names, start, end)])
    out = []
    for name in names:
        rows = batch.take(batch.tag == desk.node.index.find(name))
        trace = Trace.of_samples(rows.time, np.where(rows.good, rows.value, np.nan))
        out.append(_series(name, trace, start, end, habits[name], 0))
    return out


def _aggregate(desk: Desk, names: list[str], start: int, end: int, every: int, habits: dict[str, _Habit]) -> list[Series]:
    if not names:
        return []
    table = desk.node.historian.aggregate(names, start, end, every, ("mean", "min", "max", "last"))
    ids = table.column("tag").combine_chunks()
    ids = ids.dictionary.take(ids.indices).to_numpy(zero_copy_only=False) if len(ids) else np.array([], object)
    column = {n: table.column(n).to_numpy().astype(np.float64) for n in ("mean", "min", "max", "last", "good")}
    time = table.column("time").cast("int64").to_numpy() + every // 2
    before = desk.node.historian.last(names, start)
    out = []
    for name in names:
        rows = np.flatnonzero(ids == name)
        value = "last" if habits[name].steps else "mean"
        trace = Trace(time[rows], np.stack([column[n][rows] for n in (value, "min", "max", "last")]))
        # After an interval that was partly bad and then silence, the value was gone: it says so where the silence begins.
        silent = np.flatnonzero((column["good"][rows] < 1) & (np.diff(np.append(trace.time, end)) > 1.5 * every))
        trace = trace.with_points(silent + 1, trace.time[silent] + every // 2, np.nan)
        earlier = before.take(before.tag == desk.node.index.find(name))
        if len(earlier):
            trace = trace.with_points(0, int(earlier.time[0]), float(earlier.value[0]) if earlier.good[0] else np.nan)
        out.append(_series(name, trace, start, end, habits[name], every))
    return out


def _series(name: str, trace: Trace, start: int, end: int, habit: _Habit, every: int) -> Series:
    """Breaks the line where the value was not there, names those spans, and holds it where it stood still."""
    if habit.holds:
        trace, bad = trace.held(start, end, every or habit.every, habit.absent)
    else:
        trace, bad = trace.broken(habit.every, max(habit.hole, 3 * every))
    bad += trace.gone(end)
    trace = trace.since(start - every)
    blank: Column = [None] * len(trace.time)
    return Series(
        tag=name,
        mode="aggregate" if every else "raw",
        every=every // MS,
        t=[t / MS if t % MS else t // MS for t in trace.time.tolist()],
        v=_column(trace.cells[VALUE]),
        min=_column(trace.cells[LOW]) if every else blank,
        max=_column(trace.cells[HIGH]) if every else blank,
        bad=merge([(max(a, start) / MS, b / MS) for a, b in bad if b > max(a, start)]),
    )


def _column(values: NDArray[np.float64]) -> Column:
    return [None if v != v else float(f"{v:.7g}") for v in values.tolist()]


HANDLERS = [trend]
