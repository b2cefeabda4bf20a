"""Samples of a small plant, and stores that hold them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ronghe.cloud.lake import Lake
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

START = 1_772_323_200_000_000_000  # 2026-03-01T00:00:00Z
SECOND = 1_000_000_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def historian(tmp_path: Path) -> Iterator[Historian]:
    with Historian(tmp_path / "historian", TagIndex(), head_rows=2_000) as store:
        yield store


Put = Callable[..., Batch]


@pytest.fixture
def put(historian: Historian) -> Put:
    """Appends samples of some seconds from START on, with everything that a sample may be."""
    rng = np.random.default_rng(3)

    def append(first: int, last: int, *, tags: int = 5) -> Batch:
        at = START + np.repeat(np.arange(first, last), tags) * SECOND + np.tile(np.arange(tags), last - first)
        n = len(at)
        value = np.where(rng.random(n) < 0.05, np.nan, np.round(rng.normal(50, 9, n), 2))
        quality = np.where(rng.random(n) < 0.1, 0x80350000, 0)
        text = [f"批次 {i}" if i % 7 == 0 else None for i in range(n)]
        names = [f"line1/泵{i % tags}/flow" for i in range(n)]
        batch = Batch.of(historian.index, names, at, value, quality, text)
        historian.append(batch)
        return batch

    return append


def rows_of(batch: Batch) -> list[tuple[object, ...]]:
    """A batch as (tag, ns, value or None, quality, text), sorted."""
    text = [None] * len(batch) if batch.text is None else batch.text.to_pylist()
    value = [None if v != v else v for v in batch.value.tolist()]
    tags = [batch.index.names[i] for i in batch.tag.tolist()]
    return sorted(zip(tags, batch.time.tolist(), value, batch.quality.tolist(), text, strict=True), key=lambda r: r[:2])


def rows_in(lake: Lake) -> list[tuple[object, ...]]:
    """What the lake holds, alike."""
    found = lake.query("SELECT tag, time, nanos, value, quality, text FROM samples")
    time = found.column("time").cast(pa.int64()).to_numpy() * 1000 + found.column("nanos").to_numpy()
    columns = [time.tolist() if c == "time" else found.column(c).to_pylist() for c in ("tag", "time", "value", "quality", "text")]
    return sorted(zip(*columns, strict=True), key=lambda r: r[:2])  # type: ignore[return-value]


def table_of(n: int, *, first: int = 0, tags: int = 3, value: float = 0.0) -> pa.Table:
    """n samples, one a second, for `Lake.add`."""
    at = np.arange(first, first + n)
    return pa.table(
        {
            "tag": [f"line/p{i % tags}/flow" for i in at],
            "time": pa.array(START + at * SECOND).cast(pa.timestamp("ns", tz="UTC")),
            "value": at + value,
            "quality": np.zeros(n, np.uint32),
            "text": pa.nulls(n, pa.utf8()),
        }
    )
