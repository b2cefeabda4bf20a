"""The batch: samples in columns, the one shape between driver, app, historian and wire (contract 2).

In memory a batch is five NumPy columns over a shared `TagIndex`; `arrow()` and `from_arrow()` are its Arrow form, without copying
the numeric columns. No Python object is made per sample.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from ronghe.errors import RongheError
from ronghe.signals import quality as q
from ronghe.text import Text

SCHEMA: Final = pa.schema(
    [
        pa.field("tag", pa.dictionary(pa.int32(), pa.utf8()), nullable=False),
        pa.field("time", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("quality", pa.uint32(), nullable=False),
        pa.field("text", pa.utf8()),
    ]
)


class TagIndex:
    """Tag names as small integers: append-only, so an id stays true for the life of the process. Safe between threads."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, int] = {}
        self._names: list[str] = []
        self._arrow: pa.StringArray | None = None
        self.ids(names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def names(self) -> Sequence[str]:
        """All names; position is id."""
        return self._names

    def id(self, name: str) -> int:
        """The id of `name`, added if new."""
        found = self._ids.get(name)
        if found is not None:
            return found
        with self._lock:
            if name not in self._ids:
                self._names.append(name)
                self._ids[name] = len(self._names) - 1
            return self._ids[name]

    def ids(self, names: Iterable[str]) -> NDArray[np.int32]:
        """Ids of many names, added if new."""
        return np.fromiter((self.id(n) for n in names), np.int32)

    def find(self, name: str) -> int | None:
        """The id of `name`, or None; never adds."""
        return self._ids.get(name)

    def arrow(self) -> pa.StringArray:
        """The names as an Arrow array (the dictionary of every batch), rebuilt only after growth."""
        if self._arrow is None or len(self._arrow) != len(self._names):
            self._arrow = pa.array(list(self._names), pa.utf8())
        return self._arrow


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples in columns. Rows need not be sorted; a sample is identified by (tag, time), and the later written of two wins.

    tag      int32[n]   ids in `index`
    time     int64[n]   source time, ns since 1970-01-01 UTC
    value    float64[n] NaN where there is none. Booleans are 0/1; integers are exact up to 2**53.
    quality  uint32[n]  OPC UA StatusCode
    text     StringArray[n] or None   for tags whose type is text
    """

    index: TagIndex
    tag: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint32]
    text: pa.StringArray | None = None

    @classmethod
    def of(
        cls,
        index: TagIndex,
        tag: Iterable[str] | NDArray[np.int32],
        time: ArrayLike,
        value: ArrayLike,
        quality: ArrayLike = q.GOOD,
        text: Sequence[str | None] | None = None,
    ) -> Batch:
        """A batch from anything array-like; scalars are spread over the rows. Raises RongheError when lengths differ."""
        ids = tag if isinstance(tag, np.ndarray) else index.ids(tag)
        n = len(ids)

        def column(name: str, data: ArrayLike, dtype: Any) -> NDArray[Any]:
            array = np.asarray(data, dtype)
            if array.ndim == 0:
                return np.full(n, array)
            if array.shape != (n,):
                raise RongheError(
                    Text(f"{name} has {array.shape} values, the batch {n} rows", f"{name} 有 {array.shape} 个值，批次有 {n} 行")
                )
            return array

        return cls(
            index,
            ids.astype(np.int32, copy=False),
            column("time", time, np.int64),
            column("value", value, np.float64),
            column("quality", quality, np.uint32),
            None if text is None else pa.array(text, pa.utf8()),
        )

    @classmethod
    def empty(cls, index: TagIndex) -> Batch:
        """No rows."""
        return cls.of(index, np.empty(0, np.int32), [], [], [])

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """All rows of several batches that share one index, in order. Raises ValueError for none, RongheError for mixed indexes."""
        if len(batches) == 1:
            return batches[0]
        index = batches[0].index
        if any(b.index is not index for b in batches):
            raise RongheError(Text("batches of different tag indexes cannot be joined", "不同标签索引的批次不能合并"))
        text = None
        if any(b.text is not None for b in batches):
            text = pa.concat_arrays([pa.nulls(len(b), pa.utf8()) if b.text is None else b.text for b in batches])
        join = np.concatenate
        return cls(
            index,
            join([b.tag for b in batches]),
            join([b.time for b in batches]),
            join([b.value for b in batches]),
            join([b.quality for b in batches]),
            text,
        )

    @classmethod
    def from_arrow(cls, data: pa.RecordBatch | pa.Table, index: TagIndex) -> Batch:
        """From the Arrow form; the names that occur are mapped into `index`. Numeric columns may be views of Arrow's memory, read-only.

        Raises RongheError when a column is missing, of another type, or lacks a value where `SCHEMA` wants one.
        """
        if isinstance(data, pa.RecordBatch):
            data = pa.Table.from_batches([data])
        try:
            columns = {f.name: data.column(f.name).cast(f.type) for f in SCHEMA if f.nullable is False or f.name in data.column_names}
            for name in ("tag", "time", "value", "quality"):
                if columns[name].null_count:
                    raise pa.ArrowInvalid(f"{name} has {columns[name].null_count} nulls")
        except (KeyError, pa.ArrowException) as e:
            raise RongheError(Text(f"not a batch of samples: {e}", f"不是样本批次：{e}")) from e
        if data.num_rows == 0:
            return cls.empty(index)
        tag = columns["tag"].unify_dictionaries()
        codes = np.concatenate([c.indices.to_numpy(zero_copy_only=False) for c in tag.chunks])
        used, codes = np.unique(codes, return_inverse=True)  # the dictionary may hold thousands of names that these rows lack
        ids = index.ids(tag.chunk(0).dictionary.take(pa.array(used)).to_pylist())[codes]
        text = columns["text"].combine_chunks() if "text" in columns else None
        if isinstance(text, pa.ChunkedArray):
            text = pa.concat_arrays(text.chunks)
        if text is not None and text.null_count == len(text):
            text = None
        return cls(
            index,
            ids.astype(np.int32, copy=False),
            columns["time"].cast(pa.int64()).to_numpy(),
            columns["value"].to_numpy(),
            columns["quality"].to_numpy(),
            text,
        )

    def __len__(self) -> int:
        return len(self.tag)

    def arrow(self) -> pa.RecordBatch:
        """The Arrow form, see `SCHEMA`."""
        n = len(self)
        return pa.RecordBatch.from_arrays(
            [
                pa.DictionaryArray.from_arrays(pa.array(self.tag, pa.int32()), self.index.arrow()),
                pa.array(self.time, pa.int64()).cast(pa.timestamp("ns", tz="UTC")),
                pa.array(self.value, pa.float64()),
                pa.array(self.quality, pa.uint32()),
                pa.nulls(n, pa.utf8()) if self.text is None else self.text,
            ],
            schema=SCHEMA,
        )

    def take(self, rows: NDArray[Any]) -> Batch:
        """Some rows, by mask or by positions."""
        text = self.text
        if text is not None:
            text = text.take(pa.array(np.flatnonzero(rows) if rows.dtype == np.bool_ else rows))
        return Batch(self.index, self.tag[rows], self.time[rows], self.value[rows], self.quality[rows], text)

    def with_(self, **columns: Any) -> Batch:
        """A copy with some columns replaced."""
        return replace(self, **columns)

    @property
    def good(self) -> NDArray[np.bool_]:
        """Mask of the rows that are Good."""
        return q.is_good(self.quality)
