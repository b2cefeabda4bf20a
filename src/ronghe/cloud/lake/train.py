"""Learning for a whole fleet: for each equipment of each plant, normal operation from the lake, as a package of `maintenance.detect`.

An equipment is what its tags have before their last part, as in a plant folder. Each is learned by itself, so that many go side by side.
"""

from __future__ import annotations

import time as system_time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import pack
from ronghe.cloud.lake.fanout import fanout
from ronghe.cloud.lake.table import Lake
from ronghe.errors import CloudError, RongheError
from ronghe.models import save
from ronghe.signals import Batch, Grid, TagIndex
from ronghe.signals.when import format_time
from ronghe.text import Text

_EQUIPMENT: Final = """
    SELECT plant, tag, count(value) AS n FROM samples
    WHERE time >= '{start}' AND time < '{end}' AND month BETWEEN '{first}' AND '{last}' GROUP BY plant, tag ORDER BY plant, tag"""
_SAMPLES: Final = """
    SELECT tag, time, nanos, value, quality FROM samples
    WHERE plant = {plant} AND month BETWEEN '{first}' AND '{last}' AND tag IN ({tags}) AND time >= '{start}' AND time < '{end}'
    ORDER BY time, nanos, tag"""


class Job(msgspec.Struct, frozen=True):
    """One equipment to be learned: its tags, the span (ns since 1970 UTC), a row every `every` ns; where to read and where to write."""

    url: str
    options: dict[str, Any]
    plant: str
    equipment: str
    tags: tuple[str, ...]
    start: int
    end: int
    every: int
    output: str
    created: int


class Learned(msgspec.Struct, frozen=True):
    """What came of it: the package and its hash, or why there is none."""

    plant: str
    equipment: str
    rows: int = 0
    package: str = ""
    hash: str = ""
    why: Text | None = None


def train(
    lake: Lake,
    output: Path,
    *,
    start: int,
    end: int,
    every: int,
    plants: Sequence[str] = (),
    on: Literal["processes", "ray"] = "processes",
    workers: int | None = None,
    address: str | None = None,
    clock: Callable[[], int] = system_time.time_ns,
) -> list[Learned]:
    """Learns every equipment that has samples in [start, end) (ns); of some plants, if they are named. A package each in `output`.

    Raises CloudError when there is nothing to learn from; an equipment that cannot be learned says why and holds up no other.
    """
    found = jobs(lake, output, start=start, end=end, every=every, plants=plants, clock=clock)
    if not found:
        raise CloudError(
            Text("no samples of that time in the lake", "数据湖中没有该时段的数据"),
            where=lake.uri("samples"),
            todo=Text("`ronghe lake tables` says what there is", "用 `ronghe lake tables` 查看现有数据"),
        )
    output.mkdir(parents=True, exist_ok=True)
    return fanout(learn_one, found, on=on, workers=workers, address=address)


def jobs(
    lake: Lake,
    output: Path,
    *,
    start: int,
    end: int,
    every: int,
    plants: Sequence[str] = (),
    clock: Callable[[], int] = system_time.time_ns,
) -> list[Job]:
    """One job for each equipment, sorted."""
    if lake.open() is None:
        return []
    tags = lake.query(_EQUIPMENT.format(**_span(start, end)))
    groups: dict[tuple[str, str], list[str]] = {}
    for row in tags.to_pylist():
        if row["n"] and (not plants or row["plant"] in plants):
            groups.setdefault((row["plant"], row["tag"].rpartition("/")[0]), []).append(row["tag"])
    return [
        Job(lake.url, dict(lake.given), plant, equipment, tuple(names), start, end, every, str(output.resolve()), clock())
        for (plant, equipment), names in groups.items()
    ]


def learn_one(job: Job) -> Learned:
    """Learns one equipment and writes its package; the same numbers wherever it runs."""
    try:
        time, rows = read(job)
        kept = 2 * np.isnan(rows).sum(1) <= rows.shape[1]  # as the app keeps rows while it learns
        time, rows = time[kept], rows[kept]
        normal = learn(rows)
        columns = [Measured(t, t.rpartition("/")[2], Text(t.rpartition("/")[2]), "") for t in job.tags]
        name = f"{job.plant}/{job.equipment}".strip("/").replace("/", "--")
        package = pack(normal, columns, rows, name=name, created=job.created, time=time, every=job.every / 1e9)
        path = Path(job.output) / f"{name}.model"
        return Learned(job.plant, job.equipment, len(rows), str(path), save(path, package))
    except RongheError as e:
        return Learned(job.plant, job.equipment, why=Text(e.in_("en"), e.in_("zh")))


def read(job: Job) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(time int64[n] ns, value float64[n, k]) of an equipment's tags on a grid, as an app is given them live (`signals.Grid`)."""
    listed = ", ".join(map(_text, job.tags))
    found = Lake(job.url, job.options).query(_SAMPLES.format(plant=_text(job.plant), tags=listed, **_span(job.start, job.end)))
    index = TagIndex()
    time = found.column("time").cast(pa.int64()).to_numpy() * 1000 + found.column("nanos").to_numpy()
    names = found.column("tag").combine_chunks().dictionary_encode()
    ids = index.ids(names.dictionary.to_pylist())[names.indices.to_numpy()] if len(found) else np.empty(0, np.int32)
    value = found.column("value").to_numpy(zero_copy_only=False)
    batch = Batch.of(index, ids, time, value, found.column("quality").to_numpy().astype(np.uint32))
    grid = Grid(index, job.tags, job.every)
    windows = [w for w in (grid.push(batch) if len(batch) else None, grid.flush(job.end + grid.grace)) if w is not None]
    if not windows:
        return np.empty(0, np.int64), np.empty((0, len(job.tags)))
    time, value = np.concatenate([w.time for w in windows]), np.concatenate([w.value for w in windows])
    return time[time < job.end], value[time < job.end]


def _span(start: int, end: int) -> dict[str, str]:
    first, last = (str(np.datetime64(t, "ns").astype("datetime64[M]")) for t in (start, max(end - 1, start)))
    return {"start": format_time(start // 1000 * 1000), "end": format_time(end // 1000 * 1000), "first": first, "last": last}


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
