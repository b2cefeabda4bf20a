"""What the energy corner knows when a demonstration begins: its own load so far, as energy.optimise would have measured it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ronghe.apps.energy.memory import Memory, MonthSoFar, Quarter
from ronghe.demo.battery import CAPACITY
from ronghe.demo.lights import NEW_YEAR, Corner
from ronghe.demo.sun import QUARTER


def remember(state: Path, now: float) -> None:
    """Leaves in the app's folder what was measured from New Year to `now` (s since then), with the battery at rest."""
    state.mkdir(parents=True, exist_ok=True)
    memory, corner = Memory(state / "energy.msgpack", 1), Corner(0.0)
    for quarter in range(int(now // QUARTER)):
        at = quarter * QUARTER
        pv = corner.roof.power(at + QUARTER / 2)
        grid, stored = corner.load_at(at) - pv, corner.battery.soc * CAPACITY
        start = round(NEW_YEAR + at) * 10**9
        memory.add(Quarter(start=start, grid=grid, pv=pv, battery=(0.0,), other=0.0, stored=(stored,)))
    begins = datetime.fromtimestamp(NEW_YEAR + now, UTC) + timedelta(hours=8)
    number, first = begins.year * 12 + begins.month - 1, NEW_YEAR + now - ((begins.day - 1) * 24 + begins.hour) * 3600
    peak = max((q.grid for q in memory.kept.quarters if q.start >= first * 1e9), default=0.0)
    memory.kept.month, memory.kept.ruled = MonthSoFar(month=number, peak=peak), MonthSoFar(month=number, peak=peak)
    memory.keep()
