"""What a trial on a twin shows, judged: the conditions at every step, and how near to each limit it came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.guard.case import Check
from ronghe.guard.condition import Comparison, Condition, Seen, Verdict, quantity
from ronghe.text import Text
from ronghe.twin.trial import Trajectory

NAME: Final = "twin"
"""Of the check."""
_BELOW: Final = ("<", "<=")
_ABOVE: Final = (">", ">=")


def judge(
    shown: Trajectory,
    keeps: Condition,
    interlock: Condition | None,
    held: Mapping[str, float],
    now: Mapping[str, Seen],
    units: Mapping[str, str],
) -> Check:
    """The check of one trial: `keeps` at every step, and the guard's own interlock where the twin shows any of its tags.

    `held` are the inputs of the trial by tag; a tag that is neither input nor output of the twin is as it is `now`.
    """
    conditions = [keeps, *([interlock] if interlock is not None and set(interlock.tags) & set(shown.tags) else [])]
    column = {tag: i for i, tag in enumerate(shown.tags)}
    for k in range(len(shown.values)):
        row = shown.values[k]

        def look(tag: str, row: NDArray[np.float64] = row) -> Seen:
            if tag in column:
                return Seen(float(row[column[tag]]))
            return Seen(held[tag]) if tag in held else now.get(tag, Seen(None, Text("not known", "未知")))

        for condition in conditions:
            verdict = condition.evaluate(look)
            if verdict.truth is not True:
                return failed(_broken(verdict, after(shown.at(k))))
    return Check(name=NAME, ok=True, text=_said(_extremes(shown, keeps, units) or [_ran(shown)]))


def failed(why: Text) -> Check:
    """A trial that forbids the write, or that could not be made."""
    return Check(name=NAME, ok=False, text=_said([why]))


def after(seconds: float) -> str:
    """A time of a trial as people read it."""
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


def _said(parts: Sequence[Text]) -> Text:
    return Text("on the twin, " + "; ".join(p.en for p in parts), "孪生试算：" + "；".join(p.in_("zh") for p in parts))


def _broken(verdict: Verdict, when: str) -> Text:
    return Text(f"after {when} {verdict.text.en}", f"{when} 后 {verdict.text.in_('zh')}")


def _ran(shown: Trajectory) -> Text:
    length = after(shown.at(len(shown.values) - 1))
    return Text(f"it holds for {length}", f"{length} 内均满足")


def _extremes(shown: Trajectory, keeps: Condition, units: Mapping[str, str]) -> list[Text]:
    """How near each shown value comes to its limit, of limits that are numbers."""
    return [text for c in keeps.comparisons for text in _extreme(shown, c, units.get(c.left, ""))]


def _extreme(shown: Trajectory, c: Comparison, unit: str) -> Iterator[Text]:
    if c.left not in shown.tags or c.right or c.op not in (*_BELOW, *_ABOVE):
        return
    values = shown.values[:, shown.tags.index(c.left)]
    k = int(values.argmax() if c.op in _BELOW else values.argmin())
    value, limit, when = quantity(float(values[k]), unit, c.number), quantity(c.number, unit, float(values[k])), after(shown.at(k))
    if c.op in _BELOW:
        yield Text(f"{c.left} peaks at {value} after {when}, limit {limit}", f"{c.left} 在 {when} 后最高达 {value}，限值 {limit}")
    else:
        yield Text(f"{c.left} is lowest at {value} after {when}, limit {limit}", f"{c.left} 在 {when} 后最低为 {value}，限值 {limit}")
