"""Teaching on the node: from examples and from what people said of parts, in the background, and never silently worse.

A first model is taken up when it is ready. Every later one is a candidate: half of the labelled parts and of the examples that are new to
the model at work (by a hash of their name, always the same half) are kept from it, and on them the two are compared. What counts is how
well each tells them apart: the chance that a defective one scores higher than a good one (area under the ROC curve, Hanley and McNeil
1982), with the interval of the difference by a paired bootstrap; where too few are defective, the share that is decided rightly without a
person. And at thresholds that both get by the same rule from the same labels, not one more defective part may pass.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.inspector import packing
from ronghe.apps.quality.inspector.learn import learn
from ronghe.apps.quality.line import drift
from ronghe.apps.quality.line.examples import Examples
from ronghe.apps.quality.line.judges import Judge, Model, of_inspector
from ronghe.apps.quality.line.records import Part, Records
from ronghe.apps.quality.line.settings import Options
from ronghe.apps.quality.line.thresholds import Thresholds, choose
from ronghe.errors import AppError, ModelError, PictureError, RongheError
from ronghe.models import save
from ronghe.picture import decode, read
from ronghe.text import Text

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
_MOST_PICTURES: Final = 300
_MOST_BYTES: Final = 1 << 30  # of pictures in memory while it is taught
_FEWEST_HELD_OUT: Final = 6
_FEWEST_OF_EACH: Final = 5  # good and defective, for how well they are told apart
_ROUNDS: Final = 2000


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """The model at work and the candidate on the same parts, and the 95 % interval of the difference.

    `measure` "apart": share of pairs in which the defective one scores higher than the good one; "decided": share of parts decided rightly
    without a person.
    """

    measure: Literal["apart", "decided"]
    before: float
    after: float
    low: float
    high: float
    parts: int
    escapes_before: int
    escapes_after: int

    @property
    def better(self) -> bool:
        """Whether it may be adopted: not worse, and nothing defective more passes."""
        return self.after >= self.before and self.escapes_after <= self.escapes_before

    def text(self) -> Text:
        """In words."""
        numbers = f"{100 * self.before:.1f} % → {100 * self.after:.1f} %"
        interval = f"{100 * self.low:+.1f} … {100 * self.high:+.1f}"
        what = {
            "apart": Text("a defective part scores higher than a good one", "缺陷件得分高于良品"),
            "decided": Text("decided rightly without a person", "无需人工即判断正确"),
        }[self.measure]
        return Text(
            f"{what.en}: {numbers}, on {self.parts} labelled parts kept aside (difference {interval} points, 95 %);"
            f" defective ones that would pass: {self.escapes_before} → {self.escapes_after}",
            f"{what.zh}：{numbers}（{self.parts} 件留出的已标注工件，差值 {interval} 个百分点，95% 置信）；"
            f"漏检：{self.escapes_before} → {self.escapes_after}",
        )


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What came of teaching; kept beside the model. Scores are in units of the model's own reject limit."""

    version: str
    hash: str
    created: int  # ns since 1970 UTC
    by: str
    good: int
    defective: int
    thresholds: Thresholds
    usual: drift.Usual
    good_scores: tuple[float, ...]  # held out
    defective_scores: tuple[float, ...]
    examples: tuple[str, ...] = ()  # those it was taught with
    compared: bool = False  # whether it had to be: there was a model at work
    gain: Gain | None = None

    @property
    def better(self) -> bool | None:
        """Whether it may be adopted; None where there was too little to compare by."""
        if not self.compared:
            return True
        return self.gain.better if self.gain is not None else None


@dataclass(frozen=True, slots=True)
class Task:
    """What a teacher needs to know. `present` is the model at work."""

    name: str
    version: str
    by: str
    created: int
    examples: Examples
    archive: Path
    models: Path
    options: Options
    present: Model | None
    known: tuple[str, ...] = ()  # examples that the model at work was taught with


