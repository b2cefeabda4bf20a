"""Each check alone: a situation in which every other check passes and only this one fails, and its neighbour in which none does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from tests.guard.station import HEAT, LEVEL, PRESSURE, SPEED, TRIP, VALVE, S, Station, failed

from ronghe.guard import Expected
from ronghe.signals import quality as q

Make = Callable[..., Station]


async def only(station: Station, name: str, value: float = 1040.0, *numbers: str, **fields: Any) -> None:
    """Asserts that an advice is refused for this one reason, told in both languages with these numbers, and that nothing is written."""
    before = len(station.writes)
    case = await station.submit(value, **fields)
    assert (case.state, failed(case)) == ("refused", [name])
    (check,) = (c for c in case.checks if not c.ok)
    for number in numbers:
        assert number in check.text.en
        assert number in check.text.zh
    assert len(station.writes) == before


async def passes(station: Station, value: float = 1040.0, **fields: Any) -> None:
    case = await station.submit(value, **fields)
    assert (case.state, failed(case)) == ("writing", [])
    await station.run(1)


async def test_stop(station: Make) -> None:
    s = station()
    s.guard.kill("li", "smoke")
    await only(s, "stop", 1040.0, "li: smoke")
    s.guard.release("li", "steam")
    await passes(s)


async def test_a_stop_file_that_cannot_be_looked_up_is_a_stop(station: Make) -> None:
    s = station()
    s.guard._stop.path = s.folder / "ledger" / "ledger.jsonl" / "STOP"  # below a file: ENOTDIR
    await only(s, "stop")


async def test_guard(station: Make) -> None:
    s = station()
    await only(s, "guard", 12.0, VALVE, tag=VALVE)
    await only(s, "guard", 12.0, "line9/x", tag="line9/x")


async def test_expiry(station: Make) -> None:
    s = station()
    await only(s, "expiry", 1040.0, "0 s", expires=s.now)
    await only(s, "expiry", 1040.0, "90 s", expires=s.now - 90 * S)
    await passes(s, expires=s.now + 1)


async def test_duplicate_while_a_case_is_open(station: Make) -> None:
    s = station(mode="approve")
    await s.submit(1040.0)
    await only(s, "duplicate", 1050.0, "A1")


async def test_duplicate_of_what_is_in_force(station: Make) -> None:
    s = station()
    await only(s, "duplicate", 1000.0, "1000")
    await only(s, "duplicate", 1000.001, "1000")  # less than a device keeps
    await passes(s, 1000.1)


async def test_hold(station: Make) -> None:
    s = station(hold="5 min")
    await passes(s)
    s.now += 298 * S
    s.hear()
    await only(s, "hold", 1050.0, "299 s", "300 s")
    s.now += 1 * S
    await passes(s, 1050.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_value(station: Make, value: float) -> None:
    s = station()
    case = await s.submit(value)
    assert failed(case)[0] == "value"
    assert s.writes == []
    s.restart()  # the ledger keeps even this
    s.hear()
    assert s.guard.cases()[0].state == "refused"


async def test_value_of_a_whole_number(station: Make) -> None:
    s = station(tag=VALVE, envelope="0..20")
    await only(s, "value", 12.5, "12.5", tag=VALVE)
    await passes(s, 12.0, tag=VALVE)


async def test_envelope(station: Make) -> None:
    s = station()
    await only(s, "envelope", 1450.001, "600..1450")
    await only(s, "envelope", 599.0, "599", "600..1450")
    await passes(s, 1450.0)
    await passes(s, 600.0)


async def test_envelope_in_another_unit(station: Make) -> None:
    s = station(envelope="10..24 /s")  # 600..1440 1/min
    await only(s, "envelope", 1441.0, "600..1440")
    await passes(s, 1439.0)


async def test_setpoint_stale(station: Make) -> None:
    s = station()
    s.now += 11 * S
    await only(s, "setpoint", 1040.0, "11.0 s", "10 s")
    s.hear()
    await passes(s)


async def test_setpoint_that_is_newer_than_now(station: Make) -> None:
    s = station()
    s.now -= 11 * S  # our clock was set back: what it says about ages proves nothing
    await only(s, "setpoint")
    s.now += 11 * S
    await only(s, "setpoint")
    s.hear()
    await passes(s)


async def test_setpoint_not_good(station: Make) -> None:
    s = station()
    s.hear_one(SPEED, 1000.0, q.BAD_SENSOR_FAILURE)
    await only(s, "setpoint")
    s.hear_one(SPEED, 1000.0, q.UNCERTAIN)
    await only(s, "setpoint")
    s.hear_one(SPEED, math.nan)
    await only(s, "setpoint")


async def test_rate_of_one_step(station: Make) -> None:
    s = station(rate="50 1/min per 1 min")
    await only(s, "rate", 1050.1, "50.1", "50 ")
    await passes(s, 1050.0)


async def test_rate_over_the_sliding_window(station: Make) -> None:
    s = station(rate="50 1/min per 1 min")
    await passes(s, 1030.0)
    s.now += 57 * S
    s.hear()
    await only(s, "rate", 1055.0, "25 ", "30 ")
    await only(s, "rate", 1005.0)  # back and forth counts as well
    s.now += 2 * S
    s.hear()
    await passes(s, 1055.0)


async def test_rate_counts_what_somebody_else_did(station: Make) -> None:
    s = station(rate="50 1/min per 1 min")
    s.values[SPEED] = 900.0
    await s.run(1)
    await only(s, "rate", 1000.0, "100 ")


async def test_rate_with_a_clock_set_back(station: Make) -> None:
    s = station(rate="50 1/min per 1 min")
    await passes(s, 1030.0)
    s.now -= 1800 * S
    s.restart()
    s.hear()
    await only(s, "rate", 1055.0)


async def test_rate_in_another_unit_is_a_difference(station: Make) -> None:
    s = station(tag=VALVE, envelope="0..20", rate="2 per 1 min")
    await only(s, "rate", 13.0, tag=VALVE)
    await passes(s, 12.0, tag=VALVE)


async def test_interlock_false(station: Make) -> None:
    s = station(interlock=f"{PRESSURE} < 8 bar and not {TRIP}")
    s.values[PRESSURE] = 9.2
    s.hear()
    await only(s, "interlock", 1040.0, "9.2 bar", "< 8 bar")
    s.values[PRESSURE] = 5.0
    s.hear()
    await passes(s)


@pytest.mark.parametrize("code", [q.BAD_SENSOR_FAILURE, q.UNCERTAIN_LAST_USABLE])
async def test_interlock_unknown(station: Make, code: int) -> None:
    s = station(interlock=f"not {LEVEL} > 90 %")
    s.hear_one(LEVEL, 20.0, code)
    await only(s, "interlock", 1040.0, LEVEL)


async def test_interlock_stale(station: Make) -> None:
    s = station(interlock=f"{LEVEL} < 90 %")
    s.now += 11 * S
    for tag in (SPEED, PRESSURE, TRIP):
        s.hear_one(tag, s.values[tag])
    await only(s, "interlock", 1040.0, "11.0 s")


async def test_valid_while(station: Make) -> None:
    s = station()
    await only(s, "valid_while", 1040.0, "50 %", valid_while=f"{LEVEL} > 60 %")
    await only(s, "valid_while", 1040.0, valid_while=f"{LEVEL} > 60 kW")
    await only(s, "valid_while", 1040.0, valid_while="nonsense <")
    await passes(s, valid_while=f"{LEVEL} < 60 %")


async def test_effect_of_something_unknown(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    s.hear_one(HEAT, 60.0, q.BAD_SENSOR_FAILURE)
    await only(s, "effect", 1040.0, HEAT)


@pytest.mark.parametrize(
    "expected",
    [
        Expected(tag="line9/x", low=0, high=1, within=10),
        Expected(tag="line1/pump1/note", low=0, high=1, within=10),
        Expected(tag=HEAT, low=2, high=1, within=10),
        Expected(tag=HEAT, low=0, high=1, within=0),
        Expected(tag=HEAT, low=0, high=math.nan, within=10),
        Expected(tag=HEAT, low=-math.inf, high=1, within=10),
        Expected(tag=HEAT, low=0, high=1, within=10, unit="bar"),
    ],
)
async def test_effect_of_a_promise_that_makes_no_sense(station: Make, expected: Expected) -> None:
    s = station()
    await only(s, "effect", 1040.0, expected=expected)


async def test_mode_changed_to_advise_while_a_case_waited(station: Make) -> None:
    s = station(mode="approve")
    case = await s.submit(1040.0)
    s.restart(mode="advise")
    s.hear()
    case = await s.guard.approve(case.id, "li")
    assert (case.state, failed(case), s.writes) == ("refused", ["mode"], [])


async def test_mode_changed_to_two_people_while_a_case_waited(station: Make) -> None:
    s = station(mode="approve")
    case = await s.submit(1040.0)
    s.restart(mode="approve", approvals=2)
    s.hear()
    assert (await s.guard.approve(case.id, "li")).state == "waiting"
    assert s.writes == []
    assert (await s.guard.approve(case.id, "wang")).state == "writing"


async def test_all_that_fails_is_told(station: Make) -> None:
    s = station(rate="50 1/min per 1 min", interlock=f"{PRESSURE} < 1 bar")
    s.guard.kill("li", "smoke")
    case = await s.submit(2000.0, expires=0, valid_while=f"{LEVEL} > 60 %")
    assert failed(case) == ["stop", "expiry", "envelope", "rate", "interlock", "valid_while"]
    text = case.history[0].text
    assert all(c.text.en in text.en and c.text.zh in text.zh for c in case.checks if not c.ok)


# --- a rollback has checks of its own ---------------------------------------------------------------------------------------------------


async def test_rollback_out_of_the_envelope_is_not_made(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 30 s")
    s.values[SPEED] = 1500.0  # a person put it there
    s.hear()
    case = await s.submit(1440.0)
    await s.run(35)
    case = s.guard.case(case.id)
    assert (case.state, len(s.writes)) == ("failed", 1)
    assert "1500" in case.history[-1].text.en


async def test_rollback_needs_neither_rate_nor_interlock(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 30 s", rate="50 1/min per 10 min", interlock=f"{PRESSURE} < 8 bar", hold="1 h")
    case = await s.submit(1050.0)
    s.values[PRESSURE] = 9.0
    await s.run(35)
    assert (s.guard.case(case.id).state, s.writes[-1]) == ("rolled_back", (SPEED, 1000.0))
    s.values[PRESSURE] = 5.0
    await s.run(1)
    assert failed(await s.submit(1010.0)) == ["hold", "rate"], "it counts as a write"


async def test_envelope_of_what_the_device_rounds(station: Make) -> None:
    s = station(envelope="1000..1446 1/min")
    s.step = 10.0
    s.values[SPEED] = 1400.0
    s.hear()
    await only(s, "envelope", 1446.0, "1446", "1450", "1000..1446")
    await only(s, "envelope", 1451.0, "1451", "1000..1446")
    case = await s.submit(1443.0)
    assert (case.state, case.written, s.writes) == ("writing", 1440.0, [(SPEED, 1440.0)])
    await s.run(1)
    assert s.guard.case(case.id).state == "done"


async def test_envelope_of_what_the_device_keeps_seven_digits_of(station: Make) -> None:
    s = station(envelope="1000..1446.3 1/min")
    s.step = 1446.3001
    case = await s.submit(1446.3)
    assert (case.state, case.written) == ("writing", 1446.3)


async def test_rate_of_what_the_device_rounds(station: Make) -> None:
    s = station(rate="46 1/min per 1 min")
    s.step = 10.0
    await only(s, "rate", 1046.0, "50")
    assert (await s.submit(1044.0)).written == 1040.0
