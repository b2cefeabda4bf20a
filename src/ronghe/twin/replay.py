"""A twin that answers from what has been: the nearest past situation, and what came after it.

The method of analogues (Lorenz, 1969: "Atmospheric predictability as revealed by naturally occurring analogues", J. Atmos. Sci. 26): among
the rows of a recording in which state and inputs lay within `near` of what is asked, the nearest is taken, and its next row is the answer.
It is followed for as long as its inputs stay within `near`; then the nearest is looked for again, from where the trial has come to. Where
nothing has been near, there is no answer: a recording knows only what the plant has done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ronghe.connect.file.options import Options as FileOptions
from ronghe.connect.file.recording import Recording, Wanted
from ronghe.errors import RongheError, TwinError
from ronghe.historian import Historian
from ronghe.historian.place import store_of
from ronghe.plant import Plant, units
from ronghe.plant.quantity import parse_quantity
from ronghe.signals import Batch, TagIndex
from ronghe.signals.when import format_time, parse_duration
from ronghe.text import Text
from ronghe.twin.contract import Twin
from ronghe.twin.wiring import known

Floats = NDArray[np.float64]

_MOST: Final = 2_000_000  # rows


class ReplayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A recording of the plant: the nearest past situation answers, and where nothing has been near, nothing does."""

    inputs: Annotated[tuple[str, ...], Meta(min_length=1, description="tags that it takes at each step: set-points, loads")]
    outputs: Annotated[tuple[str, ...], Meta(min_length=1, description="tags that it shows")]
    near: Annotated[
        dict[str, str], Meta(description='how far off a past situation may be, for every tag of inputs and state, e.g. "5 K" or "2 %"')
    ]
    state: Annotated[tuple[str, ...], Meta(description="tags whose measured values say in which situation the plant is")] = ()
    every: Annotated[str, Meta(description="the plant's time in one step")] = "10s"
    recording: Annotated[
        str,
        Meta(
            description="a CSV or Parquet file in the tags' units, as `ronghe query` writes them; empty: what the node has recorded",
            extra={"path": True},
        ),
    ] = ""
    over: Annotated[str, Meta(description="without a file: how far back, at the node's start")] = "30d"

    def __post_init__(self) -> None:
        if parse_duration(self.every) <= 0 or parse_duration(self.over) <= 0:
            raise TwinError(Text("every and over must be more than 0", "every 和 over 必须大于 0"))


