"""Advice: what an app would have done to a machine, with its evidence, its promise and the limits it was computed under."""

from __future__ import annotations

from typing import Literal

import msgspec

from ronghe.text import Text


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One measured fact behind a finding or advice. `share` is its part of the whole deviation, 0..1."""

    tag: str
    value: float
    expected: float  # what normal operation would have shown
    unit: str = ""
    share: float = 0.0


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """The promised effect: `tag` changes by low..high (of its unit) within `within` seconds. Checked, never booked as worth."""

    tag: str
    low: float
    high: float
    within: float
    unit: str = ""


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """A proposed set-point. `value` is in the unit of the tag's property; times are ns since 1970 UTC."""

    id: str
    app: str
    tag: str
    value: float
    time: int
    expires: int
    reason: Text
    evidence: tuple[Evidence, ...] = ()
    expected: Expected | None = None
    valid_while: str = ""  # a condition over tags under which it was computed, in the interlock's language
    finding: str = ""  # id of the finding it answers
    model: str = ""  # hash of the model package it comes from


State = Literal["advised", "waiting", "refused", "writing", "watching", "done", "rolled_back", "failed", "expired", "rejected"]
"""Where an advice is: shown only; waiting for approval; refused by a check; being written; written and its effect watched; effect seen (or
nothing to watch); old value restored; the write failed; too old; rejected by a person."""
