"""The guard as people and apps meet it: modes, approvals, read-back, effects, rollback, the kill switch, and what survives kill -9."""

from __future__ import annotations

from collections.abc import Callable

from tests.guard.station import SPEED, Station

Make = Callable[..., Station]


async def test_auto_writes_and_believes_only_what_is_read_back(station: Make) -> None:
    s = station()
    case = await s.submit(1040.0)
    assert (case.state, s.writes) == ("writing", [(SPEED, 1040.0)])
    assert (case.old, case.written) == (1000.0, 1040.0)
    await s.run(1)
    assert s.guard.case(case.id).state == "done"
