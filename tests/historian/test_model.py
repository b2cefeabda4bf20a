"""Against the simplest thing that could be right: a dict from (tag, time) to the sample written last."""

from __future__ import annotations

import math
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

S = 1_000_000_000
T0 = 1_767_225_600 * S
TAGS = ["a", "b/c", "丁"]


class Row(NamedTuple):
    tag: str
    at: int
    value: float
    quality: int
    text: str | None


values = st.one_of(st.integers(-5000, 5000).map(lambda i: i / 100), st.floats(width=64), st.just(math.nan))
rows = st.builds(
    Row,
    st.sampled_from(TAGS),
    st.integers(0, 300).map(lambda s: T0 + s * S // 2),
    values,
    st.sampled_from([q.GOOD, q.GOOD, q.UNCERTAIN_RANGE, q.BAD_TIMEOUT]),
    st.sampled_from([None, None, None, "", "开"]),
)
steps = st.one_of(st.lists(rows, min_size=1, max_size=40), st.sampled_from(["flush", "compact", "reopen", "crash", "reader"]))
spans = st.tuples(st.integers(-10, 310), st.integers(-10, 310)).map(sorted)


@pytest.fixture(autouse=True)
def _everything_is_worth_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes are used for long spans only; here for any, so that they are tried against the model too."""
    monkeypatch.setattr("ronghe.historian.aggregate._FEW", 0)
    monkeypatch.setattr("ronghe.historian.segment._WORTH", 1)


def same(a: float, b: float) -> bool:
    return np.float64(a).view(np.int64) == np.float64(b).view(np.int64) or (math.isnan(a) and math.isnan(b))


@given(st.lists(steps, min_size=1, max_size=14), spans, st.sampled_from([S, 7 * S, 60 * S, 120 * S]))
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_to_it_a_store_holds_what_was_written(script: list[list[Row] | str], span: list[int], every: int) -> None:
    model: dict[tuple[str, int], Row] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "0"
        store = Historian(folder, TagIndex(), clock=lambda: T0, head_rows=30)
        for n, step in enumerate(script, 1):
            if isinstance(step, list):
                store.append(batch_of(step, store.index))
                model.update({(r.tag, r.at): r for r in step})
            elif step == "flush":
                store.flush()
            elif step == "compact":
                store.compact()
            elif step == "reopen":
                store.close()
                store = Historian(folder, TagIndex(reversed(TAGS)), clock=lambda: T0, head_rows=30)
            elif step == "reader":
                with Historian(folder, TagIndex(TAGS), readonly=True) as reader:
                    compare(reader, model, span, every)
            else:  # what a killed writer leaves behind, as the disk has it at this moment
                copy = folder.with_name(str(n))
                shutil.copytree(folder, copy, ignore=lambda _, names: [x for x in names if x.endswith(".tmp")])
                store.close()
                folder, store = copy, Historian(copy, TagIndex(), clock=lambda: T0, head_rows=30)
            compare(store, model, span, every)
        store.close()


def batch_of(step: list[Row], index: TagIndex) -> Batch:
    tag, at, value, quality, text = (list(c) for c in zip(*step, strict=True))
    return Batch.of(index, tag, at, value, quality, text)


def compare(store: Historian, model: dict[tuple[str, int], Row], span: list[int], every: int) -> None:
    start, end = (T0 + s * S // 2 for s in span)
    check_rows(store.raw(TAGS, start, end), [r for r in model.values() if start <= r.at < end])
    newest = {t: max((r for r in model.values() if r.tag == t), key=lambda r: r.at, default=None) for t in TAGS}
    check_rows(store.last(), [r for r in newest.values() if r])
    then = {t: max((r for r in model.values() if r.tag == t and r.at <= end), key=lambda r: r.at, default=None) for t in TAGS}
    check_rows(store.last(TAGS, at=end), [r for r in then.values() if r])
    check_aggregate(store, model, start, end, every)
    counted = store.sql("SELECT count(*) FROM samples").column(0).to_pylist()
    assert counted == [len(model)]


def check_rows(found: Batch, expected: list[Row]) -> None:
    names = found.index.names
    assert (np.lexsort((found.time, found.tag)) == np.arange(len(found))).all()
    text = [None] * len(found) if found.text is None else found.text.to_pylist()
    columns = (found.tag.tolist(), found.time.tolist(), found.value.tolist(), found.quality.tolist(), text)
    got = [Row(names[t], *rest) for t, *rest in zip(*columns, strict=True)]
    order = {t: found.index.id(t) for t in TAGS}
    expected = sorted(expected, key=lambda r: (order[r.tag], r.at))
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert (one.tag, one.at, one.quality, one.text) == (other.tag, other.at, other.quality, other.text)
        assert same(one.value, other.value)


def check_aggregate(store: Historian, model: dict[tuple[str, int], Row], start: int, end: int, every: int) -> None:
    buckets: dict[tuple[str, int], list[Row]] = {}
    for r in model.values():
        if start <= r.at < end:
            buckets.setdefault((r.tag, r.at - r.at % every), []).append(r)
    found = store.aggregate(TAGS, start, end, every, ("count", "min", "max", "mean")).to_pydict()
    times = [round(t.timestamp()) * S for t in found["time"]]
    assert sorted(zip(found["tag"], times, strict=True)) == sorted(buckets)
    for i, key in enumerate(zip(found["tag"], times, strict=True)):
        inside = buckets[key]
        counted = [r.value for r in inside if r.quality == q.GOOD and not math.isnan(r.value)]
        assert found["count"][i] == len(counted)
        assert found["good"][i] == sum(r.quality == q.GOOD for r in inside) / len(inside)
        if counted:
            assert found["min"][i] == min(counted)
            assert found["max"][i] == max(counted)
            with np.errstate(over="ignore", invalid="ignore"):
                np.testing.assert_allclose(found["mean"][i], np.mean(counted), rtol=1e-9, atol=1e-300 + 1e-12 * max(map(abs, counted)))
        else:
            assert found["min"][i] is found["mean"][i] is None
