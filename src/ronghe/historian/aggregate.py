"""Aggregation by interval: from minutes where they can stand for the samples, from the samples elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.errors import BadQuery
from ronghe.historian.block import Block
from ronghe.historian.minutes import EMPTY, MINUTE, Partials, add_up, partials, starts
from ronghe.historian.query import Sources, overlap
from ronghe.signals import quality as q
from ronghe.text import Text

FUNCTIONS: Final = ("mean", "min", "max", "sum", "count", "first", "last", "std")
_FEW: Final = 1_000_000
_FROM_PARTIALS: Final = {"mean", "min", "max", "sum", "count"}

Columns = dict[str, NDArray[Any]]


def check_functions(functions: Sequence[str]) -> None:
    """Raises BadQuery for a function that is not known."""
    for name in functions:
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise BadQuery(
                Text(f"no function is called {name!r}", f"没有名为 {name!r} 的函数"), todo=Text(f"known: {known}", f"可用：{known}")
            )


def aggregate(sources: Sources, tags: NDArray[np.int32], start: int, end: int, every: int, functions: Sequence[str]) -> Columns:
    """Per tag and bucket of `every` ns (a bucket starts at a multiple of `every` since 1970) with samples in [start, end): "tag" (store
    id), "time" (its start), each function over the samples that are Good and have a value (NaN where there are none), and "good", the
    share of samples that are Good. Sorted by (tag, time)."""
    if set(functions) <= _FROM_PARTIALS:
        return _columns(_sums(sources, tags, start, end, every, functions), functions)
    parts = [_of_samples(sources.raw(tags, a, b), every, functions) for a, b in sources.split(tags, start, end, every)]
    columns = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    if len(parts) > 1:
        order = np.lexsort((columns["time"], columns["tag"]))
        columns = {name: c[order] for name, c in columns.items()}
    return columns


def _sums(sources: Sources, tags: NDArray[np.int32], start: int, end: int, every: int, functions: Sequence[str]) -> Partials:
    """What adds up, from the minutes for whole minutes within the range, of tags no sample of which lies in two places."""
    first, last = -(-start // MINUTE) * MINUTE, end // MINUTE * MINUTE
    # Two reads, of minutes and of what is left at the ends, cost more than one of few samples.
    if every % MINUTE or first >= last or sources.rows(tags, first, last) < _FEW:
        return _sums_of_samples(sources, tags, start, end, every)
    _, twice = overlap(sources.spans(tags, first, last))
    once = np.setdiff1d(tags, twice, assume_unique=True)
    floats = [name for name in ("sum", "min", "max") if name in functions or (name == "sum" and "mean" in functions)]
    parts = [s.minutes(once, first, last, floats) for s in sources.segments if s.meta.first < last and s.meta.last >= first]
    parts += [partials(run.select(once, first, last), every) for head in sources.heads for run in head.runs()]
    parts.append(_sums_of_samples(sources, twice, first, last, every))
    parts.append(_sums_of_samples(sources, tags, start, first, every))
    parts.append(_sums_of_samples(sources, tags, last, end, every))
    return add_up(parts, every)


def _sums_of_samples(sources: Sources, tags: NDArray[np.int32], start: int, end: int, every: int) -> Partials:
    if not len(tags) or start >= end:
        return EMPTY
    parts = [partials(sources.raw(tags, a, b), every) for a, b in sources.split(tags, start, end, every)]
    return parts[0] if len(parts) == 1 else add_up(parts, every)


def _columns(sums: Partials, functions: Sequence[str]) -> Columns:
    some = sums.count > 0
    out: Columns = {"tag": sums.tag, "time": sums.time}
    with np.errstate(invalid="ignore"):
        for name in functions:
            if name == "mean":
                out[name] = np.where(some, sums.sum / np.maximum(sums.count, 1), np.nan)
            elif name == "sum":
                out[name] = np.where(some, sums.sum, np.nan)
            else:
                out[name] = {"count": sums.count, "min": sums.min, "max": sums.max}[name]
    out["good"] = sums.good / np.maximum(sums.total, 1)
    return out


def _of_samples(block: Block, every: int, functions: Sequence[str]) -> Columns:
    """As `aggregate`, of a sorted block, for functions that need the samples themselves too."""
    sums = partials(block, every)
    out = _columns(sums, [f for f in functions if f in _FROM_PARTIALS])
    usable = np.flatnonzero(q.is_good(block.quality) & ~np.isnan(block.value))
    value, tag = block.value[usable], block.tag[usable]
    time = block.time[usable]
    begin = starts(tag, time - time % every)
    some = sums.count > 0

    def spread(data: NDArray[np.float64]) -> NDArray[np.float64]:
        whole = np.full(len(some), np.nan)
        whole[some] = data
        return whole

    for name in functions:
        if name == "first":
            out[name] = spread(value[begin])
        elif name == "last":
            out[name] = spread(value[np.append(begin[1:], len(value))[: len(begin)] - 1])
        elif name == "std":
            count = sums.count[some]
            centred = value - np.repeat(sums.sum[some] / count, count)
            squares = np.add.reduceat(centred**2, begin) if len(begin) else np.empty(0)
            out[name] = spread(np.sqrt(squares / count))
    return {name: out[name] for name in ("tag", "time", *functions, "good")}


def table(columns: Columns, names: pa.DictionaryArray) -> pa.Table:
    """The result as Arrow: `names` in place of ids, a UTC timestamp, null where nothing counted."""
    out = {"tag": names, "time": pa.array(columns["time"]).cast(pa.timestamp("ns", tz="UTC"))}
    for name, data in columns.items():
        if name not in out:
            out[name] = pa.array(data, mask=np.isnan(data)) if data.dtype.kind == "f" else pa.array(data)
    return pa.table(out)
