"""Batches and tag indexes: the Arrow form keeps everything, ids stay true."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.errors import RongheError
from ronghe.signals import SCHEMA, Batch, TagIndex
from ronghe.signals import quality as q

rows = st.tuples(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.integers(0, 2**32 - 1),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
)


def batch(index: TagIndex, found: list[tuple[str, int, float, int, str | None]], *, text: bool = True) -> Batch:
    tags, times, values, codes, texts = zip(*found, strict=True) if found else ((), (), (), (), ())
    return Batch.of(index, tags, times, values, codes, list(texts) if text else None)


def plain(b: Batch) -> list[tuple[Any, ...]]:
    texts = [None] * len(b) if b.text is None else b.text.to_pylist()
    names = [b.index.names[i] for i in b.tag.tolist()]
    return list(zip(names, b.time.tolist(), map(repr, b.value.tolist()), b.quality.tolist(), texts, strict=True))


@settings(deadline=None)
@given(st.lists(rows, max_size=30), st.booleans())
def test_arrow_and_back_keeps_every_row_under_another_index(found: list[tuple[str, int, float, int, str | None]], text: bool) -> None:
    here, there = TagIndex(["unused", "x"]), TagIndex(["other", "y", "z"])
    sent = batch(here, found, text=text)
    arrow = sent.arrow()
    assert arrow.schema == SCHEMA
    got = Batch.from_arrow(arrow, there)
    assert plain(got) == plain(sent)
    assert set(there.names) == {"other", "y", "z"} | {f[0] for f in found}


@settings(deadline=None)
@given(st.lists(st.lists(rows, max_size=8), min_size=1, max_size=4), st.booleans())
def test_a_table_of_chunks_with_different_dictionaries_is_one_batch(
    parts: list[list[tuple[str, int, float, int, str | None]]], text: bool
) -> None:
    table = pa.Table.from_batches([batch(TagIndex(), p, text=text).arrow() for p in parts], SCHEMA)
    got = Batch.from_arrow(table, TagIndex(["first"]))
    assert plain(got) == [r for p in parts for r in plain(batch(TagIndex(), p, text=text))]


@settings(deadline=None)
@given(st.lists(st.tuples(st.lists(rows, max_size=6), st.booleans()), min_size=1, max_size=4), st.data())
def test_concat_and_take_are_those_of_lists(
    parts: list[tuple[list[tuple[str, int, float, int, str | None]], bool]], data: st.DataObject
) -> None:
    index = TagIndex()
    whole = Batch.concat([batch(index, p, text=text) for p, text in parts])
    expected = [r for p, text in parts for r in plain(batch(index, p, text=text))]
    assert plain(whole) == expected
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(expected), max_size=len(expected))), np.bool_)
    assert plain(whole.take(mask)) == [r for r, m in zip(expected, mask.tolist(), strict=True) if m]
    if expected:
        at = np.array(data.draw(st.lists(st.integers(0, len(expected) - 1), max_size=8)), np.int64)
        assert plain(whole.take(at)) == [expected[i] for i in at.tolist()]


def test_columns_of_other_arrow_types_are_read() -> None:
    table = pa.table(
        {
            "tag": pa.array(["a", "b"], pa.large_string()),
            "time": pa.array([1_000, 2_000], pa.timestamp("us", tz="UTC")),
            "value": pa.array([1, 2], pa.int32()),
            "quality": pa.array([0, q.BAD], pa.int64()),
            "extra": pa.array([None, None]),
        }
    )
    got = Batch.from_arrow(table, TagIndex())
    assert plain(got) == [("a", 1_000_000, "1.0", 0, None), ("b", 2_000_000, "2.0", q.BAD, None)]


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.drop_columns(["value"]),
        lambda t: t.set_column(2, "value", pa.array(["x", "y"])),
        lambda t: t.set_column(2, "value", pa.array([1.0, None])),
        lambda t: t.set_column(0, "tag", pa.array(["a", None])),
        lambda t: t.set_column(0, "tag", pa.array([[1], [2]])),
        lambda t: t.set_column(1, "time", pa.array([None, 1], pa.timestamp("ns", tz="UTC"))),
        lambda t: t.set_column(3, "quality", pa.array([-1, 0])),
        lambda t: t.append_column("text", pa.array([b"\xff", b"x"])),
    ],
)
def test_what_is_no_batch_is_refused(change: Any) -> None:
    table = pa.table({"tag": ["a", "b"], "time": pa.array([1, 2], pa.timestamp("ns", tz="UTC")), "value": [1.0, 2.0], "quality": [0, 0]})
    Batch.from_arrow(table, TagIndex())
    with pytest.raises(RongheError, match="not a batch"):
        Batch.from_arrow(change(table), TagIndex())


def test_scalars_are_spread_and_lengths_checked() -> None:
    index = TagIndex()
    b = Batch.of(index, ["a", "b", "a"], 5, math.nan, q.BAD)
    assert plain(b) == [("a", 5, "nan", q.BAD, None), ("b", 5, "nan", q.BAD, None), ("a", 5, "nan", q.BAD, None)]
    assert b.good.tolist() == [False] * 3
    with pytest.raises(RongheError, match="rows"):
        Batch.of(index, ["a", "b"], [1, 2, 3], 0.0)
    with pytest.raises(RongheError, match="indexes"):
        Batch.concat([b, Batch.of(TagIndex(), ["a"], 1, 1.0)])


def test_ids_are_the_same_for_every_thread() -> None:
    index = TagIndex()
    names = [f"tag{i}" for i in range(3000)]
    got: list[list[int]] = []
    start = threading.Barrier(8)

    def work(seed: int) -> None:
        mine = np.random.default_rng(seed).permutation(names).tolist()
        start.wait()
        ids = dict(zip(mine, index.ids(mine).tolist(), strict=True))
        got.append([ids[n] for n in names])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(got) == 8
    assert all(g == got[0] for g in got)
    assert sorted(got[0]) == list(range(3000))
    assert [index.names[i] for i in got[0]] == names
    assert index.arrow().to_pylist() == list(index.names)
    assert index.find("never") is None
    assert len(index) == 3000


def test_numeric_columns_are_not_copied_to_arrow_and_back() -> None:
    index = TagIndex(["a"])
    sent = Batch.of(index, np.zeros(1000, np.int32), np.arange(1000), np.arange(1000.0))
    arrow = sent.arrow()
    got = Batch.from_arrow(arrow, index)
    for name in ("time", "value", "quality"):
        assert np.shares_memory(getattr(sent, name), getattr(got, name))
