"""The boundary: device values become values of the plant, set-points become device values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ronghe.connect import Item
from ronghe.connect.boundary import AHEAD, Boundary
from ronghe.plant.model import Connection, Plant, Property, Tag
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000

DICTIONARY = [
    Property(property="pressure", unit="bar", low=0.0, high=16.0),
    Property(property="temperature", unit="Cel", low=-40.0),
    Property(property="level", unit="%", type="int", low=0, high=100),
    Property(property="narrow", unit="bar", high=0.9),
    Property(property="plain"),
    Property(property="running", type="bool"),
    Property(property="remark", type="text"),
]
TAGS = [
    Tag(tag="a/pressure", property="pressure", connection="plc", address="1", unit="kPa", every=0.5),
    Tag(tag="a/scaled", property="pressure", connection="plc", address="2", scale=0.1, offset=-2.0),
    Tag(tag="a/temperature", property="temperature", connection="plc", address="3", unit="[degF]", scale=0.1),
    Tag(tag="a/level", property="level", connection="other", address="4", scale=0.5),
    Tag(tag="a/plain", property="plain", connection="plc", address="5"),
    Tag(tag="a/running", property="running", connection="plc", address="6"),
    Tag(tag="a/remark", property="remark", connection="plc", address="7"),
    Tag(tag="a/narrow", property="narrow", connection="other", address="8", unit="kPa", offset=20.0),
    Tag(tag="a/computed", property="plain"),
]


@pytest.fixture
def index() -> TagIndex:
    return TagIndex(["another plant's"])


@pytest.fixture
def boundary(index: TagIndex) -> Boundary:
    return make(index)


def make(index: TagIndex) -> Boundary:
    plant = Plant(
        path="p",
        name=Text("p"),
        dictionary={p.property: p for p in DICTIONARY},
        tags={t.tag: t for t in TAGS},
        connections={n: Connection(name=n, driver="x") for n in ("plc", "other")},
    )
    return Boundary(plant, index)


def test_scale_offset_and_unit_are_applied(boundary: Boundary, index: TagIndex) -> None:
    batch = Batch.of(index, ["a/pressure", "a/scaled", "a/temperature", "a/level", "a/plain"], NOW, [350.0, 100.0, 2120.0, 50.0, 7.0])
    assert boundary.inward(batch, NOW).value.tolist() == pytest.approx([3.5, 8.0, 100.0, 25.0, 7.0])


def test_values_beyond_the_range_are_uncertain_and_kept(boundary: Boundary, index: TagIndex) -> None:
    tags = ["a/pressure"] * 4 + ["a/temperature", "a/plain"]
    codes = [q.GOOD, q.GOOD, q.GOOD, q.BAD_SENSOR_FAILURE, q.GOOD, q.GOOD]
    out = boundary.inward(Batch.of(index, tags, NOW, [1600.0, 1600.1, -0.1, 9e9, -500.0, 1e300], codes), NOW)
    assert out.quality.tolist() == [q.GOOD, q.UNCERTAIN_RANGE, q.UNCERTAIN_RANGE, q.BAD_SENSOR_FAILURE, q.UNCERTAIN_RANGE, q.GOOD]
    assert out.value[1] == pytest.approx(16.001)


def test_the_offset_is_in_the_unit_of_the_tag_and_rounding_exceeds_no_range(boundary: Boundary, index: TagIndex) -> None:
    out = boundary.inward(Batch.of(index, ["a/narrow", "a/narrow"], NOW, [70.0, 70.001]), NOW)
    assert out.value[0] > 0.9  # by one unit in the last place
    assert out.value[0] == pytest.approx(0.9)
    assert out.quality.tolist() == [q.GOOD, q.UNCERTAIN_RANGE]


def test_nan_and_bad_quality_pass(boundary: Boundary, index: TagIndex) -> None:
    out = boundary.inward(Batch.of(index, ["a/pressure", "a/scaled"], NOW, math.nan, [q.BAD_NO_COMMUNICATION, q.GOOD]), NOW)
    assert np.isnan(out.value).all()
    assert out.quality.tolist() == [q.BAD_NO_COMMUNICATION, q.GOOD]


def test_what_needs_no_change_is_not_copied(boundary: Boundary, index: TagIndex) -> None:
    plain = Batch.of(index, ["a/plain", "another plant's"], NOW, [1.0, 2.0])
    assert boundary.inward(plain, NOW) is plain
    changed = Batch.of(index, ["a/pressure"], NOW, [1.0])
    out = boundary.inward(changed, NOW)
    assert out.time is changed.time
    assert out.quality is changed.quality
    assert changed.value.tolist() == [1.0]


def test_text_passes(boundary: Boundary, index: TagIndex) -> None:
    batch = Batch.of(index, ["a/remark", "a/pressure"], NOW, [math.nan, 100.0], text=["ok", None])
    out = boundary.inward(batch, NOW)
    assert out.text is not None
    assert out.text.to_pylist() == ["ok", None]


def test_tags_added_later_pass_unchanged(boundary: Boundary, index: TagIndex) -> None:
    index.ids(f"new{i}" for i in range(100))
    batch = Batch.of(index, ["new99", "a/pressure"], NOW, [5.0, 100.0])
    assert boundary.inward(batch, NOW).value.tolist() == [5.0, 1.0]


def test_a_wrong_clock_is_not_believed(boundary: Boundary, index: TagIndex) -> None:
    year = 365 * 86400 * SECOND
    times = [NOW + year - 2 * SECOND, NOW + year, NOW - SECOND, NOW + 59 * SECOND, 0, NOW + year - 3600 * SECOND]
    out = boundary.inward(Batch.of(index, ["a/plain"] * 6, times, np.arange(6.0)), NOW)
    assert out.time.tolist() == [NOW - 2 * SECOND, NOW, NOW - SECOND, NOW + 59 * SECOND, NOW, NOW - AHEAD]
    assert boundary.corrected == 4


@settings(deadline=None)
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
@example([-(2**63)])
@example([2**63 - 1, -(2**63), 0])
def test_no_time_gets_past_the_boundary_that_is_not_of_our_days(times: list[int]) -> None:
    index = TagIndex()
    boundary = make(index)
    out = boundary.inward(Batch.of(index, ["a/plain"] * len(times), times, 0.0), NOW)
    assert (out.time > 0).all()
    assert (out.time <= NOW + AHEAD).all()
    for before, after in zip(times, out.time.tolist(), strict=True):
        assert after == before or not 0 < before <= NOW + AHEAD


@settings(deadline=None)
@given(st.sampled_from([t.tag for t in TAGS if t.property not in ("running", "remark", "level")]), st.floats(-1e6, 1e6))
def test_outward_is_the_inverse_of_inward(tag: str, value: float) -> None:
    index = TagIndex()
    boundary = make(index)
    device = boundary.outward(tag, value)
    back = boundary.inward(Batch.of(index, [tag], NOW, device), NOW).value[0]
    assert back == pytest.approx(value, rel=1e-9, abs=1e-6)


def test_whole_types_are_whole_outward(boundary: Boundary) -> None:
    assert boundary.outward("a/level", 33.3) == 67.0
    assert boundary.outward("a/running", 1.0) == 1.0
    assert math.isnan(boundary.outward("a/level", math.nan))
    assert boundary.outward("a/pressure", 3.5) == pytest.approx(350.0)


@pytest.mark.parametrize("tag", ["unknown", "another plant's"])
def test_an_unknown_tag_cannot_be_written(boundary: Boundary, tag: Any) -> None:
    with pytest.raises(KeyError):
        boundary.outward(tag, 1.0)


def test_items_are_those_of_the_connection(boundary: Boundary, index: TagIndex) -> None:
    items = boundary.items("plc")
    assert [i.address for i in items] == ["1", "2", "3", "5", "6", "7"]
    assert items[0] == Item(id=index.id("a/pressure"), address="1", every=0.5, type="float")
    assert [i.type for i in items[-2:]] == ["bool", "text"]
    assert boundary.items("none") == []
