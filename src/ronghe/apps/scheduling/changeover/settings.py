"""The options of scheduling.changeover."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an `[apps.NAME]` table with `uses = "scheduling.changeover"` may hold."""

    follow: Annotated[
        str,
        Meta(description="tag with the number of the next order's product: when it changes, its changeover begins; empty: a person asks"),
    ] = ""
    limit: Annotated[str, Meta(description="a changeover is to be over within this time, or a finding says so")] = "60s"
    expires: Annotated[str, Meta(description="how long a changeover waits for material, people and approval")] = "30min"
    every: Annotated[str, Meta(description="how often the set-points are looked at")] = "500ms"
