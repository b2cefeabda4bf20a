"""`ronghe quality` on folders of drawn parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from ronghe.cli.quality import quality

SHAPE = (96, 112)
PAGE = Path(__file__).parents[4] / "docs" / "quality.md"


def _part(path: Path, seed: int, spot: tuple[int, int] | None = None) -> None:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    plane = 120 + 50 * np.sin(x / 5) + rng.normal(0, 5, SHAPE)
    inside = np.zeros(SHAPE, bool) if spot is None else np.hypot(y - spot[0], x - spot[1]) < 8
    plane[inside] = 10
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.clip(plane, 0, 255).astype(np.uint8))
    if spot is not None:
        cv2.imwrite(str(path.with_name(path.stem + "_mask.png")), inside.astype(np.uint8) * 255)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("line")
    for i in range(40):
        _part(top / f"teach/{i}.png", i)
    for i in range(10):
        _part(top / f"good/{i}.png", 100 + i)
        _part(top / f"bad/spot/{i}.png", 200 + i, (20 + 5 * i, 30 + 5 * i))
    (top / "good/broken.png").write_bytes((top / "good/0.png").read_bytes()[:200])
    said = _run("fit", top / "teach", "-o", top / "part.model", "--false-reject", "0.05", "--json")
    assert said["images"] == 40
    assert said["parity"] < 1e-4
    assert said["promise"]["rate"] == 0.05
    return top


def _run(*words: Any, code: int = 0) -> Any:
    result = CliRunner().invoke(quality, [str(w) for w in words], env={"RONGHE_LANG": "en"})
    assert result.exit_code == code, result.output
    return json.loads(result.output) if "--json" in words and result.output.count("\n") == 1 else result.output


def test_evaluate_counts_items_and_finds_masks(line: Path) -> None:
    report = _run("evaluate", line / "part.model", "--good", line / "good", "--defective", line / "bad", "--json")
    assert report["image_auroc"] > 0.99
    assert report["pixel_auroc"] > 0.9
    assert 0.5 < report["pro"] <= 1
    assert (report["good"], report["defective"], report["masks"]) == (10, 10, 10)
    assert report["classes"]["spot"]["items"] == 10
    assert report["promised_false_reject"] == 0.05
    assert report["false_reject"] <= 0.2
    assert report["escape"] == 0
    assert report["escape_bound"] == pytest.approx(1 - 0.05**0.1)
    assert 0 < report["cpu_ms_p50"] <= report["cpu_ms_p99"]
    assert len(report["unreadable"]) == 1
    assert "broken.png" in report["unreadable"][0]


def test_run_never_passes_what_it_cannot_read(line: Path) -> None:
    lines = _run("run", line / "part.model", line / "good", "--json", code=1).splitlines()
    said = {Path(s["file"]).name: s for s in map(json.loads, lines)}
    assert said["broken.png"]["verdict"] == "unreadable"
    assert said["broken.png"]["reason"]["zh"]
    assert sum(s["verdict"] == "pass" for s in said.values()) >= 7
    bad = _run("run", line / "part.model", line / "bad/spot/3.png", "--json", code=1)
    assert bad["verdict"] in ("review", "reject")
    box = bad["where"][0]
    assert box["x0"] <= 45 <= box["x1"]
    assert box["y0"] <= 35 <= box["y1"]


def test_run_ends_well_when_all_pass(line: Path) -> None:
    passed = [p for p in (line / "good").glob("?.png") if "pass" in _run_text(line, p)]
    assert "pass" in _run("run", line / "part.model", passed[0])


def _run_text(line: Path, picture: Path) -> str:
    return str(CliRunner().invoke(quality, ["run", str(line / "part.model"), str(picture)], env={"RONGHE_LANG": "en"}).output)


def test_parity_is_printed(line: Path) -> None:
    assert _run("parity", line / "part.model", line / "teach", "--json")["max_difference"] < 1e-4


def test_few_items_promise_what_they_can(line: Path, tmp_path: Path) -> None:
    for i in range(12):
        _part(tmp_path / f"item{i // 2}/{i}.png", i)
    said = _run("fit", tmp_path, "-o", tmp_path / "few.model", "--by-folder")
    assert "12 pictures of 6 good items" in said
    assert "chance 14.29%" in said
    assert "takes 99 good items" in said


def test_documented_commands_run(line: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(12):
        _part(tmp_path / f"good/{i}.png", i)
        _part(tmp_path / f"test/good/{i}.png", 100 + i)
    for folder in ("pictures", "test/broken", "test/scratched"):
        _part(tmp_path / folder / "1.png", 300, (40, 50))
    monkeypatch.chdir(tmp_path)
    lines = [row.strip() for row in PAGE.read_text(encoding="utf-8").splitlines() if "$ ronghe quality" in row]
    assert [row.split()[3] for row in lines[:4]] == ["fit", "run", "evaluate", "parity"]
    for row in lines[:4]:
        result = CliRunner().invoke(quality, row.split()[3:], env={"RONGHE_LANG": "zh"})
        assert result.exit_code == (1 if "run" in row.split() else 0), result.output


def test_an_empty_folder_and_another_model_are_told(line: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(quality, ["fit", str(tmp_path), "-o", str(tmp_path / "x.model")])
    assert "no picture in this folder" in str(result.exception)
    (tmp_path / "x.model").write_bytes(b"no model")
    result = CliRunner().invoke(quality, ["run", str(tmp_path / "x.model"), str(line / "good/0.png")])
    assert "not a model package" in str(result.exception)


def test_the_protocol_splits_by_item(tmp_path: Path) -> None:
    """A small copy of the layout of KolektorSDD: items with one cracked picture each."""
    for item in range(12):
        for i in range(3):
            path = tmp_path / f"kos{item:02}/Part{i}.jpg"
            _part(path, 10 * item + i, (40, 50) if i == 2 else None)
            mask = np.zeros(SHAPE, np.uint8)
            mask[32:48, 42:58] = 255 * (i == 2)
            cv2.imwrite(str(path.with_name(f"Part{i}_label.png")), mask)
            path.with_name(f"Part{i}_mask.png").unlink(missing_ok=True)
    said = _run("protocol", "kolektorsdd", tmp_path, "--seeds", "2", "--json")
    assert [r["learned_from"] for r in said["runs"]] == [12, 12]
    assert {r["items"] for r in said["runs"]} == {6}
    assert all(r["report"]["good"] == 12 and r["report"]["defective"] == 6 for r in said["runs"])
    assert said["figures"]["image_auroc"]["mean"] > 0.95
    assert said["figures"]["promised_false_reject"]["mean"] == pytest.approx(1 / 7)
