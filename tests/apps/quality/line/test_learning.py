"""Labels make the next version better, and never silently worse."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ronghe.apps.quality.line.learning import Gain, gain, kept_aside
from ronghe.apps.quality.line.thresholds import Thresholds, choose, curve, escape_bound, false_reject
from ronghe.errors import AppError

from .line import Line, line, part

AT = Thresholds(passing=0.8)


def plain(answer: object) -> Any:
    return msgspec.json.decode(msgspec.json.encode(answer))


def taught(eye: Line) -> dict[str, Any]:
    """Teaches and waits."""
    eye.ask("teach")
    assert eye.app.teacher is not None
    with pytest.raises(AppError):
        eye.ask("teach")
    eye.app.teacher.join(240)
    status: dict[str, Any] = plain(eye.ask("status"))
    return status


def test_labels_teach_a_candidate_that_is_measured_and_adopted_by_a_person(tmp_path: Path) -> None:
    """Taught in one light, the line changes to another: a person labels, and the next version knows both."""
    eye = line(tmp_path, model="", learn=10, false_reject=0.1, review=0.2)
    for i in range(10):
        eye.see(part(i))
    assert eye.app.teacher is not None
    eye.app.teacher.join(240)
    first = plain(eye.ask("status"))["model"]
    eye.ask("thresholds", **{"pass": 0.1, "reject": 1.0})  # whatever it says, a person looks
    for i in range(24):
        eye.see(part(100 + i, light=22.0))
    for i in range(8):
        eye.see(part(200 + i, light=22.0, defect=True))
    parts = plain(eye.ask("recent", count=32))
    for p in parts:
        eye.ask("label", id=p["id"], label="defective" if p["number"] > 34 else "good")
    before = [eye.app.present.model.judge.judge(part(300 + i, light=22.0)).score for i in range(6)]  # type: ignore[union-attr]
    status = taught(eye)
    candidate = status["candidate"]
    assert status["model"] == first  # not silently
    assert candidate["version"] == "2"
    assert candidate["better"]
    kept = sum(kept_aside(p["id"]) for p in parts)
    assert candidate["gain"]["parts"] == kept
    assert candidate["gain"]["after"] >= candidate["gain"]["before"]
    assert candidate["gain"]["low"] <= candidate["gain"]["after"] - candidate["gain"]["before"] <= candidate["gain"]["high"]
    assert "labelled parts kept aside" in candidate["gain"]["text"]["en"]
    eye.ask("adopt", version="2")
    status = plain(eye.ask("status"))
    assert status["model"]["version"] == "2"
    assert status["candidate"] is None
    assert status["promise"]["labelled_defects"] == 8
    assert status["promise"]["escape_bound"] < 0.5
    after = [eye.app.present.model.judge.judge(part(300 + i, light=22.0)).score for i in range(6)]  # type: ignore[union-attr]
    assert np.median(after) < np.median(before)
    eye.ask("adopt", version="1")  # and back
    assert plain(eye.ask("status"))["model"]["hash"] == first["hash"]
    eye.app.close()


def test_a_worse_candidate_is_refused_with_the_reason(tmp_path: Path) -> None:
    eye = line(tmp_path, model="", learn=6, false_reject=0.2, review=0.3)
    for i in range(6):
        eye.see(part(i))
    assert eye.app.teacher is not None
    eye.app.teacher.join(240)
    eye.see(part(7))
    lesson = eye.app.present.lesson
    assert lesson is not None
    worse = Gain(measure="apart", before=0.9, after=0.8, low=-0.2, high=0.0, parts=20, escapes_before=0, escapes_after=0)
    eye.app.present.offer(replace(lesson, version="7", compared=True, gain=worse))
    assert plain(eye.ask("status"))["candidate"]["better"] is False
    with pytest.raises(AppError, match="worse"):
        eye.ask("adopt", version="7")
    eye.app.present.offer(replace(lesson, version="8", compared=True, gain=None))
    assert plain(eye.ask("status"))["candidate"]["better"] is None
    with pytest.raises(AppError, match="could not be compared"):
        eye.ask("adopt", version="8")
    for unknown in ("9", "../1", ""):
        with pytest.raises(AppError):
            eye.ask("adopt", version=unknown)
    assert plain(eye.ask("status"))["model"]["version"] == "1"
    eye.app.close()


def test_teaching_that_is_broken_off_adopts_nothing_and_goes_on_after_the_restart(tmp_path: Path) -> None:
    eye = line(tmp_path, model="", learn=6, false_reject=0.2, review=0.3)
    for i in range(6):
        eye.see(part(i))
    teacher = eye.app.teacher
    assert teacher is not None
    eye.app.close()
    assert teacher.join(240)
    again = line(tmp_path, model="", learn=6, false_reject=0.2, review=0.3)
    assert plain(again.ask("status"))["model"] is None
    again.see(part(6))
    assert again.app.teacher is not None
    assert again.app.teacher.join(240)
    assert plain(again.ask("status"))["model"]["good"] == 7
    again.app.close()


def test_too_few_examples_are_told_and_nothing_changes(tmp_path: Path) -> None:
    eye = line(tmp_path, model="", learn=0)
    assert plain(eye.ask("status"))["state"] == "no model"
    eye.ask("teach")
    assert eye.app.teacher is not None
    eye.app.teacher.join(60)
    status = plain(eye.ask("status"))
    assert status["model"] is None
    assert "too few" in status["teaching"]["message"]["en"]
    assert status["teaching"]["message"]["zh"]
    assert eye.ask("forget_examples") == {"good": 0, "defective": 0}
    eye.app.close()


def test_a_gain_counts_what_is_decided_rightly_where_few_are_defective() -> None:
    good = np.array([True, True, True, False, False, False])
    before = np.array([0.5, 0.9, 1.2, 0.7, 0.9, 1.5])  # passed, reviewed, rejected; passed, reviewed, rejected
    after = np.array([0.5, 0.7, 0.9, 0.9, 1.2, 1.5])
    found = gain(before, AT, after, AT, good)
    assert found.measure == "decided"
    assert (found.before, found.after) == (pytest.approx(2 / 6), pytest.approx(4 / 6))
    assert (found.escapes_before, found.escapes_after) == (1, 0)
    assert found.better
    assert not gain(after, AT, before, AT, good).better
    escapes = gain(np.array([0.9, 0.9, 1.5]), AT, np.array([0.5, 0.5, 0.5]), AT, np.array([True, True, False]))
    assert escapes.after > escapes.before
    assert not escapes.better  # more is decided, but something defective passes


def test_a_gain_is_how_well_good_and_defective_are_told_apart_and_its_interval_holds() -> None:
    """Two models of known quality, many sets of parts: the interval of the difference covers the true one as often as it says."""
    rng = np.random.default_rng(0)
    covered = 0
    true = 0.5 * (1 + math.erf(1.5 / 2)) - 0.5 * (1 + math.erf(1.0 / 2))  # shifts of 1.5 and 1.0 standard deviations
    for _ in range(200):
        good = np.arange(70) < 45
        noise = rng.normal(size=(2, 70))
        before = np.where(good, 0.0, 1.0) + noise[0]
        after = np.where(good, 0.0, 1.5) + 0.6 * noise[0] + 0.8 * noise[1]
        found = gain(before, AT, after, AT, good)
        assert found.measure == "apart"
        covered += found.low <= true <= found.high
    assert 0.89 <= covered / 200 <= 0.99
    pairs = np.mean([(b > g) for g in before[good] for b in before[~good]])
    assert found.before == pytest.approx(pairs)


def test_the_bound_on_escapes_holds_for_defects_to_come() -> None:
    """The threshold is chosen by the labelled defects themselves, and its bound still holds with the confidence that is said."""
    rng = np.random.default_rng(0)
    broken = 0
    for _ in range(400):
        labelled = rng.lognormal(0.3, 0.5, 60)
        chosen = choose([], labelled.tolist(), 5.0, escape=0.1, review=0.5, confidence=0.95)
        bound = escape_bound(labelled.tolist(), chosen.passing, 0.95)
        assert bound is not None
        assert bound <= 0.1
        to_come = float((rng.lognormal(0.3, 0.5, 4000) <= chosen.passing).mean())
        broken += to_come > bound + 0.01
    assert broken / 400 < 0.06


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.floats(0.01, 2.0), min_size=1, max_size=30),
    st.lists(st.floats(0.01, 4.0), max_size=30),
    st.floats(0.05, 1.0),
    st.floats(0.02, 0.5),
)
def test_labels_only_lower_what_passes_and_never_ask_too_much(good: list[float], bad: list[float], passing: float, review: float) -> None:
    chosen = choose(good, bad, passing, escape=0.05, review=review, confidence=0.95)
    assert chosen.passing <= passing
    if chosen.passing < passing:
        assert np.mean(np.array(good) > chosen.passing) <= review


def test_error_rates_over_thresholds() -> None:
    points = curve([0.2, 0.4, 0.6, 0.8], [0.7, 1.2], 1.0, points=16)
    at = {round(p.threshold, 1): p for p in points}
    assert (at[0.5].false_reject, at[0.5].escape) == (0.5, 0.0)
    assert (at[0.9].false_reject, at[0.9].escape) == (0.0, 0.5)
    assert at[0.5].review == 0.5
    assert false_reject([0.5, 0.9, 1.2], 1.0) == pytest.approx(2 / 4)
    assert false_reject([], 1.0) is None
    assert escape_bound([], 1.0, 0.95) is None
    assert curve([], [], 1.0) == []
