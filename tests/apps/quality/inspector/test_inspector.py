"""The inspector on drawn parts: a disc of rings on a table, each a little different; defects are nicks and spots."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe.apps.quality.inspector.bank import cover, gather
from ronghe.apps.quality.inspector.inspector import Inspector, regions
from ronghe.apps.quality.inspector.learn import Options, folds, learn, scale_for
from ronghe.apps.quality.inspector.measures import auroc
from ronghe.apps.quality.inspector.packing import pack, parity, unpack
from ronghe.errors import AppError, ModelError
from ronghe.models import Package, load, save

Pixels = NDArray[np.uint8]
SHAPE = (120, 144)


def disc(seed: int, *, spot: tuple[int, int] | None = None, light: float = 0.0, gray: bool = False) -> Pixels:
    """A part; `spot` is (y, x) of a dark spot eleven pixels wide."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    r = np.hypot(y - 60 - rng.normal(0, 0.7), x - 72 - rng.normal(0, 0.7))
    surface = 130 + 40 * np.sin(r / 4) * (r < 50) - 60 * (r >= 50) + rng.normal(0, 4, SHAPE) + light + rng.normal(0, 2)
    if spot is not None:
        surface[np.hypot(y - spot[0], x - spot[1]) < 6] = 20
    plane = np.clip(surface, 0, 255).astype(np.uint8)
    return plane if gray else np.stack([plane, plane, np.clip(plane * 0.8, 0, 255).astype(np.uint8)], -1)


@functools.cache
def taught() -> Inspector:
    return learn([disc(i) for i in range(40)], false_reject=0.05, review=0.1)


def test_it_finds_where_parts_are_unlike_good_ones() -> None:
    inspector = taught()
    good = [inspector.judge(disc(100 + i)) for i in range(12)]
    spots = [(20 + 7 * i, 100 - 5 * i) for i in range(12)]
    bad = [inspector.judge(disc(200 + i, spot=s)) for i, s in enumerate(spots)]
    assert auroc(np.array([j.score for j in good]), np.array([j.score for j in bad])) > 0.99
    assert sum(j.verdict == "reject" for j in good) <= 2
    assert all(j.verdict != "pass" for j in bad)
    for (y, x), said in zip(spots, bad, strict=True):
        hot = said.where[0]
        assert hot.x0 - 8 <= x <= hot.x1 + 8
        assert hot.y0 - 8 <= y <= hot.y1 + 8
        assert said.heat.shape == SHAPE
        assert np.hypot(*(np.array(np.unravel_index(said.heat.argmax(), SHAPE)) - (y, x))) < 30  # a place is 15 px of this picture


def test_one_is_the_reject_limit_and_thresholds_may_be_set() -> None:
    inspector = taught()
    said = inspector.judge(disc(300, spot=(60, 72)))
    assert said.score == pytest.approx(said.raw / inspector.thresholds.reject)
    assert (said.verdict == "reject") == (said.score > 1)
    lenient = inspector.with_thresholds(reject=said.raw * 1.1, pass_below=said.raw * 0.9)
    assert lenient.judge(disc(300, spot=(60, 72))).verdict == "review"
    assert lenient.with_thresholds(pass_below=said.raw * 1.05).judge(disc(300, spot=(60, 72))).verdict == "pass"


