"""The file driver: replays recordings through the driver contract. See docs/file-driver.md."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.connect.driver import Driver, Found, Item, Sink, Still, Write, always
from ronghe.connect.file import options as o
from ronghe.connect.file.merge import Merged, part
from ronghe.connect.file.recording import TABLES, Recording, Wanted
from ronghe.connect.lag import LagMeter
from ronghe.errors import BadAddress, ConnectError, Problem, RongheError, Unreachable
from ronghe.plant import units
from ronghe.plant.model import ValueType
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

_KEPT_PROBLEMS: Final = 100
_LAST_PAUSE: Final = 30.0  # s, between attempts to open a file that is not there
_WITH_UNIT: Final = re.compile(r"(.+?)\s*[(（\[【]\s*([^()（）\[\]【】]+?)\s*[)）\]】]")
_TICK: Final = 0.005  # s; rows that are due closer together go into one batch
Tell = Callable[[Path, int, Text], None]
"""Told of what is passed over: file, line (0: all of it), and why."""


def _silently(path: Path, line: int, what: Text) -> None:
    return None


class File(Driver):
    """One file, or a folder of files as one recording. `problems` lists the first hundred rows and files that could not be used, `skipped`
    counts all of them."""

    name: ClassVar[str] = "file"
    Options = o.Options

    def __init__(
        self,
        options: o.Options,
        index: TagIndex,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(options, index)
        self.options: o.Options = options
        self.problems: list[Problem] = []
        self.skipped = 0
        self._clock, self._monotonic, self._sleep = clock, monotonic, sleep
        self._current: dict[str, tuple[int, float, int, str | None]] = {}  # address → its last replayed sample, while running

    @classmethod
    def check_address(cls, address: str, type: ValueType) -> Text | None:
        if address.strip():
            return None
        return Text(
            "the address of a recorded tag is its column (wide file) or its name (long file)", "地址应为列名（宽表）或测点名（长表）"
        )

    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        replay = _Replay(self, items, sink)
        pause = 0.1
        try:
            while True:
                try:
                    await replay.play()
                    await asyncio.Event().wait()  # the recording is over; the contract is to go on until cancelled
                except ConnectError as e:
                    if isinstance(e, BadAddress):
                        raise
                    replay.lose(e.what)
                await self._sleep(pause)
                pause = min(2 * pause, _LAST_PAUSE)
        finally:
            self._current.clear()
            self.health.state, self.health.since = "stopped", self._clock()

    async def read(self, items: Sequence[Item]) -> Batch:
        """The value being replayed while `run` is at work, else the first one recorded. Raises Unreachable, BadFrame, BadAddress."""
        missing = [i for i in items if i.address not in self._current]
        first = await asyncio.to_thread(lambda: self._first(missing, self.open())) if missing else {}
        now, unknown = self._clock(), (0, float("nan"), q.BAD_NODE_UNKNOWN, None)
        rows = [self._current.get(i.address) or first.get(i.address, unknown) for i in items]
        text = [r[3] for r in rows]
        return Batch.of(
            self.index,
            np.fromiter((i.id for i in items), np.int32, len(items)),
            [r[0] or now for r in rows],
            [r[1] for r in rows],
            [r[2] for r in rows],
            text if any(t is not None for t in text) else None,
        )

    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        """A recording is not written to: BadNotWritable for each."""
        return [q.BAD_NOT_WRITABLE] * len(writes)

    async def browse(self, under: str = "") -> list[Found]:
        """The tags of the recording with type and first value; those whose name begins with `under`. Raises Unreachable, BadFrame."""
        return await asyncio.to_thread(self._browse, under)

    def open(self, tell: Tell = _silently) -> list[Recording]:
        """Looks at every file; one that cannot be used is told. Raises Unreachable, BadFrame or BadAddress when none can be used."""
        made, error = [], None
        for path in self._paths():
            try:
                made.append(Recording(path, self.options))
            except ConnectError as e:
                error = e
                tell(path, 0, e.what)
        if error is not None and not made:
            raise error
        return made

    def problem(self, path: Path, line: int, what: Text) -> None:
        """Counts a row (or a whole file) that could not be used; keeps the first hundred."""
        self.skipped += 1
        self.health.dropped += 1
        if len(self.problems) < _KEPT_PROBLEMS:
            self.problems.append(Problem(str(path), line, what, severity="warning"))

    def merged(self, recordings: Sequence[Recording], wanted: Wanted, tell: Tell = _silently) -> Iterator[Batch]:
        """All wanted samples of all recordings in time order; tags are places in `wanted`. Rows that cannot be used, and files that fail on
        the way, are told and passed over."""
        openers, starts = [], []
        for recording in recordings:
            with contextlib.closing(recording.chunks(wanted, self.index, lambda line, what: None)) as chunks:
                try:
                    first = next(chunks, None)
                except ConnectError as e:
                    tell(recording.path, 0, e.what)
                    continue
            if first is not None:
                openers.append(lambda r=recording: r.chunks(wanted, self.index, lambda line, what, p=r.path: tell(p, line, what)))
                starts.append(int(first.time[0]))
        return iter(Merged(openers, starts, lambda e: tell(Path(e.where), 0, e.what)))

    def _paths(self) -> list[Path]:
        path = Path(self.options.path)
        if not path.is_dir():
            return [path]
        found = sorted(p for p in path.rglob("*") if p.is_file() and _is_recording(p))
        if not found:
            raise Unreachable(
                Text("no CSV or Parquet file in this folder", "文件夹中没有 CSV 或 Parquet 文件"),
                where=str(path),
                todo=Text("check the path", "请检查路径"),
            )
        return found

    def _first(self, items: Sequence[Item], recordings: Sequence[Recording]) -> dict[str, tuple[int, float, int, str | None]]:
        """The first sample of each item's address."""
        types = {i.address: i.type == "text" for i in items}
        if not any(r.layout.tag for r in recordings):  # what no wide file has need not be looked for
            known = {n for r in recordings for n in r.names()}
            types = {n: text for n, text in types.items() if n in known}
        wanted = Wanted(tuple(types), tuple(types.values()))
        out: dict[str, tuple[int, float, int, str | None]] = {}
        for batch in self.merged(recordings, wanted):
            _, rows = np.unique(batch.tag, return_index=True)
            for row in rows.tolist():
                name = wanted.names[batch.tag[row]]
                if name not in out:
                    out[name] = _row(batch, row)
            if len(out) == len(wanted.names):
                break
        return out

    def _browse(self, under: str) -> list[Found]:
        found: dict[str, Found] = {}
        recordings = self.open()
        for recording in recordings:
            for name in recording.names():
                if name not in found and name.startswith(under):
                    path, unit = _name_and_unit(name)
                    found[name] = Found(address=name, path=path, unit=unit)
        names = tuple(found)
        values = self._first([Item(id=0, address=n) for n in names], recordings)
        words = [n for n in names if n not in values or values[n][2] == q.BAD_TYPE_MISMATCH]
        said = self._first([Item(id=0, address=n, type="text") for n in words], recordings)
        for name in names:
            if name in said:
                found[name] = msgspec.structs.replace(found[name], type="text", unit="", value=said[name][3])
            elif name in values and np.isfinite(values[name][1]):
                found[name] = msgspec.structs.replace(found[name], value=values[name][1])
        return list(found.values())


