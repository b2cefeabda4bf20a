from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from ronghe.errors import MissingExtra, ModelError
from ronghe.models import weights
from ronghe.models.runtime import Session

CHANNELS = {
    "stride4": (24, 4),
    "stride8": (40, 8),
    "stride16a": (80, 16),
    "stride16b": (112, 16),
    "stride16": (112, 16),
    "stride32": (320, 32),
    "head": (1280, 32),
}


def test_lite0_says_where_it_came_from_and_gives_its_layers() -> None:
    assert "lite0" in weights.names()
    assert weights.origin("lite0").licence == "Apache-2.0"
    session = Session(weights.load("lite0"))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    for name, array in zip(session.outputs, session.run(pixels), strict=True):
        channels, stride = CHANNELS[name]
        assert array.shape == (2, channels, 64 // stride, 96 // stride)
        assert np.isfinite(array).all()


def test_lite0_gives_the_numbers_of_the_network_it_was_converted_from() -> None:
    """Means by PyTorch of the original weights on this picture (tools/convert_lite0.py --check compares every value)."""
    ramp = np.add.outer(np.arange(64), np.arange(96)) % 256
    pixels = np.stack([ramp, 255 - ramp, ramp // 2], -1).astype(np.uint8)[None]
    session = Session(weights.load("lite0"), outputs=("stride8", "stride16"))
    means = [float(np.abs(a).mean()) for a in session.run(pixels)]
    assert means == pytest.approx(EXPECTED, rel=0.01)


EXPECTED = [5.6258, 4.4979]


def test_a_part_of_it_gives_the_same_numbers() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 64, 64, 3), np.uint8)
    whole = dict(zip(CHANNELS, Session(weights.load("lite0")).run(pixels), strict=True))
    (part,) = Session(weights.load("lite0"), outputs=("stride16",)).run(pixels)
    assert np.array_equal(part, whole["stride16"])


def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lite0.json").write_bytes((Path(str(weights.__file__)).parent / "lite0.json").read_bytes())
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="missing"):
        weights.load("lite0")
    (tmp_path / "lite0.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match="damaged"):
        weights.load("lite0")


def test_unknown_weights_name_those_there_are() -> None:
    with pytest.raises(ModelError, match="lite0"):
        weights.load("lite9")


def test_without_onnxruntime_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"ronghe\[vision\]"):
        Session(weights.load("lite0"))
