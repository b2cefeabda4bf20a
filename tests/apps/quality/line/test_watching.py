"""Rates, levels and drifts: how soon they are seen, and how seldom for nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ronghe.apps.quality.line.drift import DriftWatch, look_of, measure, usual
from ronghe.apps.quality.line.rates import RateWatch
from ronghe.apps.quality.line.records import Part, Verdict
from ronghe.apps.quality.line.settings import Options
from ronghe.apps.quality.line.watching import Watching
from ronghe.text import Text

from .line import part


def test_false_alarms_are_as_rare_as_said() -> None:
    """At the usual rate at least 1 / false_alarm parts lie between alarms, whatever that rate is."""
    rng = np.random.default_rng(0)
    for rate in (0.01, 0.05, 0.2):
        alarms = parts = 0
        for _ in range(60):
            watch = RateWatch(usual=rate, false_alarm=0.01)
            for happened in rng.random(400) < rate:
                parts += 1
                if watch.step(bool(happened), 0) == "rise":
                    alarms += 1
                    break
        assert parts / max(alarms, 1) > 100


def test_a_rise_is_seen_told_and_over() -> None:
    rng = np.random.default_rng(1)
    watch = RateWatch(base=200, false_alarm=1e-5)
    for happened in rng.random(200) < 0.01:
        assert watch.step(bool(happened), 0) is None
    assert watch.learned
    changes = [(i, c) for i, h in enumerate(rng.random(400) < 0.15) if (c := watch.step(bool(h), 1000 + i)) is not None]
    assert changes[0][1] == "rise"
    assert changes[0][0] < 120
    rise = watch.rise()
    assert rise.since >= 1000
    assert 0.1 < rise.rate < 0.3
    assert 0.01 < rise.usual < 0.04
    back = [(i, c) for i, h in enumerate(rng.random(600) < 0.01) if (c := watch.step(bool(h), 0)) is not None]
    assert back[0][1] == "over"
    assert back[0][0] < 300


def test_drift_alarms_are_as_rare_as_said() -> None:
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(30):
        learned = usual(list(rng.normal(100, 10, (40, 6))), [(10, 10)], np.zeros((64, 64), np.float32))
        watch = DriftWatch(learned, false_alarm=2e-3)
        for m in rng.normal(100, 10, (500, 6)):
            alarms += sum(active for _, active in watch.step(m))
    assert alarms / 6 < 30 * 500 * 2e-3  # of one measure


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("light", lambda p: np.clip(p.astype(int) - 25, 0, 255).astype(np.uint8)),
        ("focus", lambda p: cv2.GaussianBlur(p, (0, 0), 2.0)),
        ("position", lambda p: np.roll(p, 6, axis=1)),
        ("colour", lambda p: np.clip(p * np.array([1.0, 1.0, 0.85]), 0, 255).astype(np.uint8)),
    ],
)
def test_a_camera_that_changes_is_seen_within_a_few_pictures_and_named(kind: str, change: object) -> None:
    watch = DriftWatch(look_of([part(i) for i in range(30)]), false_alarm=1e-5)
    for i in range(40):
        assert watch.step(measure(part(100 + i), watch.reference)) == []
    seen = [(i, k) for i in range(30) for k, active in watch.step(measure(change(part(200 + i)), watch.reference)) if active]  # type: ignore[operator]
    assert kind in [k for _, k in seen]
    assert min(i for i, k in seen if k == kind) < 20
    back = [k for i in range(60) for k, active in watch.step(measure(part(300 + i), watch.reference)) if not active]
    assert kind in back
    assert not watch.drifting


def test_gray_and_colour_of_any_size_are_measured() -> None:
    for shape in ((1, 1, 3), (1, 1), (3, 2000), (2000, 3, 3), (700, 900), (64, 64, 3)):
        assert np.isfinite(measure(np.full(shape, 7, np.uint8), np.ones((64, 64), np.float32))).all()


def shown(number: int, verdict: Verdict = "pass", score: float = 0.5, *classes: str) -> Part:
    where = tuple((0.1, 0.1, 0.2, 0.2, score, c) for c in classes)
    return Part(id=number, time=number, number=number, verdict=verdict, score=score, where=where, kind=classes[0] if classes else "")


def watching(folder: Path, of: str = "model", **options: object) -> Watching:
    return Watching(folder / "w.json", of, None, Options(**{"base": 50, **options}), Text("Eye", "检测工位"))  # type: ignore[arg-type]


def test_each_class_has_a_rate_of_its_own(tmp_path: Path) -> None:
    watch = watching(tmp_path, false_alarm=1e-3)
    said = [c for i in range(1, 101) for c in watch.part(shown(i), None)]
    for i in range(101, 131):
        classes = ("open", "spur") if i % 3 == 0 else ()
        said += watch.part(shown(i, "reject" if classes else "pass", 1.5 if classes else 0.5, *classes), None)
    assert {c.when for c in said} == {"reject", "open", "spur"}
    text = next(c.text for c in said if c.when == "open")
    assert "parts with open" in text.en
    assert "开路" in text.zh


def test_scores_of_passed_parts_that_creep_up_are_told_before_any_is_rejected(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    watch = watching(tmp_path)
    for i in range(1, 151):
        assert watch.part(shown(i, score=float(rng.lognormal(-0.7, 0.1))), None) == []
    said = [c for i in range(151, 191) for c in watch.part(shown(i, score=float(rng.lognormal(-0.5, 0.1))), None)]
    assert [(c.key, c.active) for c in said] == [("score_level", True)]
    said = [c for i in range(191, 251) for c in watch.part(shown(i, score=float(rng.lognormal(-0.7, 0.1))), None)]
    assert [(c.key, c.active) for c in said] == [("score_level", False)]


def test_a_judge_whose_good_parts_have_no_score_has_no_level(tmp_path: Path) -> None:
    watch = watching(tmp_path)
    assert [c for i in range(1, 401) for c in watch.part(shown(i, score=0.5 if i % (40 if i < 200 else 4) == 0 else 0.0), None)] == []


def test_what_was_learned_outlives_the_process_but_not_the_model(tmp_path: Path) -> None:
    watch = watching(tmp_path, false_alarm=1e-3)
    for i in range(1, 61):
        watch.part(shown(i), None)
    said = [c for i in range(61, 81) for c in watch.part(shown(i, "reject", 2.0), None)]
    assert ("reject_rate", True) in [(c.key, c.active) for c in said]
    watch.save()
    again = watching(tmp_path, false_alarm=1e-3)
    assert again.standing() == ["reject_rate"]
    said = [c for i in range(81, 400) for c in again.part(shown(i), None)]
    assert [(c.key, c.active) for c in said] == [("reject_rate", False)]
    assert watching(tmp_path, of="another").standing() == []
    (tmp_path / "w.json").write_text("{")
    assert watching(tmp_path).standing() == []
