"""What an `advise` rule of plant.toml says."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The effect that an advice promises: `tag` changes by low..high of its unit within the rule's `within`."""

    tag: str
    low: float
    high: float


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to advise when a condition is named. What may stand in `when` is the app's: it subclasses this to describe it, and checks it."""

    when: Annotated[str, Meta(description="the condition, as the app names it")]
    set: Annotated[str, Meta(description="set-point tag to change; below the equipment or from the plant's root")]
    step: Annotated[float | None, Meta(description="change it by this much, in its unit")] = None
    to: Annotated[float | None, Meta(description="or set it to this value")] = None
    within: Annotated[str, Meta(description="the effect shows within this time; no second step before")] = "5min"
    expect: Annotated[Expect | None, Meta(description="the effect that is promised and then checked")] = None
    after: Annotated[str, Meta(description="only when the finding has stood this long: a last resort comes after the first")] = "0s"
    valid_while: Annotated[str, Meta(description="condition over tags under which the advice holds, as in an interlock")] = ""
    expires: Annotated[str, Meta(description="the advice is void after this time")] = "15min"
    again: Annotated[str, Meta(description="after a refusal, a failure or a roll-back, the next try waits this long")] = "1h"
