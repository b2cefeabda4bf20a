"""Inspection on a line: every picture is a part, every part gets a verdict, and what is unsure goes to a person.

picture → judgement (`judges`) → verdict (`thresholds`) → archive (`archive`), rates and drift (`watching`) → findings, and by rule advice

Verdicts: pass, review (a person decides), reject, and unreadable: what could not be seen is never passed. A rejected part is no finding;
findings are about what changes: the rate of rejects or of a class, the level of scores, light, focus and position, the camera, gaps.

What may be asked (`ask`); shapes are those of `answers`:

    read     status · recent ?count · queue ?count · part ?id · picture ?id&heat&longest (JPEG) · scores · charts
    operate  label {id, label: "good"|"defective", class}
    change   thresholds {pass, reject} · example ?label with the picture as data · teach · adopt {version, anyway} · forget_examples
"""

from __future__ import annotations

import logging
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from ronghe.apps.advising import Adviser, Rule, resolve
from ronghe.apps.contract import App, Finding, Page, Question, Result, Right, Wants
from ronghe.apps.quality.classes.judge import Classes, unpack
from ronghe.apps.quality.line import drift, saying
from ronghe.apps.quality.line.answers import Answers
from ronghe.apps.quality.line.archive import Archive, png
from ronghe.apps.quality.line.examples import Examples
from ronghe.apps.quality.line.judges import Judged, name_defects
from ronghe.apps.quality.line.learning import Lesson, Task, Teacher
from ronghe.apps.quality.line.present import Present
from ronghe.apps.quality.line.recipes import Recipes
from ronghe.apps.quality.line.records import Part, Verdict
from ronghe.apps.quality.line.settings import Options
from ronghe.apps.quality.line.thresholds import Thresholds
from ronghe.apps.quality.line.watching import Change, Watching
from ronghe.apps.standing import Standing
from ronghe.errors import AppError, RongheError
from ronghe.guard.advice import Advice, Evidence
from ronghe.models import load
from ronghe.picture import Picture
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

_CODES: Final[dict[Verdict, float]] = {"pass": 0.0, "review": 1.0, "reject": 2.0, "unreadable": 3.0}
_SIZE: Final = 0.1  # a picture may differ so much in width or height from those it was taught with


