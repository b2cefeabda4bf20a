"""Where each fact was read, so that what is wrong with it can be said with its file and line."""

from __future__ import annotations

from dataclasses import dataclass, field

from ronghe.apps.logistics.problem import Problem
from ronghe.apps.logistics.sound import Kind, sound
from ronghe.errors import AppError
from ronghe.text import Text


@dataclass(slots=True)
class Origin:
    """File of a problem, and "file:line" of what was read from it."""

    file: str
    lines: dict[tuple[Kind, str], str] = field(default_factory=dict)

    def of(self, kind: Kind, name: str) -> str:
        """ "file:line" of one fact; the file where its line is not known."""
        return self.lines.get((kind, name), self.file)


def refuse_unsound(problem: Problem, origin: Origin) -> None:
    """Raises AppError for the first thing that does not fit, and says how many more there are."""
    faults = sound(problem)
    if not faults:
        return
    f = faults[0]
    subject = {"place": "地点", "depot": "仓库", "order": "订单", "vehicle": "车辆", "roads": "路网"}[f.kind]
    more = len(faults) - 1
    raise AppError(
        Text(f"{f.kind} {f.name}: {f.text.en}".replace(" :", ":"), f"{subject} {f.name}：{f.text.in_('zh')}"),
        where=origin.of(f.kind, f.name),
        todo=Text(f"mend it, and {more} more after it", f"请修正，其后还有 {more} 处") if more else Text("mend it", "请修正"),
    )
