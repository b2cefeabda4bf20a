"""Answers of furnace.silicon, as plain data for JSON. Times are ms since 1970 UTC."""

from __future__ import annotations

from typing import Any

import msgspec

from ronghe.apps.furnace.rist import Assumptions, Balance, OperatingLine
from ronghe.apps.furnace.rist.balance import assumptions
from ronghe.apps.furnace.rist.line import X_TITLE, Y_TITLE
from ronghe.apps.furnace.silicon import wording
from ronghe.apps.furnace.silicon.forecaster import Forecast
from ronghe.apps.furnace.silicon.outlook import Outlook
from ronghe.apps.furnace.silicon.settings import Options
from ronghe.signals.when import parse_duration
from ronghe.text import Text


def state(
    outlook: Outlook,
    now: int,
    options: Options,
    assay: tuple[int, float] | None,
    good: bool,
    reasons: tuple[Text, ...],
    model: dict[str, Any],
) -> dict[str, Any]:
    """The verb `state`; `now` in ns, 0 before the first row; `good` says whether the assay still is."""
    said = outlook.now
    if said is not None:
        text: Text | None = wording.expected(said.mean, said.low, said.high)
    else:
        text = wording.refused(reasons) if reasons else None
    return {
        "now": now // 10**6,
        "unit": "%",
        "silicon": None if assay is None else {"value": assay[1], "time": assay[0] // 10**6, "age_s": (now - assay[0]) / 1e9, "good": good},
        "target": options.target,
        "history": [{"time": c.time // 10**6, "value": c.value} for c in outlook.past],
        "fan": [_point(time, f) for time, f in outlook.fan(parse_duration(options.horizon))],
        "past": [{**_point(c.time, c.said), "value": c.value} for c in outlook.past if c.said is not None],
        "coverage": outlook.coverage(),
        "hit_rate": outlook.hit_rate(),
        "drift": outlook.drifts(),
        "text": text,
        "model": model,
        "outside": reasons,
    }


def _point(time: int, said: Forecast) -> dict[str, Any]:
    return {"time": time // 10**6, "mean": said.mean, "low": said.low, "high": said.high}


def rist(given: Assumptions, balance: Balance, line: OperatingLine, source: str) -> dict[str, Any]:
    """The verb `rist`; `source` says whether the assumptions were typed or measured by tags."""
    return {
        **msgspec.structs.asdict(line),
        "x_title": X_TITLE,
        "y_title": Y_TITLE,
        "carbon": balance.carbon,
        "oxygen": balance.oxygen,
        "nitrogen": balance.nitrogen,
        "assumptions": assumptions(given),
        "from": source,
    }
