"""A made-up blast furnace whose silicon is known to follow a hidden heat, coal, blast temperature, and chance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.furnace.silicon import training
from ronghe.apps.furnace.silicon.features import HOUR
from ronghe.apps.furnace.silicon.heats import Heats, smoothed
from ronghe.apps.furnace.silicon.packing import pack
from ronghe.models import save
from ronghe.signals.when import format_time

NAMES = ("coal", "blast_temperature", "top_pressure")
START = 1_690_000_000 * 10**9
NOISE = 0.08  # of log silicon: what nothing can forecast


def furnace(n: int, seed: int = 0) -> Heats:
    """So many heats, 20 to 60 min apart."""
    rng = np.random.default_rng(seed)
    gap = rng.uniform(1 / 3, 1, n)
    time = START + np.cumsum((gap * HOUR).astype(np.int64) // 10**9 * 10**9)
    heat = np.empty(n)
    process = np.empty((n, 3))
    held = now = 0.0
    state = np.zeros(3)
    for i in range(n):
        keep = np.exp(-gap[i] / np.array([6.0, 8.0, 3.0]))
        state = keep * state + np.sqrt(1 - keep**2) * rng.normal(size=3)
        fall = np.exp(-gap[i] / 10)
        held = fall * held + np.sqrt(1 - fall**2) * rng.normal()
        now = 0.15 * held + 0.12 * state[0] + 0.08 * state[1]
        heat[i] = now
        process[i] = state
    silicon = 0.45 * np.exp(heat + NOISE * rng.normal(size=n))
    process = np.array([45.0, 1150.0, 220.0]) + process * np.array([2.0, 20.0, 2.0])
    return Heats(NAMES, time, process, silicon, smoothed(silicon, 0.45))


def write(path: Path, heats: Heats) -> None:
    """The CSV file of rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(("time", *heats.names, "Fomer SI", "SI"))]
    for time, row, former, value in zip(heats.time, heats.process, heats.former, heats.silicon, strict=True):
        lines.append(",".join([format_time(int(time)).replace("T", " ").rstrip("Z"), *(f"{float(v)!r}" for v in (*row, former, value))]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def heats() -> Heats:
    return furnace(900)


@pytest.fixture(scope="session")
def model(heats: Heats, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the first 600 heats."""
    path = tmp_path_factory.mktemp("model") / "silicon.model"
    first = heats.cut(slice(0, 600))
    save(path, pack(training.fit(first), first, name="made up", created=START))
    return path