@dataclass(slots=True)
class _Material:
    good: list[Pixels] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    defective: list[Pixels] = field(default_factory=list)
    kept_aside: list[tuple[Pixels, bool]] = field(default_factory=list)  # (picture, whether it is good)
    bytes: int = 0

    def room(self, pixels: Pixels) -> bool:
        self.bytes += pixels.nbytes
        return self.bytes <= _MOST_BYTES


class Teacher:
    """Teaches in a thread of its own. `outcome` is None until it is over."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.progress = 0.0
        self.message = Text("reading pictures", "正在读取图像")
        self.outcome: Lesson | RongheError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name=f"teaching {task.name}", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> bool:
        """Waits for the end; says whether it came."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def stop(self, timeout: float = 20.0) -> bool:
        """Gives up after the present step; nothing is adopted, and the examples stay. A process must not end in the middle of a step."""
        self._stopping = True
        return self.join(timeout)

    def _work(self) -> None:
        if sys.platform == "linux":  # there a thread has a priority of its own: the line comes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
        try:
            self.outcome = teach(self.task, self._say)
        except RongheError as e:
            self.outcome = e
        except Exception as e:
            log.exception("teaching %s", self.task.name)
            self.outcome = AppError(Text(f"teaching failed: {type(e).__name__}; see the log", f"训练失败：{type(e).__name__}，详见日志"))

    def _say(self, progress: float, message: Text) -> None:
        if self._stopping:
            raise AppError(Text("teaching was broken off", "训练已中止"))
        self.progress, self.message = progress, message


def teach(task: Task, say: Callable[[float, Text], None]) -> Lesson:
    """Learns, sets thresholds, compares, and writes the model and its lesson. Raises RongheError."""
    found = _gather(task)
    say(0.15, Text(f"learning from {len(found.good)} good pictures", f"正在用 {len(found.good)} 张良品图像学习"))
    inspector = learn(found.good, false_reject=task.options.false_reject, review=task.options.review)
    package = packing.pack(inspector, name=task.name, created=task.created, version=task.version)
    task.models.mkdir(parents=True, exist_ok=True)
    digest = save(task.models / f"{task.version}.model", package)
    model = of_inspector(inspector, task.name, task.version, digest, task.created)
    say(0.85, Text("comparing", "正在比较"))
    bad = [*found.defective, *(p for p, good in found.kept_aside if not good)]
    scores = _scores(model.judge, bad)
    thresholds = _thresholds(model, scores, task.options)
    lesson = Lesson(
        version=task.version,
        hash=digest,
        created=task.created,
        by=task.by,
        good=len(found.good),
        defective=len(scores),
        thresholds=thresholds,
        usual=drift.look_of(found.good),
        good_scores=model.held_out,
        defective_scores=tuple(scores),
        examples=tuple(found.examples),
        compared=task.present is not None,
        gain=_compare(task, model, thresholds, bad, found.kept_aside),
    )
    (task.models / f"{task.version}.json").write_bytes(msgspec.json.encode(lesson))
    return lesson