class Replay(Twin):
    """A recording as a twin."""

    uses = "replay"
    Options: ClassVar[type[msgspec.Struct]] = ReplayOptions

    def __init__(self, name: str, plant: Plant, options: ReplayOptions, folder: Path) -> None:
        self._where = f"twins.{name}"
        self.inputs, self.state, self.outputs = options.inputs, options.state, options.outputs
        self._asked = tuple(dict.fromkeys((*self.inputs, *self.state)))
        tags = tuple(dict.fromkeys((*self._asked, *self.outputs)))
        known(plant, self._where, tags)
        self._near = np.array([_near(plant, options, tag, self._where) for tag in self._asked])
        step = parse_duration(options.every)
        self.every = step / 1e9
        self._time, rows = _from_file(options, tags, step) if options.recording else _from_store(options, folder, tags, step)
        whole: NDArray[np.bool_] = np.asarray(np.isfinite(rows).all(axis=1))
        at = {tag: i for i, tag in enumerate(tags)}
        self._situations = rows[:, [at[t] for t in self._asked]]
        self._shown = rows[:, [at[t] for t in self.outputs]]
        self._goes_on: NDArray[np.bool_] = np.append(whole[:-1] & whole[1:], False)  # rows with a next one
        self._usable = np.flatnonzero(self._goes_on)
        self._n = len(self.inputs)
        if not len(self._usable):
            what = Text(f"the recording holds no two whole rows of {', '.join(tags)}", f"记录中没有连续两行完整数据：{', '.join(tags)}")
            raise TwinError(what, where=self._where)
        self._row, self._steps, self._now = -1, 0, np.zeros(len(self._asked))

    def start(self, values: Mapping[str, float]) -> None:
        self._row, self._steps = -1, 0
        self._now = np.array([values[t] for t in self._asked])

    def step(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        self._now[: self._n] = [inputs[t] for t in self.inputs]
        row = self._row
        if row < 0 or not self._goes_on[row] or (self._off(row)[: self._n] > 1).any():
            row = self._nearest()
        self._row, self._steps = row + 1, self._steps + 1
        shown = dict(zip(self.outputs, self._shown[row + 1].tolist(), strict=True))
        for i, tag in enumerate(self._asked):
            if tag in shown and tag not in inputs:
                self._now[i] = shown[tag]
        return shown

    def _off(self, rows: int | NDArray[np.int64]) -> Floats:
        """How far rows are off, in parts of `near`."""
        off: Floats = np.abs(self._situations[rows] - self._now) / self._near
        return off

    def _nearest(self) -> int:
        """The row most like now. Raises TwinError, saying what was least like it, where none is near."""
        off = self._off(self._usable)
        worst = off.max(axis=1)
        best = int(worst.argmin())
        row = int(self._usable[best])
        if worst[best] <= 1:
            return row
        i = int(off[best].argmax())
        tag, was, now = self._asked[i], self._situations[row, i], self._now[i]
        after, when = f"{self._steps * self.every:g} s", format_time(int(self._time[row]))
        raise TwinError(
            Text(
                f"after {after} there is nothing near in the recording: the nearest, {when}, had {tag} at {was:.5g}, not {now:.5g}",
                f"{after} 后记录中没有相近工况：最接近的 {when}，{tag} 为 {was:.5g}，而非 {now:.5g}",
            ),
            where=self._where,
        )


def _near(plant: Plant, options: ReplayOptions, tag: str, where: str) -> float:
    """`near` of one tag in its unit; a difference, so offsets of units do not count. Raises TwinError."""
    if tag not in options.near:
        raise TwinError(
            Text(f"near: nothing for {tag}", f"near：缺少 {tag}"),
            where=where,
            todo=Text("say how far off a past situation may be", "请给出允许的偏差"),
        )
    try:
        value, unit = parse_quantity(options.near[tag])
        gain, _ = units.factor(unit, plant.unit_of(tag)) if unit else (1.0, 0.0)
    except RongheError as e:
        raise TwinError(Text(f"near, {tag}: {e.what.en}", f"near，{tag}：{e.what.in_('zh')}"), where=where, todo=e.todo) from e
    if not value > 0:
        raise TwinError(Text(f"near, {tag}: must be more than 0", f"near，{tag}：必须大于 0"), where=where)
    return abs(value * gain)


def _from_file(options: ReplayOptions, tags: Sequence[str], step: int) -> tuple[NDArray[np.int64], Floats]:
    """(times, rows) of a file on the grid. Raises RongheError for a file that cannot be read."""
    index = TagIndex(tags)
    found = Recording(Path(options.recording), FileOptions(path=options.recording))
    wanted = Wanted(tuple(tags), (False,) * len(tags))
    batches = list(found.chunks(wanted, index, lambda line, what: None))
    if not batches:
        raise TwinError(Text(f"none of {', '.join(tags)} is in it", f"其中没有 {', '.join(tags)}"), where=options.recording)
    return _on_grid(Batch.concat(batches), len(tags), step)


def _on_grid(batch: Batch, k: int, step: int) -> tuple[NDArray[np.int64], Floats]:
    """Each tag's last good sample at or before each row, at most three steps old."""
    start, end = int(batch.time.min()) // step * step, int(batch.time.max())
    n = min((end - start) // step + 1, _MOST)
    grid = start + step * np.arange(n, dtype=np.int64)
    rows = np.full((n, k), np.nan)
    for i in range(k):
        mine = batch.take(np.flatnonzero((batch.tag == i) & batch.good))
        order = np.argsort(mine.time, kind="stable")
        times, values = mine.time[order], mine.value[order]
        if not len(times):
            continue
        at = np.searchsorted(times, grid, side="right") - 1
        young = (at >= 0) & (grid - times[np.maximum(at, 0)] <= 3 * step)
        rows[young, i] = values[at[young]]
    return grid, rows


def _from_store(options: ReplayOptions, folder: Path, tags: Sequence[str], step: int) -> tuple[NDArray[np.int64], Floats]:
    """(times, rows) of the plant's own store, up to the newest sample of any of the tags. Raises RongheError."""
    with Historian(store_of(folder), TagIndex(), readonly=True) as store:
        newest = store.last(list(tags))
        if not len(newest):
            raise TwinError(Text("nothing of its tags is recorded yet", "其测点尚无记录"), where=str(folder))
        end = int(newest.time.max()) + 1
        n = min(parse_duration(options.over) // step, _MOST)
        window = store.asof(list(tags), max(end - n * step, 0), end, step)
        return window.time, window.value
