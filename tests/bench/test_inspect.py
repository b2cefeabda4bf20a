"""`ronghe bench inspect`: the networks are those that were published, the methods are right, and a small run has every key."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ronghe.bench import inspect, parts
from ronghe.bench.inspect_methods import METHODS, Detector, Method, coreset, fit
from ronghe.bench.inspect_networks import efficientad, resnet
from ronghe.cli.bench import bench
from ronghe.models import graph
from ronghe.models.runtime import Session
from ronghe.picture import find, read

TINY = inspect.Amounts(seeds=2, train=6, good=4, defective=5, size=96, seconds=0.05)


def test_the_networks_have_as_many_parameters_as_the_published_ones() -> None:
    # torchvision without the classifier: 11,689,512 - 513,000; EfficientAD-S: 8 M (Batzner et al., table 1)
    assert resnet("resnet18", 64, stages=4)[1] == 11_176_512
    assert efficientad(False)[1] == 8_057_856


def test_the_wide_network_has_as_many_parameters_as_the_published_one() -> None:
    stem_to_third = 64 * 3 * 49 + 128
    for planes, high, blocks in ((64, 256, 3), (128, 512, 4), (256, 1024, 6)):
        low, mid = (64 if planes == 64 else high // 2), 2 * planes
        stem_to_third += low * high + 2 * high
        for i in range(blocks):
            stem_to_third += (low if i == 0 else high) * mid + 9 * mid * mid + mid * high + 2 * (mid + mid + high)
    assert resnet("wide_resnet50_2", 64)[1] == stem_to_third


def test_features_come_at_an_eighth_and_a_sixteenth() -> None:
    onnx, _ = resnet("resnet18", 64)
    seen = Session(onnx, outputs=("stage2", "stage3")).run(np.zeros((1, 64, 64, 3), np.uint8))
    assert [s.shape for s in seen] == [(1, 128, 8, 8), (1, 256, 4, 4)]


def test_the_coreset_takes_one_point_of_each_heap_first() -> None:
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [100, 0], [0, 100], [100, 100]], np.float32)
    points = np.concatenate([m + rng.standard_normal((50, 2)).astype(np.float32) for m in middles])
    assert sorted(coreset(points, 4, rng) // 50) == [0, 1, 2, 3]


def patches(method: Method, onnx: bytes, pictures: list[np.ndarray]) -> np.ndarray:
    """The features [pictures, places, channels] that a fitted detector sees."""
    whole = graph.extend(onnx, [], [], [graph.value("patches", "float32", ["places", "channels"])])
    return np.stack([Session(whole).run(p[None])[0] for p in pictures])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    folder = tmp_path_factory.mktemp("parts")
    parts.write(folder, 0, train=6, good=1, defective=0, size=64)
    return [read(p) for p in find(folder)]


def test_patchcore_gives_the_distance_to_the_nearest_patch_of_its_bank(pictures: list[np.ndarray]) -> None:
    method = Method("patchcore", "lite0", 64, share=1.0)
    new, *known = pictures
    found = fit(method, known, seed=0)
    score, distances = Session(found.onnx).run(new[None])
    seen = patches(method, found.onnx, pictures).astype(np.float64)
    bank = seen[1:].reshape(-1, seen.shape[-1])
    expected = np.sqrt(((seen[0][:, None] - bank[None]) ** 2).sum(2).min(1)).reshape(8, 8)
    assert np.allclose(distances, expected, atol=0.02 * expected.max())
    assert score[0] == distances.max() == Detector(found.onnx, 64).score(new)
    assert Detector(found.onnx, 64).score(known[0]) < 0.1 * score[0]


def test_padim_gives_the_mahalanobis_distance_of_each_place(pictures: list[np.ndarray]) -> None:
    method = Method("padim", "lite0", 64)
    new, *known = pictures
    found = fit(method, known, seed=0)
    _, distances = Session(found.onnx).run(new[None])
    seen = patches(method, found.onnx, pictures).astype(np.float64)
    for place in (0, 100, 255):
        spread = np.cov(seen[1:, place].T) + 0.01 * np.eye(100)
        apart = seen[0, place] - seen[1:, place].mean(0)
        assert distances.ravel()[place] == pytest.approx(np.sqrt(apart @ np.linalg.inv(spread) @ apart), rel=0.01)


def test_a_tiny_run_has_every_key_and_the_random_networks_have_no_auroc() -> None:
    found = inspect.run(full=True, amounts=TINY, only=["patchcore_lite0_1", "patchcore_resnet18_1"])
    json.dumps(found)
    assert found["networks"].keys() == {"ronghe", "ronghe_fine", "patchcore_lite0_1", "patchcore_resnet18_1"}
    for name, network in found["networks"].items():
        assert "failed" not in network, network
        assert network["cpu_ms_p50"] > 0
        assert network["cpu_ms_p99"] >= network["cpu_ms_p50"]
        assert network["fit_s"] > 0
        assert network["memory_mb"] > 10
        assert network["two_threads"]["cpu_ms_p50"] > 0
        assert (network["auroc"] is None) == (name == "patchcore_resnet18_1")
        assert network["weights"].startswith("random" if name == "patchcore_resnet18_1" else "ImageNet")
    ours, peer = found["networks"]["ronghe"], found["networks"]["patchcore_lite0_1"]
    assert len(ours["auroc_each"]) == 2
    assert found["ratios"]["patchcore_lite0_1"]["auroc_gap"] == pytest.approx(ours["auroc"] - peer["auroc"], abs=1e-4)
    assert found["ratios"]["patchcore_lite0_1"]["cpu_ratio"] == pytest.approx(peer["cpu_ms_p50"] / ours["cpu_ms_p50"], rel=0.01)
    assert found["ratios"]["patchcore_resnet18_1"]["auroc_gap"] is None


def test_the_command_takes_folders_and_prints_one_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.write(tmp_path, 0, train=6, good=4, defective=5, size=96)
    monkeypatch.setattr(inspect, "METHODS", {"patchcore_lite0_1": METHODS["patchcore_lite0_1"]})
    monkeypatch.setattr(inspect, "FULL", TINY)
    folders = ["--good-train", "train", "--good", "good", "--defective", "defective/spot", "--defective", "defective/crack"]
    given = [a if a.startswith("--") else str(tmp_path / a) for a in folders]
    done = CliRunner().invoke(bench, ["inspect", "--json", "--full", *given], catch_exceptions=False)
    assert done.exit_code == 0
    found = json.loads(done.output)
    assert found["pictures"] == {"drawn": False, "splits": 1, "train": 6, "good": 4, "defective": 2}
    assert found["networks"].keys() == {"ronghe", "ronghe_fine", "patchcore_lite0_1"}
    assert all(len(n["auroc_each"]) == 1 for n in found["networks"].values())


def test_folders_belong_together_and_to_this_benchmark(tmp_path: Path) -> None:
    for arguments in (["inspect", "--good", str(tmp_path)], ["loop", "--good", str(tmp_path)]):
        done = CliRunner().invoke(bench, arguments)
        assert done.exit_code == 2
        assert "--good-train" in done.output


def test_a_detector_that_has_no_time_is_left_out_and_one_that_fails_says_why(tmp_path: Path) -> None:
    task = {"step": "fit", "name": "patchcore_lite0_1", "splits": [], "model": str(tmp_path / "m"), "full": True}
    assert "--full" in inspect._child(task, 0.0)["left_out"]
    assert "KeyError" in inspect._child({**task, "name": "nosuch", "splits": [{"train": "x"}]}, None)["failed"]


def test_one_step_can_be_run_by_hand(tmp_path: Path) -> None:
    task = {"step": "draw", "folder": str(tmp_path), "seed": 0, "train": 1, "good": 1, "defective": 5, "size": 64}
    subprocess.run([sys.executable, "-m", "ronghe.bench.inspect_process", json.dumps(task)], check=True, capture_output=True)
    assert len(find(tmp_path)) == 7
