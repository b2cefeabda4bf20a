"""A change: several set-points as one. All are in force and proven, or all are as they were before (ISA-88: a recipe's formula, downloaded
as one transaction).

    asked → ready (material, people, interlocks) → every check of every set-point → write one after the other, each read back
          → proof (the first piece is good) → done;  whatever fails on the way: everything written is written back, the last first.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from ronghe.text import Text


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One set-point of a change. `value` is in the unit of the tag's property."""

    tag: str
    value: float


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What an app, or a person through an app, wants to be changed as one; `settings` are written in their order. Times are ns.

    `ready` and `proof` are conditions in the interlock's language, also over signals of apps (apps/APP/SIGNAL); empty: nothing is asked.
    """

    id: str
    app: str
    name: Text  # what people call it, e.g. "change over press 1 to A-100"
    settings: tuple[Setting, ...]
    time: int
    expires: int  # when nothing may be written any more that was not
    reason: Text
    ready: tuple[str, ...] = ()  # each must be true before the first write; it is waited for
    proof: tuple[str, ...] = ()  # each must become true after the last write, for three successive samples
    within: float = 60.0  # s after the last write for the proof
    who: str = ""  # the person who asked for it; an app alone: ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a person told an app about a change of its: `change` is the id that the app gave it."""

    change: str
    who: str
    says: Literal["approve", "call off"]
    why: str = ""


ChangeState = Literal["waiting", "writing", "proving", "done", "refused", "rolling_back", "rolled_back", "failed", "expired", "rejected"]
"""Waits for `ready` or for approval; being written; written, its proof awaited; proven; refused by a check, nothing written; being written
back; as before; could not be written back: a person must look; too old; rejected by a person."""

ENDED: Final = frozenset({"done", "refused", "rolled_back", "failed", "expired", "rejected"})

PutState = Literal["waiting", "kept", "sending", "written", "restoring", "restored", "lost"]
"""Not written (yet, or the device said a clear no); in force before, not to be written; sent, or about to be, and not yet read back; read
back; the old value is being put back; the old value was read back; could not be put back: a person must look."""


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """One set-point of a change that has begun. Values in `unit`; `time` (ns): when it came into its state."""

    tag: str
    unit: str
    old: float  # what was in force before
    value: float  # what is to be in force, as the device will hold it
    state: PutState = "waiting"
    time: int = 0
    shows: float | None = None  # what the device showed instead of what was written
    tries: int = 0  # to put the old value back
    sure: bool = True  # whether the device has said what became of that

    @property
    def touched(self) -> bool:
        """Whether the device may hold something else than before."""
        return self.state in ("sending", "written", "restoring")
