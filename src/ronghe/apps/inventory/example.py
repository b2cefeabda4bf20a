"""Writes a folder of items and demand that was made up, to try things on: six items, one of every kind of demand, two years of days."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ronghe.apps.inventory.generate import KINDS, WHOLE
from ronghe.errors import AppError
from ronghe.text import Text

_DAYS = 730
_ITEMS = (
    # kind, name, unit, lead time, its sd, cost, order cost, service, days of demand on hand, minimum, lot
    ("smooth", "钢板 steel sheet", "kg", 7, 2, 4.5, 300, 0.95, 4, 0, 0),
    ("weekly", "面粉 flour", "kg", 3, 1, 3.2, 80, 0.98, 20, 0, 25),
    ("erratic", "溶剂 solvent", "L", 10, 3, 18, 150, 0.95, 6, 200, 0),
    ("poisson", "轴承 bearing", "pcs", 14, 4, 65, 90, 0.98, 30, 0, 0),
    ("slow", "电机 motor", "pcs", 30, 7, 2400, 200, 0.9, 25, 0, 0),
    ("lumpy", "阀门 valve", "pcs", 21, 5, 120, 60, 0.95, 300, 10, 5),
)
HEAD = "item,name,unit,lead_time,lead_time_sd,cost,holding_rate,order_cost,service,on_hand,on_order,moq,lot"


def write(folder: Path, *, end: int, seed: int = 0) -> None:
    """Writes items.csv and demand.csv; demand ends on the day before `end` (s since 1970 UTC). Raises AppError where one is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("items.csv", "demand.csv"):
        if (folder / name).exists():
            raise AppError(Text(f"{name} is there already", f"{name} 已存在"), where=str(folder))
    first = datetime.fromtimestamp(end, UTC).date() - timedelta(days=_DAYS)
    items, demand = [], []
    for kind, name, unit, lead, lead_sd, cost, order, service, cover, least, lot in _ITEMS:
        y = KINDS[kind](_DAYS, np.random.default_rng([seed, *kind.encode()]))
        y = y if kind in WHOLE else np.round(y, 1)
        on_hand = round(cover * float(y.mean()), 0 if kind in WHOLE else 1)
        items.append((kind, name, unit, lead, lead_sd, cost, 0.2, order, service, on_hand, 0, least, lot))
        demand += [(str(first + timedelta(days=t)), kind, f"{v:g}") for t, v in enumerate(y.tolist()) if v > 0]
    demand.sort()
    for path, head, rows in (("items.csv", HEAD.split(","), items), ("demand.csv", ("time", "item", "quantity"), demand)):
        with (folder / path).open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(head)
            out.writerows(rows)
