"""The options of state detection: what an `[apps.NAME]` table with `uses = "maintenance.detect"` may hold."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ronghe.apps import advising
from ronghe.apps.contract import Priority
from ronghe.apps.maintenance.normal import FALSE_ALARM


class Rule(advising.Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to advise when a cause is named: `{ when = "cooler_efficiency low", set = "rig/fan_setpoint", step = 15 }`."""

    when: Annotated[
        str, Meta(description="the named cause: a property, a tag or a part of the equipment; alone or with low, high or unsteady")
    ]


class Running(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the equipment counts as running; rows in which it does not are not judged and not learned from."""

    tag: str
    above: float | None = None
    below: float | None = None
    settle: Annotated[str, Meta(description="after a start, this long is not judged either")] = "0s"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of maintenance.detect. All have defaults: an equipment path is enough to begin with."""

    tags: Annotated[
        tuple[str, ...], Meta(description="patterns of tags; empty: all numbers under the equipment that are not set-points")
    ] = ()
    exclude: Annotated[tuple[str, ...], Meta(description="properties or tag patterns to leave out")] = ()
    every: Annotated[str, Meta(description="one row this often")] = "1s"
    learn: Annotated[str, Meta(description="how long normal operation is learned from the first start")] = "1h"
    model: Annotated[str, Meta(description="a fitted model package to use instead of learning; relative to the plant folder")] = ""
    window: Annotated[int, Meta(ge=0, description="rows in a window; 0: the load cycle if there is one, else 20")] = 0
    false_alarm: Annotated[
        float, Meta(gt=0, lt=0.5, description="chance that an independent window of normal operation is over the limit")
    ] = FALSE_ALARM
    accuracy: Annotated[
        float, Meta(ge=0, lt=1, description="instrument uncertainty as a part of the dictionary's range; less is no deviation")
    ] = 0.005
    hold: Annotated[str, Meta(description="a condition must persist this long before it is a finding")] = "5s"
    release: Annotated[str, Meta(description="and be away this long before it ends")] = "5s"
    silent: Annotated[str, Meta(description="a sensor without a good value for this long is said to be dead")] = "1min"
    priority: Priority = "medium"
    running: Annotated[Running | None, Meta(description="when the equipment counts as running; none: always")] = None
    advise: Annotated[tuple[Rule, ...], Meta(description="what to advise when a cause is named")] = ()
