"""Made-up load of a plant that works two shifts."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

STARTS = datetime(2026, 1, 1)  # a Thursday  # noqa: DTZ001


def working(days: int, seed: int = 0) -> NDArray[np.float64]:
    """kW by quarter-hour: 20 at night and on Sundays, about 300 with peaks from 8 to 20 on other days."""
    rng = np.random.default_rng(seed)
    hour = np.arange(days * 96) % 96 / 4
    weekday = (np.arange(days * 96) // 96 + STARTS.weekday()) % 7
    on = (hour >= 8) & (hour < 20) & (hour != 12) & (weekday < 6)
    return np.where(on, 220 + 60 * rng.gamma(2.0, 1.0, len(hour)), 20 + 5 * rng.random(len(hour)))


def write(folder: Path, load: NDArray[np.float64], name: str = "load.csv", first: int = 0) -> None:
    """The plain format; `load[first:]`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{(STARTS + timedelta(minutes=15 * i)).isoformat()},{load[i]:.3f}" for i in range(first, len(load))]
    (folder / name).write_text("\n".join(["time,load_kw", *rows]) + "\n", encoding="utf-8")


@pytest.fixture(scope="session")
def load() -> NDArray[np.float64]:
    return working(31 + 28)
