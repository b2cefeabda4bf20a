"""The language of interlocks: what it means, in three values and in units, and what it says about mistakes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.guard.station import HEAT, LEVEL, POWER, PRESSURE, TRIP, make_plant

from ronghe.errors import GuardError
from ronghe.guard.condition import Seen, Truth, number, parse
from ronghe.guard.effect import Becomes, Change, parse_watch
from ronghe.text import Text

PLANT = make_plant()
VALUES = {PRESSURE: 5.0, LEVEL: 50.0, TRIP: 0.0, HEAT: 60.0, POWER: 20.0}


def truth(text: str, **changed: float | None) -> Truth:
    """The truth of a condition; `changed` by the tag's last part."""
    values = {t: changed.get(t.rpartition("/")[2], v) for t, v in VALUES.items()}
    return parse(text, PLANT).evaluate(lambda tag: Seen(values[tag], Text("dead", "断线"))).truth


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{PRESSURE} < 8 bar", True),
        (f"{PRESSURE} < 5 bar", False),
        (f"{PRESSURE} <= 5 bar", True),
        (f"{PRESSURE} ≥ 5 bar", True),
        (f"{PRESSURE} == 5 bar", True),
        (f"{PRESSURE} != 5 bar", False),
        (f"{PRESSURE} ≠ 5.1 bar", True),
        (f"8 bar > {PRESSURE}", True),
        (f"8 bar <= {PRESSURE}", False),
        (f"{PRESSURE} < 600 kPa", True),
        (f"{PRESSURE} < 499 kPa", False),
        (f"{HEAT} < 334 K", True),  # 60 Cel is 333.15 K
        (f"{HEAT} < 333 K", False),
        (f"{HEAT}<61Cel", True),
        (f"{HEAT} > -5 Cel", True),
        (f"{HEAT} < 6.1e1 Cel", True),
        (f"{TRIP}", False),
        (f"not {TRIP}", True),
        (f"{TRIP} == false", True),
        (f"true == {TRIP}", False),
        (f"not not {TRIP}", False),
        (f"{LEVEL} > 20 % and {PRESSURE} < 8 bar", True),
        (f"{LEVEL} > 60 % or {PRESSURE} < 8 bar", True),
        (f"{LEVEL} > 60 % and {PRESSURE} < 8 bar or not {TRIP}", True),  # and binds more tightly
        (f"{LEVEL} > 60 % and ({PRESSURE} < 8 bar or not {TRIP})", False),
        (f"NOT ({LEVEL} > 60 % OR {TRIP})", True),
        (f"'{LEVEL}' > 20 %", True),
    ],
)
def test_it_means_what_it_says(text: str, expected: bool) -> None:
    assert truth(text) is expected


def test_tags_in_different_units_are_compared_in_one() -> None:
    plant = make_plant()
    plant.dictionary["power"] = type(plant.dictionary["power"])(property="power", unit="W")
    condition = parse(f"{POWER} < {POWER}", plant)
    assert condition.evaluate(lambda tag: Seen(1.0)).truth is False
    two = make_plant()
    two.dictionary["pressure"] = type(two.dictionary["pressure"])(property="pressure", unit="kPa")
    two.dictionary["level"] = type(two.dictionary["level"])(property="level", unit="bar")
    condition = parse(f"{PRESSURE} < {LEVEL}", two)
    assert condition.evaluate(lambda tag: Seen({PRESSURE: 499.0, LEVEL: 5.0}[tag])).truth is True
    assert condition.evaluate(lambda tag: Seen({PRESSURE: 501.0, LEVEL: 5.0}[tag])).truth is False


KLEENE = {"and": lambda a, b: min(a, b), "or": lambda a, b: max(a, b)}  # 0 false, ½ unknown, 1 true


