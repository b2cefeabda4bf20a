"""The app as a node runs it: judges, records, watches, advises, is labelled and taught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ronghe.apps.advising import Expect
from ronghe.apps.quality.line.archive import png
from ronghe.apps.quality.line.settings import DefectRule
from ronghe.errors import AppError, PictureError
from ronghe.picture import decode
from ronghe.signals import quality as q

from .line import IMAGE, SPEED, Line, S, line, part

REJECTS = "line1/eye/reject_rate"


def plain(answer: object) -> Any:
    """As the console sends it."""
    return msgspec.json.decode(msgspec.json.encode(answer))


def test_good_passes_bad_is_rejected_and_what_cannot_be_seen_never_passes(tmp_path: Path) -> None:
    eye = line(tmp_path)
    signals = [eye.see(part(100 + i)).signals for i in range(10)]
    assert sum(s["verdict"] == 0 for s in signals) >= 8
    assert eye.see(part(200, defect=True)).signals["verdict"] == 2
    unseen = [
        eye.see(None, q.BAD_NO_COMMUNICATION),
        eye.see(part(1), q.BAD_SENSOR_FAILURE),
        eye.see(np.zeros((48, 64, 3), np.uint8)),
        eye.see(np.zeros((3, 3), np.uint8)),
    ]
    assert all(r.signals["verdict"] != 0 for r in unseen)
    assert [r.signals["verdict"] for r in unseen[:2]] == [3, 3]
    assert eye.see(part(2), q.UNCERTAIN).signals["verdict"] in (1, 2)
    recent = plain(eye.ask("recent", count="6"))
    assert [p["number"] for p in recent] == [16, 15, 14, 13, 12, 11]
    assert recent[4]["reason"] == {"en": "covered", "zh": "被遮挡"}
    counts = plain(eye.ask("status"))["counts"]
    assert counts["pass"] == sum(s["verdict"] == 0 for s in signals)
    assert counts["unreadable"] >= 2
    eye.app.close()


def test_where_a_defect_is_and_its_picture_with_heat(tmp_path: Path) -> None:
    eye = line(tmp_path)
    pixels = part(201, defect=True)
    eye.see(pixels)
    (found,) = plain(eye.ask("recent", count=1))
    x0, y0, x1, y1, score, kind = found["where"][0]
    dark = np.argwhere(pixels[..., 0] < 40)
    middle = dark.mean(axis=0) / pixels.shape[:2]
    assert x0 <= middle[1] <= x1
    assert y0 <= middle[0] <= y1
    assert score > 1
    assert kind == ""
    assert found["size"] == [128, 96]
    bare = decode(eye.ask("picture", id=found["id"]))  # type: ignore[arg-type]
    assert bare.shape == (96, 128, 3)
    assert np.abs(bare.astype(int) - pixels).mean() < 6
    hot = decode(eye.ask("picture", id=found["id"], heat="1", longest="64"))  # type: ignore[arg-type]
    assert hot.shape == (48, 64, 3)
    y, x = (middle * hot.shape[:2]).astype(int)
    assert int(hot[y, x, 0]) > int(hot[y, x, 2]) + 40  # red where the defect is
    eye.see(np.ascontiguousarray(np.kron(part(202), np.ones((12, 12, 1), np.uint8))))
    assert eye.app.archive.flush(60)
    (found,) = plain(eye.ask("recent", count=1))
    assert decode(eye.ask("picture", id=found["id"])).shape == (960, 1280, 3)  # type: ignore[arg-type]
    assert decode(eye.ask("picture", id=found["id"], longest="180")).shape == (135, 180, 3)  # type: ignore[arg-type]
    small = decode(eye.ask("picture", id=found["id"], longest="128"))  # type: ignore[arg-type]
    assert small.shape == (96, 128, 3)
    assert np.abs(small.astype(int) - part(202)).mean() < 6
    eye.app.close()


def test_a_rise_of_rejects_is_found_advised_on_and_ends(tmp_path: Path) -> None:
    rule = DefectRule(when="reject", set=SPEED, step=-0.2, within="1min", expect=Expect(tag=SPEED, low=-0.3, high=-0.1))
    eye = line(tmp_path, usual=0.05, false_alarm=1e-3, advise=(rule,))
    for i in range(20):
        eye.see(part(300 + i))
    for i in range(8):
        eye.see(part(400 + i, defect=True))
    assert (REJECTS, True) in eye.keys
    told = next(f for f in eye.findings if f.key == REJECTS)
    assert told.text.en.startswith("Eye: rejected parts have become more frequent: ")
    assert told.text.en.endswith("usual is at most 5.00 %")
    assert told.text.zh.startswith("检测工位：剔除件增多：最近 ")
    assert told.evidence[0].value > 0.3
    assert told.evidence[0].tag == "apps/eye/reject_rate"
    advice = eye.advice[0]
    assert (advice.tag, advice.value, advice.finding) == (SPEED, pytest.approx(1.8), REJECTS)
    assert advice.expected is not None
    assert plain(eye.ask("status"))["camera"][0]["en"] == told.text.en
    for i in range(150):
        if (REJECTS, False) in eye.keys:
            break
        eye.see(part(500 + i))
    assert (REJECTS, False) in eye.keys
    eye.app.close()


def test_a_camera_whose_pictures_stay_bad_is_told_and_so_is_its_return(tmp_path: Path) -> None:
    eye = line(tmp_path, silent="5s")
    eye.see(part(1))
    for _ in range(8):
        eye.number += 1
        eye.row(q.BAD_NO_COMMUNICATION)
    assert eye.keys == [("line1/eye/camera", True)]
    assert "no communication" in eye.findings[0].text.en
    eye.see(part(2))
    assert eye.keys == [("line1/eye/camera", True), ("line1/eye/not_inspected", True), ("line1/eye/camera", False)]
    eye.app.close()


def test_parts_that_went_by_are_told_and_counted(tmp_path: Path) -> None:
    eye = line(tmp_path)
    eye.see(part(1))
    eye.number += 3
    eye.see(part(2))
    assert eye.keys == [("line1/eye/not_inspected", True)]
    assert "3 part(s)" in eye.findings[0].text.en
    assert plain(eye.ask("status"))["counts"]["missed"] == 3
    eye.app.close()


def test_thresholds_of_a_person_hold_and_outlive_the_process(tmp_path: Path) -> None:
    eye = line(tmp_path)
    assert eye.ask("thresholds", **{"pass": 0.01, "reject": 50.0}) == {"pass": 0.01, "reject": 50.0}
    assert eye.see(part(1)).signals["verdict"] == 1
    assert eye.see(part(2, defect=True)).signals["verdict"] == 1
    eye.app.close()
    again = line(tmp_path)
    assert plain(again.ask("status"))["thresholds"] == {"pass": 0.01, "reject": 50.0}
    for wrong in ({"pass": 2.0, "reject": 1.0}, {"pass": "x", "reject": 1}, {"reject": 1}, {"pass": float("nan"), "reject": 1}):
        with pytest.raises(AppError):
            again.ask("thresholds", **wrong)
    again.app.close()


def test_what_is_unsure_waits_for_a_person_whose_word_is_kept(tmp_path: Path) -> None:
    eye = line(tmp_path)
    eye.ask("thresholds", **{"pass": 0.01, "reject": 50.0})
    for i in range(4):
        eye.see(part(i, defect=i == 3))
    eye.see(None, q.BAD)
    queue = plain(eye.ask("queue"))
    assert queue[0]["verdict"] == "unreadable"
    assert len(queue) == 5
    labelled = plain(eye.ask("label", id=queue[1]["id"], label="defective", **{"class": "scratch"}))
    assert (labelled["label"], labelled["by"], labelled["class"]) == ("defective", "ann", "scratch")
    assert len(plain(eye.ask("queue"))) == 4
    assert plain(eye.ask("status"))["promise"]["labelled_defects"] == 1
    for wrong in ({"id": queue[1]["id"], "label": "so-so"}, {"id": "999", "label": "good"}, {"label": "good"}):
        with pytest.raises(AppError):
            eye.ask("label", **wrong)
    eye.app.close()


def test_it_is_taught_by_its_first_pictures_and_then_inspects(tmp_path: Path) -> None:
    eye = line(tmp_path, model="", learn=12, false_reject=0.1, review=0.2)
    assert plain(eye.ask("status"))["state"] == "learning"
    assert eye.see(None, q.BAD).signals == {"learned": 0.0}
    for i in range(12):
        learned = eye.see(part(i)).signals["learned"]
    assert learned == 1.0
    assert eye.app.teacher is not None
    eye.app.teacher.join(240)
    status = plain(eye.ask("status"))
    assert status["state"] == "inspecting"
    assert status["model"]["good"] == 12
    assert status["promise"]["false_reject"] == pytest.approx(0.1)  # as asked, and more than one of thirteen
    eye.ask("thresholds", **{"pass": 0.5, "reject": 50.0})
    assert plain(eye.ask("status"))["promise"]["false_reject"] == pytest.approx(1 / 13)
    eye.ask("thresholds", **{"pass": 0.5, "reject": 1.0})
    assert eye.see(part(300, defect=True)).signals["verdict"] == 2
    assert len(plain(eye.ask("scores"))["good"]) == 12
    with pytest.raises(PictureError):
        eye.ask("example", data=b"no picture", label="good")
    given = plain(eye.ask("example", data=png(part(301, defect=True)), label="defective"))
    assert given["score"] > 1
    assert (given["good"], given["defective"]) == (12, 1)
    eye.app.close()
    again = line(tmp_path, model="", learn=12)
    assert plain(again.ask("status"))["model"]["hash"] == status["model"]["hash"]
    assert again.see(part(302, defect=True)).signals["verdict"] == 2
    again.app.close()


def test_charts_and_scores_are_plain_data(tmp_path: Path) -> None:
    eye = line(tmp_path)
    for i in range(40):
        eye.see(part(600 + i, defect=i > 34))
    charts = plain(eye.ask("charts"))
    assert [y["n"] for y in charts["yield"]] == [10] * 4
    assert charts["score"]["points"][-1]["out"]
    assert charts["rate"]["kind"] == "p"
    assert charts["capability"]["cp"] is None
    assert charts["capability"]["cpk"] > 0 or charts["capability"]["low"] < charts["capability"]["high"]
    scores = plain(eye.ask("scores"))
    shares = [p["false_reject"] for p in scores["curve"]]
    assert shares == sorted(shares, reverse=True)
    eye.app.close()


def test_an_option_that_names_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppError):
        line(tmp_path, image="line1/eye/phot")
    with pytest.raises(AppError):
        line(tmp_path, image=SPEED)
    assert line(tmp_path, image="photo").app.image == IMAGE


def test_the_time_of_a_part_is_its_picture_s(tmp_path: Path) -> None:
    eye = Line(line(tmp_path).app)
    eye.see(part(1), name="a/1.png")
    (found,) = plain(eye.ask("recent"))
    assert found["time"] == str(1_700_000_001 * S)
    assert found["name"] == "a/1.png"
    eye.app.close()


def test_a_picture_of_another_size_than_it_was_taught_with_never_passes(tmp_path: Path) -> None:
    eye = line(tmp_path)
    for i in range(25):
        eye.see(part(900 + i))
    assert eye.app.watching.drift is not None
    for other in (part(1)[::2, ::2], part(1)[:, :100], np.repeat(part(1), 2, axis=0)):
        assert eye.see(np.ascontiguousarray(other)).signals["verdict"] == 3
    assert "128 × 96" in plain(eye.ask("recent", count=1))[0]["reason"]["en"]
    assert eye.see(np.ascontiguousarray(part(1)[:94])).signals["verdict"] != 3
    eye.app.close()
