"""The guard as people and apps meet it: modes, approvals, read-back, effects, rollback, the kill switch, and what survives kill -9."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from tests.guard.station import HEAT, POWER, PRESSURE, SPEED, START, S, Station, failed

from ronghe.errors import GuardError, LedgerError
from ronghe.guard import Case, Entry, Expected, Guard, Ledger, docket
from ronghe.plant.model import Worth
from ronghe.signals import quality as q
from ronghe.text import Text

Make = Callable[..., Station]


async def test_auto_writes_and_believes_only_what_is_read_back(station: Make) -> None:
    s = station()
    case = await s.submit(1040.0)
    assert (case.state, s.writes) == ("writing", [(SPEED, 1040.0)])
    assert (case.old, case.written) == (1000.0, 1040.0)
    await s.run(1)
    assert s.guard.case(case.id).state == "done"


async def test_a_device_that_says_good_and_does_nothing_is_not_believed(station: Make) -> None:
    s = station()
    s.obeys = False
    case = await s.submit(1040.0)
    await s.run(9)
    assert s.guard.case(case.id).state == "writing"
    await s.run(2)
    case = s.guard.case(case.id)
    assert case.state == "failed"
    assert "1000" in case.history[-1].text.en
    assert len(s.writes) == 1


@pytest.mark.parametrize(("answer", "state"), [(q.BAD_NOT_WRITABLE, "failed"), (q.BAD_TIMEOUT, "writing"), (OSError("cut"), "writing")])
async def test_a_no_is_a_failure_at_once_and_a_time_out_is_looked_after(station: Make, answer: int | Exception, state: str) -> None:
    s = station()
    s.answer = answer
    case = await s.submit(1040.0)
    assert case.state == state
    if state == "writing":
        s.values[SPEED] = 1040.0  # it was written after all
        await s.run(1)
        assert s.guard.case(case.id).state == "done"


@pytest.mark.parametrize("obeys", [True, False])
async def test_a_set_point_that_is_sampled_slowly_is_waited_for(station: Make, obeys: bool) -> None:
    s = station(fresh="120s", watch=f"{HEAT} falls by 2 K within 10 min")
    s.plant.tags[SPEED] = msgspec.structs.replace(s.plant.tags[SPEED], every=60.0)
    s.obeys = obeys
    case = await s.submit(1040.0)

    async def run(seconds: int) -> None:
        for _ in range(seconds):
            s.now += S
            if (s.now - START) % (60 * S) == 0:
                s.hear()
            await s.guard.tick()

    await run(59)
    assert s.guard.case(case.id).state == "writing"
    await run(65)
    assert s.guard.case(case.id).state == ("watching" if obeys else "writing")
    await run(1200)
    assert s.guard.case(case.id).state == ("rolled_back" if obeys else "failed")
    assert s.writes == [(SPEED, 1040.0), (SPEED, 1000.0)] if obeys else [(SPEED, 1040.0)]


async def test_no_value_to_read_back_ends_in_a_plain_word(station: Make) -> None:
    s = station()
    case = await s.submit(1040.0)
    s.hear(q.BAD_NO_COMMUNICATION)
    s.now += 11 * S
    await s.guard.tick()
    case = s.guard.case(case.id)
    assert case.state == "failed"
    assert "look at the machine" in case.history[-1].text.en


async def test_advise_only_shows(station: Make) -> None:
    s = station(mode="advise")
    case = await s.submit(1040.0, expires=s.now + 5 * S)
    assert (case.state, s.writes) == ("advised", [])
    with pytest.raises(GuardError, match="not waiting"):
        await s.guard.approve(case.id, "li")
    await s.run(5)
    assert s.guard.case(case.id).state == "expired"


async def test_one_approval_writes_after_all_checks_were_made_again(station: Make) -> None:
    s = station(mode="approve", interlock=f"{PRESSURE} < 8 bar")
    first = await s.submit(1040.0)
    assert (first.state, first.needs, s.writes) == ("waiting", 1, [])
    s.values[PRESSURE] = 9.0
    await s.run(1)
    first = await s.guard.approve(first.id, "li")
    assert (first.state, failed(first), s.writes) == ("refused", ["interlock"], [])
    s.values[PRESSURE] = 7.0
    await s.run(1)
    second = await s.submit(1040.0)
    second = await s.guard.approve(second.id, "li")
    assert (second.state, s.writes) == ("writing", [(SPEED, 1040.0)])
    with pytest.raises(GuardError, match="not waiting"):
        await s.guard.approve(second.id, "wang")


async def test_two_approvals_need_two_people(station: Make) -> None:
    s = station(mode="approve", approvals=2)
    case = await s.submit(1040.0)
    case = await s.guard.approve(case.id, "li")
    assert (case.state, case.approvals, s.writes) == ("waiting", ("li",), [])
    with pytest.raises(GuardError, match="approved already"):
        await s.guard.approve(case.id, "li")
    with pytest.raises(GuardError, match="name"):
        await s.guard.approve(case.id, " ")
    case = await s.guard.approve(case.id, "wang")
    assert (case.state, s.writes) == ("writing", [(SPEED, 1040.0)])


async def test_a_person_says_no(station: Make) -> None:
    s = station(mode="approve")
    case = await s.submit(1040.0)
    case = await s.guard.reject(case.id, "li", "the pump is being serviced")
    assert (case.state, case.history[-1].who) == ("rejected", "li")
    with pytest.raises(GuardError, match="not waiting"):
        await s.guard.approve(case.id, "li")
    with pytest.raises(GuardError, match="no case"):
        await s.guard.reject("A99", "li", "")


async def test_what_no_longer_has_a_reason_cannot_be_approved(station: Make) -> None:
    s = station(mode="approve")
    case = await s.submit(1040.0, finding="pump/hot")
    await s.guard.withdraw("pump-health", "pump/cold")
    await s.guard.withdraw("another", "pump/hot")
    assert s.guard.case(case.id).state == "waiting"
    await s.guard.withdraw("pump-health", "pump/hot")
    case = s.guard.case(case.id)
    assert (case.state, case.history[-1].who) == ("expired", "pump-health")
    assert "has ended" in case.history[-1].text.en
    with pytest.raises(GuardError, match="not waiting"):
        await s.guard.approve(case.id, "li")
    await s.run(5)
    assert s.writes == []


async def test_what_is_under_way_is_not_withdrawn(station: Make) -> None:
    s = station()
    case = await s.submit(1040.0, finding="pump/hot")
    await s.guard.withdraw("pump-health", "pump/hot")
    assert s.guard.case(case.id).state in ("writing", "watching")


async def test_too_late_an_approval_writes_nothing(station: Make) -> None:
    s = station(mode="approve")
    case = await s.submit(1040.0, expires=s.now + 60 * S)
    s.now += 60 * S
    assert (await s.guard.approve(case.id, "li")).state == "expired"
    assert s.writes == []


async def test_the_same_advice_twice_is_one_case(station: Make) -> None:
    s = station()
    advice = s.advice(1040.0)
    first, second = await asyncio.gather(s.guard.submit(advice), s.guard.submit(advice))
    assert first.id == second.id
    assert len(s.writes) == 1


async def test_of_many_at_once_one_is_written(station: Make) -> None:
    s = station()
    reached = asyncio.Event()

    async def slow() -> None:
        reached.set()
        await asyncio.sleep(0.01)

    s.before_write = slow
    cases = await asyncio.gather(*(s.submit(1000.0 + n) for n in range(1, 20)))
    assert reached.is_set()
    assert [c.state for c in cases].count("writing") == 1
    assert {tuple(failed(c)) for c in cases if c.state == "refused"} == {("duplicate",)}
    assert len(s.writes) == 1


async def test_an_effect_that_is_seen_closes_the_case(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(1)
    assert s.guard.case(case.id).state == "watching"
    s.values[HEAT] = 57.9
    await s.run(2)
    assert s.guard.case(case.id).state == "watching", "two samples may be noise"
    await s.run(1)
    case = s.guard.case(case.id)
    assert (case.state, case.effect is not None and case.effect.seen) == ("done", True)
    await s.run(60)
    assert s.writes == [(SPEED, 1040.0)]


async def test_an_effect_that_stays_away_is_rolled_back(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(60)
    assert s.writes == [(SPEED, 1040.0)]
    await s.run(3)
    case = s.guard.case(case.id)
    assert (case.state, s.writes) == ("rolled_back", [(SPEED, 1040.0), (SPEED, 1000.0)])
    assert case.effect is not None
    assert not case.effect.seen
    assert "60" in case.effect.text.en


async def test_more_than_was_promised_is_not_what_was_promised(station: Make) -> None:
    s = station()
    case = await s.submit(1040.0, expected=Expected(tag=HEAT, low=-5, high=-1, within=30, unit="K"))
    s.values[HEAT] = 40.0
    await s.run(33)
    assert s.guard.case(case.id).state == "rolled_back"


async def test_a_sensor_that_dies_while_it_is_watched_has_shown_nothing(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(1)
    for _ in range(62):
        s.now += S
        s.hear()
        s.hear_one(HEAT, 20.0, q.BAD_SENSOR_FAILURE)
        await s.guard.tick()
    assert s.guard.case(case.id).state == "rolled_back"


async def test_what_a_person_changed_since_is_left_to_the_person(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(1)
    s.values[SPEED] = 900.0
    await s.run(62)
    case = s.guard.case(case.id)
    assert (case.state, len(s.writes)) == ("failed", 1)
    assert "somebody changed it" in case.history[-1].text.en


async def test_a_rollback_waits_for_the_set_point_to_be_known(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(1)
    for _ in range(100):
        s.now += S
        s.hear(q.BAD_NO_COMMUNICATION)
        await s.guard.tick()
    assert (s.guard.case(case.id).state, len(s.writes)) == ("watching", 1)
    await s.run(2)
    assert (s.guard.case(case.id).state, s.writes[-1]) == ("rolled_back", (SPEED, 1000.0))


async def test_a_device_that_does_not_take_the_old_value_back_is_told_three_times(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(1)
    s.obeys = False
    await s.run(120)
    case = s.guard.case(case.id)
    assert (case.state, s.writes[1:]) == ("failed", [(SPEED, 1000.0)] * 3)
    assert "3 times" in case.history[-1].text.en


async def test_killed_nothing_is_written_not_even_back(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    running = await s.submit(1040.0)
    await s.run(1)
    s.guard.kill("li", "smoke in the pump room")
    assert "smoke" in s.guard.killed
    await s.run(70)
    assert (s.guard.case(running.id).state, len(s.writes)) == ("failed", 1)
    case = await s.submit(1050.0)
    assert failed(case) == ["stop"]
    assert "li: smoke in the pump room" in case.history[0].text.en
    s.guard.release("wang", "it was steam")
    assert (await s.submit(1060.0)).state == "writing"


async def test_killed_stays_killed_over_a_restart(station: Make) -> None:
    s = station()
    s.guard.kill("li", "smoke")
    s.restart()
    s.hear()
    assert failed(await s.submit(1040.0)) == ["stop"]


async def test_a_file_that_anybody_touches_is_the_kill_switch(station: Make) -> None:
    s = station()
    (s.folder / "STOP").touch()
    assert failed(await s.submit(1040.0)) == ["stop"]
    await s.guard.tick()
    assert [(e.kind, e.body["who"]) for e in s.ledger.entries() if e.kind in ("guard.kill", "guard.release")] == [("guard.kill", "file")]
    (s.folder / "STOP").unlink()
    await s.guard.tick()
    assert s.ledger.entries()[-1].kind == "guard.release"
    assert (await s.submit(1050.0)).state == "writing"


async def test_a_kill_between_intent_and_write_still_counts(station: Make) -> None:
    s = station()
    append = s.ledger.append

    def killing(kind: str, body: Any) -> Entry:
        if kind == "guard.write":
            s.guard.kill("li", "now")
        return append(kind, body)

    s.ledger.append = killing  # type: ignore[method-assign]
    case = await s.submit(1040.0)
    assert (case.state, case.written, failed(case), s.writes) == ("refused", None, ["stop"], [])


async def test_a_value_from_before_the_clock_was_set_back_is_not_fresh(station: Make) -> None:
    s = station()
    s.now -= 3600 * S
    for tag in set(s.values) - {SPEED}:
        s.hear_one(tag, s.values[tag])
    s.now += 3595 * S
    for tag in set(s.values) - {SPEED}:
        s.hear_one(tag, s.values[tag])
    case = await s.submit(1040.0)
    assert (case.state, "setpoint" in failed(case), s.writes) == ("refused", True, [])


async def test_a_value_of_the_future_is_unknown(station: Make) -> None:
    s = station()
    s.latest.known[:] = s.now + 2 * S  # as of a clock that is ahead
    case = await s.submit(1040.0)
    assert (case.state, "setpoint" in failed(case), s.writes) == ("refused", True, [])
    assert "in the future" in next(c.text.en for c in case.checks if c.name == "setpoint")


@pytest.mark.parametrize("kind", ["guard.write", "guard.restore"])
async def test_what_arrives_while_the_disk_is_slow_is_seen_before_the_write(station: Make, kind: str) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    append, loop = s.ledger.append, asyncio.get_running_loop()

    async def arrives() -> None:
        s.hear_one(SPEED, 1010.0)

    def slow(entry_kind: str, body: Any) -> Entry:
        entry = append(entry_kind, body)
        if entry_kind == kind:
            asyncio.run_coroutine_threadsafe(arrives(), loop).result(5)
        return entry

    s.ledger.append = slow  # type: ignore[method-assign]
    case = await s.submit(1040.0)
    await s.run(61)
    assert s.writes == ([] if kind == "guard.write" else [(SPEED, 1040.0)])
    assert any(step.text.en.startswith("not written: ") for step in s.guard.case(case.id).history)


async def test_who_goes_away_while_an_intent_is_kept_leaves_memory_as_the_ledger_says(station: Make) -> None:
    s = station()
    append, reached, go_on = s.ledger.append, threading.Event(), threading.Event()

    def slow(kind: str, body: Any) -> Entry:
        if kind == "guard.write":
            reached.set()
            go_on.wait(10)
        return append(kind, body)

    s.ledger.append = slow  # type: ignore[method-assign]
    asking = asyncio.create_task(s.submit(1040.0))
    await asyncio.to_thread(reached.wait, 10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    go_on.set()
    while s.guard.cases()[0].state != "writing":
        await asyncio.sleep(0.01)
    before = s.guard.cases()
    s.restart()
    assert s.guard.cases() == before
    assert s.writes == []


@pytest.mark.parametrize("what", ["kill", "interlock", "hand"])
async def test_what_happens_while_a_write_waits_for_its_line_calls_it_off(station: Make, what: str) -> None:
    s = station(interlock=f"{PRESSURE} < 8 bar", rate="50 1/min per 60 s")

    async def line() -> None:
        await asyncio.sleep(0)
        if what == "kill":
            s.guard.kill("li", "now")
        elif what == "interlock":
            s.hear_one(PRESSURE, 12.0)
        else:
            s.hear_one(SPEED, 1010.0)

    s.line = line
    case = await s.submit(1040.0)
    assert (case.state, case.written, s.writes) == ("refused", None, [])
    assert case.history[-1].text.en.startswith("not written: ")
    assert failed(case) == {"kill": ["stop"], "interlock": ["interlock"], "hand": []}[what]
    s.line = None
    s.guard.release("li", "go")
    s.hear()
    assert (await s.submit(1040.0)).state == "writing", "what was never sent does not count as a change"


async def test_a_rollback_is_called_off_while_it_waits_for_its_line(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)

    async def line() -> None:
        s.hear_one(SPEED, 1020.0)

    s.line = line
    await s.run(61)
    s.values[SPEED] = 1020.0
    await s.run(15)
    case = s.guard.case(case.id)
    assert (case.state, s.writes) == ("failed", [(SPEED, 1040.0)])
    assert any(step.text.en.startswith("not written: 1020") for step in case.history)
    assert "not rolled back" in case.history[-1].text.en


async def test_a_ledger_that_cannot_be_written_means_no_write(station: Make) -> None:
    s = station()
    append = s.ledger.append

    def full(kind: str, body: Any) -> Entry:
        if kind == "guard.write":
            raise LedgerError("disk full")
        return append(kind, body)

    s.ledger.append = full  # type: ignore[method-assign]
    with pytest.raises(LedgerError):
        await s.submit(1040.0)
    assert s.writes == []
    s.ledger.append = append  # type: ignore[method-assign]
    await s.run(1)
    assert [c.state for c in s.guard.cases()] == ["failed"]
    assert (await s.submit(1041.0)).state == "writing"


async def test_an_outcome_that_cannot_be_recorded_is_found_out_later(station: Make) -> None:
    s = station()
    append = s.ledger.append

    def full(kind: str, body: Any) -> Entry:
        if kind == "guard.answer":
            raise LedgerError("disk full")
        return append(kind, body)

    s.ledger.append = full  # type: ignore[method-assign]
    with pytest.raises(LedgerError):
        await s.submit(1040.0)
    s.ledger.append = append  # type: ignore[method-assign]
    await s.run(1)
    assert [c.state for c in s.guard.cases()] == ["done"]
    assert len(s.writes) == 1


# --- kill -9: what a new process makes of the ledger alone ---------------------------------------------------------------------------


async def test_killed_before_the_write_was_sent(station: Make) -> None:
    s = station()

    async def die() -> None:
        raise asyncio.CancelledError

    s.before_write, s.obeys = die, False
    with pytest.raises(asyncio.CancelledError):
        await s.submit(1040.0)
    s.writes.clear()
    s.before_write = None
    s.restart()
    (case,) = s.guard.cases()
    assert (case.state, case.written, case.old) == ("writing", 1040.0, 1000.0)
    await s.run(70)
    assert s.guard.case(case.id).state == "failed"
    assert s.writes == [], "an advice is never written twice"


async def test_killed_before_the_answer_was_recorded(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")

    async def die() -> None:
        s.values[SPEED] = 1040.0
        raise asyncio.CancelledError

    s.before_write = die
    with pytest.raises(asyncio.CancelledError):
        await s.submit(1040.0)
    s.before_write = None
    s.restart()
    await s.run(1)
    (case,) = s.guard.cases()
    assert case.state == "watching"
    await s.run(62)
    assert (s.guard.case(case.id).state, s.writes) == ("rolled_back", [(SPEED, 1040.0), (SPEED, 1000.0)])


async def test_killed_while_watching_and_back_after_the_time_is_over(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(10)
    s.now += 3600 * S
    s.restart()
    await s.run(50)
    assert s.guard.case(case.id).state == "watching", "the connections get time to come up"
    await s.run(3)
    assert s.guard.case(case.id).state == "rolled_back"
    assert s.writes == [(SPEED, 1040.0), (SPEED, 1000.0)]


async def test_killed_between_rollback_and_its_answer(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(60)

    async def die() -> None:
        s.values[SPEED] = 1000.0
        raise asyncio.CancelledError

    s.before_write = die
    await s.run(1)
    assert s.guard.case(case.id).state == "watching"
    s.before_write = None
    s.restart()
    await s.run(1)
    assert (s.guard.case(case.id).state, len(s.writes)) == ("rolled_back", 2)


@pytest.mark.parametrize("how", ["ledger", "restart"])
async def test_an_approval_that_could_not_be_carried_out_is_asked_for_again(station: Make, how: str) -> None:
    s = station(mode="approve", approvals=2)
    case = await s.submit(1040.0)
    await s.guard.approve(case.id, "li")
    append = s.ledger.append

    def full(kind: str, body: Any) -> Entry:
        if kind == "guard.write":
            raise LedgerError(Text("no space", "空间不足"))
        return append(kind, body)

    s.ledger.append = full  # type: ignore[method-assign]
    with pytest.raises(LedgerError):
        await s.guard.approve(case.id, "wang")
    s.ledger.append = append  # type: ignore[method-assign]
    if how == "restart":
        s.restart()
        s.hear()
    assert s.guard.case(case.id).state == "waiting"
    case = await s.guard.approve(case.id, "li")
    assert (case.state, case.approvals, s.writes) == ("writing", ("li", "wang"), [(SPEED, 1040.0)])


async def test_a_case_whose_worth_came_after_it_was_forgotten_keeps_no_node_from_starting(
    station: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docket, "KEPT", 5)
    s = station(worth=Worth(tag=POWER, better="lower", before="10min", after="10min"))
    case = await s.submit(1040.0)
    await s.run(3)
    for _ in range(20):
        await s.submit(99999.0)
    s.now += 1300 * S
    s.hear()
    await s.guard.tick()
    assert s.guard.case(case.id).worth is not None
    s.restart(worth=None)
    assert all(c.state == "refused" for c in s.guard.cases())


async def test_an_approval_survives_and_still_needs_the_second(station: Make) -> None:
    s = station(mode="approve", approvals=2)
    case = await s.submit(1040.0)
    await s.guard.approve(case.id, "li")
    before = s.guard.cases()
    s.restart()
    s.hear()
    assert s.guard.cases() == before
    with pytest.raises(GuardError, match="approved already"):
        await s.guard.approve(case.id, "li")
    assert (await s.guard.approve(case.id, "wang")).state == "writing"


async def test_an_advice_of_before_the_restart_is_not_taken_again(station: Make) -> None:
    s = station()
    advice = s.advice(1040.0)
    first = await s.guard.submit(advice)
    await s.run(1)
    s.restart()
    s.hear()
    assert (await s.guard.submit(advice)).id == first.id
    assert len(s.writes) == 1


async def test_the_rate_remembers_over_a_restart(station: Make) -> None:
    s = station(rate="50 1/min per 1 min")
    await s.submit(1040.0)
    await s.run(1)
    s.restart()
    s.hear()
    assert failed(await s.submit(1060.0)) == ["rate"]
    assert (await s.submit(1050.0)).state == "writing"


async def test_a_guard_that_was_removed_since_rolls_nothing_back(station: Make) -> None:
    s = station(watch=f"{HEAT} falls by 2 K within 60 s")
    case = await s.submit(1040.0)
    await s.run(1)
    plant = msgspec.structs.replace(s.plant, guards={})
    s.ledger.close()
    s.ledger = Ledger(s.folder / "ledger", clock=s.clock)
    s.guard = Guard(plant, s.latest, s.ledger, s.write, clock=s.clock, folder=s.folder)
    await s.run(70)
    assert (s.guard.case(case.id).state, len(s.writes)) == ("failed", 1)


async def test_version_grows_with_every_change_and_newest_comes_first(station: Make) -> None:
    s = station(mode="approve")
    seen = [s.guard.version]
    a = await s.submit(1040.0)
    seen.append(s.guard.version)
    await s.guard.reject(a.id, "li", "no")
    seen.append(s.guard.version)
    s.guard.kill("li", "x")
    seen.append(s.guard.version)
    assert seen == sorted(set(seen))
    await s.submit(1050.0)
    assert [c.id for c in s.guard.cases()] == ["A2", "A1"]


async def test_a_case_is_json(station: Make) -> None:
    s = station(mode="approve")
    case = await s.submit(1040.0)
    assert msgspec.json.decode(msgspec.json.encode(case), type=Case) == case


async def test_an_advice_of_the_wrong_shape_is_an_error_and_no_case(station: Make) -> None:
    s = station()
    for wrong in (s.advice("fast"), s.advice(1040.0, id=""), None, s.advice(1040.0, expires="never")):  # type: ignore[arg-type]
        with pytest.raises(GuardError):
            await s.guard.submit(wrong)  # type: ignore[arg-type]
    assert s.guard.cases() == []
