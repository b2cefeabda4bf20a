"""The order board of the demonstration: orders, stock, deliveries and recipes in the plant folder, made, with dates from now on.

The tables are those in `works/`; @+7h@ in them is seven hours after now, and the demand of the stock is drawn.
"""

from __future__ import annotations

import csv
import re
import shutil
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Final

import numpy as np

PARTS: Final = ("schedule", "stock", "logistics", "recipes")
DAYS: Final = 120  # of demand
_TIME: Final = re.compile(r"@\+(\d+)h@")
_DEMAND: Final = {  # item → chance of a demand on a day, its mean
    "laminate": (0.9, 62.0),
    "thin laminate": (0.6, 14.0),
    "etchant": (0.95, 48.0),
    "solder mask": (0.5, 1.6),
    "drill bit": (0.25, 22.0),
}


def write_works(folder: Path, now: datetime) -> None:
    """Writes the four folders, in place of those of an earlier run."""
    start = now.astimezone(UTC).replace(second=0, microsecond=0)
    with as_file(files("ronghe.demo").joinpath("works")) as works:
        for part in PARTS:
            shutil.rmtree(folder / part, ignore_errors=True)
            (folder / part).mkdir(parents=True)
            for source in sorted((works / part).iterdir()):
                text = _TIME.sub(lambda m: (start + timedelta(hours=int(m[1]))).isoformat(), source.read_text(encoding="utf-8"))
                (folder / part / source.name).write_text(text, encoding="utf-8")
    with (folder / "stock" / "demand.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["time", "item", "quantity"])
        writer.writerows(_demand(start))


def _demand(start: datetime) -> list[tuple[str, str, float]]:
    """Demand of the last days, without Sundays."""
    rng = np.random.default_rng(5)
    rows = []
    for back in range(DAYS, 0, -1):
        day = (start - timedelta(days=back)).date()
        for item, (chance, mean) in _DEMAND.items():
            asked = float(rng.random()) < chance
            quantity = round(float(rng.gamma(6.0, mean / 6.0)), 0 if mean > 10 else 1)
            if asked and quantity and day.weekday() < 6:
                rows.append((day.isoformat(), item, quantity))
    return rows
