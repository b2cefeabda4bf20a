"""What inspection on a line answers to people: plain data, in the shapes that the console's views read.

    status    {state, model, thresholds, promise, counts, teaching, candidate, classes, camera}
    a part    {id, time, number, name, verdict, score, label, by, class, where: [[x0, y0, x1, y1, score, class]], size: [w, h],
              reason, audit}
    scores    {good: [score], defective: [score], suggested: {pass, reject}, curve: [{threshold, false_reject, escape, review}]}
    charts    {yield, score, rate, ewma, cusum, capability, classes}, see `charts`

Times are ns since 1970 UTC as text: they do not fit a number of JavaScript.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ronghe.apps.contract import Question
from ronghe.apps.quality.inspector.promise import upper_bound
from ronghe.apps.quality.line.archive import LONGEST
from ronghe.apps.quality.line.charts import PARTS, charts
from ronghe.apps.quality.line.overlay import overlay
from ronghe.apps.quality.line.records import Label, Part
from ronghe.apps.quality.line.saying import nothing_to_see
from ronghe.apps.quality.line.thresholds import Thresholds, choose, curve, escape_bound, false_reject
from ronghe.errors import AppError, RongheError
from ronghe.picture import decode
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.quality.line.inspect import Inspect

_MOST: Final = 1000
_PATIENCE: Final = 0.3  # s that the line may wait for a slow disk before a person is answered
_CLASSES: Final = 500  # parts, the newest, whose classes are counted
_SUFFIXES: Final = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"BM": ".bmp", b"RIFF": ".webp", b"II*\0": ".tif", b"MM\0*": ".tif"}


class Answers:
    """Answers for one app, in its thread."""

    def __init__(self, app: Inspect) -> None:
        self._app = app
        self._verbs: dict[str, Callable[[Question], object]] = {
            "status": self._status,
            "recent": lambda q: self._list(self._app.archive.records.recent(_whole(q, "count", 24, _MOST))),
            "queue": self._queue,
            "part": lambda q: _plain(self._app.archive.records.part(_id(q))),
            "picture": self._picture,
            "scores": self._scores,
            "charts": self._charts,
            "label": self._label,
            "thresholds": self._thresholds,
            "example": self._example,
            "teach": self._teach,
            "adopt": self._adopt,
            "forget_examples": self._forget,
        }

    def to(self, question: Question) -> object:
        """The answer. Raises RongheError for what cannot be done."""
        answer = self._verbs.get(question.verb)
        if answer is None:
            raise AppError(Text(f"it does not know {question.verb[:80]!r}", f"应用不支持 {question.verb[:80]!r}"))
        self._app.archive.flush(_PATIENCE)  # what was just seen is among the records
        return answer(question)

    # --- reading ----------------------------------------------------------------------------------------------------------------

    def _status(self, _: Question) -> dict[str, Any]:
        app, present = self._app, self._app.present
        model, thresholds = present.model, present.thresholds
        good, bad = self._known_scores()
        counts = app.archive.records.counts()
        audited, escaped = app.archive.records.audited()
        learning = app.teacher is not None or app.options.learn > 0
        recent = app.archive.records.recent(_CLASSES) if model is not None else []
        rate = model.false_reject if model is not None and thresholds.reject == 1.0 else false_reject(good, thresholds.reject)
        return {
            "state": "inspecting" if model is not None else "learning" if learning else "no model",
            "model": None
            if model is None
            else {
                "name": model.name,
                "version": model.version,
                "hash": model.hash,
                "good": model.good,
                "created": str(model.created),
            },
            "thresholds": {"pass": thresholds.passing, "reject": thresholds.reject} if model is not None else None,
            "promise": None  # nothing is known of good parts: golden templates were taught with none
            if rate is None
            else {
                "false_reject": rate,
                "confidence": app.options.confidence,
                "escape_bound": escape_bound(bad, thresholds.passing, app.options.confidence),
                "labelled_defects": len(bad),
                "audited": audited,
                "defective_among_passed_bound": upper_bound(escaped, audited, app.options.confidence) if audited else None,
            },
            "counts": {**counts, "missed": app.watching.missed, "not_kept": app.archive.lost},
            "teaching": self._teaching(),
            "candidate": self._candidate(),
            "classes": dict(Counter(k for p in recent for k in p.kinds)),
            "camera": [c.text for c in app.conditions()],
        }

    def _teaching(self) -> dict[str, Any] | None:
        app = self._app
        good, bad = app.examples.count("good"), app.examples.count("defective")
        if app.teacher is not None:
            now = app.teacher
            return {"good": good, "defective": bad, "progress": now.progress, "message": now.message, "running": True}
        if app.trouble is not None:
            return {"good": good, "defective": bad, "progress": 0.0, "message": app.trouble, "running": False}
        if app.present.model is None or good or bad:
            wanted = app.options.learn if app.present.model is None else 0
            message = (
                Text(f"{good} of {wanted} good pictures collected", f"已收集 {good}/{wanted} 张良品图像")
                if wanted
                else Text(f"{good} good and {bad} defective examples", f"良品示例 {good} 张，缺陷示例 {bad} 张")
            )
            progress = min(good / wanted, 1.0) if wanted else 0.0
            return {"good": good, "defective": bad, "progress": progress, "message": message, "running": False}
        return None

    def _candidate(self) -> dict[str, Any] | None:
        lesson = self._app.present.candidate
        if lesson is None:
            return None
        gain = lesson.gain
        said = (
            None
            if gain is None
            else {"before": gain.before, "after": gain.after, "low": gain.low, "high": gain.high, "text": gain.text(), "parts": gain.parts}
        )
        return {"version": lesson.version, "hash": lesson.hash, "gain": said, "better": lesson.better}

    def _queue(self, question: Question) -> list[dict[str, Any]]:
        t = self._app.present.thresholds
        return self._list(self._app.archive.records.queue((t.passing + t.reject) / 2, _whole(question, "count", 24, _MOST)))

    def _list(self, parts: list[Part]) -> list[dict[str, Any]]:
        return [_plain(p) for p in parts]

    def _picture(self, question: Question) -> bytes:
        records, part = self._app.archive.records, _id(question)
        record, jpeg = records.part(part), records.jpeg(part)
        if jpeg is None:
            reason = nothing_to_see(record.reason)
            raise AppError(
                Text(f"there is no picture of part {part}: {reason.en}", f"工件 {part} 没有图像：{reason.in_('zh')}"),
                todo=Text("pictures of passed parts are dropped first when the archive is full", "档案已满时先清除合格件的图像"),
            )
        heat = records.heat(part) if str(question.body.get("heat", "")) in ("1", "true", "True") else None
        longest = _whole(question, "longest", 0, 8192)
        return jpeg if heat is None and not longest else overlay(jpeg, heat, min(max(record.size), LONGEST), longest)

    def _known_scores(self) -> tuple[list[float], list[float]]:
        """Scores of good parts that the present model had not seen, and of defective ones: from its lesson, and from labels since."""
        present = self._app.present
        if present.model is None:
            return [], []
        good, bad = list(present.model.held_out), list(present.lesson.defective_scores) if present.lesson is not None else []
        mine = present.model.hash[:16]
        labelled = self._app.archive.records.labelled()
        bad += [p.score for p in labelled if p.label == "defective" and p.score is not None and p.model == mine]
        return good, bad

    def _scores(self, _: Question) -> dict[str, Any]:
        good, bad = self._known_scores()
        present, o = self._app.present, self._app.options
        points = curve(good, bad, present.thresholds.reject)
        own = present.model.pass_below if present.model is not None else 0.0
        suggested = choose(good, bad, own, escape=o.escape, review=o.review, confidence=o.confidence)
        return {
            "good": good,
            "defective": bad,
            "suggested": {"pass": suggested.passing, "reject": suggested.reject} if present.model is not None else None,
            "curve": [
                {"threshold": p.threshold, "false_reject": p.false_reject, "escape": p.escape if bad else None, "review": p.review}
                for p in points
            ],
        }

    def _charts(self, _: Question) -> dict[str, Any]:
        app = self._app
        model = app.present.model.hash[:16] if app.present.model is not None else ""
        parts = [p for p in reversed(app.archive.records.recent(PARTS)) if p.model == model]
        return charts(parts, group=app.options.group, base=app.options.base, reject=app.present.thresholds.reject)

    # --- telling ----------------------------------------------------------------------------------------------------------------

    def _label(self, question: Question) -> dict[str, Any]:
        part, label, kind = _id(question), _label_of(question), str(question.body.get("class") or "")[:80]
        self._app.archive.label(part, label, kind, question.who, self._app.clock())
        return _plain(self._app.archive.records.part(part))

    def _thresholds(self, question: Question) -> dict[str, float]:
        try:
            passing, reject = float(question.body["pass"]), float(question.body["reject"])
        except (KeyError, TypeError, ValueError) as e:
            raise AppError(Text("give both pass and reject, as numbers", "请以数字给出 pass 与 reject")) from e
        if not (np.isfinite([passing, reject]).all() and 0 <= passing <= reject and reject > 0):
            raise AppError(Text("pass must lie between 0 and reject", "pass 必须介于 0 与 reject 之间"))
        if self._app.present.model is None:
            raise AppError(Text("there is no model yet", "尚无模型"), todo=Text("teach it first", "请先示教"))
        self._app.set_thresholds(Thresholds(passing=passing, reject=reject))
        return {"pass": passing, "reject": reject}

    def _example(self, question: Question) -> dict[str, Any]:
        label = _label_of(question)
        pixels = decode(question.data, where=str(question.body.get("name", "")))
        suffix = next((s for magic, s in _SUFFIXES.items() if question.data.startswith(magic)), ".img")
        name = self._app.examples.add(label, question.data, suffix)
        score: float | None = None
        if self._app.present.model is not None:
            try:
                score = float(self._app.present.model.judge.judge(pixels).score)
            except RongheError:  # an example may be of another size than what is judged now
                score = None
        return {"good": self._app.examples.count("good"), "defective": self._app.examples.count("defective"), "id": name, "score": score}

    def _teach(self, question: Question) -> dict[str, Any] | None:
        self._app.teach(question.who)
        return self._teaching()

    def _adopt(self, question: Question) -> dict[str, Any]:
        self._app.present.adopt(str(question.body.get("version", "")), anyway=question.body.get("anyway") is True)
        self._app.changed()
        return self._status(question)

    def _forget(self, _: Question) -> dict[str, int]:
        if self._app.teacher is not None:
            raise AppError(Text("it is being taught from them", "正在用这些示例训练"))
        self._app.examples.forget()
        return {"good": 0, "defective": 0}


def _plain(part: Part) -> dict[str, Any]:
    return {
        "id": str(part.id),
        "time": str(part.time),
        "number": part.number,
        "name": part.name,
        "verdict": part.verdict,
        "score": part.score,
        "label": part.label,
        "by": part.by,
        "class": part.kind,
        "where": part.where,
        "size": part.size,
        "reason": part.reason,
        "audit": part.audit,
    }


def _whole(question: Question, name: str, default: int, most: int) -> int:
    try:
        return min(max(int(question.body.get(name, default)), 0), most)
    except (TypeError, ValueError) as e:
        raise AppError(Text(f"{name} must be a whole number", f"{name} 必须是整数")) from e


def _id(question: Question) -> int:
    try:
        return int(question.body["id"])
    except (KeyError, TypeError, ValueError) as e:
        raise AppError(Text("id: the number of a part", "id：工件编号")) from e


def _label_of(question: Question) -> Label:
    label = question.body.get("label")
    if label not in ("good", "defective"):
        raise AppError(Text('label: "good" or "defective"', "label：good 或 defective"))
    return label