@pytest.mark.parametrize("word", ["and", "or"])
@pytest.mark.parametrize(("a", "b"), list(itertools.product([0.0, 0.5, 1.0], repeat=2)))
def test_the_three_valued_tables(word: str, a: float, b: float) -> None:
    given_: dict[float, float | None] = {0.0: 9.0, 0.5: None, 1.0: 5.0}
    got = truth(f"{PRESSURE} < 8 bar {word} {POWER} < 8 kW", pressure=given_[a], power=given_[b])
    assert got is {0.0: False, 0.5: None, 1.0: True}[KLEENE[word](a, b)]


@pytest.mark.parametrize(("value", "expected"), [(9.0, True), (None, None), (float("nan"), None), (float("inf"), None), (5.0, False)])
def test_not_of_unknown_is_unknown(value: float | None, expected: Truth) -> None:
    assert truth(f"not {PRESSURE} < 8 bar", pressure=value) is expected


def test_reasons_name_what_decided_with_numbers_in_both_languages() -> None:
    condition = parse(f"{PRESSURE} < 8 bar and {LEVEL} > 20 % and not {TRIP}", PLANT)
    verdict = condition.evaluate(lambda tag: {PRESSURE: Seen(9.2), LEVEL: Seen(50.0), TRIP: Seen(1.0)}[tag])
    assert len(verdict.reasons) == 2
    assert "9.2 bar" in verdict.text.en
    assert "9.2 bar" in verdict.text.zh
    assert TRIP in verdict.text.en
    assert LEVEL not in verdict.text.en
    unknown = condition.evaluate(lambda tag: Seen(None, Text("35 s old", "已 35 s")) if tag == LEVEL else Seen(0.0))
    assert unknown.truth is None
    assert unknown.reasons[0].en == f"{LEVEL} > 20 % is unknown: {LEVEL}: 35 s old"


def test_tags_are_listed_once() -> None:
    condition = parse(f"{LEVEL} > 20 % and ({TRIP} or not {LEVEL} > 90 %) and 1 bar < {PRESSURE}", PLANT)
    assert condition.tags == (LEVEL, TRIP, PRESSURE)


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("", 1, "expected a tag"),
        (f"{PRESSURE} <", len(PRESSURE) + 3, "expected a tag"),
        (f"{PRESSURE} < 8 bar and", len(PRESSURE) + 13, "expected a tag"),
        (f"{PRESSURE} < 8", len(PRESSURE) + 4, "write 8 bar"),
        (f"{PRESSURE} < 8 Bar", len(PRESSURE) + 4, "did you mean 'bar'"),
        (f"{PRESSURE} < 8 kW", len(PRESSURE) + 4, "does not convert"),
        (f"{PRESSURE} = 8 bar", len(PRESSURE) + 2, "did you mean `==`"),
        (f"{PRESSURE} < 8 bar && {TRIP}", len(PRESSURE) + 10, "did you mean `and`"),
        (f"{PRESSURE} < 8 bar {TRIP}", len(PRESSURE) + 10, "join conditions"),
        (f"({PRESSURE} < 8 bar", len(PRESSURE) + 10, '")" is missing'),
        (f"{PRESSURE} < 8 bar)", len(PRESSURE) + 9, "not expected"),
        (f"1 bar < {PRESSURE} < 8 bar", len(PRESSURE) + 10, "chained"),
        (f"{PRESSURE}", 1, "not a bool"),
        (f"{TRIP} > 0", len(TRIP) + 2, "only == and !="),
        ("3 < 4", 5, "two numbers"),
        ("true", 1, "alone"),
        ("line1/pump1/presure < 8 bar", 1, f"did you mean {PRESSURE}"),
        ("line1/pump1/note == 3", 1, "is a text"),
        (f"! {TRIP}", 1, "did you mean `not`"),
        ("(" * 50 + TRIP + ")" * 50, 41, "nested"),
        (f"{PRESSURE} < 8e999 bar", len(PRESSURE) + 4, "too large"),
        (" and ".join([TRIP] * 1000), 4001, "longer than"),
    ],
)
def test_mistakes_are_told_with_column_and_hint(text: str, column: int, says: str) -> None:
    with pytest.raises(GuardError) as caught:
        parse(text, PLANT)
    assert says in caught.value.in_("en")
    assert f"column {column}:" in caught.value.in_("en")
    assert f"第 {column} 列" in caught.value.in_("zh")


