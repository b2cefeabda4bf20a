"""The options of logistics.dispatch: what an `[apps.NAME]` table with `uses = "logistics.dispatch"` may hold."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Delay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tag that says how late a vehicle is."""

    vehicle: Annotated[str, Meta(min_length=1, description="a vehicle of the routes")]
    tag: Annotated[str, Meta(min_length=1, description="how much later than planned it will be at its next stop, in s, min or h")]
    above: Annotated[str, Meta(description="routes are planned anew where it is this much later than they know")] = "5min"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of logistics.dispatch (docs/logistics.md)."""

    folder: Annotated[str, Meta(min_length=1, description="the day, below the plant folder: a folder of CSV files or an Excel book")] = (
        "logistics"
    )
    seconds: Annotated[float, Meta(ge=0, le=3600, description="how long a plan is improved after a change, in s; 0: only repaired")] = 20.0
    delays: Annotated[tuple[Delay, ...], Meta(description="vehicles that report")] = ()
