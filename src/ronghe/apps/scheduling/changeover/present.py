"""What the changeover page is shown: plain data for JSON, times in ms since 1970 UTC."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from ronghe.apps.scheduling.changeover.recipe import Recipe
from ronghe.apps.scheduling.changeover.run import Run, Step
from ronghe.signals import quality as q
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.scheduling.changeover.app import Changeover

SIGNALS: Final = {
    "running": Text("changeover under way", "换线中"),
    "confirmed": Text("confirmed by people", "人工确认"),
    "steps": Text("steps done", "已完成步骤"),
    "duration": Text("duration of the changeover (s)", "换线用时（s）"),
    "changeovers": Text("changeovers that came through", "完成的换线次数"),
}
ACTIONS: Final = {
    "late": Text("See which step it waits for", "查看换线页面，确认卡在哪一步"),
    "not_changed": Text("The line is set up as before. Mend the cause, then start again", "产线保持原设置。消除原因后重新换线"),
}


def state(app: Changeover, now: int) -> dict[str, Any]:
    """The answer to `state`."""
    memory = app.memory
    return {
        "now": now // 1_000_000,
        "limit": app.limit / 1e9,
        "recipes": [_head(r) for r in app.recipes.values()],
        "wrong": [{"en": p.in_("en"), "zh": p.in_("zh")} for p in app.problems()],
        "current": app.current,
        "running": _run(memory.running) if memory.running is not None else None,
        "last": [_run(r) for r in memory.last],
    }


def recipe(app: Changeover, one: Recipe) -> dict[str, Any]:
    """The answer to `recipe`."""
    return {
        **_head(one),
        "parameters": [_parameter(app, p.tag, p.value) for p in one.parameters],
        "checks": [_text(c.title or Text(n)) for n, c in [*one.ready.items(), *one.proof.items()]],
        "materials": [
            {"name": n, "title": _text(m.title or Text(n)), "quantity": m.quantity, "unit": m.unit} for n, m in one.materials.items()
        ],
        "people": [
            {"name": n, "title": _text(c.title or Text(n)), "text": _text(c.who) if c.who is not None else None}
            for n, c in one.confirm.items()
        ],
        "orders": [],
    }


def _head(one: Recipe) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": _text(one.title),
        "product": one.product,
        "version": one.version,
        "equipment": one.equipment,
    }


def _parameter(app: Changeover, tag: str, will: float) -> dict[str, Any]:
    value, code = app.seen.get(tag, (math.nan, q.BAD_WAITING))
    prop = app.plant.property_of(tag)
    part = app.plant.equipment_name(app.plant.tags[tag].equipment())
    return {
        "tag": tag,
        "title": {"en": f"{part.en} {prop.name().en}", "zh": f"{part.in_('zh')} {prop.name().in_('zh')}"},
        "unit": prop.unit,
        "now": value if math.isfinite(value) else None,
        "quality": q.severity(code),
        "will": will,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": run.id,
        "recipe": run.recipe,
        "title": _text(run.title),
        "began": run.began // 1_000_000,
        "state": run.state,
        "steps": [_step(s) for s in run.steps],
        "ends": run.ended // 1_000_000 if run.ended else None,
        "outcome": _text(run.outcome) if run.outcome is not None else None,
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "title": _text(step.title),
        "state": step.state,
        "began": step.began // 1_000_000 or None,
        "ended": step.ended // 1_000_000 or None,
        "text": _text(step.text) if step.text is not None else None,
        "confirm": step.kind in ("confirm", "approve"),
        "by": step.by,
    }


def _text(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.in_("zh")}
