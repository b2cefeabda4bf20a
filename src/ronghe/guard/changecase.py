"""All that became of a change. It changes only by events of the ledger; `fold_change` is the only thing that makes one, as with cases."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

from ronghe.guard.case import Check, Watched
from ronghe.guard.change import ENDED, Change, ChangeState, Put
from ronghe.text import Text

ChangeKind = Literal[
    "asked", "approval", "cancel", "intent", "send", "answer", "confirm", "written", "back", "restore", "restored", "lost", "close"
]
"""It came in; a person approved; a person called it off; everything that is to be written, with every old value; one set-point is about to
be written; the device's answer; read back; all are in force; something failed, all is written back; intent to write one old value back;
read back; cannot be put back; the end. In the ledger they are called "change.asked" and so on."""
CHANGE_KINDS: Final = frozenset(get_args(ChangeKind))


class ChangeStep(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a change's history; `tag` where it is about one set-point."""

    time: int  # ns
    kind: str
    state: ChangeState
    who: str
    text: Text
    tag: str = ""


class ChangeCase(msgspec.Struct, frozen=True, kw_only=True):
    """One change and all that became of it. Frozen: what happens gives a new one under the same `id`. Times in ns."""

    id: str
    change: Change
    state: ChangeState
    needs: int = 0  # different people who must approve
    approvals: tuple[str, ...] = ()
    cancelled: str = ""  # who called it off
    checks: dict[str, tuple[Check, ...]] = {}  # by set-point, as they were made before the first write
    puts: tuple[Put, ...] = ()  # from the intent on, in the order of writing
    watched: tuple[Watched, ...] = ()  # the proof, and what the guards of its set-points watch
    history: tuple[ChangeStep, ...] = ()
    awaited: tuple[Check, ...] = ()  # how `ready`, later `proof` stands, in their order; of the moment, not of the ledger

    @property
    def open(self) -> bool:
        """Whether something may still happen to it."""
        return self.state not in ENDED

    @property
    def touched(self) -> bool:
        """Whether a device may hold something else than before."""
        return any(p.touched for p in self.puts)

    @property
    def why(self) -> Text | None:
        """Why it is, or was, written back; None where it was not."""
        return next((s.text for s in self.history if s.kind == "back"), None)


class ChangeEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of a ledger entry of the kinds in `ChangeKind`. Fields that do not change are absent."""

    change: str  # the id of the case
    state: ChangeState
    who: str
    text: Text
    asked: Change | None = None
    needs: int = 0
    checks: dict[str, tuple[Check, ...]] | None = None
    puts: tuple[Put, ...] | None = None
    put: Put | None = None
    watched: tuple[Watched, ...] | None = None
    status: int | None = None  # OPC UA StatusCode of the device's answer


def fold_change(changes: dict[str, ChangeCase], time: int, kind: str, event: ChangeEvent) -> ChangeCase:
    """Applies one event to `changes` (in place) and gives the change as it now is. Raises KeyError for one that never came in."""
    put = msgspec.structs.replace(event.put, time=time) if event.put is not None else None
    tag = put.tag if put is not None else ""
    # A person may call it off while the ledger keeps something else: that says nothing of its state.
    state = changes[event.change].state if kind == "cancel" else event.state
    step = ChangeStep(time=time, kind=kind, state=state, who=event.who, text=event.text, tag=tag)
    if kind == "asked":
        if event.asked is None:
            raise KeyError(event.change)
        case = ChangeCase(id=event.change, change=event.asked, state=event.state, needs=event.needs, history=(step,))
    else:
        old = changes[event.change]
        case = msgspec.structs.replace(old, state=state, history=(*old.history, step))
    more: dict[str, Any] = {name: value for name in ("checks", "puts", "watched") if (value := getattr(event, name)) is not None}
    if put is not None:
        more["puts"] = tuple(put if p.tag == tag else p for p in case.puts)
    if kind == "approval":
        more["approvals"] = (*case.approvals, event.who)
    elif kind == "cancel":
        more["cancelled"] = event.who
    case = msgspec.structs.replace(case, **more) if more else case
    changes[case.id] = case
    return case
