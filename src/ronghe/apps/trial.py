"""Whether the apps of a plant accept their input: each is made, asked what it wants, and closed, in a folder that is thrown away."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ronghe import plugins
from ronghe.apps.contract import App
from ronghe.errors import ModelError, Problem, RongheError
from ronghe.plant.checks import PLANT
from ronghe.plant.locate import Lines
from ronghe.plant.model import AppSpec, Plant
from ronghe.plant.problems import Problems, nearest
from ronghe.text import Text


def try_apps(plant: Plant) -> list[Problem]:
    """What keeps the apps of a plant from starting, with lines of its plant.toml. A model that is missing or does not fit is a warning:
    it may be learned or put there later."""
    lines = Lines((Path(plant.folder) / PLANT).read_text(encoding="utf-8-sig", errors="replace"))
    problems = Problems()
    for spec in plant.apps.values():
        with tempfile.TemporaryDirectory() as state:
            try:
                _try(plant, spec, Path(state), lines, problems)
            except Exception as e:  # whatever a third party's app raises is told as its problem
                _tell(spec, e, lines, problems)
    return problems.sorted()


def _try(plant: Plant, spec: AppSpec, state: Path, lines: Lines, problems: Problems) -> None:
    app: App = plugins.load("ronghe.apps", spec.uses)(spec.name, plant, spec.equipment, spec.options, state)
    try:
        wants = app.wants()
        for problem in app.problems():
            problems.add(problem)
    finally:
        app.close()
    line = lines.of("apps", spec.name)
    for tag in wants.tags:
        if tag not in plant.tags:
            what = f"{spec.name} wants a tag that is not there: {tag!r}", f"{spec.name} 需要的测点不存在：{tag!r}"
            problems.error(PLANT, line, *what, nearest(tag, plant.tags))
    if not wants.every > 0 or not (wants.tags or app.verbs):  # what has no tags has the clock, and is asked
        problems.error(PLANT, line, f"{spec.name} has no input", f"{spec.name} 没有输入")


def _tell(spec: AppSpec, e: Exception, lines: Lines, problems: Problems) -> None:
    if not isinstance(e, RongheError):
        what = Text(f"{spec.name} cannot be started: {type(e).__name__}: {e}", f"{spec.name} 无法启动：{type(e).__name__}：{e}")
        problems.add(Problem(PLANT, lines.of("apps", spec.name), what))
        return
    key = e.where.removeprefix(f"apps.{spec.name}").lstrip(".").partition("[")[0]
    told = Problems()
    told.raised(PLANT, lines.of("apps", spec.name, *(key.split(".") if key else ())), e, spec.name)
    severity = "warning" if isinstance(e, ModelError) else "error"
    problems.add(Problem(PLANT, told.found[0].line, told.found[0].what, severity=severity))
