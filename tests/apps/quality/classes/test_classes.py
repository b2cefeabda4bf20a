"""Classes of defects: learned from drawn ones, judged, packed, measured."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from ronghe.apps.quality.classes import labels
from ronghe.apps.quality.classes.evaluate import Described, describe, evaluate, fit, fixed_split, random_split
from ronghe.apps.quality.classes.judge import Classes, pack, unpack
from ronghe.apps.quality.classes.learn import learn
from ronghe.apps.quality.classes.look import NUMBERS, SIDE, Look, cut, network
from ronghe.cli.quality_classify import classify
from ronghe.errors import AppError, ModelError, PictureError
from ronghe.models import load, save

KINDS = ("dots", "scratch", "stain")
PICTURES = 12
BOX = (40, 40, 100, 100)


def drawn(kind: str, seed: int) -> NDArray[np.uint8]:
    """uint8 (140, 140) gray steel with one defect in about BOX."""
    rng = np.random.default_rng(seed)
    steel = cv2.GaussianBlur(rng.normal(120, 25, (140, 140)).astype(np.float32), (0, 0), 1.5)
    at = [int(x) for x in rng.integers(50, 90, 4)]
    if kind == "dots":
        for x, y in rng.integers(44, 96, (25, 2)):
            cv2.circle(steel, (int(x), int(y)), 2, 30, -1)
    elif kind == "scratch":
        for k in range(3):
            cv2.line(steel, (at[0] - 20 + 9 * k, 42), (at[1] - 20 + 9 * k, 98), 230, 2)
    elif kind == "stain":
        cv2.ellipse(steel, (at[0], at[1]), (24, 18), float(at[2]), 0, 360, 60, -1)
        steel = cv2.GaussianBlur(steel, (0, 0), 3)
    else:  # never shown
        steel[40:100:6, 40:100] = 255
        steel[40:100, 40:100:6] = 0
    return np.clip(steel, 0, 255).astype(np.uint8)


def write(folder: Path, kinds: tuple[str, ...] = KINDS, n: int = PICTURES) -> Path:
    """PASCAL VOC as NEU-DET lays it out."""
    (folder / "annotations").mkdir(parents=True)
    (folder / "images").mkdir()
    x0, y0, x1, y1 = BOX
    for k, kind in enumerate(kinds):
        for i in range(n):
            cv2.imwrite(str(folder / "images" / f"{kind}_{i}.png"), drawn(kind, 100 * k + i))
            box = f"<bndbox><xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>"
            voc = f"<annotation><object><name>{kind}</name>{box}</object></annotation>"
            (folder / "annotations" / f"{kind}_{i}.xml").write_text(voc)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("steel"))


@pytest.fixture(scope="module")
def look() -> Look:
    return Look(network())


@pytest.fixture(scope="module")
def described(folder: Path, look: Look) -> Described:
    return describe(labels.find(folder), look)


@pytest.fixture(scope="module")
def taught(described: Described, look: Look) -> Classes:
    return Classes(fit(described, np.ones(len(described.labels), bool)), look)


def test_classes_are_told_apart(described: Described) -> None:
    report = evaluate(described, leave_out=True)
    assert report.accuracy == report.accuracy_mean == 1
    assert report.fixed.tested == 12
    assert report.fixed.trained == 24
    assert set(report.fixed.classes) == set(KINDS)
    assert report.examples == report.pictures == 36
    assert all(o.auroc > 0.9 for o in report.left_out.values())


def test_new_pictures_are_judged_and_the_unknown_is_said(taught: Classes) -> None:
    for kind in KINDS:
        label, probability, known = taught.judge(drawn(kind, 999), BOX)
        assert label == kind
        assert probability > 0.9
        assert known
    assert not taught.judge(drawn("grid", 999), BOX).known
    assert not taught.judge(np.zeros((140, 140), np.uint8), BOX).known


def test_gray_is_colour_with_equal_planes(taught: Classes) -> None:
    gray = drawn("dots", 5)
    assert taught.judge(gray, BOX) == taught.judge(np.stack([gray] * 3, axis=2), BOX)
    several = taught.judge_all(gray, [BOX, None, (0, 0, 30, 30)])
    for one, alone in zip(several, (taught.judge(gray, BOX), taught.judge(gray)), strict=False):
        assert one.label == alone.label
        assert one.probability == pytest.approx(alone.probability, abs=1e-6)  # sums of a larger product run in another order


def test_a_cut_stays_inside() -> None:
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None], 100, 0)
    whole = cut(ramp, None, 0.0, 32)
    assert whole.shape == (SIDE, SIDE, 3)
    assert np.array_equal(whole, cut(ramp, (0, 0, 200, 100), 0.25, 96))
    corner = cut(ramp, (196, 96, 260, 160), 0.0, 32)  # 4 x 4 pixels are inside: 32 x 32 of the corner are seen
    assert np.array_equal(corner, cut(ramp, (168, 68, 200, 100), 0.0, 32))
    for box in ((10, 10, 10, 20), (-1, 0, 5, 5), (200, 0, 210, 10)):
        with pytest.raises(AppError, match="does not lie in the picture"):
            cut(ramp, box, 0.0, 32)


def test_light_and_gain_matter_little(taught: Classes) -> None:
    bright = drawn("dots", 7)
    dim = (bright * 0.6 + 15).astype(np.uint8)
    a, b = cut(bright, BOX, 0.0, 32), cut(dim, BOX, 0.0, 32)
    assert abs(float(a.mean()) - float(b.mean())) < 2
    assert float(np.abs(a.astype(int) - b.astype(int)).mean()) < 5
    assert taught.judge(dim, BOX)[::2] == ("dots", True)


def test_boxes_of_a_picture_and_copies_stay_together(described: Described) -> None:
    group = described.group.copy()
    group[1] = group[20] = group[0]
    same = Described(described.seen, described.labels, group, described.main, described.pictures, described.cpu_ms)
    for train in (fixed_split(same), *(random_split(same, seed) for seed in range(5))):
        assert train[0] == train[1] == train[20]
        assert 0.6 < train.mean() < 0.85
    assert not np.array_equal(random_split(same, 0), random_split(same, 1))


def test_learning_is_by_whole_pictures_and_repeatable() -> None:
    rng = np.random.default_rng(0)
    at = rng.normal(size=(40, NUMBERS)).astype(np.float32)  # each picture its own place, and noise for classes
    seen = np.repeat(at, 5, 0) + rng.normal(0, 0.01, (200, NUMBERS)).astype(np.float32)
    kind = np.repeat([f"c{i % 2}" for i in range(40)], 5)
    group = np.repeat(np.arange(40), 5)
    learned = learn(seen, list(kind), list(group), rng=np.random.default_rng(1))
    assert learned.accuracy < 0.7  # boxes of one picture on both sides of a fold would give 1
    again = learn(seen, list(kind), list(group), rng=np.random.default_rng(1))
    assert np.array_equal(learned.weight, again.weight)
    assert (learned.scores(seen)[0].argmax(1) == np.searchsorted(learned.labels, kind)).mean() > 0.9


def test_two_pictures_a_class_are_enough_to_begin(described: Described) -> None:
    few = [int(i) for kind in KINDS for i in np.flatnonzero(described.labels == kind)[:2]]
    learned = learn(described.seen[few], list(described.labels[few]), list(described.group[few]), rng=np.random.default_rng(0))
    scores, strange = learned.scores(described.seen)
    assert np.isfinite(strange).all()
    assert (scores.argmax(1) == np.searchsorted(learned.labels, described.labels)).mean() > 0.8


def test_a_class_of_one_group_is_refused(described: Described) -> None:
    kind = ["a" if g else "b" for g in described.group]
    with pytest.raises(AppError, match="'b' is shown by one picture only"):
        learn(described.seen, kind, list(described.group), rng=np.random.default_rng(0))


def test_a_package_says_exactly_the_same(taught: Classes, tmp_path: Path) -> None:
    package = pack(taught.learned, name="steel", created=1)
    save(tmp_path / "m", package)
    packed = unpack(load(tmp_path / "m"))
    for kind in (*KINDS, "grid"):
        assert packed.judge(drawn(kind, 7), BOX) == taught.judge(drawn(kind, 7), BOX)
    with pytest.raises(ModelError, match="other/1"):
        unpack(type(package)(msgspec.structs.replace(package.manifest, kind="other/1")))
    with pytest.raises(ModelError, match="do not fit each other: weight"):
        unpack(type(package)(package.manifest, {**package.arrays, "weight": package.arrays["weight"][:3]}, package.onnx))
    with pytest.raises(ModelError, match="missing"):
        unpack(type(package)(package.manifest, {}, package.onnx))


def test_from_a_shell(folder: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        return CliRunner().invoke(classify, [*words], catch_exceptions=False).output

    model = str(tmp_path / "steel.model")
    fitted = json.loads(run("fit", str(folder), "-o", model, "--json"))
    assert fitted["classes"] == list(KINDS)
    assert fitted["parity_max_difference"] == 0
    tested = json.loads(run("evaluate", str(folder), "--model", model, "--json"))
    assert tested["accuracy"] == 1
    other = write(tmp_path / "other", n=2)
    assert json.loads(run("evaluate", str(other), "--train", str(folder), "--json"))["tested"] == 6
    assert "accuracy 1.0000" in run("evaluate", str(folder), "--seed", "3")
    (tmp_path / "parts").mkdir()
    cv2.imwrite(str(tmp_path / "parts" / "1.png"), drawn("stain", 77))
    (tmp_path / "parts" / "2.jpg").write_bytes(b"\xff\xd8\xff cut")
    lines = [json.loads(x) for x in run("run", str(tmp_path / "parts"), "--model", model, "--box", *map(str, BOX), "--json").splitlines()]
    assert lines[0]["label"] == "stain"
    assert lines[0]["known"]
    assert not lines[1]["known"]
    with pytest.raises(PictureError, match=r"2\.jpg"):
        describe([labels.Labelled(tmp_path / "parts" / "2.jpg", (None,), ("a",))], Look(network()))
