"""`ronghe place`, on files and a server, with no plant running."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tests.models.placement.conftest import network, packed

from ronghe.cli.place import place
from ronghe.errors import ModelError, RongheError
from ronghe.models import graph, load, save
from ronghe.models.placement.trial import alone, inputs
from ronghe.models.runtime import Session


def run(*arguments: object) -> str:
    result = CliRunner().invoke(place, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_try(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_LANG", "en")
    save(tmp_path / "m.model", packed(network(), "mine"))
    view = json.loads(run("try", tmp_path / "m.model", "--site", server, "--deadline", "5s", "--seconds", 2, "--rate", 50, "--json"))
    (model,) = view["models"]
    assert model["model"] == "plain"  # as it is called there
    assert [o["site"] for o in model["options"]] == ["here", "workshop"]
    assert all("p99" in o["why"]["en"] for o in model["options"])
    assert model["options"][1]["compute_ms"] > 0
    assert view["p99_ms"] <= view["worst_ms"]
    (tmp_path / "other.onnx").write_bytes(network(bias=5.0))
    told = run("try", tmp_path / "other.onnx", "--site", server, "--deadline", "5s", "--seconds", 1)
    assert "trial, deadline 5000 ms) runs at here" in told
    assert "✗ workshop" in told


def test_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str) -> None:
    monkeypatch.setenv("RONGHE_LANG", "en")
    (tmp_path / "tags.csv").write_text("tag,property\n")
    (tmp_path / "dictionary.csv").write_text("property,type\n")
    (tmp_path / "plant.toml").write_text('[plant]\npath = "a/b/c"\n')
    with pytest.raises(RongheError, match="has no"):
        run("show", tmp_path)
    (tmp_path / "plant.toml").write_text(f'[plant]\npath = "a/b/c"\n[sites.shop]\nkind = "workshop"\nurl = "{server}"\n')
    told = run("show", tmp_path, "--seconds", 0.1)
    assert "has not placed any model yet" in told
    said = {"en": "why", "zh": "因"}
    option = {"site": "here", "compute_ms": 1.0, "link_ms": 0.0, "p99_ms": 1.0, "cost": 0.5, "meets": True, "why": said}
    model = {"model": "m", "app": "see", "deadline_ms": 50.0, "site": "here", "since": 0, "why": said, "options": [option]}
    moves = [{"time": 0, "model": "m", "from": "shop", "to": "here", "why": said}]
    (tmp_path / ".ronghe").mkdir()
    (tmp_path / ".ronghe" / "placement.json").write_text(json.dumps({"now": 0, "sites": [], "models": [model], "moves": moves}))
    told = run("show", tmp_path, "--seconds", 0.1)
    assert "m (see, deadline 50 ms) runs at here: why" in told
    assert "✓ here         why, cost 0.5" in told
    assert "00:00:00Z m: shop → here: why" in told


def test_a_graph_alone(tmp_path: Path) -> None:
    save(tmp_path / "m.model", packed(network(), "mine"))
    told = run("graph", tmp_path / "m.model", tmp_path / "out.model")
    package = load(tmp_path / "out.model")
    assert package.manifest.kind == "onnx"
    assert package.onnx == network()
    assert told.split() == ["mine-graph", "1", package.hash]
    (tmp_path / "x.onnx").write_bytes(network())
    assert alone(tmp_path / "x.onnx", created=1).manifest.name == "x"


def test_inputs_are_of_the_shape_that_the_graph_takes() -> None:
    ends = [graph.value("x", "uint8", ["n", "h", 3]), graph.value("y", "uint8", ["n", "h", 3])]
    session = Session(graph.model([graph.node("Identity", ["x"], ["y"])], [], ends[:1], ends[1:]))
    rng = np.random.default_rng(0)
    (made,) = inputs(session, {"x": (2, 5, 3)}, rng).values()
    assert (made.shape, made.dtype) == ((2, 5, 3), np.uint8)
    for wrong in ({}, {"x": (2, 5)}, {"x": (2, 5, 4)}):
        with pytest.raises(ModelError, match=r"give --shape x=\?,\?,3"):
            inputs(session, wrong, rng)