class Inspect(App):
    """One camera of one line. Signals: `score` (1 is the limit), `verdict` (0 pass, 1 review, 2 reject, 3 unreadable), `rejected` (0 or 1:
    in its mean over a time the worth of an action is measured); `yield`, `reject_rate`, `unreadable_rate` and `rate_CLASS` over the last
    `group` parts; while it is taught `learned` (0..1). Where it follows a recipe: `recipe`, the number whose model is at work, and
    `first_piece` (1 passed, 0 did not; -1: none was judged since the recipe changed)."""

    uses: ClassVar[str] = "quality.inspect"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (
        Page(slug="line", title=Text("Inspection line", "检测线"), view="inspection-line"),
        Page(slug="teach", title=Text("Teach", "示教"), view="inspection-teach"),
        Page(slug="review", title=Text("Review", "人工复核"), view="inspection-review"),
        Page(slug="charts", title=Text("Yield and control charts", "良率与控制图"), view="inspection-charts"),
    )
    verbs: ClassVar[Mapping[str, Right]] = {
        **dict.fromkeys(("status", "recent", "queue", "part", "picture", "scores", "charts"), "read"),
        "label": "operate",
        **dict.fromkeys(("thresholds", "example", "teach", "adopt", "forget_examples"), "change"),
    }

    def __init__(
        self,
        name: str,
        plant: Plant,
        equipment: str,
        options: Any,
        state: Path,
        *,
        clock: Callable[[], int] = time.time_ns,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        self.clock, self._rng = clock, rng or np.random.default_rng()
        self._every = parse_duration(o.every)
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"apps.{name}.every")
        self.image = _image(plant, equipment, o.image, name)
        self._adviser = Adviser(name, plant, equipment, o.advise)
        self._recipe = resolve(plant, equipment, o.recipe, f"apps.{name}.recipe") if o.recipe else ""
        self._tags = tuple(dict.fromkeys([self.image, *self._adviser.set_points, *([self._recipe] if o.recipe else [])]))
        if (o.recipe and o.model) or (o.models and not o.recipe):
            raise AppError(
                Text("write either model, or recipe and models", "model 与 recipe、models 不能同时配置"), where=f"apps.{name}.models"
            )
        self.recipes = Recipes(name, Path(plant.folder), state, o.models) if o.recipe else None
        self.present = self.recipes.present if self.recipes else Present(state, Path(plant.folder) / o.model if o.model else None)
        self._classes = _classes(Path(plant.folder) / o.classes) if o.classes else None
        self.examples = Examples(state / "examples")
        self.archive = Archive(state, keep_parts=o.keep_parts, keep_bytes=round(o.keep_gigabytes * 2**30))
        self.teacher: Teacher | None = None
        self.trouble: Text | None = None  # why teaching failed
        self._said = Standing(state / "standing.json")
        self._standing: dict[str, Change] = {}
        self._waiting: list[Finding] = []  # findings made while a question was answered
        self._recent: deque[tuple[Verdict, tuple[str, ...]]] = deque(maxlen=o.group)
        self._bad_since = 0
        self._number = 0  # of the last picture
        self._seen = 0  # parts since the start
        self._place = plant.equipment_name(equipment) if equipment else Text(name, name)
        self.watching = self._watch()
        self._answers = Answers(self)

    def _watch(self) -> Watching:
        folder = self.recipes.folder if self.recipes else self.state
        return Watching(folder / "watching.json", self.present.name, self.present.usual, self.options, self._place)

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """Its camera, as pictures and as a row with the camera's quality, and the set-points it may advise on."""
        seconds = self._every / 1e9
        slowest = max(self.plant.tags[t].every for t in self._tags)
        return Wants(tags=self._tags, every=seconds, max_age=3 * max(slowest, seconds), pictures=(self.image,))

    def see(self, picture: Picture) -> Result:
        """One part: judged, recorded, watched."""
        self.take_lesson()
        again, self._number = picture.number in (0, self._number), picture.number
        if picture.pixels is None and again:  # it tells of the camera, not of a part
            return Result(findings=self._told([]))
        if self.present.model is None:
            return Result(findings=self._told([]), signals=self._collect(picture))
        part, judged, measured = self._judge(picture)
        self.archive.put(part, picture.pixels, judged.heat if judged is not None and (part.verdict != "pass" or part.audit) else None)
        self._recent.append((part.verdict, part.kinds))
        self._seen += 1
        if self.recipes is not None:
            self.recipes.judged(part.verdict == "pass")
        changes = self.watching.part(part, measured)
        return Result(findings=self._told([self._finding(c, picture.time) for c in changes]), signals=self._signals(part))

    def step(self, window: Window) -> Result:
        """Set-points and the camera's quality: says when the camera is out of order, and advises on what stands."""
        findings: list[Finding] = []
        advice: list[Advice] = []
        self.take_lesson()
        for i in range(len(window)):
            at = self._adviser.now = int(window.time[i])
            if self.recipes is not None:
                column = self._tags.index(self._recipe)
                self._follow_recipe(float(window.value[i, column]), int(window.quality[i, column]))
            if (change := self._camera(int(window.quality[i, 0]), at)) is not None:
                findings.append(self._finding(change, at))
            if (change := self._disk()) is not None:
                findings.append(self._finding(change, at))
            set_points = dict(zip(self._tags[1:], map(float, window.value[i, 1:]), strict=True))
            for key, standing in self._standing.items():
                if self.options.advise and self._adviser.due(self._key(key), at):
                    advice.extend(self._advise(standing, at, set_points))
        return Result(findings=self._told(findings), advice=tuple(advice), signals=self.recipes.signals() if self.recipes else {})

    def _follow_recipe(self, value: float, code: int) -> None:
        """Another product is made: from now on it is looked at with its own model, and no part before it counts."""
        assert self.recipes is not None
        if not self.recipes.take(value, code):
            return
        self.watching.save()
        self.present = self.recipes.present
        self.watching = self._watch()
        self._recent.clear()
        log.info("app %s: recipe %s", self.name, self.recipes.number)

    def ask(self, question: Question) -> object:
        """Answers a person, see the module."""
        self.take_lesson()
        return self._answers.to(question)

    def feedback(self, advice: str, outcome: str) -> None:
        """Told what became of an advice: paces the next one."""
        self._adviser.feedback(advice, outcome)

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        return saying.signal(name)

    def close(self) -> None:
        """Keeps what waits for the disk, and what was learned."""
        if self.teacher is not None:
            self.teacher.stop()
        self.watching.save()
        self.archive.close()

    # --- judging ----------------------------------------------------------------------------------------------------------------

    def _judge(self, picture: Picture) -> tuple[Part, Judged | None, drift.Floats | None]:
        """(the part with its verdict, the judgement and the picture's measures where there are any)."""
        model, pixels = self.present.model, picture.pixels
        assert model is not None
        judged: Judged | None = None
        measured: drift.Floats | None = None
        reason: Text | None = None
        verdict: Verdict = "unreadable"
        if pixels is None or bad(picture.quality):
            reason = saying.nothing_to_see(picture.reason or q.reason(picture.quality))
        elif self.recipes is not None and (reason := self.recipes.blind) is not None:
            pass
        elif (reason := self._other_size(pixels.shape[1], pixels.shape[0])) is None:
            try:
                judged = model.judge.judge(pixels)
            except RongheError as e:
                reason = e.what
            except Exception:  # whatever fails, the part must not pass, and must be on record
                log.exception("app %s: picture %s", self.name, picture.number)
                reason = Text("judging failed; see the log of the node", "判断失败，详见节点日志")
            else:
                measured = self.watching.measure(pixels)
                verdict, reason = self._verdict(judged, picture)
        where = judged.where if judged is not None else ()
        if self._classes is not None and where and verdict != "pass" and pixels is not None:
            where = name_defects(self._classes, pixels, where)
        part = Part(
            id=self.archive.new_id(),
            time=picture.time,
            number=picture.number,
            name=picture.name,
            verdict=verdict,
            score=float(judged.score) if judged is not None else None,
            where=where,
            size=(pixels.shape[1], pixels.shape[0]) if pixels is not None else (0, 0),
            model=model.hash[:16],
            reason=reason,
            audit=verdict == "pass" and self.options.audit > 0 and bool(self._rng.random() < self.options.audit),
            kind=where[0][5] if where and verdict != "pass" else "",
        )
        if verdict == "pass" and measured is not None and pixels is not None and self.watching.drift is None:
            self.watching.learn_look(measured, pixels)
        return part, judged, measured

    def _verdict(self, judged: Judged, picture: Picture) -> tuple[Verdict, Text | None]:
        """A doubtful picture does not pass."""
        thresholds = self.present.thresholds
        if not np.isfinite(judged.score):
            return "unreadable", Text("the score is not a number", "得分不是有效数值")
        if judged.score > thresholds.reject:
            return "reject", None
        if judged.score > thresholds.passing:
            return "review", None
        if judged.unlike:
            return "review", judged.unlike[0]
        if picture.quality != q.GOOD:
            return "review", picture.reason or q.reason(picture.quality)
        return "pass", None

    def _other_size(self, width: int, height: int) -> Text | None:
        usual = self.watching.drift.usual if self.watching.drift is not None else None
        if usual is None:
            return None
        near = [min(max(is_, low), high) for is_, low, high in zip((width, height), usual.smallest, usual.largest, strict=True)]
        if abs(width - near[0]) > _SIZE * near[0] or abs(height - near[1]) > _SIZE * near[1]:
            return saying.other_size((width, height), (near[0], near[1]))
        return None

    def _signals(self, part: Part) -> dict[str, float]:
        n = len(self._recent)
        signals = {"verdict": _CODES[part.verdict], "rejected": float(part.verdict == "reject")}
        signals["yield"] = sum(v == "pass" for v, _ in self._recent) / n
        for verdict, name in (("reject", "reject_rate"), ("unreadable", "unreadable_rate")):
            signals[name] = sum(v == verdict for v, _ in self._recent) / n
        for kind in {k for _, kinds in self._recent for k in kinds}:
            signals[f"rate_{slug(kind)}"] = sum(kind in kinds for _, kinds in self._recent) / n
        if part.score is not None and np.isfinite(part.score):
            signals["score"] = part.score
        return signals | (self.recipes.signals() if self.recipes else {})

    # --- teaching ---------------------------------------------------------------------------------------------------------------

    def _collect(self, picture: Picture) -> dict[str, float]:
        """Without a model: the first pictures are what it is taught from."""
        wanted = self.options.learn
        if picture.pixels is None or picture.quality != q.GOOD or not wanted or self.teacher is not None or self.trouble is not None:
            return {"learned": min(self.examples.count("good") / max(wanted, 1), 1.0)}
        self.examples.add("good", png(picture.pixels))
        if self.examples.count("good") >= wanted:
            self.teach("camera")
        return {"learned": min(self.examples.count("good") / wanted, 1.0)}

    def teach(self, by: str) -> None:
        """Starts teaching in the background. Raises AppError while it is under way, and where the model follows a recipe: the parts on
        record are of all products."""
        if self.recipes is not None:
            todo = Text("teach each product's with `ronghe quality fit`", "请用 `ronghe quality fit` 分别训练各产品的模型")
            raise AppError(Text("each recipe has a model of its own", "每个配方各有其模型"), todo=todo)
        if self.teacher is not None:
            raise AppError(Text("it is being taught already", "正在训练中"))
        self.trouble = None
        version = self.present.next_version()
        task = Task(
            name=self.name,
            version=version,
            by=by,
            created=self.clock(),
            examples=self.examples,
            archive=self.archive.path,
            models=self.present.models,
            options=self.options,
            present=self.present.model,
            known=self.present.lesson.examples if self.present.lesson is not None else (),
        )
        self.teacher = Teacher(task)

    def take_lesson(self) -> None:
        """Takes what came of teaching, when it is over."""
        if self.teacher is None or self.teacher.outcome is None:
            return
        outcome, self.teacher = self.teacher.outcome, None
        if isinstance(outcome, Lesson):
            log.info("app %s was taught: version %s, %d good pictures", self.name, outcome.version, outcome.good)
            first = self.present.model is None
            self.present.offer(outcome)
            if first:
                self.changed()
        else:
            log.warning("app %s could not be taught: %s", self.name, outcome)
            self.trouble = outcome.what

    def changed(self) -> None:
        """Another model, or other thresholds: rates and drifts begin anew."""
        why = Text("judged by another model or other thresholds from now on", "已更换模型或阈值，重新开始统计")
        at = self.clock()
        mine = [k for k in self._standing if k not in ("camera", "archive")]
        self._waiting += [self._finding(Change(k, "", False, why), at) for k in mine]
        self.watching = self._watch()
        self._recent.clear()

    def conditions(self) -> list[Change]:
        """What stands."""
        return list(self._standing.values())

    def set_thresholds(self, thresholds: Thresholds) -> None:
        """A person's own."""
        self.present.set_thresholds(thresholds)
        self.changed()

    # --- saying -----------------------------------------------------------------------------------------------------------------

    def _camera(self, code: int, at: int) -> Change | None:
        if not bad(code):
            self._bad_since = 0
            return Change("camera", "camera", False, saying.camera_again(self._place)) if "camera" in self._standing else None
        self._bad_since = self._bad_since or at
        if "camera" in self._standing or at - self._bad_since < parse_duration(self.options.silent):
            return None
        text = saying.camera((at - self._bad_since) / 1e9, q.reason(code), self._place)
        return Change("camera", "camera", True, text, saying.look_after("unreadable"), 1.0)

    def _disk(self) -> Change | None:
        trouble = self.archive.trouble
        if (trouble is not None) == ("archive" in self._standing):
            return None
        return Change("archive", "archive", trouble is not None, trouble or saying.kept_again())

    def _key(self, key: str) -> str:
        return f"{self.equipment or self.name}/{key}"

    def _finding(self, change: Change, at: int) -> Finding:
        if change.active:
            self._standing[change.key] = change
        else:
            self._standing.pop(change.key, None)
            self._adviser.ended(self._key(change.key))
        return Finding(
            key=self._key(change.key),
            app=self.name,
            equipment=self.equipment,
            time=at,
            active=change.active,
            priority=self.options.priority if change.key != "archive" else "low",
            text=change.text,
            action=change.action,
            score=change.score,
            evidence=self._evidence(change),
            model=self.present.model.hash if self.present.model is not None else "",
        )

    def _evidence(self, change: Change) -> tuple[Evidence, ...]:
        if change.shown is None:
            return ()
        signal, value, usual, unit = change.shown
        return (Evidence(tag=f"apps/{self.name}/{slug(signal)}", value=value, expected=usual, unit=unit, share=1.0),)

    def _told(self, findings: list[Finding]) -> tuple[Finding, ...]:
        """With those that waited, and the ends of conditions from before a restart that have not come again."""
        findings = [*self._waiting, *findings]
        self._waiting = []
        if self._said.inherited and self._seen >= self.options.base:
            standing = {self._key(k) for k in (*self._standing, *self.watching.standing())}
            text = Text("Over: not seen again since the restart", "已结束：重启后未再出现")
            said = {f.key for f in findings}
            for key in sorted(self._said.inherited - standing - said):
                findings.append(self._finding(Change(key.rpartition("/")[2], "", False, text), self.clock()))
            self._said.inherited.clear()
        if findings:
            self._said.note(findings)
        return tuple(findings)

    def _advise(self, standing: Change, at: int, set_points: Mapping[str, float]) -> tuple[Advice, ...]:
        def applies(rule: Rule) -> bool:
            return rule.when == standing.when

        evidence, model = self._evidence(standing), self.present.model.hash if self.present.model is not None else ""
        return self._adviser.advise(applies, self._key(standing.key), evidence, standing.text, at, set_points, model)


def bad(code: int) -> bool:
    """Whether a status code is Bad."""
    return code >> 31 == 1


def slug(kind: str) -> str:
    """A class as part of a tag."""
    return re.sub(r"[^\w-]+", "_", kind)


def _classes(path: Path) -> Classes:
    return unpack(load(path), str(path))


def _image(plant: Plant, equipment: str, wanted: str, name: str) -> str:
    """The camera's tag. Raises AppError where there is none, or more than one to choose from."""
    where = f"apps.{name}.image"
    if wanted:
        tag = resolve(plant, equipment, wanted, where)
        if plant.property_of(tag).type != "image":
            raise AppError(Text(f"{tag} is no image", f"{tag} 不是图像测点"), where=where)
        return tag
    images = [t.tag for t in plant.tags_under(equipment) if plant.property_of(t.tag).type == "image"]
    if len(images) != 1:
        raise AppError(
            Text(f"{len(images)} image tags under {equipment!r}", f"{equipment!r} 下有 {len(images)} 个图像测点"),
            where=where,
            todo=Text('name the one that is meant: image = "…"', '请用 image = "…" 指明'),
        )
    return images[0]
