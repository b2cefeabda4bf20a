"""The options of furnace.silicon: what an `[apps.NAME]` table with `uses = "furnace.silicon"` may hold."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ronghe.apps import advising
from ronghe.apps.furnace.rist import Assumptions


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where silicon is wanted, in %."""

    low: Annotated[float, Meta(gt=0, lt=10)]
    high: Annotated[float, Meta(gt=0, lt=10)]


class Rule(advising.Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to advise: `{ when = "silicon low", set = "bf1/coal_setpoint", step = 1.5 }`. The direction is the engineer's."""

    when: Annotated[str, Meta(pattern="^silicon (low|high)$", description="silicon low or silicon high: forecast beyond the target")]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of furnace.silicon (docs/furnace.md)."""

    model: Annotated[str, Meta(description="package made by `ronghe furnace silicon fit`; relative to the plant folder")] = "silicon.model"
    silicon: Annotated[str, Meta(description="tag of the assay, in %; its time is that of the sample")] = "silicon"
    inputs: Annotated[dict[str, str], Meta(description="model input → tag; the others are found by tag name or property")] = {}
    target: Annotated[Target | None, Meta(description="where silicon is wanted; none: nothing is said of cold and hot")] = None
    chance: Annotated[
        float, Meta(gt=0, lt=1, description="of a heat beyond the target, from which it is said; 0.05: the 90 % interval leaves the target")
    ] = 0.05
    every: Annotated[str, Meta(description="one forecast this often")] = "1min"
    horizon: Annotated[str, Meta(description="how far ahead the fan goes")] = "4h"
    assay_age: Annotated[str, Meta(description="without an assay for this long nothing is forecast")] = "12h"
    hold: Annotated[int, Meta(ge=1, le=1000, description="a condition must stand for so many rows before it is told, or is over")] = 3
    advise: Annotated[tuple[Rule, ...], Meta(description="what to advise when the forecast is beyond the target")] = ()
    rist: Annotated[Assumptions, Meta(description="assumptions of the balance of the bottom segment")] = Assumptions()
    rist_tags: Annotated[dict[str, str], Meta(description="assumption → tag that measures it, e.g. blast_temperature")] = {}
