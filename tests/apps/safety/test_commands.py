"""`ronghe safety watch`, as a shell runs it, and what it counts."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from ronghe.apps.safety.evaluate import report
from ronghe.apps.safety.labels import Frame, Labelled, Labels
from ronghe.apps.safety.settings import ZoneSpec
from ronghe.apps.safety.trial import Judged
from ronghe.cli.main import main

from .conftest import SEQUENCE, START, S, shot


def ronghe(*words: object, lang: str = "en") -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"RONGHE_LANG": lang}),
        patch.object(sys, "argv", ["ronghe", "safety", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit,
    ):
        main()
    return int(exit.value.code or 0), out.getvalue(), err.getvalue()


def test_the_shipped_sequence_is_evaluated() -> None:
    code, out, err = ronghe(
        "watch", SEQUENCE / "tune.mp4", "--labels", SEQUENCE / "tune.json.gz", "--first", 80, "--fault", "dark@3", "--json"
    )
    assert code == 0, err
    said = json.loads(out)
    assert said["result"]["pictures"] == 80
    assert said["result"]["events"] >= 1
    assert said["result"]["event_recall"] == 1.0
    assert said["result"]["unmonitored_alarms"] == 0
    (fault,) = said["faults"]
    assert (fault["fault"], fault["at_s"]) == ("dark", 3.0)
    assert "dark" in fault["why"]
    assert "advisory" in said["advisory"].lower()


def test_what_happens_is_told_as_it_happens_on_any_video(tmp_path: Path) -> None:
    zones = tmp_path / "zones.json"
    zones.write_text(json.dumps([{"name": "hall", "polygon": [[0, 0.4], [1, 0.4], [1, 1], [0, 1]]}]))
    code, out, err = ronghe("watch", SEQUENCE / "tune.mp4", "--zones", zones, "--first", 30, lang="zh")
    assert code == 0, err
    assert "不能替代安全 PLC" in out
    assert "危险区域“hall”内有 1 人" in out
    assert "已请求联锁" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.mp4", "--zones", "{zones}"), "no picture comes"),
        (("{video}",), "no zones"),
        (("{video}", "--zones", "{video}"), "no zones"),
        (("{video}", "--zones", "{zones}", "--vote", "5/3"), "no vote"),
        (("{video}", "--zones", "{zones}", "--fault", "eaten@3"), "no fault"),
        (("{video}", "--labels", "{zones}"), "no labels"),
    ],
)
def test_what_cannot_be_watched_is_told(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    zones = tmp_path / "zones.json"
    zones.write_text(json.dumps([{"name": "hall", "polygon": [[0, 0.4], [1, 0.4], [1, 1]]}]))
    code, _, err = ronghe("watch", *(w.format(video=SEQUENCE / "tune.mp4", zones=zones) for w in words))
    assert code == 1
    assert said in err


def judged(i: int, occupied: bool) -> Judged:
    zones = frozenset({"z"}) if occupied else frozenset()
    return Judged(START + i * S // 10, shot(np.zeros((2, 2), np.uint8), i), (), (), 0.01, 0.01, (), zones, True)


def count(truth: str, told: str) -> dict[str, object]:
    person = Labelled(id="p", box=(0, 0, 1, 1), zones=("z",))
    frames = tuple(Frame(frame=i, people=(person,) if c == "x" else ()) for i, c in enumerate(truth))
    zone = ZoneSpec(name="z", polygon=((0, 0), (1, 0), (1, 1)))
    said = report(Labels(fps=10, width=2, height=2, zones=(zone,), frames=frames), [judged(i, c == "x") for i, c in enumerate(told)], 0.0)
    return {k: getattr(said, k) for k in ("events", "events_found", "false_alarms", "picture_recall")}


def test_events_and_false_alarms_are_counted() -> None:
    assert count("..xxxx....", "...xxx....") == {"events": 1, "events_found": 1, "false_alarms": 0, "picture_recall": 0.75}
    assert count("..xxxx....", "..........") == {"events": 1, "events_found": 0, "false_alarms": 0, "picture_recall": 0.0}
    assert count(".." * 6, ".xx......xx.") == {"events": 0, "events_found": 0, "false_alarms": 2, "picture_recall": 1.0}
    assert count("xx..xx" + "." * 12 + "xx", "xx" + "." * 18) == {
        "events": 2,
        "events_found": 1,
        "false_alarms": 0,
        "picture_recall": 1 / 3,
    }