class _Replay:
    """One `run`: the pacing of a recording, and which items its samples go to."""

    def __init__(self, driver: File, items: Sequence[Item], sink: Sink) -> None:
        self._driver, self._items, self._sink = driver, items, sink
        names = tuple(dict.fromkeys(i.address for i in items))
        types = {i.address: i.type == "text" for i in items}
        self._wanted = Wanted(names, tuple(types[n] for n in names))
        place = {n: i for i, n in enumerate(names)}
        self._layers: list[NDArray[np.int32]] = []  # place → item id, or -1; one layer more for each further item of one address
        filled = np.zeros(len(names), np.intp)
        for item in items:
            at = place[item.address]
            if filled[at] == len(self._layers):
                self._layers.append(np.full(len(names), -1, np.int32))
            self._layers[filled[at]][at] = item.id
            filled[at] += 1
        self._seen = np.zeros(len(names), np.bool_)
        self._lost = False
        self._round = 0  # ns, by which this round of a loop is moved on
        self._began: tuple[int, int, float] | None = None  # (first recorded time, clock, monotonic) at the start of the replay
        self._last = 0  # newest recorded time that was replayed
        self._lag = 0.0  # s, by which the last rows were late
        self._meter = LagMeter(driver.health)

    async def play(self) -> None:
        """To the end of the recording, again and again in a loop. Raises Unreachable, BadFrame, BadAddress."""
        driver, health = self._driver, self._driver.health
        tell: Tell = driver.problem
        recordings = await asyncio.to_thread(driver.open, tell)
        self._unknown(recordings)
        while True:
            first, step, count = 0, 0, 0
            chunks = await asyncio.to_thread(driver.merged, recordings, self._wanted, tell)
            coming = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
            try:
                while (batch := await coming) is not None:
                    coming = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
                    if not count:
                        first = int(batch.time[0])
                    count += 1 + int(np.count_nonzero(np.diff(batch.time)))
                    await self._pace(batch.with_(time=batch.time + self._round))
                    step = max(1, (self._last - self._round - first) // max(1, count - 1))
            finally:
                await asyncio.wait({coming})
                if not coming.cancelled():
                    coming.exception()  # raised above, or of no interest any more
            self._tell_unknown(~self._seen)
            if not driver.options.loop or not count:
                break
            self._round = self._last - first + step
            tell = _silently  # all was told in the first round
        health.state, health.since = "stopped", driver._clock()
        health.reason = Text("the end of the recording", "录制数据已播放完毕")

    def lose(self, why: Text) -> None:
        """The recording cannot be read: told once for each item."""
        health = self._driver.health
        if health.state != "down":
            health.state, health.since = "down", self._driver._clock()
        health.reason = why
        if not self._lost:
            self._lost = True
            ids = np.fromiter((i.id for i in self._items), np.int32, len(self._items))
            self._hand(Batch.of(self._driver.index, ids, self._driver._clock(), np.nan, q.BAD_NO_COMMUNICATION))

    async def _pace(self, batch: Batch) -> None:
        """Hands over a chunk's rows when their time comes."""
        driver, speed = self._driver, self._driver.options.speed
        if self._began is None:
            self._began = (int(batch.time[0]), driver._clock(), driver._monotonic())
        start, clock, began = self._began
        reached = np.maximum.accumulate(np.maximum(batch.time, self._last))  # a time that goes back does not halt the replay
        self._last = int(reached[-1])
        if speed == 0:
            self._give(batch)
            await asyncio.sleep(0)
            return
        due = (reached - start) / (speed * 1e9)  # s after the start
        stamped = batch if driver.options.times == "recorded" else batch.with_(time=clock + (due * 1e9).astype(np.int64))
        at = 0
        while at < len(batch):
            passed = driver._monotonic() - began
            end = int(np.searchsorted(due, passed, "right"))
            if end > at:
                self._lag = passed - float(due[end - 1])
                self._give(part(stamped, at, end))
                at = end
            else:
                await driver._sleep(max(float(due[at]) - passed, _TICK))

    def _give(self, batch: Batch) -> None:
        """Hands rows (tags are places) over to every item of their address."""
        driver, health = self._driver, self._driver.health
        self._lost = False
        if health.state != "up":
            health.state, health.since = "up", driver._clock()
        health.reason = None
        if driver.skipped:
            p = driver.problems[0]
            health.reason = Text(
                f"{driver.skipped} row(s) or file(s) skipped, first {p.in_('en')}", f"已跳过 {driver.skipped} 行或文件，首个：{p.in_('zh')}"
            )
        self._remember(batch)
        for layer in self._layers:
            ids = layer[batch.tag]
            keep = ids >= 0
            whole = batch.with_(tag=ids)
            self._hand(whole if keep.all() else whole.take(keep))

    def _remember(self, batch: Batch) -> None:
        last = np.full(len(self._seen), -1, np.intp)
        last[batch.tag] = np.arange(len(batch))  # of several samples of a tag NumPy's last assignment wins
        for place in np.flatnonzero(last >= 0).tolist():
            self._driver._current[self._wanted.names[place]] = _row(batch, int(last[place]))
        self._seen |= last >= 0

    def _hand(self, batch: Batch) -> None:
        if len(batch):
            health = self._driver.health
            health.delivered += len(batch)
            self._meter.seen(self._lag, self._driver._clock())
            self._sink(batch)

    def _unknown(self, recordings: Sequence[Recording]) -> None:
        """Tells columns that no file has. In a long file a name that never comes is known at its end only. Raises BadAddress when nothing
        at all is to be had."""
        if any(r.layout.tag for r in recordings) or not self._items:
            return
        known = {n for r in recordings for n in r.names()}
        missing = [n not in known for n in self._wanted.names]
        if all(missing):
            raise BadAddress(
                Text(f"no column {self._wanted.names[0]!r}", f"没有列 {self._wanted.names[0]!r}"),
                where=str(recordings[0].path),
                todo=Text(f"columns: {', '.join(sorted(known)[:12])}", f"可用列：{', '.join(sorted(known)[:12])}"),
            )
        self._tell_unknown(np.array(missing))

    def _tell_unknown(self, places: NDArray[np.bool_]) -> None:
        ids = np.concatenate([layer[places & (layer >= 0)] for layer in self._layers] or [np.empty(0, np.int32)])
        self._seen |= places
        self._hand(Batch.of(self._driver.index, ids, self._driver._clock(), np.nan, q.BAD_NODE_UNKNOWN))


def _row(batch: Batch, row: int) -> tuple[int, float, int, str | None]:
    text = None if batch.text is None else batch.text[row].as_py()
    return int(batch.time[row]), float(batch.value[row]), int(batch.quality[row]), text


def _name_and_unit(column: str) -> tuple[str, str]:
    """A column such as "Flow (m³/h)" or "流量[m3/h]" as its name and a UCUM unit; as it is where the brackets hold no unit."""
    found = _WITH_UNIT.fullmatch(column)
    if found is None:
        return column, ""
    for code in filter(None, (found[2], units.suggest(found[2]))):
        with contextlib.suppress(RongheError):
            units.parse(code)
            return found[1], code
    return column, ""


def _is_recording(path: Path) -> bool:
    plain = path.with_suffix("") if path.suffix == ".gz" else path
    return plain.suffix.lower() in (*TABLES, ".parquet", ".pq") and not path.name.startswith((".", "~"))
