"""A small store: items whose states are known, and the plant that it is in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ronghe.plant import Plant, Property, Tag
from ronghe.text import Text

END = datetime(2023, 11, 14, tzinfo=UTC)  # the last day of demand; the contract's rows begin that night
DAYS = 120
HEAD = "item,name,unit,lead_time,order_cost,service,on_hand,cost"


def write(folder: Path, items: Sequence[str], demand: dict[str, Sequence[float]]) -> None:
    """Items as lines under HEAD; demand of each, a day a value, ending on END."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "items.csv").write_text("\n".join([HEAD, *items]) + "\n", encoding="utf-8")
    lines = ["time,item,quantity"]
    for item, y in demand.items():
        first = END - timedelta(days=len(y) - 1)
        lines += [f"{(first + timedelta(days=t)).date()},{item},{v:g}" for t, v in enumerate(y) if v]
    (folder / "demand.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """bolt: steady, 10 a day, stock for 6 days and 5 days of lead time; glue: much too much; new: hardly any demand."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "plant" / "stock"
    write(
        folder,
        ["bolt,螺栓 bolt,pcs,5,50,0.95,60,1", "glue,胶水 glue,kg,3,10,0.95,9000,4", "new,新料 new,pcs,3,10,0.95,5,1"],
        {"bolt": rng.poisson(10, DAYS).tolist(), "glue": np.maximum(rng.normal(20, 3, DAYS), 0).round(2).tolist(), "new": [1, 0, 2]},
    )
    return folder


@pytest.fixture
def plant(store: Path) -> Plant:
    dictionary = {"level": Property(property="level", unit="1")}
    tags = {"store/bolts/level": Tag(tag="store/bolts/level", property="level", connection="scale")}
    return Plant(path="acme/suzhou/shop", name=Text("shop"), folder=str(store.parent), dictionary=dictionary, tags=tags)
