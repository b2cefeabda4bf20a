"""Which model is at work, where it lies, and which candidate waits: what outlives the process besides the parts themselves."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import msgspec

from ronghe.apps.quality.line import drift
from ronghe.apps.quality.line.judges import Model, open_model
from ronghe.apps.quality.line.learning import Lesson, load_lesson
from ronghe.apps.quality.line.thresholds import Thresholds
from ronghe.errors import AppError, ModelError
from ronghe.models import load
from ronghe.text import Text

log = logging.getLogger(__name__)

_KEPT: Final = 6  # versions


class Choice(msgspec.Struct, kw_only=True):
    """What was chosen. `version` "" is the package that plant.toml names, whose hash is `given`; thresholds None are the model's own."""

    version: str = ""
    given: str = ""
    thresholds: Thresholds | None = None
    candidate: str = ""
    taught: int = 0  # versions so far


class Present:
    """The model at work, in a state folder; `path` is that of a package that plant.toml names."""

    def __init__(self, state: Path, path: Path | None) -> None:
        """Raises ModelError for a named package that cannot be used."""
        self._file, self.models = state / "present.json", state / "models"
        self.model: Model | None = None
        self.lesson: Lesson | None = None
        self.candidate: Lesson | None = None
        self.choice = self._read()
        given = open_model(load(path), str(path)) if path is not None else None
        if given is not None and given.hash != self.choice.given:
            self.choice = Choice(given=given.hash, taught=self.choice.taught)
        self._take_up(given)

    def _read(self) -> Choice:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Choice)
        except FileNotFoundError:
            return Choice()
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", self._file, e)
            return Choice()

    def _take_up(self, given: Model | None) -> None:
        choice = self.choice
        try:
            if choice.version:
                self.model, self.lesson = self._version(choice.version)
            if choice.candidate:
                self.candidate = load_lesson(self.models / f"{choice.candidate}.json")
        except ModelError as e:  # damaged: better the given one, or none, than a node that does not start
            log.warning("the model that was adopted is passed over: %s", e)
        if self.model is None:
            self.model, self.lesson = given, None

    def _version(self, version: str) -> tuple[Model, Lesson]:
        path = self.models / f"{version}.model"
        package, lesson = load(path), load_lesson(self.models / f"{version}.json")
        if package.hash != lesson.hash:
            raise ModelError(Text("the model is not the one that was taught", "模型与训练记录不符"), where=str(path))
        return open_model(package, str(path)), lesson

    @property
    def thresholds(self) -> Thresholds:
        """Those at work."""
        if self.choice.thresholds is not None:
            return self.choice.thresholds
        if self.lesson is not None:
            return self.lesson.thresholds
        return Thresholds(passing=self.model.pass_below if self.model is not None else 0.0)

    @property
    def usual(self) -> drift.Usual | None:
        """What the good pictures looked like, where it is known."""
        return self.lesson.usual if self.lesson is not None else None

    @property
    def name(self) -> str:
        """Names the model with its thresholds: what was learned of rates holds for both together."""
        t = self.thresholds
        return f"{self.model.hash if self.model else ''} {t.passing:.6g} {t.reject:.6g}"

    def next_version(self) -> str:
        """A number that no version has had."""
        self.choice.taught += 1
        self._write()
        return str(self.choice.taught)

    def offer(self, lesson: Lesson) -> None:
        """A candidate; where there is no model, it is at work at once."""
        if self.model is None:
            self._adopt(lesson)
            return
        self.candidate, self.choice.candidate = lesson, lesson.version
        self._write()

    def adopt(self, version: str, *, anyway: bool = False) -> None:
        """Takes up a candidate, or goes back to a version that was at work before. Raises AppError for one that is worse, and for one that
        could not be compared unless a person wants it `anyway`."""
        if self.candidate is not None and self.candidate.version == version:
            lesson = self.candidate
        elif (self.models / f"{version}.json").is_file() and version.isdecimal():
            lesson = load_lesson(self.models / f"{version}.json")
        else:
            raise AppError(Text(f"there is no version {version!r}", f"没有版本 {version!r}"))
        if lesson.better is None and not anyway:
            raise AppError(
                Text(f"version {version} could not be compared with the model at work", f"版本 {version} 未能与现用模型比较"),
                todo=Text(
                    "label more parts or give more examples and teach again, or adopt it with anyway = true",
                    "请标注更多工件或提供更多示例后重新训练；或以 anyway = true 强制采用",
                ),
            )
        if lesson.gain is not None and not lesson.gain.better:
            why = lesson.gain.text()
            raise AppError(
                Text(f"version {version} is worse and is not adopted: {why.en}", f"版本 {version} 变差，不予采用：{why.zh}"),
                todo=Text("label more parts and teach again", "请标注更多工件后重新训练"),
            )
        self._adopt(lesson)

    def _adopt(self, lesson: Lesson) -> None:
        self.model, self.lesson = self._version(lesson.version)
        self.candidate = None
        self.choice = Choice(version=lesson.version, given=self.choice.given, taught=self.choice.taught)
        self._write()
        self._forget()

    def _forget(self) -> None:
        """Old versions go; the newest few and the one at work stay."""
        versions = sorted((p for p in self.models.glob("*.model") if p.stem.isdecimal()), key=lambda p: int(p.stem))
        for path in versions[:-_KEPT]:
            if path.stem != self.choice.version:
                path.unlink(missing_ok=True)
                path.with_suffix(".json").unlink(missing_ok=True)

    def set_thresholds(self, thresholds: Thresholds) -> None:
        """A person's own."""
        self.choice.thresholds = thresholds
        self._write()

    def _write(self) -> None:
        part = self._file.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(self.choice))
            part.replace(self._file)
        except OSError as e:
            raise AppError(Text(f"not written: {e.strerror}", f"未能写入：{e.strerror}"), where=str(self._file)) from e
