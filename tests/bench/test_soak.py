"""The autonomy soak: a day in which everything fails, and the judge that must not be fooled."""

from __future__ import annotations

from pathlib import Path

import pytest

from ronghe.bench.soak import Bill, by_rule, price, soak
from ronghe.bench.soak_faults import DAY, METER, SOC, WEEK, Fault, Line, answer
from ronghe.bench.soak_judge import PHYSICS, SETTABLE, Judge, Written, hours, read, total, unaccounted
from ronghe.guard import Ledger
from ronghe.signals import quality as q

BATTERY = "energy/battery/setpoint"


def test_a_day_in_which_everything_fails_breaks_nothing_and_every_write_is_in_the_ledger() -> None:
    told = soak(1, DAY)
    assert (told["unaccounted_writes"], told["envelope_broken"]) == (0, 0), told["broken"]
    assert told["ledger_sound"]
    assert told["writes"] > 10
    assert told["restarts"] == 2  # killed in the middle of a write, and kept dark for an hour
    assert told["hours_on_rule"] > 0
    assert told["cases"]["done"] > 10
    assert told["rule_cost"] > 0


def test_a_week_has_every_kind_of_fault() -> None:
    kinds = {f.kind for f in WEEK}
    assert kinds == {"silent", "bad", "frozen", "refuses", "unsure", "solver", "app", "tariff", "killed", "dark"}
    assert all(0 <= f.start < f.end + 1 <= 7 * 86_400 for f in WEEK)


def test_the_judge_sees_what_is_outside_its_limits() -> None:
    judge = Judge()
    judge.register(1, BATTERY, 150.0)
    judge.register(2, "furnace/reheating/air_setpoint", 1.2999999523162842)  # 1.3 as a float32
    judge.look(3, {"state of charge": 0.5, "roof temperature": 1300.0})
    assert judge.broken == []
    judge.register(4, BATTERY, 150.1)
    judge.register(5, BATTERY, float("nan"))
    judge.look(6, {"oxygen": 0.3})
    assert len(judge.broken) == 3
    assert set(SETTABLE) == {w.tag for w in judge.written} | {"furnace/reheating/heating_setpoint", "furnace/reheating/soaking_setpoint"}
    assert PHYSICS["state of charge"] == (0.02, 0.98)


def test_each_write_takes_an_entry_of_its_own() -> None:
    intents = [Written(10, BATTERY, 50.1), Written(20, BATTERY, 60.0), Written(30, BATTERY, 50.1)]
    as_held = 50.099998474121094  # 50.1 in a float32
    assert unaccounted([Written(10, BATTERY, as_held), Written(21, BATTERY, 60.0), Written(30, BATTERY, as_held)], intents) == []
    assert unaccounted([Written(21, BATTERY, 60.0)], intents) == []  # an intent that was not carried out is no write
    twice = Written(22, BATTERY, 60.0)
    assert unaccounted([Written(21, BATTERY, 60.0), twice], intents) == [twice]
    other = Written(11, BATTERY, 51.0)
    assert unaccounted([other], intents) == [other]
    early = Written(9, BATTERY, as_held)
    assert unaccounted([early], intents) == [early]
    elsewhere = Written(10, "furnace/reheating/air_setpoint", as_held)
    assert unaccounted([elsewhere], intents) == [elsewhere]


def test_the_judge_reads_the_ledger_by_itself(tmp_path: Path) -> None:
    now = [5]
    ledger = Ledger(tmp_path, clock=lambda: now[0])
    advice = {"tag": BATTERY, "value": 10.0}
    ledger.append("guard.advice", {"case": "A1", "state": "waiting", "advice": advice})
    ledger.append("guard.write", {"case": "A1", "state": "writing", "written": 10.0, "old": 2.0})
    now[0] = 6
    ledger.append("guard.restore", {"case": "A1", "state": "watching"})
    ledger.append("guard.close", {"case": "A1", "state": "rolled_back"})
    for i in (1, 2):
        ledger.append("saving", {"key": "b", "currency": "CNY", "money": {"value": 10.0 * i, "low": 10.0 * i - 3, "high": 10.0 * i + 4}})
    ledger.append("alarm.raised", {"key": "energy/rule"})
    ledger.close()
    book = read(tmp_path / "ledger.jsonl")
    assert (book.sound, book.entries, dict(book.ended)) == (True, 7, {"rolled_back": 1})
    assert book.intents == [Written(5, BATTERY, 10.0), Written(6, BATTERY, 2.0)]
    worth = total(book.savings)
    assert (worth["value"], worth["currency"]) == (30.0, "CNY")
    assert (worth["low"], worth["high"]) == pytest.approx((30 - 18**0.5, 30 + 32**0.5))
    assert hours(book.alarms, "rule", 6 + 7200 * 10**9) == 2.0
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"written":10.0', b'"written":11.0'))
    assert not read(path).sound


def test_faults_on_the_line() -> None:
    line, shown = Line(), {METER: 100.0, SOC: 50.0}
    assert line.samples(shown, ()) == [(METER, 100.0, q.GOOD), (SOC, 50.0, q.GOOD)]
    frozen = Fault("frozen", 0, 0, 1, (METER,))
    assert line.samples({METER: 200.0, SOC: 51.0}, [frozen]) == [(METER, 100.0, q.GOOD), (SOC, 51.0, q.GOOD)]
    assert line.samples({METER: 300.0, SOC: 52.0}, [frozen, Fault("bad", 0, 0, 1, (SOC,))]) == [
        (METER, 100.0, q.GOOD),
        (SOC, None, q.BAD_SENSOR_FAILURE),
    ]
    assert line.samples(shown, [Fault("silent", 0, 0, 1, ("energy/",))]) == []
    assert answer(BATTERY, ()) == (True, q.GOOD)
    assert answer(BATTERY, [Fault("refuses", 0, 0, 1, ("energy/battery/",))]) == (False, q.BAD_DEVICE_FAILURE)
    assert answer(BATTERY, [Fault("unsure", 0, 0, 1, ("energy/battery/",))]) == (True, q.BAD_TIMEOUT)
    assert answer(BATTERY, [frozen]) == (True, q.GOOD)


def test_the_bill() -> None:
    assert [price(h * 3600.0) for h in (2, 7.5, 9, 12, 18, 23.5)] == [0.32, 0.67, 1.10, 0.67, 1.10, 0.32]
    bill = Bill()
    for minute in range(60):
        bill.add(9 * 3600.0 + minute * 60, 60, 100.0 if minute < 30 else -20.0, 0.0)
    assert bill.money == pytest.approx(50 * 1.10 - 10 * 0.25)
    assert bill.peak == pytest.approx(100.0)


def test_the_rule() -> None:
    soc, powers = 0.5, []
    for quarter in range(4 * 24):
        power = by_rule(quarter * 900.0, 200.0, soc)
        soc += (power * 0.95 if power > 0 else power / 0.95) * 0.25 / 400
        powers.append(power)
        assert 0.1 - 1e-9 <= soc <= 0.9 + 1e-9
    assert [powers[0], powers[27]] == pytest.approx([400 * 0.4 / 0.95 / 7] * 2)  # evenly, until seven
    assert sum(powers[32:44]) == pytest.approx(-400 * 0.8 * 0.95 * 4)  # all of it, until eleven
    assert min(powers[44:68]) > 0  # and again for the evening
    assert by_rule(9 * 3600.0, 30.0, 0.9) == -30.0
