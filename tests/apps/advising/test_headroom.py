"""How far and when a guard lets a set-point go."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.advising.headroom import Headroom
from ronghe.guard.checks import Move, Question, _hold, _rate
from ronghe.guard.condition import Seen
from ronghe.guard.limits import Limits, compile_guard
from ronghe.plant import GuardSpec, Plant, Property, Tag
from ronghe.text import Text

S = 1_000_000_000
NAN = math.nan


def limits(kind: str = "float", **spec: str) -> Limits:
    plant = Plant(
        path="p",
        name=Text("p"),
        dictionary={"fan": Property(property="fan", unit="%", type=kind)},  # type: ignore[arg-type]
        tags={"fan": Tag(tag="fan", property="fan", connection="plc", address="1", writable=True)},
    )
    return compile_guard(plant, GuardSpec(tag="fan", **{"envelope": "40..95 %", **spec}))


@pytest.mark.parametrize(
    ("present", "wanted", "value"),
    [
        (60.0, 75.0, 75.0),
        (90.0, 105.0, 95.0),
        (95.0, 110.0, None),
        (50.0, 20.0, 40.0),
        (40.0, 25.0, None),
        (98.0, 113.0, None),  # beyond its envelope: back in would be the wrong way
        (98.0, 60.0, 78.0),  # as far as the rate goes, which is within
        (120.0, 60.0, None),  # one step does not lead back in
        (60.0, 90.0, 80.0),
        (60.0, 60.0, None),
        (NAN, NAN, None),
        (NAN, 60.0, None),
    ],
)
def test_a_step_goes_as_far_as_envelope_and_rate(present: float, wanted: float, value: float | None) -> None:
    assert Headroom(limits(rate="20 % per 1 min")).permitted(present, wanted) == value


def test_units_are_those_of_the_property() -> None:
    assert Headroom(limits(envelope="400..950 [ppth]")).permitted(90.0, 105.0) == pytest.approx(95.0)


def test_a_whole_number_stays_one() -> None:
    assert Headroom(limits("int", rate="2.5 % per 1 min")).permitted(60.0, 75.0) == 62.0


def test_without_a_guard_nothing_bounds() -> None:
    room = Headroom(None)
    assert room.permitted(90.0, 1050.0) == 1050.0
    assert not room.at_end(90.0, 1050.0)
    assert room.free_from(1e9, 7) == 7


@pytest.mark.parametrize(
    ("present", "wanted", "end"),
    [(95.0, 110.0, True), (94.0, 110.0, False), (95.0, 80.0, False), (40.0, 30.0, True), (99.0, 110.0, True), (NAN, NAN, False)],
)
def test_the_end_of_the_envelope(present: float, wanted: float, end: bool) -> None:
    assert Headroom(limits()).at_end(present, wanted) is end


def test_a_step_waits_for_hold_and_rate() -> None:
    room = Headroom(limits(rate="20 % per 1 min", hold="30s"))
    assert room.free_from(15.0, 0) == 0
    room.moved(0, 15.0)
    assert room.free_from(5.0, 2 * S) == 31 * S  # hold
    assert room.free_from(15.0, 2 * S) == 61 * S  # rate
    assert room.free_from(15.0, 61 * S) == 61 * S


def test_a_step_waits_for_an_open_case_but_not_for_ever() -> None:
    room = Headroom(limits())
    room.open["a"] = 100 * S
    assert room.free_from(5.0, 10 * S) == 11 * S
    assert room.free_from(5.0, 100 * S) == 100 * S


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(0.1, 20)), max_size=6),
    st.floats(0.1, 20),
    st.integers(200, 300),
    st.integers(0, 90),
    st.integers(1, 90),
)
def test_what_is_said_to_be_free_passes_the_guards_own_checks(
    moves: list[tuple[int, float]], size: float, now: int, hold: int, window: int
) -> None:
    bound = limits(rate=f"20 % per {window} s", hold=f"{hold}s")
    room = Headroom(bound)
    for at, change in moves:
        room.moved(at * S, change)
    free = room.free_from(size, now * S)
    assert free >= now * S
    question = Question(
        plant=None,  # type: ignore[arg-type]
        limits=bound,
        advice=type("Advice", (), {"value": 50.0 + size})(),  # type: ignore[arg-type]
        now=free,
        stopped="",
        current=Seen(50.0),
        look=lambda _: Seen(None),
        look_effect=lambda _: Seen(None),
        moves=[Move("c", at * S, change) for at, change in moves],
    )
    assert all(c.ok for check in (_hold, _rate) for c in check(question))
