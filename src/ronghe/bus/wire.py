"""A batch as bytes: one Arrow IPC stream with zstd, exact to the bit, at some 2.5 bytes a sample of ordinary process values.

Any Arrow reader opens a message. Its schema's metadata, key `ronghe`, is JSON (`_Head`) that says how the columns were packed (see
`packing`); names of tags are a JSON list, the one value of the column `names`; text is the column `text`. Rows keep their order.

Names cost more than values: 4 to 6 bytes each where they follow no pattern, in every message of a batch that holds a tag once. So an
`Encoder` sends them once, as a message of their own of kind `subjects.TAGS` (a batch without rows), and again from time to time; later
batches name the table by its hash, and carry only the names that it lacks. A `Decoder` keeps tables; for one that it has not got it
raises UnknownTags, which names it: the message can be taken once the table came. `encode` alone makes messages that need no table.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.bus import packing, subjects
from ronghe.bus.contract import Message
from ronghe.errors import BusError
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

_KEY: Final = b"ronghe"
_VERSION: Final = 1
_LEVEL: Final = 3
_HASH: Final = re.compile("[0-9a-f]{32}")
_QUALITIES: Final = 255  # more different ones than these are written out


class _Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a message is packed. Columns of bytes are named KEY.0, KEY.1 … from the lowest."""

    version: int = _VERSION
    table: str = ""  # hash of the names that tags below `known` refer to
    known: int = 0  # none, but a table: the message tells the names of the table
    qualities: tuple[int, ...] = ()  # which `quality` counts in; none: it is the code itself
    columns: dict[str, packing.Column] = {}


class UnknownTags(BusError):
    """A message refers to a table of names, `hash`, that has not come yet."""

    def __init__(self, hash: str) -> None:
        super().__init__(
            Text(f"the names of this batch (table {hash}) have not arrived yet", f"该批次的标签名表（{hash}）尚未到达"),
            todo=Text("give the message back; its node sends the table again", "请退回该消息，节点会重新发送标签名表"),
        )
        self.hash = hash


class Table(msgspec.Struct, frozen=True):
    """Names of tags by position, known by their hash."""

    names: tuple[str, ...]
    hash: str

    @classmethod
    def of(cls, names: Sequence[str]) -> Table:
        """With SHA-256 over the names, shortened to 128 bits."""
        return cls(tuple(names), hashlib.sha256("\0".join(names).encode()).hexdigest()[:32])


def encode(batch: Batch, table: Table | None = None) -> bytes:
    """The bytes of a batch. With `table`, whose names must be the first of `batch.index`, only other names are written."""
    known = len(table.names) if table is not None else 0
    tag, names = _local(batch, known)
    quality = batch.quality.astype(np.int64)
    qualities, place = np.unique(quality, return_inverse=True)
    if len(qualities) <= _QUALITIES:
        quality = place.astype(np.int64)
    values = packing.encode(np.ascontiguousarray(batch.value), tag)
    packed = {
        "tag": packing.pack_differences(tag),
        "time": packing.pack_differences(batch.time),
        "code": packing.pack(values.code.astype(np.int64)),
        "digits": packing.pack(packing.differ(values.digits, tag)),
        "bits": packing.pack(values.bits),
        "quality": packing.pack(quality),
    }
    head = _Head(
        table=table.hash if table is not None and known else "",
        known=known,
        qualities=tuple(qualities.tolist()) if len(qualities) <= _QUALITIES else (),
        columns={key: column for key, (column, _) in packed.items()},
    )
    arrays = {f"{key}.{i}": pa.array(plane) for key, (_, planes) in packed.items() for i, plane in enumerate(planes)}
    if batch.text is not None:
        arrays["text"] = batch.text
    return _write(head, names, len(batch), arrays)


def encode_table(table: Table) -> bytes:
    """A message without rows that tells the names of a table."""
    return _write(_Head(table=table.hash), table.names, 0, {})


def decode(data: bytes, index: TagIndex) -> Batch:
    """The batch of a message that needs no table. Raises UnknownTags, or BusError for bytes that are no message."""
    return Decoder(index).decode(data)


class Encoder:
    """Messages of one node, with its names sent once and again after `again` s, in case that they were lost at the centre."""

    def __init__(self, plant: str, node: str, clock: Callable[[], int], *, again: float = 3_600.0) -> None:
        self._samples, self._tags = (subjects.subject(plant, node, kind) for kind in (subjects.SAMPLES, subjects.TAGS))
        self._clock, self._again = clock, round(again * 1e9)
        self._table: Table | None = None
        self._sent = 0

    def messages(self, batch: Batch, id: str) -> list[Message]:
        """The messages to put into the outbox together: the batch as `id`, and before it the table of names if it is due."""
        now = self._clock()
        fits = self._table is not None and len(batch.index) <= len(self._table.names) * 1.05
        out = []
        if self._table is None or not fits or now - self._sent > self._again:
            if not fits or self._table is None:
                self._table = Table.of(batch.index.names[: len(batch.index)])
            self._sent = now
            out.append(Message(self._tags, f"{self._tags}-{self._table.hash}-{now}", encode_table(self._table), now))
        out.append(Message(self._samples, id, encode(batch, self._table), now))
        return out