def test_the_promise_is_by_item() -> None:
    """Four pictures of each of ten items: ten exchangeable items, not forty."""
    inspector = learn([disc(i) for i in range(40)], items=[str(i // 4) for i in range(40)], false_reject=0.01)
    assert inspector.promise.items == 10
    assert inspector.promise.rate == pytest.approx(1 / 11)
    assert not inspector.promise.attained
    for out in folds([str(i // 4) for i in range(40)], 5, np.random.default_rng(0)):
        assert all(len(set(out[i : i + 4])) == 1 for i in range(0, 40, 4))


def test_a_package_gives_the_very_same_numbers(tmp_path: Path) -> None:
    inspector = taught()
    save(tmp_path / "disc.model", pack(inspector, name="disc", created=1))
    package = load(tmp_path / "disc.model")
    again = unpack(package)
    pictures = [disc(400), disc(401, spot=(30, 50))]
    for p in pictures:
        assert again.judge(p).raw == inspector.judge(p).raw
        assert np.array_equal(again.judge(p).heat, inspector.judge(p).heat)
    assert parity(again, pictures) < 1e-4
    assert again.thresholds == inspector.thresholds
    assert {i.name for i in package.manifest.inputs} == {"height", "width", "light", "focus"}
    assert package.manifest.training.rows == 40


def test_teaching_is_repeatable() -> None:
    pictures = [disc(i) for i in range(8)]
    first, same = learn(pictures), learn(pictures)
    assert first.onnx == same.onnx
    assert first.thresholds == same.thresholds


def test_a_picture_unlike_any_it_was_taught_from_is_never_passed() -> None:
    inspector = taught().with_thresholds(reject=1e6, pass_below=1e6)
    dark, small = inspector.judge(disc(500, light=-90)), inspector.judge(disc(501)[:60, :60])
    assert (dark.verdict, small.verdict) == ("review", "review")
    assert "light" in dark.unlike[0].en
    assert "亮度" in dark.unlike[0].zh
    assert {t.en.split()[0] for t in small.unlike} >= {"height", "width"}
    assert inspector.judge(disc(502)).verdict == "pass"


def test_gray_pictures_of_several_sizes() -> None:
    pictures = [disc(i, gray=True)[: 120 - 4 * (i % 3), : 144 - 6 * (i % 2)] for i in range(24)]
    inspector = learn(pictures, options=Options(false_reject=0.1, scale=1.0))
    assert inspector.session.run(np.zeros((1, 128, 160, 3), np.uint8))[0].shape == (8, 10)  # the finest look's places
    assert inspector.judge(disc(600, gray=True)).heat.shape == SHAPE
    assert inspector.judge(disc(601, gray=True, spot=(60, 40))).score > inspector.judge(disc(602, gray=True)).score


def test_flat_pictures_break_nothing() -> None:
    inspector = learn([np.zeros((64, 64), np.uint8)] * 6)
    assert np.isfinite(inspector.judge(np.zeros((64, 64), np.uint8)).heat).all()
    assert inspector.judge(np.full((64, 64), 255, np.uint8)).verdict != "pass"


def test_too_few_items_are_refused() -> None:
    with pytest.raises(AppError, match="3 good items are too few"):
        learn([disc(i) for i in range(6)], items=["a", "a", "b", "b", "c", "c"])


def test_small_pictures_cost_the_same_and_large_ones_are_seen_closer() -> None:
    sides = [np.zeros((s, s), np.uint8) for s in (64, 256, 400, 512, 2000)]
    fast = [round(scale_for([p]) * len(p)) for p in sides]
    assert fast == [112, 112, 337, 512, 512]
    assert [round(scale_for([p], "fine") * len(p)) for p in sides] == [256, 256, 400, 512, 512]


def test_another_kind_of_package_is_refused() -> None:
    package = pack(taught(), name="disc", created=1)
    other = Package(msgspec.structs.replace(package.manifest, kind="maintenance.detect/1"), package.arrays, package.onnx)
    with pytest.raises(ModelError, match="ronghe quality fit"):
        unpack(other)
    cropped = Package(package.manifest, {**package.arrays, "stride16_unit": package.arrays["stride16_unit"][:, :-1]}, package.onnx)
    with pytest.raises(ModelError, match="do not fit each other"):
        unpack(cropped)


def test_the_bank_covers_what_is_rare() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0, 1, (500, 6)).astype(np.float32)
    points[7] += 40
    assert 7 in cover(points, 5, rng)
    bank = gather([points.T.reshape(6, 20, 25)], 20, rng)
    distance = bank.distance(np.stack([points[7], points[7] + 400], axis=1)[:, None])
    assert distance.shape == (1, 2)
    assert distance[0, 0] == pytest.approx(0.1)  # the least that is told
    assert distance[0, 1] > 5


def test_distances_along_a_few_axes_are_nearly_the_whole_ones() -> None:
    rng = np.random.default_rng(0)
    mixed = rng.normal(0, 1, (40, 40)) * np.geomspace(1, 0.01, 40)[:, None]
    good, far = (rng.normal(0, 1, (n, 40)) @ mixed for n in (600, 100))
    off = good[:50] + 30 * np.linalg.svd(mixed)[2][-1]  # unlike good ones only along the axis on which they hardly differ
    bank = gather([good.T.reshape(40, 20, 30).astype(np.float32)], 300, rng)
    assert len(bank.axes) < 30
    assert bank.axes @ bank.axes.T == pytest.approx(np.eye(len(bank.axes)), abs=1e-5)
    every = msgspec.structs.replace(bank, axes=np.eye(40, dtype=np.float32))
    for points in (far, off):
        x = points.T[:, None]
        assert bank.distance(x) == pytest.approx(every.distance(x), rel=0.15)
        assert bank.distance(x).mean() == pytest.approx(every.distance(x).mean(), rel=0.05)


def test_regions_are_boxes_around_what_is_hot() -> None:
    heat = np.zeros((20, 30), np.float32)
    heat[2:5, 3:9] = 1.5
    heat[10:12, 20:21] = 3.0
    assert [(r.x0, r.y0, r.x1, r.y1, r.score) for r in regions(heat)] == [(20, 10, 21, 12, 3.0), (3, 2, 9, 5, 1.5)]
    faint = regions(heat / 10)
    assert [(r.x0, r.y0, r.x1, r.y1) for r in faint] == [(20, 10, 21, 12)]
