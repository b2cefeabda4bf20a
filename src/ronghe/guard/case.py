"""A case: one advice and all that became of it. Every change of a case is an event of the ledger; `fold` is the only thing that makes one.

So memory and ledger cannot disagree, and a node that was killed at any moment finds its open cases by reading its ledger again.
"""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

from ronghe.guard.advice import Advice, State
from ronghe.text import Text

OPEN: Final[frozenset[str]] = frozenset({"advised", "waiting", "writing", "watching"})
"""States in which something may still happen to a case. A set-point has at most one open case."""

EventKind = Literal["advice", "approval", "write", "answer", "confirm", "effect", "restore", "close", "worth"]
"""An advice came in; a person approved; intent to write; the device's answer; read back; effect seen or missed; intent to write the old
value back; the end; its worth. In the ledger they are called "guard.advice" and so on."""
KINDS: Final = frozenset(get_args(EventKind))


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of writing and how it came out; `text` names the numbers."""

    name: str
    ok: bool
    text: Text


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a case's history: since when it is in `state`, who brought it there ("guard", an app, or a user), and why."""

    time: int  # ns
    state: State
    who: str
    text: Text


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """An effect that a write must show, as it was fixed at the moment of writing.

    Either `tag` must come to lie within low..high (None: open to that side; the tag's unit), or `condition` must become true.
    """

    text: Text
    until: int  # ns; the effect must have been seen by then
    tag: str = ""
    base: float = 0.0  # the tag's value when the set-point was written
    low: float | None = None
    high: float | None = None
    condition: str = ""


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What watching came to."""

    seen: bool
    time: int  # ns
    text: Text


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What an action was worth: mean after − mean before, with a 95 % interval; see `ronghe.guard.worth`.

    Where it could not be measured, `enough` is False, every number is None, and `text` says why.
    """

    tag: str
    unit: str
    enough: bool
    text: Text
    baseline: Text
    effect: float | None = None  # tag's unit; negative: it fell
    low: float | None = None
    high: float | None = None
    distinguishable: bool = False  # whether zero lies outside low..high
    n: tuple[int, int] = (0, 0)  # samples before, after
    effective: tuple[float, float] = (0.0, 0.0)  # worth this many independent samples
    money: float | None = None  # per hour; positive is a gain; None without a price
    money_low: float | None = None
    money_high: float | None = None
    currency: str = ""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One advice and all that became of it. Frozen: a change gives a new one under the same `id`. Times in ns, values in the tag's unit."""

    id: str
    advice: Advice
    state: State
    mode: str  # of the set-point's guard when it came in; "" where it has none
    unit: str = ""
    needs: int = 0  # different people who must approve
    approvals: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()  # the latest time they were made
    history: tuple[Step, ...] = ()
    written: float | None = None  # what was, or may have been, written: from the intent on, unless the device said a clear no
    written_at: int = 0
    old: float | None = None  # what was in force before
    restoring: int = 0  # attempts to write the old value back
    watched: tuple[Watched, ...] = ()
    effect: Effect | None = None
    worth: Measured | None = None

    @property
    def open(self) -> bool:
        """Whether something may still happen to it."""
        return self.state in OPEN


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a ledger entry of the kinds in `EventKind`: one change of one case. Fields that do not change are absent."""

    case: str
    state: State
    who: str
    text: Text
    advice: Advice | None = None
    mode: str = ""
    unit: str = ""
    needs: int = 0
    checks: tuple[Check, ...] | None = None
    written: float | None = None
    old: float | None = None
    status: int | None = None  # OPC UA StatusCode of the device's answer
    watched: tuple[Watched, ...] | None = None
    effect: Effect | None = None
    worth: Measured | None = None


def fold(cases: dict[str, Case], time: int, kind: str, event: Event) -> Case:
    """Applies one event to `cases` (changed in place) and gives the case as it now is.

    Raises KeyError for an event of a case that never came in.
    """
    step = Step(time=time, state=event.state, who=event.who, text=event.text)
    if kind == "advice":
        if event.advice is None:
            raise KeyError(event.case)
        case = Case(
            id=event.case, advice=event.advice, state=event.state, mode=event.mode, unit=event.unit, needs=event.needs, history=(step,)
        )
    else:
        old = cases[event.case]
        case = msgspec.structs.replace(old, state=event.state, history=(*old.history, step))
    changes: dict[str, Any] = {
        name: value for name in ("checks", "watched", "effect", "worth", "old") if (value := getattr(event, name)) is not None
    }
    if kind == "approval":
        changes["approvals"] = (*case.approvals, event.who)
    elif kind == "write":
        changes.update(written=event.written, written_at=time)
    elif kind == "restore":
        changes["restoring"] = case.restoring + 1
    never_sent, denied = event.state == "refused", kind == "answer" and event.state == "failed"
    if (never_sent or denied) and case.written is not None:  # nothing was written
        changes.update(written=None, written_at=0)
    case = msgspec.structs.replace(case, **changes) if changes else case
    cases[case.id] = case
    return case
