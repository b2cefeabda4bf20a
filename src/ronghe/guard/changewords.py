"""What is said of a change, and whether it is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ronghe.errors import GuardError
from ronghe.guard.case import Check
from ronghe.guard.change import Change, Put
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.checks import refused
from ronghe.guard.condition import quantity
from ronghe.text import Text


def sound(change: Change) -> Change:
    """The change, with every field of its type. Raises GuardError for what is none."""
    try:
        change = msgspec.convert(msgspec.to_builtins(change), Change)
        if not change.id:
            raise TypeError("id")
        if not change.settings or len({s.tag for s in change.settings}) < len(change.settings):
            raise TypeError("settings: each set-point once, and at least one")
        if not 0 < change.within < 1e9:
            raise TypeError("within")
    except (msgspec.ValidationError, TypeError, AttributeError) as e:
        raise GuardError(Text(f"not a change: {e}", f"不是有效的变更：{e}")) from e
    return change


def all_refused(checks: Mapping[str, Sequence[Check]]) -> Text | None:
    """Why not, with the set-point that each reason is about."""
    failed = [(tag, why) for tag, found in checks.items() if (why := refused(found)) is not None]
    if not failed:
        return None
    return Text("; ".join(f"{t}: {w.en}" for t, w in failed), "；".join(f"{t}：{w.in_('zh')}" for t, w in failed))


def of(tag: str, text: Text) -> Text:
    """A text about a set-point."""
    return Text(f"{tag}: {text.en}", f"{tag}：{text.in_('zh')}")


def no_guard(tag: str) -> Text:
    """Why a set-point cannot be written any more."""
    return Text(f"the guard of {tag} is gone", f"{tag} 的守护已被删除")


def writing(value: float, old: float, put: Put) -> Text:
    """One set-point that is about to be written."""
    now, was = quantity(value, put.unit, old), quantity(old, put.unit, value)
    return Text(f"{put.tag}: writing {now}, was {was}", f"{put.tag}：写入 {now}，原为 {was}")


def to_be_written(puts: Sequence[Put]) -> Text:
    """All that is to be written."""
    todo = [p for p in puts if p.state == "waiting"]
    each = "; ".join(f"{p.tag} {quantity(p.old, p.unit, p.value)} → {quantity(p.value, p.unit, p.old)}" for p in todo)
    kept = len(puts) - len(todo)
    en = f"; {kept} in force already" if kept else ""
    zh = f"；{kept} 项已是目标值" if kept else ""
    return Text(f"to be written: {each or '-'}{en}", f"将写入：{each or '-'}{zh}")


def too_late(case: ChangeCase) -> GuardError:
    """What a person is told who decides about a change that has gone on."""
    last = case.history[-1].text
    return GuardError(
        Text(f"the change is not waiting any more: {case.state}, {last.en}", f"该变更已不在等待：{last.in_('zh')}"), where=case.id
    )
