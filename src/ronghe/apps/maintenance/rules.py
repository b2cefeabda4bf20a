"""Which causes a rule is for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from ronghe.apps import advising
from ronghe.apps.maintenance.cause import Cause
from ronghe.errors import AppError
from ronghe.plant import Plant
from ronghe.text import Text


def check(rules: Iterable[advising.Rule], plant: Plant, equipment: str, where: str) -> None:
    """Raises AppError for a rule whose `when` names no property, tag or part of the equipment."""
    known = {name for t in plant.tags.values() for name in _names(t.tag, t.property, equipment)}
    for rule in rules:
        name = rule.when.split()[0] if rule.when.split() else ""
        if name not in known or rule.when.split()[1:] not in ([], ["low"], ["high"], ["unsteady"]):
            near = difflib.get_close_matches(name, known, 1)
            raise AppError(
                Text(f"when = {rule.when!r} names no property", f"when = {rule.when!r} 未指明任何属性"),
                where=where,
                todo=Text(f"did you mean {near[0]!r}?", f"是否想写 {near[0]!r}？")
                if near
                else Text("e.g. cooler_efficiency low", "例如 cooler_efficiency low"),
            )


def applies_to(cause: Cause, equipment: str) -> Callable[[advising.Rule], bool]:
    """Whether a rule is for this cause."""

    def applies(rule: advising.Rule) -> bool:
        name, *way = rule.when.split()
        return name in _names(cause.of.tag, cause.of.prop, equipment) and way in ([], [cause.way])

    return applies


def _names(tag: str, prop: str, equipment: str) -> set[str]:
    """All that a rule may call a cause: its property, its tag or the tag's last part, or the part of the equipment it is of."""
    names = {prop, tag, tag.rpartition("/")[2]}
    path = tag.rpartition("/")[0]
    while path and path != equipment:
        names |= {path, path.removeprefix(f"{equipment}/")}
        path = path.rpartition("/")[0]
    return names
