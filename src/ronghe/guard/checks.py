"""The checks between an advice and a machine. Pure: the same question gets the same answer, and nothing is read or written.

Every check is made, cheap ones first, and every one that fails is told. Whatever is unknown fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from ronghe.errors import GuardError
from ronghe.guard.advice import Advice
from ronghe.guard.case import Check
from ronghe.guard.condition import Look, Seen, number, parse, quantity
from ronghe.guard.effect import Change, Watch, from_expected
from ronghe.guard.limits import Limits
from ronghe.plant.model import Plant
from ronghe.signals.when import format_time
from ronghe.text import Text


@dataclass(frozen=True, slots=True)
class Move:
    """A write that the guard made, or may have made: from its intent on it counts."""

    case: str
    time: int  # ns
    size: float  # |new − old|, tag's unit


@dataclass(frozen=True, slots=True)
class Question:
    """May this be written, now? Times in ns, values in the tag's unit."""

    plant: Plant
    limits: Limits
    advice: Advice
    now: int
    stopped: str  # who stopped the guard and why; "" while it may write
    current: Seen  # the set-point as it stands
    look: Look  # values that are Good and at most `fresh` old
    look_effect: Look  # the same for watched tags, which may be sampled slowly: Good and at most three samples old
    moves: Sequence[Move] = ()  # of this set-point
    busy: str = ""  # another open case of this set-point
    approvals: int | None = None  # None: whether enough people approved is not asked yet
    held: float | None = None  # what the device will hold of the advice's value, where that is another


def ask(q: Question) -> tuple[Check, ...]:
    """All checks of a write, in their order."""
    return tuple(c for check in _ALL for c in check(q))


def ask_change(q: Question) -> tuple[Check, ...]:
    """All checks of a set-point that is written as one of several: also that the way back is open. Of one that is at its value already
    only what does not ask about a write."""
    if _at_value(q):
        return tuple(c for check in (_stop, _mode, _expiry, _free, _value, _envelope, _setpoint, _interlock) for c in check(q))
    return (*ask(q), *_way_back(q))


def ask_restore(q: Question, old: float, written: float) -> tuple[Check, ...]:
    """The checks of putting back `old`, which was in force before: kill switch, envelope, and that what is in force is what was written.

    Neither rate nor interlock: the way back is no longer than the way there was, and an interlock that opened since is a reason to go back,
    not to stay.
    """
    return (*_stop(q), *_within(q.limits, old), *_ours(q, written))


def refused(checks: Sequence[Check]) -> Text | None:
    """Why not: the texts of all failed checks; None when none failed."""
    failed = [c.text for c in checks if not c.ok]
    return Text("; ".join(t.en for t in failed), "；".join(t.in_("zh") for t in failed)) if failed else None


def stranger(plant: Plant, advice: Advice, stopped: str) -> tuple[Check, ...]:
    """The checks of an advice for a tag that has no guard."""
    known = advice.tag in plant.tags
    text = (
        Text(f"{advice.tag} has no guard: it is never written", f"{advice.tag} 未配置守护，不允许写入")
        if known
        else Text(f"no tag {advice.tag}", f"没有测点 {advice.tag}")
    )
    return (_stop_check(stopped), Check(name="guard", ok=False, text=text))


# --- one check each, cheap before dear ---------------------------------------------------------------------------------------------


def _stop_check(stopped: str) -> Check:
    text = (
        Text(f"the kill switch is on: {stopped}", f"停写开关已启用：{stopped}")
        if stopped
        else Text("the kill switch is off", "停写开关未启用")
    )
    return Check(name="stop", ok=not stopped, text=text)


def _stop(q: Question) -> Iterator[Check]:
    yield _stop_check(q.stopped)


def _mode(q: Question) -> Iterator[Check]:
    if q.approvals is None:
        return
    have, limits = q.approvals, q.limits
    if limits.mode == "advise":
        yield Check(name="mode", ok=False, text=Text("mode advise: nothing is written", "模式为“仅建议”：不写入"))
    elif limits.mode == "auto":
        yield Check(name="mode", ok=True, text=Text("mode auto", "模式为“自动”"))
    else:
        text = Text(f"{have} of {limits.approvals} people approved", f"已有 {have} 人批准，需 {limits.approvals} 人")
        yield Check(name="mode", ok=have >= limits.approvals, text=text)


