"""The options of furnace.tune."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Vary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set-point to be tuned: `{ tag = "kiln/temperature_setpoint", low = 1180, high = 1260, ramp = "10 Cel per 1h" }`."""

    tag: Annotated[str, Meta(description="the set-point, below the equipment or from the root; writable, with a guard of its own")]
    low: Annotated[float, Meta(description="least value that is tried, in the unit of the tag")]
    high: Annotated[float, Meta(description="greatest value that is tried")]
    ramp: Annotated[str, Meta(description='fastest that it is moved, e.g. "10 Cel per 1h": never a jump')]


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold all the time: `{ tag = "kiln/oxygen", limit = 1.5, side = "above" }`."""

    tag: Annotated[str, Meta(description="measured, below the equipment or from the root")]
    limit: Annotated[float, Meta(description="in the unit of the tag")]
    side: Annotated[Literal["below", "above"], Meta(description="on which side of the limit the value must stay")] = "below"
    margin: Annotated[
        float, Meta(ge=0, description="distance kept at least; more where the value is seen to swing more; in the unit of the tag")
    ] = 0.0


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of furnace.tune: what is to be better, what may be moved and how fast, and what must hold (docs/furnace-tuning.md)."""

    objective: Annotated[dict[str, float], Meta(min_length=1, description="measured tag → its weight; their sum is to be better")]
    vary: Annotated[tuple[Vary, ...], Meta(min_length=1, max_length=12, description="the set-points")]
    hold: Annotated[tuple[Hold, ...], Meta(description="the constraints")] = ()
    better: Annotated[Literal["lower", "higher"], Meta(description="which way is better")] = "lower"
    title: Annotated[str, Meta(description="what people call the objective, e.g. 每小时能源成本; empty: by its first tag")] = ""
    unit: Annotated[str, Meta(description="of the objective, e.g. CNY/h; empty: that of its first tag")] = ""
    every: Annotated[str, Meta(description="one row, and at most one step of a ramp, this often")] = "1min"
    settle: Annotated[str, Meta(description="after a ramp, this long is not judged: the process settles")] = "30min"
    window: Annotated[str, Meta(description="then it is averaged over this long, at least ten rows")] = "30min"
    step: Annotated[float, Meta(gt=0, le=0.5, description="size of the first trials, as a part of each range")] = 0.15
    least: Annotated[float, Meta(gt=0, le=0.5, description="trials that have become smaller than this end the search")] = 0.03
    prove: Annotated[
        bool, Meta(description="once settled, alternate with the set-points of the start and book what the difference was worth")
    ] = False
    price: Annotated[float, Meta(description="with prove: money per unit of the objective and hour; 0: nothing is booked")] = 0.0
    currency: Annotated[str, Meta(description="of the price, ISO 4217")] = "CNY"
    seed: Annotated[int, Meta(ge=0, description="of the random numbers by which trials are drawn")] = 0