def _gather(task: Task) -> _Material:
    found = _Material()
    records = Records(task.archive)
    try:
        labelled = list(reversed(records.labelled()))
        given = [(label, path) for label in ("good", "defective") for path in spread(task.examples.files(label), _MOST_PICTURES // 2)]
        new = {path.stem for _, path in given} - set(task.known)
        aside = task.present is not None and len(labelled) + len(new) >= 2 * _FEWEST_HELD_OUT
        for part in labelled:
            _add(found, records, part, aside and kept_aside(str(part.id)))
    finally:
        records.close()
    for label, path in given:
        picture = read(path)
        if not found.room(picture):
            continue
        if aside and path.stem in new and kept_aside(path.stem):
            found.kept_aside.append((picture, label == "good"))
        elif label == "good":
            found.good.append(picture)
            found.examples.append(path.stem)
        else:
            found.defective.append(picture)
    return found


def _add(found: _Material, records: Records, part: Part, aside: bool) -> None:
    data = records.original(part.id)
    if data is None or part.verdict == "unreadable":
        return
    try:
        pixels = decode(data, where=str(part.id))
    except PictureError as e:
        log.warning("part %s is passed over: %s", part.id, e)
        return
    if not found.room(pixels):
        return
    if aside:
        found.kept_aside.append((pixels, part.label == "good"))
    elif part.label == "good":
        if len(found.good) < _MOST_PICTURES // 2:  # the rest of the room is for what people chose as examples
            found.good.append(pixels)
    else:
        found.defective.append(pixels)


def kept_aside(name: str) -> bool:
    """Whether a labelled part or an example is for comparing and not for teaching: one half, always the same."""
    return hashlib.sha256(name.encode()).digest()[0] % 2 == 0


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    """At most so many, evenly over all."""
    if len(paths) <= most:
        return list(paths)
    return [paths[i] for i in np.linspace(0, len(paths) - 1, most).round().astype(int)]


def _scores(judge: Judge, pictures: Sequence[Pixels]) -> list[float]:
    return [judge.judge(p).score for p in pictures]


def _thresholds(model: Model, defective: Sequence[float], o: Options) -> Thresholds:
    return choose(model.held_out, defective, model.pass_below, escape=o.escape, review=o.review, confidence=o.confidence)


def _compare(
    task: Task, model: Model, thresholds: Thresholds, defective: Sequence[Pixels], kept: Sequence[tuple[Pixels, bool]]
) -> Gain | None:
    """The candidate against the model at work; None where there is none, or too few parts to compare by."""
    if task.present is None or len(kept) < _FEWEST_HELD_OUT:
        return None
    old = _thresholds(task.present, _scores(task.present.judge, defective), task.options)
    good = np.array([g for _, g in kept])
    before = np.array(_scores(task.present.judge, [p for p, _ in kept]))
    after = np.array(_scores(model.judge, [p for p, _ in kept]))
    return gain(before, old, after, thresholds, good)


def gain(before: NDArray[Any], old: Thresholds, after: NDArray[Any], new: Thresholds, good: NDArray[np.bool_]) -> Gain:
    """From scores float64[n] of the same parts by both models, and which of them are good."""
    rng = np.random.default_rng(0)
    apart = min(int(good.sum()), int((~good).sum())) >= _FEWEST_OF_EACH
    if apart:
        was, is_ = (_pairs(scores, good) for scores in (before, after))
        weight = _resampled(was.shape[0], rng), _resampled(was.shape[1], rng)
        again = np.einsum("rg,gb,rb->r", weight[0], is_ - was, weight[1], optimize=True)
    else:
        was = _right(before, old, good)
        is_ = _right(after, new, good)
        again = _resampled(len(good), rng) @ (is_ - was)
    low, high = np.quantile(again, [0.025, 0.975])
    return Gain(
        measure="apart" if apart else "decided",
        before=float(was.mean()),
        after=float(is_.mean()),
        low=float(low),
        high=float(high),
        parts=len(good),
        escapes_before=int((~good & (before <= old.passing)).sum()),
        escapes_after=int((~good & (after <= new.passing)).sum()),
    )


def _pairs(scores: NDArray[Any], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64 (good, defective): 1 where the defective one scores higher, a half where they score the same."""
    a, b = scores[good][:, None], scores[~good][None, :]
    return np.asarray((a < b) + 0.5 * (a == b), np.float64)


def _right(scores: NDArray[Any], t: Thresholds, good: NDArray[np.bool_]) -> NDArray[np.float64]:
    return np.where(good, scores <= t.passing, scores > t.reject).astype(np.float64)


def _resampled(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Weights float64 (rounds, n) of bootstrap samples; each row adds up to 1."""
    return rng.multinomial(n, np.full(n, 1 / n), size=_ROUNDS) / n


def load_lesson(path: Path) -> Lesson:
    """A lesson as it was kept. Raises ModelError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Lesson)
    except (OSError, msgspec.DecodeError) as e:
        raise ModelError(Text(f"what is known of the model cannot be read: {e}", f"模型说明无法读取：{e}"), where=str(path)) from e
