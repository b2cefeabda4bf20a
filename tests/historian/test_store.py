"""The contract of the historian: what was appended is what is read, whatever it lies in."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ronghe.errors import BadQuery, HistorianError, StoreLocked
from ronghe.historian import Historian
from ronghe.signals import Batch, Grid, TagIndex
from ronghe.signals import quality as q

S = 1_000_000_000
T0 = 1_767_225_600 * S
NOW = T0 + 30 * 86_400 * S
ALWAYS = (0, 2**62)

Settle = Callable[[Historian], object]


def _nothing(store: Historian) -> None: ...


# Where the samples lie must not matter to any query.
everywhere = pytest.mark.parametrize("settle", [_nothing, Historian.flush, Historian.compact], ids=["memory", "segments", "compacted"])


def rows(batch: Batch) -> list[tuple[str, int, float, int]]:
    """(tag, seconds since T0, value, quality) of each row."""
    names = batch.index.names
    columns = (batch.tag.tolist(), batch.time.tolist(), batch.value.tolist(), batch.quality.tolist())
    return [(names[t], (at - T0) // S, v, c) for t, at, v, c in zip(*columns, strict=True)]


def put(store: Historian, tag: str, *samples: tuple[float, float], quality: int = q.GOOD) -> None:
    """Appends (seconds since T0, value) of one tag."""
    times = [T0 + round(at * S) for at, _ in samples]
    store.append(Batch.of(store.index, [tag] * len(samples), times, [v for _, v in samples], quality))


@everywhere
def test_raw_is_sorted_by_tag_and_time_and_ends_before_its_end(store: Historian, settle: Settle) -> None:
    put(store, "b", (3, 3.5), (1, 1.5))
    put(store, "a", (2, 20.25), (4, 40.25))
    settle(store)
    assert rows(store.raw(["a", "b"], T0, T0 + 4 * S)) == [("b", 1, 1.5, 0), ("b", 3, 3.5, 0), ("a", 2, 20.25, 0)]
    assert rows(store.raw(["a"], T0 + 2 * S, T0 + 5 * S)) == [("a", 2, 20.25, 0), ("a", 4, 40.25, 0)]
    assert len(store.raw(None, *ALWAYS)) == 4
    assert len(store.raw(None, *ALWAYS, limit=3)) == 3
    assert rows(store.raw(["nobody"], *ALWAYS)) == []
    assert rows(store.raw([], *ALWAYS)) == []


@everywhere
def test_the_later_written_of_two_wins(store: Historian, settle: Settle) -> None:
    put(store, "a", (1, 1.0), (2, 2.0), (2, 2.5))
    settle(store)
    put(store, "a", (1, 1.5), (3, 3.0))
    settle(store)
    put(store, "a", (3, 3.5))
    settle(store)
    assert rows(store.raw(["a"], *ALWAYS)) == [("a", 1, 1.5, 0), ("a", 2, 2.5, 0), ("a", 3, 3.5, 0)]
    assert rows(store.last(["a"])) == [("a", 3, 3.5, 0)]
    assert store.sql("SELECT value FROM samples ORDER BY time").column(0).to_pylist() == [1.5, 2.5, 3.5]


@everywhere
def test_last_is_the_newest_by_source_time_not_by_arrival(store: Historian, settle: Settle) -> None:
    put(store, "a", (10, 1.0))
    put(store, "b", (1, 7.0))
    settle(store)
    put(store, "a", (5, 2.0))
    assert rows(store.last()) == [("a", 10, 1.0, 0), ("b", 1, 7.0, 0)]
    assert rows(store.last(["b", "nobody"])) == [("b", 1, 7.0, 0)]
    assert rows(store.last(["a", "b"], at=T0 + 9 * S)) == [("a", 5, 2.0, 0), ("b", 1, 7.0, 0)]
    assert rows(store.last(at=T0 + 1 * S)) == [("b", 1, 7.0, 0)]
    assert rows(store.last(at=T0)) == []


@everywhere
def test_every_value_comes_back_as_it_was(store: Historian, settle: Settle) -> None:
    values = [0.0, -0.0, 37.42, -1e-9, 1e300, 5e-324, 2.0**53 + 2, np.pi, np.inf, -np.inf, np.nan, 123456.789012, 0.1 + 0.2, 1e15 + 0.5]
    times = T0 + S * np.arange(len(values))
    for tag in ("mixed", "again"):
        store.append(Batch.of(store.index, [tag] * len(values), times, values))
    for value in values:  # and each as a tag of its own, whose scale it decides alone
        put(store, f"only {value!r}", (0, value))
    settle(store)
    expected = np.array(values).view(np.int64)
    np.testing.assert_array_equal(store.raw(["mixed"], *ALWAYS).value.view(np.int64), expected)
    for value in values:
        found = store.raw([f"only {value!r}"], *ALWAYS).value
        assert found.view(np.int64)[0] == np.float64(value).view(np.int64), value


@everywhere
def test_quality_and_text_are_kept(store: Historian, settle: Settle) -> None:
    store.append(
        Batch.of(
            store.index,
            ["state", "state", "p", "state"],
            [T0, T0 + S, T0, T0 + 2 * S],
            [np.nan, np.nan, 1.0, np.nan],
            [q.GOOD, q.BAD_TIMEOUT, q.UNCERTAIN_RANGE, q.GOOD],
            ["running", None, None, "停机"],
        )
    )
    settle(store)
    put(store, "p", (1, 2.0))
    found = store.raw(["state"], *ALWAYS)
    assert found.text is not None
    assert found.text.to_pylist() == ["running", None, "停机"]
    assert found.quality.tolist() == [q.GOOD, q.BAD_TIMEOUT, q.GOOD]
    assert np.isnan(found.value).all()
    assert store.raw(["p"], *ALWAYS).quality.tolist() == [q.UNCERTAIN_RANGE, q.GOOD]
    newest = store.last(["state"])
    assert newest.text is not None
    assert newest.text.to_pylist() == ["停机"]
    assert store.last(["state"], at=T0 + S).quality.tolist() == [q.BAD_TIMEOUT]


@everywhere
def test_aggregate_counts_only_good_samples_and_gives_their_share(store: Historian, settle: Settle) -> None:
    put(store, "a", (0, 1.0), (10, 3.0), (59, 8.0), (60, 5.0))
    put(store, "a", (20, 1000.0), quality=q.BAD_DEVICE_FAILURE)
    put(store, "a", (130, np.nan), quality=q.BAD_NO_COMMUNICATION)
    put(store, "z", (0, 9.0))
    settle(store)
    functions = ("mean", "min", "max", "sum", "count", "first", "last", "std")
    found = store.aggregate(["a"], T0, T0 + 300 * S, 60 * S, functions).to_pydict()
    assert found["tag"] == ["a"] * 3
    assert [(t.timestamp() * S - T0) / S for t in found["time"]] == [0, 60, 120]
    assert found["mean"] == [4.0, 5.0, None]
    assert found["min"] == [1.0, 5.0, None]
    assert found["max"] == [8.0, 5.0, None]
    assert found["sum"] == [12.0, 5.0, None]
    assert found["count"] == [3, 1, 0]
    assert found["first"] == [1.0, 5.0, None]
    assert found["last"] == [8.0, 5.0, None]
    assert found["std"][:2] == [pytest.approx(np.std([1, 3, 8])), 0.0]
    assert found["good"] == [0.75, 1.0, 0.0]


@everywhere
def test_aggregate_takes_only_what_lies_in_its_range(store: Historian, settle: Settle) -> None:
    put(store, "a", *((i, float(i)) for i in range(300)))
    settle(store)
    found = store.aggregate(["a"], T0 + 30 * S, T0 + 250 * S, 60 * S, ("min", "max", "count")).to_pydict()
    assert found["min"] == [30, 60, 120, 180, 240]
    assert found["max"] == [59, 119, 179, 239, 249]
    assert found["count"] == [30, 60, 60, 60, 10]


@everywhere
def test_asof_is_what_a_live_grid_gives(store: Historian, settle: Settle) -> None:
    rng = np.random.default_rng(7)
    tags = ["a", "b", "c"]
    n = 200
    times = np.sort(rng.choice(100 * 10, n, replace=False)) * (S // 10) + T0
    batch = Batch.of(
        store.index,
        store.index.ids([tags[i] for i in rng.integers(0, 2, n)]),
        times,
        rng.normal(size=n),
        rng.choice([q.GOOD, q.GOOD, q.BAD], n),
    )
    store.append(batch)
    settle(store)
    grid = Grid(store.index, tags, S, grace=0)
    live = grid.push(batch)
    assert live is not None
    found = store.asof(tags, int(live.time[0]), int(live.time[-1]) + 1, S)
    assert found.tags == live.tags
    np.testing.assert_array_equal(found.time, live.time)
    np.testing.assert_array_equal(found.value, live.value)
    np.testing.assert_array_equal(found.quality, live.quality)
    np.testing.assert_allclose(found.age, live.age)


@everywhere
def test_asof_looks_back_before_its_start(store: Historian, settle: Settle) -> None:
    put(store, "slow", (-1000, 5.0))
    put(store, "a", (0, 1.0))
    settle(store)
    found = store.asof(["slow", "a", "nobody", "a"], T0, T0 + 2 * S, S, max_age=1001 * S)
    assert found.value[:, 0].tolist() == [5.0, 5.0]
    assert found.age[:, 0].tolist() == [1000.0, 1001.0]
    np.testing.assert_array_equal(found.value[:, 1], found.value[:, 3])
    assert found.quality[:, 2].tolist() == [q.BAD_WAITING] * 2
    stale = store.asof(["slow"], T0, T0 + S, S)
    assert np.isnan(stale.value).all()
    assert stale.quality[0, 0] == q.UNCERTAIN_LAST_USABLE


@everywhere
def test_sql_sees_every_sample_once(store: Historian, settle: Settle) -> None:
    put(store, "a/x", *((i, i / 10) for i in range(120)))
    settle(store)
    put(store, "a/x", (5, 99.0))
    put(store, "b", (1, np.pi))
    found = store.sql("SELECT tag, count(*) AS n, max(value) AS top FROM samples GROUP BY tag ORDER BY tag").to_pydict()
    assert found == {"tag": ["a/x", "b"], "n": [120, 1], "top": [99.0, np.pi]}
    times = store.sql("SELECT time FROM samples WHERE tag = 'b'").column(0).cast(pa.int64()).to_pylist()
    assert times == [T0 + S]


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "",
        "SELECT * FROM nothing",
        "SELEKT",
        "SELECT * FROM read_text('/etc/hostname')",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "ATTACH 'other.db'",
        "SET enable_external_access = true",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{segment}' (USE_TMP_FILE false)",
        "COPY (SELECT 1 AS a) TO '{segment}' (FORMAT parquet, USE_TMP_FILE false)",
    ],
)
def test_sql_can_neither_write_nor_look_elsewhere(store: Historian, text: str, tmp_path: Path) -> None:
    put(store, "a", (1, 1.0))
    store.flush()
    segment = next(store.folder.glob("seg-*"))
    before = segment.read_bytes()
    with pytest.raises(BadQuery):
        store.sql(text.format(segment=segment))
    assert segment.read_bytes() == before
    assert not Path("stolen.csv").exists()


def test_a_time_that_cannot_be_is_refused_and_counted_the_rest_is_stored(store: Historian) -> None:
    store.append(Batch.of(store.index, ["a"] * 4, [0, -5, NOW + 2 * 86_400 * S, T0], [1.0, 2.0, 3.0, 4.0]))
    assert rows(store.raw(["a"], -(2**62), 2**62)) == [("a", 0, 4.0, 0)]
    assert store.stats().refused == 3
    store.append(Batch.of(store.index, ["a"], [0], [1.0]))
    store.append(Batch.empty(store.index))
    assert store.stats().refused == 4


def test_what_a_batch_is_made_of_may_be_used_again(store: Historian) -> None:
    value = np.array([1.0])
    store.append(Batch.of(store.index, ["a"], np.array([T0]), value))
    value[0] = 2.0
    assert store.raw(["a"], *ALWAYS).value.tolist() == [1.0]


def test_a_batch_larger_than_the_head(store: Historian) -> None:
    n = 1234
    store.append(Batch.of(store.index, ["a"] * n, T0 + S * np.arange(n), np.arange(n) / 100))
    np.testing.assert_array_equal(store.raw(["a"], *ALWAYS).value, np.arange(n) / 100)


@everywhere
def test_a_store_opened_again_is_the_same(store: Historian, settle: Settle) -> None:
    for i in range(130):
        store.append(Batch.of(store.index, ["a", "b"], T0 + i * S, [i, -i], q.GOOD, [None, f"text {i}"]))
    settle(store)
    put(store, "a", (0, 1000.0))
    before, newest = store.raw(None, *ALWAYS), store.last()
    store.close()
    store.close()
    other = TagIndex(["unrelated", "b"])  # ids of the store are not those of a process
    with Historian(store.folder, other, clock=lambda: NOW, head_rows=50) as again:
        after = again.raw(["a", "b"], *ALWAYS)
        assert sorted(rows(after)) == sorted(rows(before))
        assert rows(after)[0][0] == "b"
        assert sorted(rows(again.last())) == sorted(rows(newest))
        assert again.tags() == ["a", "b"]
        put(again, "c", (1, 1.0))
        assert rows(again.last(["c"])) == [("c", 1, 1.0, 0)]


def test_a_kill_between_two_seals_of_one_log_loses_nothing(store: Historian, tmp_path: Path) -> None:
    for i in range(12):
        put(store, "a", (i, float(i)))
    store.close()
    with Historian(store.folder, TagIndex(), clock=lambda: NOW, head_rows=5) as smaller:  # one log now makes three heads
        smaller._upkeep._seal_next()
        assert smaller.stats().segments == 1
        shutil.copytree(store.folder, tmp_path / "copy")
        assert rows(smaller.raw(["a"], *ALWAYS)) == [("a", i, float(i), 0) for i in range(12)]
    with Historian(tmp_path / "copy", TagIndex(), clock=lambda: NOW, head_rows=5) as copy:
        assert rows(copy.raw(["a"], *ALWAYS)) == [("a", i, float(i), 0) for i in range(12)]


def test_the_newest_are_found_again_without_their_file(store: Historian) -> None:
    put(store, "a", (1, 1.0), (2, 2.0))
    put(store, "b", (7, 7.0))
    store.flush()
    put(store, "a", (1.5, 3.0))
    store.flush()
    store.close()
    (store.folder / "newest").write_bytes(b"damaged")
    with Historian(store.folder, store.index, clock=lambda: NOW) as again:
        assert rows(again.last()) == [("a", 2, 2.0, 0), ("b", 7, 7.0, 0)]


def test_one_writer_a_folder(store: Historian) -> None:
    import os

    with pytest.raises(StoreLocked, match=str(os.getpid())):
        Historian(store.folder, TagIndex())


def test_a_reader_sees_one_moment(store: Historian) -> None:
    put(store, "a", *((i, float(i)) for i in range(120)))
    with Historian(store.folder, TagIndex(), readonly=True) as reader:
        put(store, "a", (500, 500.0))
        store.compact()
        store.compact()
        assert len(reader.raw(["a"], *ALWAYS)) == 120
        assert rows(reader.last()) == [("a", 119, 119.0, 0)]
        assert reader.sql("SELECT count(*) FROM samples").column(0).to_pylist() == [120]
        with pytest.raises(HistorianError):
            reader.append(Batch.of(reader.index, ["a"], [T0], [1.0]))
        reader.flush()
    with Historian(store.folder, TagIndex(), readonly=True) as reader:
        assert len(reader.raw(["a"], *ALWAYS)) == 121
        assert store.stats().segments == 1


def test_files_are_removed_when_their_last_reader_is_gone(store: Historian) -> None:
    put(store, "a", *((i, float(i)) for i in range(120)))
    store.flush()
    with Historian(store.folder, TagIndex(), readonly=True):
        store.compact()
        assert len(list(store.folder.glob("seg-??????????.parquet"))) > 1
    store.compact()
    assert len(list(store.folder.glob("seg-??????????.parquet"))) == 1


def test_reading_only_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HistorianError, match="no store"):
        Historian(tmp_path / "nothing", TagIndex(), readonly=True)


def test_a_closed_store_takes_nothing(store: Historian) -> None:
    store.close()
    with pytest.raises(HistorianError):
        put(store, "a", (1, 1.0))


def test_retention_removes_whole_segments_and_keeps_what_is_young(tmp_path: Path, index: TagIndex) -> None:
    now = [T0]
    with Historian(tmp_path, index, clock=lambda: now[0], keep=3600.0, head_rows=50) as store:
        put(store, "old", (-3000, 1.0))
        store.flush()
        put(store, "a", (-10, 2.0))
        store.flush()
        assert store.retire() == 0
        now[0] += 1000 * S
        put(store, "a", (900, 3.0))
        assert store.retire() == 1
        assert rows(store.raw(None, *ALWAYS)) == [("a", -10, 2.0, 0), ("a", 900, 3.0, 0)]
        # The last known value of a tag that went silent outlives its raw samples.
        assert rows(store.last(["old"])) == [("old", -3000, 1.0, 0)]
        store.flush()
        now[0] += 10_000 * S
        put(store, "a", (10_900, 4.0))
        store.compact()
        assert store.stats().segments == 1
        assert len(list(tmp_path.glob("seg-*"))) == 1
        assert rows(store.raw(None, *ALWAYS)) == [("a", 10_900, 4.0, 0)]


def test_a_clock_gone_wrong_removes_nothing(tmp_path: Path, index: TagIndex) -> None:
    now = [T0]
    with Historian(tmp_path, index, clock=lambda: now[0], keep=3600.0) as store:
        put(store, "a", (-3000, 1.0), (-10, 2.0))
        store.flush()
        now[0] += 400 * 86_400 * S  # ahead for one look
        assert store.retire() == 0
        store.compact()
        now[0] = T0
        assert rows(store.raw(None, *ALWAYS)) == [("a", -3000, 1.0, 0), ("a", -10, 2.0, 0)]


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.raw(["a"], 10, 5),
        lambda s: s.aggregate(["a"], 0, 10, 0),
        lambda s: s.aggregate(["a"], 0, 10, -1),
        lambda s: s.aggregate(["a"], 10, 0, 1),
        lambda s: s.aggregate(["a"], 0, 10, 1, ("median",)),
        lambda s: s.asof(["a"], 0, 10, 0),
        lambda s: s.asof(["a"], 10, 0, 1),
        lambda s: s.asof(["a"], 0, 2**62, 1),
    ],
)
def test_questions_that_make_no_sense_are_refused(store: Historian, ask: Callable[[Historian], object]) -> None:
    put(store, "a", (1, 1.0))
    with pytest.raises(BadQuery):
        ask(store)


def test_spans_and_times_beyond_what_a_clock_holds(store: Historian) -> None:
    put(store, "a", (1, 1.0))
    for settle in (_nothing, Historian.flush):
        settle(store)
        assert len(store.raw(["a"], -(10**30), 10**30)) == 1
        assert len(store.raw(["a"], -(10**30), -5)) == 0
        assert store.aggregate(["a"], -(10**30), 10**30, 60 * S).num_rows == 1
        assert len(store.last(["a"], at=10**30)) == 1
        assert len(store.last(["a"], at=-1)) == 0


def test_an_empty_store_answers(store: Historian) -> None:
    assert len(store.last()) == 0
    assert len(store.last(at=NOW)) == 0
    assert len(store.raw(None, *ALWAYS)) == 0
    assert store.aggregate(["a"], T0, NOW, S, ("mean", "std")).num_rows == 0
    assert np.isnan(store.asof(["a"], T0, T0 + S, S).value).all()
    assert store.sql("SELECT count(*) FROM samples").column(0).to_pylist() == [0]
    store.flush()
    store.compact()
    assert store.stats().segments == 0


def test_many_threads_append_and_read_at_once(tmp_path: Path, index: TagIndex) -> None:
    failures: list[BaseException] = []
    with Historian(tmp_path, index, clock=lambda: NOW, head_rows=200) as store:

        def write(k: int) -> None:
            try:
                for i in range(60):
                    store.append(Batch.of(index, [f"t{k}"] * 10, T0 + S * np.arange(i * 10, i * 10 + 10), float(k)))
            except BaseException as e:
                failures.append(e)

        def read() -> None:
            try:
                while any(w.is_alive() for w in writers):
                    found = store.raw(None, *ALWAYS)
                    steps = np.diff(found.time)[np.diff(found.tag) == 0]
                    assert (steps == S).all()  # of each writer a gapless beginning
                    store.compact()
            except BaseException as e:
                failures.append(e)

        writers = [threading.Thread(target=write, args=(k,)) for k in range(4)]
        for writer in writers:
            writer.start()
        reader = threading.Thread(target=read)
        reader.start()
        for thread in (*writers, reader):
            thread.join()
        assert not failures
        assert len(store.raw(None, *ALWAYS)) == 4 * 600
        assert store.sql("SELECT count(*) FROM samples").column(0).to_pylist() == [2400]


def test_a_question_asked_again_is_answered_alike_and_its_answer_cannot_be_spoilt(store: Historian) -> None:
    put(store, "a", *((i, i / 4) for i in range(100)))
    put(store, "b", *((i, i / 2) for i in range(100)))
    store.compact()
    first = rows(store.raw(["a"], *ALWAYS))
    again = store.raw(["a"], *ALWAYS)
    assert rows(again) == first
    with pytest.raises(ValueError, match="read-only"):
        again.value[0] = 7.0
    assert rows(store.raw(["a", "b"], *ALWAYS))[:100] == first
    assert rows(store.raw(["a"], T0 + 10 * S, T0 + 12 * S)) == [("a", 10, 2.5, 0), ("a", 11, 2.75, 0)]
    put(store, "a", (3, 9.0))
    assert rows(store.raw(["a"], *ALWAYS))[3] == ("a", 3, 9.0, 0)


def test_long_spans_are_read_in_parts_and_from_minutes(store: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    n = 5000
    times = T0 + rng.choice(n + 1000, n, replace=False).astype(np.int64) * S
    values = np.round(rng.normal(50, 5, n), 2)
    store.append(Batch.of(store.index, store.index.ids(f"t{i}" for i in rng.integers(0, 3, n)), times, values))
    store.compact()
    assert list(store.folder.glob("*.minutes.parquet"))
    span = (T0 + 77 * S, T0 + 5_555 * S)
    tags = ["t0", "t1", "t2"]
    every = 120 * S
    whole = store.aggregate(tags, *span, every, ("mean", "min", "max", "count", "sum"))
    ordered = store.aggregate(tags, *span, every, ("first", "last", "std"))
    window = store.asof(tags, *span, 7 * S)
    monkeypatch.setattr("ronghe.historian.aggregate._FEW", 0)
    monkeypatch.setattr("ronghe.historian.query._ROWS", 300)
    parts = store.aggregate(tags, *span, every, ("mean", "min", "max", "count", "sum"))
    assert parts.select(["tag", "time", "min", "max", "count", "good"]).equals(whole.select(["tag", "time", "min", "max", "count", "good"]))
    np.testing.assert_allclose(parts.column("mean").to_numpy(), whole.column("mean").to_numpy(), rtol=1e-12)
    assert store.aggregate(tags, *span, every, ("first", "last", "std")).equals(ordered)
    again = store.asof(tags, *span, 7 * S)
    np.testing.assert_array_equal(again.value, window.value)
    np.testing.assert_array_equal(again.age, window.age)