def _expiry(q: Question) -> Iterator[Check]:
    left = (q.advice.expires - q.now) / 1e9
    at = format_time(q.advice.expires) if abs(q.advice.expires) < 2**62 else "?"
    if left > 0:
        yield Check(name="expiry", ok=True, text=Text(f"valid for {left:.0f} s more", f"有效期还剩 {left:.0f} s"))
    else:
        yield Check(name="expiry", ok=False, text=Text(f"expired {-left:.0f} s ago, at {at}", f"已于 {at} 过期（{-left:.0f} s 前）"))


def _free(q: Question) -> Iterator[Check]:
    text = Text("no other case is open", "没有其他未结事项")
    if q.busy:
        text = Text(f"case {q.busy} for this set-point is still open", f"该设定值的事项 {q.busy} 尚未结束")
    yield Check(name="duplicate", ok=not q.busy, text=text)


def _at_value(q: Question) -> bool:
    return q.current.value is not None and abs(q.advice.value - q.current.value) <= q.limits.tolerance


def _duplicate(q: Question) -> Iterator[Check]:
    if not q.busy and _at_value(q):
        assert q.current.value is not None
        now = quantity(q.current.value, q.limits.unit)
        yield Check(name="duplicate", ok=False, text=Text(f"the set-point is at {now} already", f"设定值已是 {now}"))
    else:
        yield from _free(q)


def _way_back(q: Question) -> Iterator[Check]:
    """What could not be put back must not be written as a part of something that may have to be put back."""
    if q.current.value is None:
        return
    (old,) = _within(q.limits, q.current.value)
    text = Text(f"to be put back if need be: {old.text.en}", f"必要时须能恢复：{old.text.in_('zh')}")
    yield Check(name="way_back", ok=old.ok, text=text)


def _hold(q: Question) -> Iterator[Check]:
    last = max((m.time for m in q.moves), default=None)
    hold = q.limits.hold
    if not hold:
        return
    if last is None:
        yield Check(name="hold", ok=True, text=Text("not written before", "此前未写入"))
        return
    since = q.now - last
    text = Text(
        f"last written {since / 1e9:.0f} s ago, held for {hold / 1e9:g} s", f"上次写入在 {since / 1e9:.0f} s 前，须保持 {hold / 1e9:g} s"
    )
    yield Check(name="hold", ok=since >= hold, text=text)


def _value(q: Question) -> Iterator[Check]:
    value, kind = q.advice.value, q.limits.type
    if not math.isfinite(value):
        yield Check(name="value", ok=False, text=Text(f"{value} is not a number that can be written", f"{value} 不是可写入的数值"))
    elif kind == "bool" and value not in (0.0, 1.0):
        yield Check(name="value", ok=False, text=Text(f"{value:g} is not 0 or 1", f"{value:g} 不是 0 或 1"))
    elif kind == "int" and value != math.floor(value):
        yield Check(name="value", ok=False, text=Text(f"{value:g} is not a whole number", f"{value:g} 不是整数"))
    else:
        shown = quantity(value, q.limits.unit)
        yield Check(name="value", ok=True, text=Text(f"{shown} is a number", f"{shown} 是有效数值"))


def in_device(q: Question) -> float:
    """What is written: the advice's value as the device will hold it. The seven digits of a float32 make no other value, or limit."""
    value, low, high = q.advice.value, q.limits.low, q.limits.high
    held, slack = value if q.held is None else q.held, 1e-6 * max(abs(low), abs(high))
    return next((same for same in (value, low, high) if abs(held - same) <= slack), held)


def _envelope(q: Question) -> Iterator[Check]:
    (asked,), (check,) = _within(q.limits, q.advice.value), _within(q.limits, in_device(q))
    if asked.ok and not check.ok:
        given = quantity(q.advice.value, q.limits.unit, in_device(q))
        text = Text(f"{given} is rounded by the device: {check.text.en}", f"{given} 经设备取整：{check.text.in_('zh')}")
        check = msgspec.structs.replace(check, text=text)
    yield check if asked.ok else asked


def _within(limits: Limits, value: float) -> Iterator[Check]:
    shown = quantity(value, limits.unit, limits.low, limits.high)
    span = f"{number(limits.low, value)}..{quantity(limits.high, limits.unit, value)}"
    ok = limits.low <= value <= limits.high  # false for NaN
    text = Text(f"{shown} is within {span}", f"{shown} 在允许范围 {span} 内")
    if not ok:
        text = Text(f"{shown} is outside {span}", f"{shown} 超出允许范围 {span}")
    yield Check(name="envelope", ok=ok, text=text)


