"""The options of scheduling.plan."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Stop(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a machine of the schedule stands."""

    machine: Annotated[str, Meta(min_length=1, description="a machine of the schedule")]
    when: Annotated[str, Meta(min_length=1, description='condition over tags that is true while it stands, e.g. "not line1/press/running"')]
    after: Annotated[str, Meta(description="a stop of this length is a breakdown, and the schedule is repaired")] = "2min"
    lasts: Annotated[str, Meta(description="how long it is then taken to stand; while it still does, again so long")] = "1h"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of scheduling.plan: the orders of a shop, planned and kept planned (docs/chain.md)."""

    folder: Annotated[
        str, Meta(min_length=1, description="the shop, below the plant folder: a folder of CSV files, an Excel workbook or a JSON file")
    ] = "schedule"
    seconds: Annotated[float, Meta(ge=0, le=3600, description="how long a plan is improved after a change, in s; 0: only repaired")] = 20.0
    stops: Annotated[tuple[Stop, ...], Meta(description="machines that are watched")] = ()
