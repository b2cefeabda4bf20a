"""Load cycles are found where there are some, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from ronghe.apps.maintenance.cycle import load_cycle
from ronghe.apps.maintenance.normal import learn


@pytest.mark.parametrize("length", [8, 25, 60])
@pytest.mark.parametrize("shape", ["sine", "saw", "steps"])
def test_found(length: int, shape: str) -> None:
    rng = np.random.default_rng(0)
    phase = (np.arange(20 * length) % length) / length
    wave = {"sine": np.sin(2 * np.pi * phase), "saw": phase, "steps": np.floor(4 * phase) % 3}[shape]
    rows = np.column_stack([rng.normal(size=len(wave)), 50 + 3 * wave + 0.3 * rng.normal(size=len(wave))])
    assert load_cycle(rows) == length
    assert load_cycle(rows, shortest=20) == length * -(-20 // length)
    rows[3::7, 1] = np.nan
    assert load_cycle(rows) == length


def test_not_found_where_nothing_repeats() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = np.column_stack([rng.normal(size=400), np.cumsum(rng.normal(size=400)), np.linspace(0, 5, 400), np.ones(400)])
        assert load_cycle(rows) == 0


def test_the_window_spans_the_cycle() -> None:
    rng = np.random.default_rng(0)
    rows = np.sin(np.arange(600) * 2 * np.pi / 30)[:, None] + 0.1 * rng.normal(size=(600, 2))
    assert learn(rows).window == 30
    assert learn(rows, window=12).window == 12


def test_a_few_rows_without_any_return_have_no_cycle() -> None:
    """Fifteen rows whose correlation never comes back above zero."""
    rng = np.random.default_rng(0)
    for _ in range(300):
        assert load_cycle(rng.normal(size=(15, 3)), shortest=20) == 0
        assert load_cycle(np.cumsum(rng.normal(size=(15, 1)), axis=0), shortest=20) == 0
