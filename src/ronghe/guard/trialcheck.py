"""Whether the twins of a plant can be read, and show what the guards that use them ask about: for `ronghe check`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ronghe.errors import Problem, RongheError
from ronghe.guard.limits import Limits, compile_guard
from ronghe.plant.checks import PLANT
from ronghe.plant.locate import Lines
from ronghe.plant.model import Plant
from ronghe.plant.problems import Problems, nearest
from ronghe.twin.inside import Described
from ronghe.twin.sandbox import Sandbox
from ronghe.twin.trial import steps_of

_BOOT: Final = 60.0  # s


def try_twins(plant: Plant) -> list[Problem]:
    """What is wrong with the twins of a plant whose guards are sound, with lines of its plant.toml. The models are run, each in a process
    of its own."""
    lines = Lines((Path(plant.folder) / PLANT).read_text(encoding="utf-8-sig", errors="replace"))
    problems = Problems()
    known: dict[str, Described] = {}
    for name, spec in plant.twins.items():
        box = Sandbox(spec, plant)
        try:
            known[name] = box.described(_BOOT)
        except RongheError as e:
            path = ("twins", name, *(e.where.split(".")[2:] if e.where.startswith(f"twins.{name}.") else ()))
            problems.raised(PLANT, lines.of(*path), e, name)
        finally:
            box.close()
    for guard in plant.guards.values():
        if guard.twin in known:
            _check(compile_guard(plant, guard), known[guard.twin], lines, problems)
    return problems.sorted()


def _check(limits: Limits, about: Described, lines: Lines, problems: Problems) -> None:
    dry_run = limits.dry_run
    assert dry_run is not None

    def line(key: str) -> int:
        return lines.of("guards", limits.tag, key)

    if limits.tag not in about.inputs:
        what = f"twin: {dry_run.twin} does not take {limits.tag}", f"twin：{dry_run.twin} 的输入中没有 {limits.tag}"
        problems.error(PLANT, line("twin"), *what, nearest(limits.tag, about.inputs))
    if not set(dry_run.keeps.tags) & set(about.outputs):
        shown = ", ".join(about.outputs)
        problems.error(
            PLANT,
            line("keeps"),
            f"keeps: {dry_run.twin} shows none of its tags, only {shown}",
            f"keeps：{dry_run.twin} 不输出其中任何测点，仅输出 {shown}",
        )
    try:
        steps_of(dry_run.length / 1e9, about.every)
    except RongheError as e:
        problems.raised(PLANT, line("trial"), e, "trial")