class Decoder:
    """Batches of one plant from messages. With a folder, tables that came are kept there, durable when `decode` returns."""

    def __init__(self, index: TagIndex, folder: Path | None = None) -> None:
        self._index, self._folder = index, folder
        self._ids: dict[str, NDArray[np.int32]] = {}  # by table: the id in `index` of each of its names

    def decode(self, data: bytes) -> Batch:
        """Raises UnknownTags, or BusError for bytes that are no message. A table is a batch without rows. Raises OSError of the folder."""
        try:
            head, names, rows = _read(data)
            if head.table and not head.known:
                self._keep(head.table, names, data)
                return Batch.empty(self._index)
            return self._batch(head, names, rows)
        except (pa.ArrowException, msgspec.MsgspecError, ValueError, IndexError, KeyError, TypeError, OverflowError) as e:
            raise BusError(Text(f"these bytes are no batch: {e}", f"数据不是有效的样本批次：{e}")) from e

    def _batch(self, head: _Head, names: Sequence[str], rows: pa.RecordBatch) -> Batch:
        n = rows.num_rows

        def column(key: str) -> NDArray[np.int64]:
            packed = head.columns[key]
            return packing.unpack(packed, [rows.column(f"{key}.{i}").to_numpy() for i in range(packed.planes)], n)

        tag = column("tag")
        if n and (tag.min() < 0 or tag.max() >= head.known + len(names)):
            raise ValueError("a tag without a name")
        ids = self._index.ids(names)
        if head.known:
            ids = np.concatenate([self._table(head.table)[: head.known], ids])
        quality = column("quality")
        if head.qualities:
            quality = np.array(head.qualities, np.int64)[quality]
        values = packing.Values(column("code").astype(np.uint8), packing.sum_up(column("digits"), tag), column("bits"))
        text = rows.column("text") if "text" in rows.schema.names else None
        return Batch(self._index, ids[tag], column("time"), packing.decode(values), quality.astype(np.uint32), text)

    def _table(self, hash: str) -> NDArray[np.int32]:
        if hash not in self._ids:
            try:
                data = self._path(hash).read_bytes() if self._folder is not None else b""
                self._keep(hash, _read(data)[1], b"")
            except (OSError, pa.ArrowException, ValueError) as e:
                raise UnknownTags(hash) from e
        return self._ids[hash]

    def _keep(self, hash: str, names: Sequence[str], data: bytes) -> None:
        if Table.of(names).hash != hash:
            raise ValueError(f"the names of table {hash} are damaged")
        if data and self._folder is not None and not self._path(hash).exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            aside = self._path(hash).with_suffix(".new")
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(self._path(hash))
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._ids[hash] = self._index.ids(names)

    def _path(self, hash: str) -> Path:
        assert self._folder is not None
        if not _HASH.fullmatch(hash):
            raise ValueError(f"not a hash: {hash!r}")
        return self._folder / f"{hash}.tags"


def _local(batch: Batch, known: int) -> tuple[NDArray[np.int64], list[str]]:
    """Each row's place in the table of `known` names followed by the names that the batch has beyond them, as they come."""
    tag = batch.tag.astype(np.int64)
    strange = tag >= known
    if not strange.any():
        return tag, []
    ids, first, place = np.unique(tag[strange], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(ids), np.int64)
    rank[order] = np.arange(len(ids))
    tag[strange] = known + rank[place]
    return tag, [batch.index.names[i] for i in ids[order].tolist()]


def _write(head: _Head, names: Sequence[str], rows: int, arrays: dict[str, pa.Array]) -> bytes:
    # One value, so that names are packed as one text: the offsets of many would take more than the names. A column of zeros costs
    # nothing, and says how many rows there are.
    zeros = pa.array(np.zeros(rows, np.int8))
    text = pa.array([msgspec.json.encode(names).decode()], pa.utf8())
    arrays = {"names": pa.DictionaryArray.from_arrays(zeros, text), **arrays}
    schema = pa.schema([(key, a.type) for key, a in arrays.items()], {_KEY: msgspec.json.encode(head)})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", compression_level=_LEVEL))
    with pa.ipc.new_stream(sink, schema, options=options) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(list(arrays.values()), schema=schema))
    return sink.getvalue().to_pybytes()


def _read(data: bytes) -> tuple[_Head, list[str], pa.RecordBatch]:
    try:
        with pa.ipc.open_stream(data) as reader:
            rows = reader.read_next_batch()
    except (OSError, StopIteration) as e:  # what pyarrow calls bytes that end too early
        raise ValueError(str(e)) from e
    rows.validate(full=True)  # it may come from anybody that has a certificate
    head = msgspec.json.decode((rows.schema.metadata or {})[_KEY], type=_Head)
    if head.version != _VERSION:
        raise ValueError(f"version {head.version}")
    names = msgspec.json.decode(rows.column("names").dictionary[0].as_py(), type=list[str])
    return head, names, rows
