"""`ronghe new` and `ronghe check` as a person calls them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ronghe.plant import load


def ronghe(*words: str | Path, lang: str = "en") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "RONGHE_LANG": lang, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", "from ronghe.cli.main import main; main()", *map(str, words)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=env, check=False, timeout=120)


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    made = ronghe("new", folder)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", ["1 connection, 5 tags, 1 app, 0 guards", "nothing may be written"]), ("zh", ["1 个连接，5 个测点", "不会写入"])],
)
def test_a_new_folder_passes_its_check(plant: Path, lang: str, words: list[str]) -> None:
    checked = ronghe("check", plant, lang=lang)
    assert checked.returncode == 0, checked.stdout
    assert checked.stderr == ""
    assert all(w in checked.stdout for w in words)


def test_a_new_folder_is_a_plant_with_a_recording(plant: Path) -> None:
    found = load(plant)
    header = next(csv.reader((plant / "recording.csv").read_text(encoding="utf-8").splitlines()))
    assert [t.address for t in found.tags.values()] == header[1:]
    assert Path(found.connections["recording"].options.path).is_file()
    comments = [line for line in (plant / "plant.toml").read_text(encoding="utf-8").splitlines() if "#" in line]
    assert sum(any("\u4e00" <= c <= "\u9fff" for c in line) for line in comments) > len(comments) / 3


def test_new_leaves_a_folder_alone_that_holds_anything(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    made = ronghe("new", tmp_path)
    assert made.returncode == 1
    assert "not empty" in made.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    assert ronghe("new", tmp_path / "mine.txt").returncode == 1
    assert "无法写入" in ronghe("new", tmp_path / "mine.txt" / "below", lang="zh").stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_check_tells_every_problem_and_fails(plant: Path) -> None:
    toml = plant / "plant.toml"
    toml.write_text(
        toml.read_text(encoding="utf-8").replace('learn = "90s"', 'lern = "90s"').replace("speed = 10", 'speed = "x"'), encoding="utf-8"
    )
    checked = ronghe("check", plant)
    assert checked.returncode == 1
    assert "unknown key 'lern' (did you mean 'learn'?)" in checked.stdout
    assert "speed: expected a number, found a text in quotes" in checked.stdout
    assert "2 errors, 0 warnings" in checked.stdout
    assert "（是否想写 'learn'？）" in ronghe("check", plant, lang="zh").stdout
    assert "no such folder" in ronghe("check", plant / "nowhere").stdout


def test_check_reads_guards_conditions_and_shows_what_may_be_written(plant: Path) -> None:
    """The commented guard and device of the first folder, with their comment signs taken away, are valid."""
    toml, tags = plant / "plant.toml", plant / "tags.csv"
    lines = toml.read_text(encoding="utf-8").splitlines()
    at = [i for i, line in enumerate(lines) if line.startswith(("# [connections.plc1]", "# [guards."))]
    assert len(at) == 2
    for start in at:
        for i in range(start, len(lines)):
            if not lines[i].startswith("# "):
                break
            lines[i] = lines[i][2:]
    toml.write_text("\n".join(lines), encoding="utf-8")
    with tags.open("a", encoding="utf-8") as f:
        f.write("line1/pump1/speed_setpoint,speed,plc1,ns=2;s=Speed,1s,,,,yes\n")
    checked = ronghe("check", plant)
    assert checked.returncode == 0, checked.stdout
    assert "the environment variable 'PLC1_PASSWORD' is not set" in checked.stdout
    assert "900..1450 1/min" in checked.stdout
    assert "if line1/pump1/pressure < 6 bar" in checked.stdout
    toml.write_text(
        toml.read_text(encoding="utf-8").replace("line1/pump1/pressure < 6 bar", "line1/pump1/presure < 6 bar"), encoding="utf-8"
    )
    checked = ronghe("check", plant)
    assert checked.returncode == 1
    assert "line1/pump1/pressure" in checked.stdout


def test_json_is_one_object(plant: Path) -> None:
    good = json.loads(ronghe("check", plant, "--json").stdout)
    assert good["ok"]
    assert good["problems"] == []
    assert good["plant"]["tags"] == 5
    (plant / "tags.csv").write_text("tag,property\nx y,speed\n", encoding="utf-8")
    checked = ronghe("check", plant, "--json")
    bad = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert not bad["ok"]
    assert {"file": "tags.csv", "line": 2, "meant": "x_y"}.items() <= bad["problems"][-1].items()
    assert set(bad["problems"][-1]["what"]) == {"en", "zh"}


def test_check_asks_the_apps_too(plant: Path) -> None:
    toml = plant / "plant.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text.replace('learn = "90s"', 'running = { tag = "spede", above = 100 }'), encoding="utf-8")
    checked = ronghe("check", plant)
    assert checked.returncode == 1
    assert "spede" in checked.stdout
