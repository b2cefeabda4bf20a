"""The process pool behind `fanout`: order, errors as they are, workers killed. The same on Ray is in test_on_ray."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

from ronghe.cloud.lake.fanout import fanout
from ronghe.errors import CloudError


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """`work.py` as workers will import it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("work")


def test_results_in_order_and_errors_as_they_are(work: ModuleType) -> None:
    assert fanout(work.square, range(7), workers=2) == [n * n for n in range(7)]
    assert fanout(work.square, []) == []
    with pytest.raises(ValueError, match="no root of -4"):
        fanout(work.root, [1, -4], workers=1)


def test_what_a_killed_worker_had_in_hand_is_done_again(work: ModuleType, tmp_path: Path) -> None:
    names = ["a", "kill1", "b", "c", "kill2"]
    assert fanout(work.dies_once, [str(tmp_path / n) for n in names], workers=2) == names


def test_an_item_that_kills_every_worker_is_named(work: ModuleType) -> None:
    with pytest.raises(CloudError, match="died 3 times over 'bad'"):
        fanout(work.dies, ["good", "bad"], workers=2)
