"""From the sealed history of a plant to the lake: what is new since the last time, late samples included, each once.

The segments of a historian stand in the order in which their samples were written, and only neighbours are merged. So all up to the last
segment that was there at the last sync is known, whatever its parts have been merged into, and all after it is new (or merged with
something new: `Lake.add` then finds what is there already). The number from which on segments are new is written into the table's own
log, with the samples: the two cannot disagree, and an interrupted sync is simply done again.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa

from ronghe.cloud.lake.table import Added, Lake
from ronghe.errors import HistorianError, RongheError, StoreLocked
from ronghe.historian import Historian, disk, manifest
from ronghe.historian.block import Block
from ronghe.historian.cache import BlockCache
from ronghe.historian.names import Names
from ronghe.historian.query import Sources
from ronghe.historian.segment import Meta, Segment
from ronghe.signals import TagIndex
from ronghe.text import Text

_HOUR: Final = 3_600_000_000_000
_ID: Final = "lake.id"


class Synced(msgspec.Struct, frozen=True):
    """What one sync of a plant did. `read` rows were looked at, of the segments that were new."""

    plant: str
    segments: int
    read: int
    added: Added


def seal(store: Path) -> bool:
    """Seals what a store still holds in memory; False when the process that writes to it must do that. Raises StoreFull."""
    try:
        with Historian(store, TagIndex()) as historian:
            historian.flush()
    except StoreLocked:
        return False
    return True


def sync(lake: Lake, plant: str, store: Path, *, everything: bool = False) -> Synced:
    """Brings what is new in the sealed history of `store` into the lake. `everything`: looks at all of it again.

    Raises HistorianError for a damaged store, CloudError when the lake cannot be written to; nothing is lost then, nor doubled by the next.
    """
    lock = disk.ReaderLock(store)  # keeps merged segments in place meanwhile
    try:
        now = manifest.load(store)
        app = f"{plant} {_identity(store)}"
        table = lake.open()
        known = (table.transaction_version(app) if table is not None else None) or 0
        new = now.segments if everything or now.next < known else _new(now.segments, known)
        if not new:
            return Synced(plant, 0, 0, Added())
        cache = BlockCache()
        sources = Sources(tuple(Segment(store, meta, cache) for meta in new))
        names = pa.array(Names(store, TagIndex(), readonly=True).names, pa.utf8())
        added, read = Added(), 0
        try:
            for start, end in sources.split(None, min(m.first for m in new), max(m.last for m in new) + 1, _HOUR):
                block = sources.raw(None, start, end)
                read += len(block)
                if len(block):
                    added += lake.add(plant, _rows(block, names), (app, known))
                sources.let_go()
        finally:
            for segment in sources.segments:
                segment.close()
        lake.add(plant, _rows(Block.empty(), names), (app, now.next))
        return Synced(plant, len(new), read, added)
    except FileNotFoundError as e:
        raise HistorianError(Text("a segment is missing", "缺少数据段文件"), where=str(e.filename or store)) from e
    finally:
        lock.release()


def sync_all(lake: Lake, stores: Mapping[str, Path], seal_them: Callable[[Path], bool] | None = seal) -> list[Synced]:
    """Seals (unless whoever writes to them has) and syncs the stores of several plants; see `sync`. One in trouble keeps out no other: its
    error is raised at the end."""
    found, troubles = [], []
    for plant, store in stores.items():
        try:
            if seal_them is not None:
                seal_them(store)
            found.append(sync(lake, plant, store))
        except RongheError as e:
            troubles.append(e)
    if troubles:
        raise troubles[0]
    return found


def _new(segments: Sequence[Meta], known: int) -> Sequence[Meta]:
    """Those after the last that was there when `known` was the number of the next."""
    at = [i for i, s in enumerate(segments) if int(s.file.removeprefix("seg-").removesuffix(".parquet")) < known]
    return segments[at[-1] + 1 :] if at else segments


def _identity(store: Path) -> str:
    """What tells this store from another that once lay in the same folder."""
    path = store / _ID
    if not path.exists():
        disk.replace(path, uuid.uuid4().hex[:16].encode())
    return path.read_text("ascii")


def _rows(block: Block, names: pa.StringArray) -> pa.Table:
    return pa.table(
        {
            "tag": names.take(pa.array(block.tag)),
            "time": pa.array(block.time.astype(np.int64)).cast(pa.timestamp("ns", tz="UTC")),
            "value": block.value,
            "quality": block.quality,
            "text": pa.nulls(len(block), pa.utf8()) if block.text is None else block.text,
        }
    )
