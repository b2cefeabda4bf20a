"""The dry run: a value is tried on the twin before the plant feels it.

It is made where all other checks pass, beside the loop, and is one check more. Whatever keeps it from being made is a reason not to write:
a measured value that is not Good, a model that fails, a model that takes too long. The other checks are made again after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ronghe.errors import RongheError
from ronghe.guard.case import Check
from ronghe.guard.checks import Question, ask, in_device, refused
from ronghe.guard.condition import Look, Seen
from ronghe.guard.dryrun import failed, judge
from ronghe.guard.limits import DryRun, Limits
from ronghe.plant.model import Plant
from ronghe.text import Text
from ronghe.twin.inside import Described
from ronghe.twin.sandbox import Sandbox
from ronghe.twin.trial import steps_of

PATIENCE: Final = 2.0
"""s that a trial may take; as long is waited, before, for a twin that is just being read."""


@dataclass(frozen=True, slots=True)
class _Trial:
    limits: Limits
    dry_run: DryRun
    about: Described
    values: dict[str, float]  # measured now: all that the twin starts from
    settings: Mapping[str, float]
    now: Mapping[str, Seen]  # what its conditions look at beside


class Trials:
    """The twins of one plant, each in a process of its own, started when it is first needed."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant
        self._twins = {name: Sandbox(spec, plant) for name, spec in plant.twins.items()}
        self.trouble: dict[str, Text | None] = dict.fromkeys(self._twins)
        """Per twin, why the last trial could not be made; None where it could."""

    async def checks(self, question: Callable[[], Question], tried: Check | None = None) -> tuple[Question, tuple[Check, ...]]:
        """All checks of one set-point, the dry run included; one made just now (`tried`) counts. Made last, and then the others again."""
        asked = question()
        checks = ask(asked)
        if asked.limits.dry_run is None or refused(checks) is not None:
            return asked, checks
        tried = tried or await self.of(question, {asked.limits.tag: in_device(asked)})
        asked = question()
        return asked, (*ask(asked), tried)

    async def of(self, question: Callable[[], Question], settings: Mapping[str, float]) -> Check:
        """The dry run of one set-point that has one. `settings` are all that is written with it; the twin takes those that it knows."""
        dry_run = question().limits.dry_run
        assert dry_run is not None
        twin = self._twins[dry_run.twin]
        try:
            about = await asyncio.to_thread(twin.described, PATIENCE)
            self.trouble[dry_run.twin] = None
            asked = question()  # as it is now, not as it was before the wait
            values = _measured(about, asked.look_effect)
            if isinstance(values, Text):
                return failed(values)
            now = {tag: asked.look_effect(tag) for tag in _tags(asked.limits, dry_run)}
            return await asyncio.to_thread(self._try, _Trial(asked.limits, dry_run, about, values, settings, now))
        except RongheError as e:
            self.trouble[dry_run.twin] = why = Text(e.in_("en"), e.in_("zh"))
            return failed(why)

    def warm(self, limits: Mapping[str, Limits]) -> None:
        """Starts the processes of the twins that guards use, and returns when each is ready or has failed."""
        for name in {d.twin for one in limits.values() if (d := one.dry_run) is not None}:
            try:
                self._twins[name].described(60.0)
            except RongheError as e:
                self.trouble[name] = Text(e.in_("en"), e.in_("zh"))

    def close(self) -> None:
        """Ends the processes."""
        for twin in self._twins.values():
            twin.close()

    def _try(self, trial: _Trial) -> Check:
        """In a thread: the run, and the judgement of it. Raises TwinError."""
        limits, dry_run, about = trial.limits, trial.dry_run, trial.about
        known = {tag: value for tag, value in trial.settings.items() if tag in about.inputs}
        if limits.tag not in known:
            return failed(Text(f"{limits.tag} is no input of {dry_run.twin}", f"{limits.tag} 不是 {dry_run.twin} 的输入"))
        steps = steps_of(dry_run.length / 1e9, about.every)
        shown = self._twins[dry_run.twin].run(trial.values, known, steps, PATIENCE)
        held = {**{tag: trial.values[tag] for tag in about.inputs}, **trial.settings}
        units = {tag: self._plant.unit_of(tag) for tag in trial.now if tag in self._plant.tags}
        return judge(shown, dry_run.keeps, limits.interlock, held, trial.now, units)


def _tags(limits: Limits, dry_run: DryRun) -> tuple[str, ...]:
    """All that is looked at while a trial is judged."""
    return tuple(dict.fromkeys((*dry_run.keeps.tags, *(limits.interlock.tags if limits.interlock is not None else ()))))


def _measured(about: Described, look: Look) -> dict[str, float] | Text:
    """What is measured now of all that the twin starts from; why not, where a value is not known."""
    values: dict[str, float] = {}
    for tag in dict.fromkeys((*about.state, *about.inputs)):
        seen: Seen = look(tag)
        if seen.value is None:
            return Text(f"it cannot be tried: {tag} is unknown: {seen.why.en}", f"无法试算：{tag} 未知：{seen.why.in_('zh')}")
        values[tag] = seen.value
    return values
