"""The latest values: older samples pass over, a dead source is never Good."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.signals import Batch, Latest, TagIndex
from ronghe.signals import quality as q

SECOND = 1_000_000_000
T = 1_700_000_000 * SECOND

samples = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 9).map(lambda s: T + s * SECOND),
    st.floats(allow_nan=False, width=16),
    st.sampled_from([q.GOOD, q.UNCERTAIN, q.BAD_NO_COMMUNICATION]),
    st.none() | st.sampled_from(["on", "off"]),
)


@settings(deadline=None)
@given(st.lists(st.lists(samples, max_size=8), max_size=6))
def test_held_is_the_newest_sample_and_of_equal_times_the_last_written(
    batches: list[list[tuple[str, int, float, int, str | None]]],
) -> None:
    index = TagIndex()
    latest = Latest(index)
    held: dict[str, tuple[int, float, int]] = {}
    words: dict[str, str] = {}
    for n, batch in enumerate(batches):
        if batch:
            tags, times, values, codes, texts = zip(*batch, strict=True)
            latest.update(Batch.of(index, tags, times, values, codes, list(texts)), T + 10 * SECOND + n)
        for tag, time, value, code, text in sorted(batch, key=lambda s: s[1]):
            if time >= held.get(tag, (0, 0.0, 0))[0]:
                held[tag] = (time, value, code)
                if text is not None:
                    words[tag] = text
    for tag in ("a", "b", "c"):
        value, code, age = latest.get(tag, T + 20 * SECOND)
        if tag in held:
            assert (T + 20 * SECOND - round(age * 1e9), value, code) == held[tag]
            assert latest.text.get(index.id(tag)) == words.get(tag)
        else:
            assert math.isnan(value)
            assert code == q.BAD_WAITING
            assert age == math.inf


@settings(deadline=None)
@given(st.sampled_from([q.GOOD, q.UNCERTAIN, q.BAD]), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_a_silent_source_is_never_good(code: int, limit: int, confirmed: int, after: int) -> None:
    index = TagIndex(["a"])
    latest = Latest(index)
    latest.stale_after[0] = limit * SECOND
    latest.update(Batch.of(index, ["a"], T, 1.0, code), T)
    if confirmed:
        latest.confirm(np.array([0], np.int32), T + confirmed * SECOND)
    now = T + (confirmed + after) * SECOND
    _, shown, age = latest.get("a", now)
    stale = limit and after > limit
    assert shown == (q.UNCERTAIN_LAST_USABLE if stale and code == q.GOOD else code)
    assert age == after if confirmed or code != q.GOOD else age == confirmed + after
    assert latest.quality(now).tolist() == [shown]


def test_what_was_never_heard_cannot_be_confirmed() -> None:
    index = TagIndex(["a"])
    latest = Latest(index)
    latest.confirm(np.array([0], np.int32), T)
    assert latest.get("a", T)[1] == q.BAD_WAITING
    assert latest.get("unknown", T)[1] == q.BAD_WAITING


def test_tags_added_later_have_room() -> None:
    index = TagIndex()
    latest = Latest(index)
    index.ids(f"t{i}" for i in range(50))
    assert latest.get("t49", T)[1] == q.BAD_WAITING
    latest.update(Batch.of(index, ["t49"], T, 3.0), T)
    assert latest.get("t49", T) == (3.0, q.GOOD, 0.0)
    assert len(latest.quality(T)) == 50


def test_a_lost_device_is_shown_although_its_clock_is_ahead_of_ours() -> None:
    """The driver's BadNoCommunication carries our time of detection; the device's last sample was a little later by its own clock."""
    index = TagIndex(["a"])
    latest = Latest(index)
    latest.update(Batch.of(index, ["a"], T + 30 * SECOND, 1.0), T)
    latest.update(Batch.of(index, ["a"], T + 5 * SECOND, math.nan, q.BAD_NO_COMMUNICATION), T + 5 * SECOND)
    assert latest.get("a", T + 5 * SECOND)[1] == q.BAD_NO_COMMUNICATION


def test_a_clock_that_is_set_back_hides_neither_samples_nor_a_dead_source() -> None:
    index = TagIndex(["lives", "dies", "confirmed"])
    latest = Latest(index)
    latest.stale_after[:] = 5 * SECOND
    latest.update(Batch.of(index, ["lives", "dies", "confirmed"], T, 1.0), T)
    back = T - 3600 * SECOND
    latest.update(Batch.of(index, ["lives"], back, 2.0), back)
    assert latest.get("lives", back) == (2.0, q.GOOD, 0.0)
    latest.confirm(np.array([index.id("confirmed")], np.int32), back)
    assert latest.get("confirmed", back) == (1.0, q.GOOD, 0.0)
    for second in range(0, 3700, 97):
        assert latest.get("dies", back + second * SECOND) == (1.0, q.UNCERTAIN_LAST_USABLE, math.inf)
        latest.update(Batch.of(index, ["lives"], back + second * SECOND, 2.0 + second), back + second * SECOND)
        assert latest.get("lives", back + second * SECOND) == (2.0 + second, q.GOOD, 0.0)
    latest.update(Batch.of(index, ["lives"], T + 100 * SECOND, math.nan, q.BAD_NO_COMMUNICATION), T + 100 * SECOND)
    assert latest.get("lives", T + 100 * SECOND)[1] == q.BAD_NO_COMMUNICATION


def test_readings_of_a_clock_that_come_out_of_turn_are_no_clock_set_back() -> None:
    index = TagIndex(["a"])
    latest = Latest(index)
    latest.update(Batch.of(index, ["a"], T, 1.0), T)
    for _ in range(100):
        latest.quality(T - SECOND)
        latest.quality(T)
    assert latest.get("a", T) == (1.0, q.GOOD, 0.0)


def test_of_samples_at_one_time_the_last_written_holds() -> None:
    index = TagIndex(["a"])
    latest = Latest(index)
    times = T + np.random.default_rng(1).integers(0, 3, 1000)
    latest.update(Batch.of(index, ["a"] * 1000, times, np.arange(1000.0)), T + 2)
    assert latest.get("a", T)[0] == float(np.flatnonzero(times == T + 2)[-1])
    latest.update(Batch.of(index, ["a"], T + 2, 5.0), T + SECOND)
    assert latest.get("a", T)[0] == 5.0
