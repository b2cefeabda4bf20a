"""scheduling.changeover: a line made ready for another product as one, within a minute.

recipe (`recipe`) → people confirm, material is there → one change through the guard (written, read back) → proof → changed over;
whatever fails: everything as before, and why. The guard does all that touches a machine and is followed here step by step.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}):

    state    GET   → {"now", "limit": s, "recipes": [{"name", "title", "product", "version", "equipment"}], "wrong": [problem texts],
                      "current": recipe or null, "running": RUN or null, "last": [RUN, newest first]}
             RUN = {"id", "recipe", "title", "began", "state", "ends": when it ended or null, "outcome": text or null,
                    "steps": [{"name", "title", "state", "began", "ended", "text", "confirm", "by"}]}
    recipe   GET   {"name"} → as in "recipes", and "parameters": [{"tag", "title", "unit", "now", "quality", "will"}], "checks",
                   "materials", "people", "orders": []
    start    POST  {"recipe"} → state; as an operator
    confirm  POST  {"step"} → state; as an operator. The step "approve" is the approval of the whole, where a guard asks for one.
    cancel   POST  → state; as an operator: nothing is written, or all is written back
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Finding, Page, Priority, Question, Result, Right, Wants
from ronghe.apps.scheduling.changeover import present
from ronghe.apps.scheduling.changeover.memory import Memory
from ronghe.apps.scheduling.changeover.recipe import Recipe, read_recipes
from ronghe.apps.scheduling.changeover.run import APPROVE, Run, advance, begin
from ronghe.apps.scheduling.changeover.settings import Options
from ronghe.errors import AppError, Problem
from ronghe.guard import Change, ChangeCase, Setting, Told
from ronghe.guard.advice import Evidence
from ronghe.plant import Plant
from ronghe.plant.problems import Problems, nearest
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_PATIENCE: Final = 60_000_000_000  # ns after a changeover has expired


class Changeover(App):
    """One line. Signals: `running` (0 or 1), `confirmed` (1: people have confirmed all), `steps` (done, of the present or last changeover),
    `duration` (s, of the present or last one), `changeovers` (that came through, since ever)."""

    uses: ClassVar[str] = "scheduling.changeover"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="changeover", title=Text("Changeover", "换线"), view="changeover"),)
    verbs: ClassVar[Mapping[str, Right]] = {
        "state": "read",
        "recipe": "read",
        "start": "operate",
        "confirm": "operate",
        "cancel": "operate",
    }

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        self._clock = clock
        self._every, self.limit, self._expires = (parse_duration(text) for text in (o.every, o.limit, o.expires))
        for key, value in (("every", self._every), ("limit", self.limit), ("expires", self._expires)):
            if value <= 0:
                raise AppError(Text(f"{key} must be longer than nothing", f"{key} 必须大于零"), where=f"apps.{name}.{key}")
        self._follow = resolve(plant, equipment, o.follow, f"apps.{name}.follow") if o.follow else ""
        found = Problems()
        self.recipes: dict[str, Recipe] = read_recipes(plant, equipment, found)
        self._wrong = found.sorted()
        tags = [p.tag for r in self.recipes.values() for p in r.parameters]
        self.tags = tuple(dict.fromkeys([*tags, *([self._follow] if self._follow else [])]))
        if not self.tags:
            what = Text("there is no recipe for this equipment", "没有适用于该设备的配方")
            todo = Text("write recipes/NAME.toml in the plant folder", "请在工厂文件夹中编写 recipes/NAME.toml")
            if self._wrong:
                what, todo = self._wrong[0].what, Text(f"mend {self._wrong[0].file}", f"请修正 {self._wrong[0].file}")
            raise AppError(what, where=f"apps.{name}", todo=todo)
        self.seen: dict[str, tuple[float, int]] = {}  # by tag: value and quality, as of the last row
        self.memory = Memory(state / "changeover.json")
        self._told: list[Told] = []
        self._ask: Change | None = self._again()

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with its recipes."""
        return tuple(self._wrong)

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """Every set-point of its recipes, and the tag that names the next product."""
        slowest = max(self.plant.tags[t].every for t in self.tags)
        return Wants(tags=self.tags, every=self._every / 1e9, max_age=3 * max(slowest, self._every / 1e9))

    def step(self, window: Window) -> Result:
        """Set-points as they are; what was asked for goes to the guard; what is late or went back is told."""
        if not len(window):
            return Result()
        findings: list[Finding] = []
        for now, values, codes in zip(window.time.tolist(), window.value.tolist(), window.quality.tolist(), strict=True):
            self.seen = dict(zip(window.tags, zip(values, codes, strict=True), strict=True))
            self._forsaken(now)
            self._look_for_the_next(now)
            findings += self._findings(now)
        changes, self._ask = ((self._ask,) if self._ask is not None else ()), None
        told, self._told = tuple(self._told), []
        return Result(findings=tuple(findings), signals=self._signals(int(window.time[-1])), changes=changes, told=told)

    def follow(self, change: ChangeCase) -> None:
        """How the changeover goes."""
        run = self.memory.running
        if run is not None and run.id == change.change.id:
            self._keep(advance(run, change, self._clock()))

    def ask(self, question: Question) -> object:
        """Answers; see the module."""
        verb, body = question.verb, question.body
        if verb == "recipe":
            return present.recipe(self, self._recipe(str(body.get("name", ""))))
        if verb == "start":
            self._start(self._recipe(str(body.get("recipe", ""))), question.who, self._clock())
        elif verb == "confirm":
            self._confirm(str(body.get("step", "")), question.who)
        elif verb == "cancel":
            self._cancel(question.who)
        elif verb != "state":
            return super().ask(question)
        return present.state(self, self._clock())

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        return present.SIGNALS.get(name) or super().signal(name)

    def close(self) -> None:
        """Everything is on the disk already."""

    @property
    def current(self) -> str | None:
        """The recipe that is in force, by what the set-points show; while they are not known, the one that was last changed over to."""
        values = {tag: self.seen.get(tag, (math.nan, 0))[0] for tag in self.tags}
        known, last = self.memory.current, self.recipes.get(self.memory.current or "")
        if last is not None and any(math.isnan(values[p.tag]) for p in last.parameters):
            return known
        found = [n for n, r in self.recipes.items() if all(math.isclose(values[p.tag], p.value, rel_tol=1e-6) for p in r.parameters)]
        return known if known in found else next(iter(found), None)

    # --- what people ask for ----------------------------------------------------------------------------------------------------

    def _recipe(self, name: str) -> Recipe:
        if name not in self.recipes:
            near = nearest(name, self.recipes)
            todo = Text(f"did you mean {near!r}?", f"是否想写 {near!r}？") if near else Text(", ".join(self.recipes))
            raise AppError(Text(f"there is no recipe {name[:60]!r}", f"没有配方 {name[:60]!r}"), where=f"apps.{self.name}", todo=todo)
        return self.recipes[name]

    def _start(self, recipe: Recipe, who: str, now: int) -> None:
        if self.memory.running is not None:
            raise AppError(Text("a changeover is under way", "正在换线"), where=f"apps.{self.name}")
        run = begin(recipe, f"{self.name}-{now}", who, now, now + self._expires)
        self._keep(run)
        self._ask = self._change(run, recipe)

    def _confirm(self, name: str, who: str) -> None:
        run = self._running()
        step = run.step(name)
        if step is None or step.kind not in ("confirm", "approve") or step.state != "doing":
            what = Text(f"{name[:60]!r} is nothing that a person confirms now", f"{name[:60]!r} 当前无需人工确认")
            raise AppError(what, where=f"apps.{self.name}")
        if name == APPROVE and step.kind == "approve":
            self._told.append(Told(change=run.id, who=who, says="approve"))
        else:
            self._keep(run.put(step.at("done", self._clock(), step.text, who)))

    def _cancel(self, who: str) -> None:
        run = self._running()
        self._told.append(Told(change=run.id, who=who, says="call off"))

    def _running(self) -> Run:
        if self.memory.running is None:
            raise AppError(Text("no changeover is under way", "当前没有换线"), where=f"apps.{self.name}")
        return self.memory.running

    # --- the change -------------------------------------------------------------------------------------------------------------

    def _change(self, run: Run, recipe: Recipe) -> Change:
        place = self.plant.equipment_name(self.equipment) if self.equipment else self.plant.name
        ready = [c.when for c in recipe.ready.values()]
        if recipe.confirm:
            ready.append(f"apps/{self.name}/confirmed == 1")
        return Change(
            id=run.id,
            app=self.name,
            name=Text(f"changeover of {place.en} to {recipe.title.en}", f"{place.in_('zh')} 换线至 {recipe.title.in_('zh')}"),
            settings=tuple(Setting(tag=p.tag, value=p.value) for p in recipe.parameters),
            time=run.began,
            expires=run.expires,
            reason=Text(
                f"recipe {recipe.name} version {recipe.version}, product {recipe.product}",
                f"配方 {recipe.name}，版本 {recipe.version}，产品 {recipe.product}",
            ),
            ready=tuple(ready),
            proof=tuple(c.when for c in recipe.proof.values()),
            within=recipe.within,
            who=run.who,
        )

    def _again(self) -> Change | None:
        """Of an earlier life: asked for once more, since nobody knows whether it came to the guard; the guard knows it by its id."""
        run = self.memory.running
        recipe = self.recipes.get(run.recipe) if run is not None else None
        return self._change(run, recipe) if run is not None and recipe is not None and run.state == "asked" else None

    def _keep(self, run: Run) -> None:
        self.memory.keep(run)

    def _forsaken(self, now: int) -> None:
        """Nobody has told of a changeover since it was asked for: the guard did not take it."""
        run = self.memory.running
        if run is not None and run.state == "asked" and now > run.expires + _PATIENCE:
            text = Text("not changed over: the guard did not take it", "未换线：守护未受理")
            self._keep(msgspec.structs.replace(run, state="expired", ended=now, outcome=text))

    def _look_for_the_next(self, now: int) -> None:
        """The tag that names the next product has changed: its changeover begins."""
        if not self._follow:
            return
        value, code = self.seen[self._follow]
        if q.severity(code) != "good" or value != value or value == self.memory.followed:
            return
        if self.memory.running is not None:
            return  # one after the other
        first = self.memory.followed is None
        self.memory.follow(value)
        recipe = next((r for r in self.recipes.values() if r.number == value), None)
        if recipe is not None and not first and recipe.name != self.current:
            self._start(recipe, "", now)

    # --- what is told -----------------------------------------------------------------------------------------------------------

    def _signals(self, now: int) -> dict[str, float]:
        run = self.memory.running
        shown = run or (self.memory.last[0] if self.memory.last else None)
        signals = {
            "running": float(run is not None),
            "confirmed": float(run is not None and run.confirmed),
            "changeovers": float(self.memory.count),
        }
        if shown is not None:
            signals["steps"] = float(sum(s.state == "done" for s in shown.steps))
            signals["duration"] = shown.seconds if shown.ended else max((now - shown.began) / 1e9, 0.0)
        return signals

    def _findings(self, now: int) -> tuple[Finding, ...]:
        """Late, or not changed over; each stands until there is something newer to say."""
        run, standing = self.memory.running, self.memory.standing
        wanted: dict[str, tuple[Priority, Text, float]] = {}
        if run is not None and now - run.began > self.limit:
            doing = next((s.title for s in run.steps if s.state == "doing"), run.title)
            most = f"{self.limit / 1e9:g} s"
            text = Text(f"the changeover takes longer than {most}: {doing.en}", f"换线已超过 {most}：{doing.in_('zh')}")
            wanted["late"] = "medium", text, (now - run.began) / self.limit
        last = self.memory.last[0] if self.memory.last else None
        if run is None and last is not None and last.state != "done" and last.outcome is not None:
            wanted["not_changed"] = "high" if last.state in ("rolled_back", "failed") else "medium", last.outcome, 1.0
        out = [self._finding(key, now, False, "medium", Text("over", "已结束"), 0.0) for key in sorted(standing - set(wanted))]
        out += [self._finding(key, now, True, *what) for key, what in wanted.items() if key not in standing]
        self.memory.stand(set(wanted))
        return tuple(out)

    def _finding(self, key: str, now: int, active: bool, priority: Priority, text: Text, score: float) -> Finding:
        return Finding(
            key=f"{self.equipment or 'plant'}/{self.name}/{key}",
            app=self.name,
            equipment=self.equipment,
            time=now,
            active=active,
            priority=priority,
            text=text,
            action=present.ACTIONS[key] if active else Text(""),
            score=score,
            evidence=self._evidence() if active else (),
        )

    def _evidence(self) -> tuple[Evidence, ...]:
        """The set-points as they are, beside what the recipe wants."""
        run = self.memory.running or (self.memory.last[0] if self.memory.last else None)
        recipe = self.recipes.get(run.recipe) if run is not None else None
        rows = [(p, *self.seen.get(p.tag, (float("nan"), q.BAD_WAITING))) for p in recipe.parameters] if recipe is not None else []
        return tuple(
            Evidence(tag=p.tag, value=value, expected=p.value, unit=self.plant.unit_of(p.tag)) for p, value, _ in rows if value == value
        )