def _setpoint(q: Question) -> Iterator[Check]:
    if q.current.value is None:
        why = q.current.why
        text = Text(f"the set-point is unknown: {why.en}", f"设定值当前值未知：{why.in_('zh')}")
        yield Check(name="setpoint", ok=False, text=text)
    else:
        now = quantity(q.current.value, q.limits.unit)
        yield Check(name="setpoint", ok=True, text=Text(f"the set-point is at {now}", f"设定值当前为 {now}"))


def _rate(q: Question) -> Iterator[Check]:
    if q.limits.rate is None:
        return
    most, window = q.limits.rate
    limit = f"{quantity(most, q.limits.unit)} / {window / 1e9:g} s"
    if q.current.value is None:
        text = Text(f"the change is unknown, at most {limit} is allowed", f"变化量未知，限值 {limit}")
        yield Check(name="rate", ok=False, text=text)
        return
    step = abs(in_device(q) - q.current.value)
    before = sum(m.size for m in q.moves if q.now - m.time < window)  # also those that a clock set back made future ones
    ok = step + before <= most * (1 + 1e-9)
    parts = quantity(step, q.limits.unit, most) + (f" + {quantity(before, q.limits.unit, most)}" if before else "")
    text = Text(f"a change of {parts} is within {limit}", f"变化 {parts}，未超过限值 {limit}")
    if not ok:
        text = Text(f"a change of {parts} is more than {limit}", f"变化 {parts}，超过限值 {limit}")
    yield Check(name="rate", ok=ok, text=text)


def _interlock(q: Question) -> Iterator[Check]:
    if q.limits.interlock is not None:
        verdict = q.limits.interlock.evaluate(q.look)
        yield Check(name="interlock", ok=verdict.truth is True, text=verdict.text)


def _valid_while(q: Question) -> Iterator[Check]:
    if not q.advice.valid_while:
        return
    try:
        verdict = parse(q.advice.valid_while, q.plant).evaluate(q.look)
    except GuardError as e:
        yield Check(name="valid_while", ok=False, text=Text(e.in_("en"), e.in_("zh")))
        return
    yield Check(name="valid_while", ok=verdict.truth is True, text=verdict.text)


def _effect(q: Question) -> Iterator[Check]:
    """What is to change must be known before, or nobody could tell whether it changed."""
    try:
        changes = [w for w in effects(q.limits, q.advice, q.plant) if isinstance(w, Change)]
    except GuardError as e:
        yield Check(name="effect", ok=False, text=Text(e.in_("en"), e.in_("zh")))
        return
    for change in changes:
        seen = q.look_effect(change.tag)
        now = quantity(seen.value, change.unit) if seen.value is not None else ""
        text = Text(f"{change.tag} is watched, now {now}", f"将观察 {change.tag}，当前 {now}")
        if seen.value is None:
            text = Text(f"{change.tag} is to be watched but unknown: {seen.why.en}", f"需观察的 {change.tag} 未知：{seen.why.in_('zh')}")
        yield Check(name="effect", ok=seen.value is not None, text=text)


def _ours(q: Question, written: float) -> Iterator[Check]:
    yield from _setpoint(q)
    current = q.current.value
    if current is not None and abs(current - written) > q.limits.tolerance:
        now, was = quantity(current, q.limits.unit, written), quantity(written, q.limits.unit, current)
        text = Text(
            f"{now} is in force, not the {was} that was written: somebody changed it", f"当前为 {now}，不是写入的 {was}：已被他人改动"
        )
        yield Check(name="ours", ok=False, text=text)


def effects(limits: Limits, advice: Advice, plant: Plant) -> list[Watch]:
    """What a write must show: by the guard's `watch` and by the advice's promise. Raises GuardError for a promise that makes no sense."""
    found: list[Watch] = [limits.watch] if limits.watch is not None else []
    if advice.expected is not None:
        found.append(from_expected(advice.expected, plant))
    return found


_ALL: tuple[Callable[[Question], Iterator[Check]], ...] = (
    _stop,
    _mode,
    _expiry,
    _duplicate,
    _hold,
    _value,
    _envelope,
    _setpoint,
    _rate,
    _interlock,
    _valid_while,
    _effect,
)
