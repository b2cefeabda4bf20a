"""The grid against a slow, plain one that says row by row what is promised."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.errors import RongheError
from ronghe.signals import Batch, Grid, TagIndex, Window, window
from ronghe.signals import quality as q

START = 1_700_000_000_000_000_000  # ns


@dataclass
class SlowGrid:
    """Says row by row, sample by sample, what `Grid` promises."""

    tags: list[str]
    every: int
    max_age: int
    grace: int
    longest: int
    accepted: list[tuple[int, int, str, float, int]] = field(default_factory=list)  # time, order of arrival, tag, value, quality
    row: int | None = None
    late: int = 0
    rows: list[tuple[int, tuple[float, ...], tuple[int, ...], tuple[float, ...]]] = field(default_factory=list)

    def push(self, samples: list[tuple[str, int, float, int]]) -> None:
        mine = [s for s in samples if s[0] in self.tags]
        if not mine:
            return
        for tag, time, value, quality in mine:
            if self.row is not None and time <= self.row:
                self.late += 1
            self.accepted.append((time, len(self.accepted), tag, value, quality))
        newest = [max((a[0] for a in self.accepted if a[2] == tag), default=0) for tag in self.tags]
        self.emit(max(min(newest), max(newest) - self.grace))

    def flush(self, now: int) -> None:
        if self.accepted:
            start = self.row if self.row is not None else self.line_before(min(a[0] for a in self.accepted))
            if (now - self.grace) // self.every - start // self.every <= self.longest:
                self.emit(now - self.grace)

    def line_before(self, time: int) -> int:
        return (time - 1) // self.every * self.every

    def emit(self, until: int) -> None:
        if self.row is None:
            self.row = self.line_before(min(a[0] for a in self.accepted))
        events = sorted({-(-a[0] // self.every) * self.every for a in self.accepted})
        row = self.row + self.every
        while row <= until:
            before = max([e for e in events if e < row] + [self.row])
            after = min([e for e in events if e >= row], default=row)
            if after - before > self.longest * self.every and row != after:
                row = after
                continue
            self.rows.append(self.as_of(row))
            self.row = row
            row += self.every

    def as_of(self, row: int) -> tuple[int, tuple[float, ...], tuple[int, ...], tuple[float, ...]]:
        values, codes, ages = [], [], []
        for tag in self.tags:
            held = max((a for a in self.accepted if a[2] == tag and a[0] <= row), default=None)
            if held is None:
                values.append(math.nan), codes.append(q.BAD_WAITING), ages.append(math.inf)
                continue
            time, _, _, value, code = held
            good = code < 0x40000000
            stale = good and row - time > self.max_age
            values.append(value if good and not stale else math.nan)
            codes.append(q.UNCERTAIN_LAST_USABLE if stale else code)
            ages.append((row - time) / 1e9)
        return row, tuple(values), tuple(codes), tuple(ages)


def batch_of(index: TagIndex, samples: list[tuple[str, int, float, int]]) -> Batch:
    return Batch.of(index, [s[0] for s in samples], [s[1] for s in samples], [s[2] for s in samples], [s[3] for s in samples])


def rows_of(windows: list[Window | None]) -> list[tuple[int, tuple[float, ...], tuple[int, ...], tuple[float, ...]]]:
    return [
        (int(w.time[i]), tuple(w.value[i].tolist()), tuple(w.quality[i].tolist()), tuple(w.age[i].tolist()))
        for w in windows
        if w is not None
        for i in range(len(w))
    ]


SECOND = 1_000_000_000
TAGS = ["a", "b", "c"]
OTHER = "not wanted"

instants = st.integers(0, 60_000).map(lambda ms: START + ms * 1_000_000)
coarse = st.integers(0, 60).map(lambda s: START + s * SECOND)  # on grid lines, so that ties happen
samples = st.tuples(
    st.sampled_from([*TAGS, OTHER]),
    instants | coarse | coarse.map(lambda t: t - 1),
    st.floats(-1e6, 1e6) | st.just(math.nan),
    st.sampled_from([q.GOOD, q.GOOD, q.GOOD, q.UNCERTAIN, q.BAD_NO_COMMUNICATION]),
)


@pytest.fixture(autouse=True)
def short_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "_LONGEST", 20)


def grids(every_ms: int, grace_ms: int, max_age_ms: int) -> tuple[TagIndex, Grid, SlowGrid]:
    index = TagIndex(["before", *TAGS])
    every, grace, max_age = every_ms * 1_000_000, grace_ms * 1_000_000, max_age_ms * 1_000_000
    return index, Grid(index, TAGS, every, max_age=max_age, grace=grace), SlowGrid(TAGS, every, max_age, grace, 20)


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.lists(samples, max_size=8) | st.integers(0, 70), max_size=12),
    st.sampled_from([250, 1000, 1700]),
    st.sampled_from([0, 500, 2000, 9000]),
    st.sampled_from([0, 1000, 5000, 10**7]),
)
def test_every_row_is_what_the_slow_grid_says(
    steps: list[list[tuple[str, int, float, int]] | int], every: int, grace: int, age: int
) -> None:
    index, grid, slow = grids(every, grace, age)
    given_out: list[Window | None] = []
    for step in steps:
        if isinstance(step, int):
            given_out.append(grid.flush(START + step * SECOND))
            slow.flush(START + step * SECOND)
        else:
            given_out.append(grid.push(batch_of(index, step)))
            slow.push(step)
    assert repr(rows_of(given_out)) == repr(slow.rows)
    assert grid.late == slow.late


@settings(deadline=None, max_examples=200)
@given(st.lists(samples, min_size=1, max_size=60, unique_by=lambda s: s[:2]), st.data())
def test_splitting_a_stream_in_time_order_changes_no_row(stream: list[tuple[str, int, float, int]], data: st.DataObject) -> None:
    stream = sorted(stream, key=lambda s: s[1])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    end = stream[-1][1] + 10 * SECOND
    index, whole, _ = grids(1000, 2000, 5000)
    once = [whole.push(batch_of(index, stream)), whole.flush(end)]
    index, parts, _ = grids(1000, 2000, 5000)
    pieces = [stream[i:j] for i, j in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    split = [*(parts.push(batch_of(index, p)) for p in pieces), parts.flush(end)]
    assert repr(rows_of(split)) == repr(rows_of(once))
    assert parts.late == whole.late == 0


def test_a_dense_batch_longer_than_the_longest_silence_loses_no_row() -> None:
    index = TagIndex(["a"])
    grid = Grid(index, ["a"], SECOND)
    n = 1000
    out = grid.push(Batch.of(index, np.zeros(n, np.int32), START + SECOND * np.arange(n), np.arange(n)))
    assert out is not None
    assert out.value[:, 0].tolist() == list(range(n))


def test_a_long_silence_is_passed_over() -> None:
    index = TagIndex(["a"])
    grid = Grid(index, ["a"], SECOND)
    assert len(grid.push(Batch.of(index, ["a"], [START], [1.0])) or ()) == 1
    years = START + 10**9 * SECOND  # a thousand million rows later: neither time nor memory for them
    out = grid.push(Batch.of(index, ["a"], [years], [2.0]))
    assert out is not None
    assert out.time.tolist() == [years]


def test_a_clock_far_ahead_completes_nothing() -> None:
    """A recording of last year is played: the wall clock must not make all of it late."""
    index = TagIndex(["a", "b"])
    grid = Grid(index, ["a", "b"], SECOND)
    grid.push(Batch.of(index, ["a"], [START], [1.0]))
    assert grid.flush(START + 365 * 86400 * SECOND) is None
    grid.push(Batch.of(index, ["a", "b"], [START + SECOND] * 2, [1.0, 2.0]))
    assert grid.late == 0


def test_an_initial_value_of_long_ago_is_known_although_it_is_late() -> None:
    """A device that reports changes only sends, on subscribing, a value whose source time is hours ago."""
    index = TagIndex(["a", "b"])
    grid = Grid(index, ["a", "b"], SECOND, max_age=10**6 * SECOND, grace=SECOND)
    grid.push(Batch.of(index, ["a", "a"], [START, START + 9 * SECOND], [1.0, 2.0]))
    grid.push(Batch.of(index, ["b"], [START - 7200 * SECOND], [5.0]))
    out = grid.push(Batch.of(index, ["a"], [START + 12 * SECOND], [3.0]))
    assert out is not None
    assert out.value[:, 1].tolist() == [5.0] * len(out)
    assert grid.late == 1


def test_a_late_sample_never_hides_a_newer_one() -> None:
    index = TagIndex(["a"])
    grid = Grid(index, ["a"], SECOND, max_age=10**6 * SECOND, grace=SECOND)
    grid.push(Batch.of(index, ["a"], [START + 5 * SECOND], [5.0]))
    grid.push(Batch.of(index, ["a"], [START + 4 * SECOND], [4.0]))
    out = grid.flush(START + 8 * SECOND)
    assert out is not None
    assert out.value[-1, 0] == 5.0


def test_tags_added_to_the_index_later_do_not_disturb() -> None:
    index = TagIndex(["a"])
    grid = Grid(index, ["a"], SECOND)
    index.ids([f"new{i}" for i in range(100)])
    assert grid.push(Batch.of(index, ["new99"], [START], [1.0])) is None
    assert grid.push(Batch.of(index, ["new3", "a"], [START] * 2, [1.0, 7.0])).value.tolist() == [[7.0]]  # type: ignore[union-attr]


def test_a_held_value_has_no_greatest_age_until_its_source_says_that_it_is_lost() -> None:
    index = TagIndex(["a", "b"])
    grid = Grid(index, ["a", "b"], SECOND, max_age=2 * SECOND, grace=0, held={"a"})
    grid.push(Batch.of(index, ["a", "b"], SECOND, [1.0, 2.0]))
    window = grid.push(Batch.of(index, ["b"], 9 * SECOND, 3.0))
    assert window is not None
    assert window.value[-1].tolist() == [1.0, 3.0]
    assert np.isnan(window.value[-2][1])  # b is not held
    lost = grid.push(Batch.of(index, ["a", "b"], 10 * SECOND, [np.nan, 3.0], [q.BAD_NO_COMMUNICATION, q.GOOD]))
    assert lost is not None
    assert np.isnan(lost.value[-1][0])


@pytest.mark.parametrize(("tags", "every"), [(["a", "b", "a"], SECOND), (["a"], 0), (["a"], -1)])
def test_a_grid_that_could_never_be_filled_is_refused(tags: list[str], every: int) -> None:
    with pytest.raises(RongheError, match="each tag once"):
        Grid(TagIndex(), tags, every)


def test_of_many_samples_at_one_time_the_last_written_holds() -> None:
    index = TagIndex(["a"])
    times = START + SECOND * np.random.default_rng(1).integers(0, 3, 1000)
    out = Grid(index, ["a"], SECOND).push(Batch.of(index, ["a"] * 1000, times, np.arange(1000.0)))
    assert out is not None
    assert out.value[:, 0].tolist() == [float(np.flatnonzero(times == t)[-1]) for t in out.time]


def test_no_row_waits_for_a_held_value_that_did_not_change() -> None:
    index = TagIndex(["a", "b", "c"])
    grid = Grid(index, ["a", "b", "c"], SECOND, held={"b", "c"}, grace=10**6 * SECOND)
    first = grid.push(Batch.of(index, ["a", "b", "c"], 2 * SECOND, [1.0, 2.0, 3.0]))
    assert first is not None
    window = grid.push(Batch.of(index, ["a"], 4 * SECOND + 1, 5.0))  # after row 4, which b and c have not changed for
    assert window is not None
    assert (window.time // SECOND).tolist() == [3, 4]
    assert window.value.tolist() == [[1.0, 2.0, 3.0]] * 2
    assert grid.push(Batch.of(index, ["b"], 6 * SECOND + 1, 7.0)) is None  # a is not held: its rows wait for it


def test_a_grid_of_no_tags_has_the_clock_alone() -> None:
    index = TagIndex(["other"])
    grid = Grid(index, (), 1_000_000_000)
    assert grid.push(Batch.of(index, ["other"], START, [1.0])) is None
    rows = [grid.flush(START + ms * 1_000_000) for ms in (0, 400, 1000, 7300, 7900)]
    assert [None if w is None else (int(w.time[0]), w.value.shape, w.tags) for w in rows] == [
        (START, (1, 0), ()),
        None,
        (START + 1_000_000_000, (1, 0), ()),
        (START + 7_000_000_000, (1, 0), ()),
        None,
    ]
