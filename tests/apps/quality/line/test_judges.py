"""Boards of several designs by their templates."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ronghe.apps.quality.boards.judge import Templates, pack, unpack
from ronghe.apps.quality.boards.template import NAMES, Comparer
from ronghe.apps.quality.line import judges
from ronghe.demo.boards import boards, photographed
from ronghe.errors import AppError, ModelError
from ronghe.models import Package, load, save

BOARDS = boards()[:4]


def templates() -> Templates:
    return Templates([b.name for b in BOARDS], np.stack([b.template for b in BOARDS]), Comparer())


def test_a_package_tells_designs_apart_and_judges_each(tmp_path: Path) -> None:
    save(tmp_path / "boards.model", pack(templates(), name="boards", created=1))
    model = judges.open_model(load(tmp_path / "boards.model"))
    again, rng = unpack(load(tmp_path / "boards.model")), np.random.default_rng(2)
    for i, board in enumerate(BOARDS):
        good, bad = photographed(board.template, rng), photographed(board.tested, rng)
        assert again.design(good) == again.design(bad) == i
        assert model.judge.judge(good).score < model.pass_below
        found = model.judge.judge(np.stack([bad] * 3, axis=2))
        assert found.score > 1
        assert {mark[5] for mark in found.where} <= {name.en for name in NAMES.values()}
        assert list(found.where) == sorted(found.where, key=lambda m: -m[4])
        assert all(0 <= m[0] < m[2] <= 1 and 0 <= m[1] < m[3] <= 1 for m in found.where)


def test_what_is_like_no_template_does_not_pass() -> None:
    model = judges.of_templates(templates(), "boards", "1", "", 0)
    other = photographed(boards()[-1].template, np.random.default_rng(1))
    judged = model.judge.judge(other)
    assert judged.unlike or judged.score > 1
    with pytest.raises(AppError, match="pixels"):
        model.judge.judge(other[:600])


def test_a_package_that_does_not_fit_is_refused() -> None:
    package = pack(templates(), name="boards", created=1)
    with pytest.raises(ModelError, match="fit"):
        unpack(with_settings(package, designs=["one"]))
    with pytest.raises(ModelError, match="settings"):
        unpack(with_settings(package, comparison={"least": "much"}))


def with_settings(package: Package, **settings: object) -> Package:
    manifest = msgspec.structs.replace(package.manifest, settings={**package.manifest.settings, **settings})
    return Package(manifest, package.arrays)