WORDS = [PRESSURE, LEVEL, TRIP, HEAT, "and", "or", "not", "(", ")", "<", ">=", "==", "8", "20 %", "8 bar", "true", "falls", "rises", "by"]
WORDS += ["within", "10 min", "2 K", "1/min", "'", '"', "J/(kg.K)", "line9/x", "1e400", "-", "..", "压力", "，", "\x00", "9" * 400]


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)))
def test_anything_is_a_condition_or_a_guard_error(text: str) -> None:
    for reader in (parse, parse_watch):
        try:
            read = reader(text, PLANT)
        except GuardError:
            continue
        assert set(read.tags) <= set(PLANT.tags)


def test_watch_by_an_amount_is_a_difference() -> None:
    watch = parse_watch(f"{HEAT} falls by 2 K within 10 min", PLANT)
    assert isinstance(watch, Change)
    assert (watch.low, watch.high, watch.within) == (-float("inf"), -2.0, 600_000_000_000)
    fixed = watch.fix(0, 60.0, 0.0)
    assert (fixed.low, fixed.high, fixed.until) == (None, 58.0, 600_000_000_000)


def test_watch_without_an_amount_is_more_than_the_noise() -> None:
    watch = parse_watch(f"{HEAT} rises within 90s", PLANT)
    assert isinstance(watch, Change)
    fixed = watch.fix(0, 60.0, 0.5)
    assert fixed.low is not None
    assert fixed.low == pytest.approx(61.5)
    still = watch.fix(0, 60.0, 0.0).low
    assert still is not None
    assert still > 60.0, "what stands still has not risen"


def test_watch_of_a_condition() -> None:
    watch = parse_watch(f"{PRESSURE} > 3 bar and not {TRIP} within 30 s", PLANT)
    assert isinstance(watch, Becomes)
    assert watch.condition.text == f"{PRESSURE} > 3 bar and not {TRIP}"
    assert watch.within == 30_000_000_000


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{HEAT} falls", "within 10 min"),
        (f"{HEAT} falls within", "time is missing"),
        (f"{HEAT} falls within 10", "10min"),
        (f"{HEAT} falls within 0 s", "more than 0"),
        (f"{HEAT} falls by within 3 s", "an amount"),
        (f"{HEAT} falls by -2 K within 3 s", "more than 0"),
        (f"{HEAT} falls by 2 within 3 s", "write 2 Cel"),
        (f"{HEAT} falls by 2 K within 3 s and more", "not expected"),
        (f"{PRESSURE} > 3 bar", "`within` is missing"),
        ("line9/x falls within 3 s", "no tag"),
    ],
)
def test_mistakes_of_a_watch(text: str, says: str) -> None:
    with pytest.raises(GuardError) as caught:
        parse_watch(text, PLANT)
    assert says in caught.value.in_("en")


@pytest.mark.parametrize(
    ("value", "others", "shown"),
    [
        (7.29064, (), "7.291"),
        (23.1505, (32.9505,), "23.15"),
        (14503.27, (), "14503"),
        (1450.0, (), "1450"),
        (0.000123456, (), "0.0001235"),
        (1.23456e12, (), "1.235e+12"),
        (6.0004, (6.0,), "6.0004"),
        (6.0, (6.0004,), "6"),
        (1450.3, (1450.0,), "1450.3"),
        (95.0, (95.0,), "95"),
        (float("nan"), (6.0,), "nan"),
        (-0.5, (), "-0.5"),
    ],
)
def test_numbers_are_short_but_told_apart(value: float, others: tuple[float, ...], shown: str) -> None:
    assert number(value, *others) == shown


def test_a_value_just_beyond_a_limit_does_not_read_like_the_limit() -> None:
    parts = [number(a, b) for a, b in ((0.1 + 0.2, 0.3), (0.3, 0.1 + 0.2))]
    assert parts[0] != parts[1]
