"""The autonomy switch: the lower of what is permitted and what a person said, at every check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.guard.line import FEED, HEAT, STROKE, Line
from tests.guard.station import PRESSURE, SPEED, Station, failed

from ronghe.errors import GuardError, LedgerError
from ronghe.guard.modes import MODES
from ronghe.text import Text

Make = Callable[..., Station]


async def test_a_lower_mode_is_in_force_at_once_and_after_a_restart(station: Make) -> None:
    s = station(mode="auto")
    s.guard.switch(SPEED, "advise", "li", "first night")
    assert (await s.submit(1040.0)).state == "advised"
    s.restart()
    s.hear()
    assert s.guard.modes.of(SPEED) == "advise"
    turned = s.guard.modes.last[SPEED]
    assert (turned.was, turned.mode, turned.who, turned.why, turned.time) == ("auto", "advise", "li", "first night", s.now)
    (entry,) = s.ledger.entries(kind="mode")
    assert entry.body == {"tag": SPEED, "mode": "advise", "was": "auto", "who": "li", "why": "first night"}
    assert not s.writes

    s.guard.switch(SPEED, "auto", "wang", "it went well")
    await s.guard.tick()
    (shown,) = s.guard.cases()
    assert shown.state == "expired", "what was only shown makes way"
    assert (await s.submit(1040.0)).state == "writing"


@pytest.mark.parametrize(
    ("mode", "why", "says"), [("auto", "x", "more than is permitted"), ("approve", " ", "say why"), ("on", "x", "none of")]
)
def test_what_is_refused(station: Make, mode: str, why: str, says: str) -> None:
    s = station(mode="approve")
    with pytest.raises(GuardError, match=says) as caught:
        s.guard.switch(SPEED, mode, "li", why)
    assert caught.value.what.zh
    with pytest.raises(GuardError, match="without a name"):
        s.guard.switch(SPEED, "advise", " ", "x")
    with pytest.raises(GuardError, match="has no guard"):
        s.guard.switch(PRESSURE, "advise", "li", "x")
    assert s.guard.modes.of(SPEED) == "approve"
    assert not s.ledger.entries(kind="mode")


async def test_the_mode_counts_at_the_moment_of_sending(station: Make) -> None:
    s = station(mode="auto")

    async def switch() -> None:
        s.guard.switch(SPEED, "approve", "li", "now")

    s.line = switch  # while the write waits for the line
    case = await s.submit(1040.0)
    assert case.state == "refused"
    assert "mode" in failed(case)
    assert not s.writes
    assert case.written is None


async def test_a_case_that_waits_for_people_goes_on_waiting(station: Make) -> None:
    s = station(mode="auto", approvals=2)
    s.guard.switch(SPEED, "approve", "li", "x")
    case = await s.submit(1040.0)
    assert (case.state, case.needs) == ("waiting", 2)
    s.guard.switch(SPEED, "auto", "li", "x")
    await s.run(3)
    assert s.guard.case(case.id).state == "waiting"
    s.guard.switch(SPEED, "advise", "li", "x")
    await s.guard.approve(case.id, "li")
    case = await s.guard.approve(case.id, "wang")
    assert case.state == "refused"
    assert failed(case) == ["mode"]
    assert not s.writes


async def test_a_plant_that_permits_less_than_a_person_said_has_the_last_word(station: Make) -> None:
    s = station(mode="auto")
    s.guard.switch(SPEED, "approve", "li", "x")
    s.restart(mode="advise")
    assert s.guard.modes.of(SPEED) == "advise"
    s.restart(mode="auto")
    assert s.guard.modes.of(SPEED) == "approve", "what a person lowered, only a person raises"


def test_down_whatever_the_disk_says_up_only_when_it_is_in_the_ledger(station: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    s = station(mode="auto")

    def full(kind: str, body: Any) -> None:
        raise LedgerError(Text("the disk is full", "磁盘已满"))

    with monkeypatch.context() as patched:
        patched.setattr(s.ledger, "append", full)
        with pytest.raises(LedgerError):
            s.guard.switch(SPEED, "advise", "li", "x")
        assert s.guard.modes.of(SPEED) == "advise"
        with pytest.raises(LedgerError):
            s.guard.switch(SPEED, "auto", "li", "x")
        assert s.guard.modes.of(SPEED) == "advise"
    s.guard.switch(SPEED, "auto", "li", "x")
    assert s.guard.modes.of(SPEED) == "auto"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_never_above_what_is_permitted_nor_what_was_said_last(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    permitted = data.draw(st.sampled_from(MODES))
    s = Station(tmp_path_factory.mktemp("modes"), mode=permitted)
    said = permitted
    for what in data.draw(st.lists(st.sampled_from([*MODES, "restart"]), max_size=8)):
        if what == "restart":
            permitted = data.draw(st.sampled_from(MODES))
            s.restart(mode=permitted)
        else:
            try:
                s.guard.switch(SPEED, what, "li", "x")
                said = what
            except GuardError:
                assert MODES.index(what) > MODES.index(permitted)
        spoken = s.guard.modes.last
        least = min([permitted, *([said] if SPEED in spoken else [])], key=MODES.index)
        assert s.guard.modes.of(SPEED) == least
    s.ledger.close()


async def test_a_change_that_waits_for_people_is_not_let_through_by_a_higher_mode(tmp_path: Path) -> None:
    line = Line(tmp_path, mode="auto")
    line.guard.switch(HEAT, "approve", "li", "x")
    case = await line.start()
    assert (case.state, case.needs) == ("waiting", 1)
    line.guard.switch(HEAT, "auto", "li", "x")
    await line.run(3)
    assert line.guard.change(case.id).state == "waiting"
    line.guard.switch(STROKE, "advise", "li", "x")
    case = await line.guard.approve_change(case.id, "wang")
    assert case.state == "refused"
    assert [c.name for c in case.checks[STROKE] if not c.ok] == ["mode"]
    assert not line.writes
    assert line.ledger is not None
    line.ledger.close()


async def test_a_change_half_written_goes_back_when_a_mode_is_lowered(tmp_path: Path) -> None:
    line = Line(tmp_path, mode="auto")
    line.on_write = lambda tag, value: (
        line.guard.switch(FEED, "advise", "li", "stop") if tag == STROKE and not line.guard.modes.last else None
    )
    case = await line.end(await line.start())
    assert case.state == "rolled_back"
    assert FEED not in [tag for tag, _ in line.writes]
    assert line.force == {HEAT: 160.0, STROKE: 40.0, FEED: 12.0}
    assert line.ledger is not None
    line.ledger.close()
