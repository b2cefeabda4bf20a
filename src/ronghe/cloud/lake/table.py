"""The tables of a lake: `samples`, to which samples are added once each, and others made from files. Delta: zstd Parquet and a log."""

from __future__ import annotations

import itertools
import tempfile
import time as system_time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ronghe.cloud.lake import storage
from ronghe.errors import CloudError, MissingExtra
from ronghe.text import Text

if TYPE_CHECKING:
    from deltalake import DeltaTable, WriterProperties

SAMPLES: Final = "samples"
SCHEMA: Final = pa.schema(
    [
        pa.field("plant", pa.utf8(), nullable=False),
        pa.field("month", pa.utf8(), nullable=False),  # "2026-03", UTC
        pa.field("tag", pa.utf8(), nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("nanos", pa.int16(), nullable=False),  # 0..999 ns after `time`: Delta counts in µs
        pa.field("value", pa.float64()),
        pa.field("quality", pa.int64(), nullable=False),  # OPC UA StatusCode; Delta has no unsigned numbers
        pa.field("text", pa.utf8()),
    ]
)
"""Of `samples`, partitioned by plant and month, sorted by (tag, time) within a file. A value that is none is null."""
_PARTITIONS: Final = ["plant", "month"]
_GROUP: Final = 131_072  # rows of a row group
_SMALL: Final = 64 << 20  # bytes of a file from which on it is left as it is
_MANY: Final = 8  # small files of a partition that are worth writing anew
_SORTED: Final = 32_000_000  # rows sorted at a time, about one file
_FILE: Final = 512 << 20  # bytes of the largest file
_DIFFERENCE: Final = """
    SELECT n.*, o.tag IS NOT NULL AS known,
           o.value IS NOT DISTINCT FROM n.value AND o.quality = n.quality AND o.text IS NOT DISTINCT FROM n.text AS same
    FROM fresh n LEFT JOIN (SELECT * FROM old WHERE plant = $plant AND month = $month AND time BETWEEN $first AND $last) o
    USING (tag, time, nanos)"""


class Added(msgspec.Struct, frozen=True):
    """What became of samples: new rows, rows whose content changed, and those that were there already."""

    new: int = 0
    changed: int = 0
    known: int = 0

    def __add__(self, other: Added) -> Added:
        return Added(self.new + other.new, self.changed + other.changed, self.known + other.known)


class TableView(msgspec.Struct, frozen=True):
    """One table. `first` and `last` in ns since 1970 UTC where it has a column `time`, else 0."""

    name: str
    version: int
    files: int
    rows: int
    bytes: int
    columns: tuple[str, ...]
    plants: tuple[str, ...] = ()
    first: int = 0
    last: int = 0


class Lake:
    """The tables at a folder or s3://bucket/prefix. `options` as in cloud.toml: endpoint, region, key, secret."""

    def __init__(
        self, url: str | Path, options: Mapping[str, Any] | None = None, *, clock: Callable[[], int] = system_time.time_ns
    ) -> None:
        self.url = url.rstrip("/") if isinstance(url, str) and "://" in url else str(Path(url).resolve())
        self.clock = clock
        self.given = dict(options or {})  # what a process elsewhere opens the same lake by: names of secrets, not secrets
        self.options = storage.storage_options(self.url, self.given)

    @classmethod
    def of_centre(cls, folder: Path) -> Lake:
        """The lake of a centre folder. Raises CloudError when there is none."""
        return cls(*storage.of_centre(folder))

    @property
    def local(self) -> bool:
        """Whether its files are on a disk of this machine."""
        return "://" not in self.url

    def uri(self, name: str) -> str:
        """Where a table lies: what any other Delta reader is to be given."""
        return f"{self.url}/{name}"

    def open(self, name: str = SAMPLES) -> DeltaTable | None:
        """A table as it is now; None when there is none. Raises CloudError when the place cannot be reached."""
        delta = _deltalake()
        try:
            return delta.DeltaTable(self.uri(name), storage_options=self.options)
        except delta.exceptions.TableNotFoundError:
            return None
        except (OSError, delta.exceptions.DeltaError) as e:
            raise _unreachable(self.uri(name), e) from e

    def names(self) -> list[str]:
        """The tables that there are."""
        if self.local:
            return sorted(p.parent.name for p in Path(self.url).glob("*/_delta_log"))
        from pyarrow.fs import FileSelector, FileType, PyFileSystem

        fs = _deltalake().fs
        try:
            system = PyFileSystem(fs.DeltaStorageHandler(self.url, options=self.options))
            found = system.get_file_info(FileSelector("", recursive=False, allow_not_found=True))
        except OSError as e:
            raise _unreachable(self.url, e) from e
        return sorted(f.base_name for f in found if f.type == FileType.Directory)

    def view(self) -> list[TableView]:
        """What there is."""
        found = ((n, self.open(n)) for n in self.names())
        return [_viewed(name, table) for name, table in found if table is not None]

    # ── writing ──

    def add(self, plant: str, rows: pa.Table, transaction: tuple[str, int] | None = None) -> Added:
        """Adds samples of a plant: columns tag, time (timestamp[ns, UTC]), value, quality, text, each (tag, time) once. Safe to repeat: a
        sample that is there already is not taken twice, and one whose content differs replaces it. `transaction` is written with them.

        Raises CloudError when the place cannot be reached or somebody else writes to it.
        """
        delta = _deltalake()
        time = rows.column("time").cast(pa.int64()).to_numpy()
        months = time.astype("datetime64[ns]").astype("datetime64[M]")
        total = Added()
        with storage.one_writer(self.url):
            try:
                for month in np.unique(months):
                    here = months == month
                    some = rows if here.all() else rows.filter(pa.array(here))
                    total += self._add_month(plant, str(month), some, transaction)
                if transaction is not None and not len(rows):
                    self._append(self._samples(), SCHEMA.empty_table(), transaction)
            except (OSError, delta.exceptions.DeltaError) as e:
                raise _unreachable(self.uri(SAMPLES), e) from e
        return total

    def _samples(self) -> DeltaTable:
        found = self.open(SAMPLES)
        if found is None:
            delta = _deltalake()
            if self.local:
                Path(self.uri(SAMPLES)).mkdir(parents=True, exist_ok=True)
            found = delta.DeltaTable.create(
                self.uri(SAMPLES), schema=SCHEMA, partition_by=_PARTITIONS, mode="ignore", storage_options=self.options
            )
        return found

    def _add_month(self, plant: str, month: str, rows: pa.Table, transaction: tuple[str, int] | None) -> Added:
        table = self._samples()
        fresh = _as_stored(plant, month, rows)
        time = fresh.column("time").to_numpy()
        first, last = time.min(), time.max()
        files = [f for f in _files(table) if f["plant"] == plant and f["month"] == month and f["first"] <= last and f["last"] >= first]
        if not files:
            self._append(table, fresh, transaction)
            return Added(new=len(fresh))
        with duckdb.connect(":memory:") as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("fresh", fresh)
            self.offer(connection, "old", table, [f["uri"] for f in files])
            values = {"plant": plant, "month": month, "first": fresh.column("time")[int(time.argmin())].as_py(), "last": None}
            values["last"] = fresh.column("time")[int(time.argmax())].as_py()
            found = connection.sql(_DIFFERENCE, params=values).to_arrow_table()
        known, same = (np.asarray(found.column(c).combine_chunks().fill_null(False)) for c in ("known", "same"))
        new = found.filter(pa.array(~known)).select(SCHEMA.names).cast(SCHEMA)
        changed = found.filter(pa.array(known & ~same)).select(SCHEMA.names).cast(SCHEMA)
        if len(new):
            self._append(table, new.sort_by([("tag", "ascending"), ("time", "ascending"), ("nanos", "ascending")]), transaction)
        if len(changed):
            self._replace(plant, month, changed, transaction)
        return Added(len(new), len(changed), int((known & same).sum()))

    def _append(self, table: DeltaTable, rows: pa.Table, transaction: tuple[str, int] | None) -> None:
        _deltalake().write_deltalake(
            table, rows, mode="append", writer_properties=_written(), commit_properties=_commit(transaction), target_file_size=_FILE
        )

    def _replace(self, plant: str, month: str, rows: pa.Table, transaction: tuple[str, int] | None) -> None:
        """Puts these rows in place of those of the same tags and times, in one commit: the span that they cover is written anew.

        Not by the format's own MERGE: deltalake's leaves files whose text columns are marked as views, which Daft, for one, cannot read.
        """
        time = rows.column("time").to_numpy()
        span = (time.min(), time.max() + np.timedelta64(1, "us"))
        kept = ", ".join(f"CASE WHEN n.tag IS NULL THEN o.{c} ELSE n.{c} END AS {c}" for c in ("value", "quality", "text"))
        self._rewrite(
            plant,
            month,
            span,
            f"SELECT o.plant, o.month, o.tag, o.time, o.nanos, {kept} FROM o LEFT JOIN n USING (tag, time, nanos)",  # noqa: S608
            transaction,
            n=rows,
        )

    def _rewrite(self, plant: str, month: str, span: Any, sql: str, transaction: tuple[str, int] | None = None, **tables: pa.Table) -> None:
        """Writes the rows of a month with span[0] <= time < span[1] (all for None) anew, sorted: what `sql` makes of them, called `o`."""
        table = self._samples()
        where = f"plant = {_quoted(plant)} AND month = {_quoted(month)}"
        if span is not None:
            where += f" AND time >= '{span[0]}Z' AND time < '{span[1]}Z'"
        with tempfile.TemporaryDirectory(prefix="ronghe-lake-") as scratch, duckdb.connect(":memory:") as connection:
            connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '2GB'; SET temp_directory = '{scratch}'")
            self.offer(connection, "old", table, [f["uri"] for f in _files(table) if (f["plant"], f["month"]) == (plant, month)])
            for name, rows in tables.items():
                connection.register(name, rows)
            found = connection.sql(f"WITH o AS (SELECT * FROM old WHERE {where}) {sql} ORDER BY tag, time, nanos")  # noqa: S608
            batches = (b.select(SCHEMA.names).cast(SCHEMA) for b in found.to_arrow_reader(_GROUP))
            _deltalake().write_deltalake(
                table,
                pa.RecordBatchReader.from_batches(SCHEMA, batches),
                mode="overwrite",
                predicate=where,
                writer_properties=_written(),
                commit_properties=_commit(transaction),
                target_file_size=_FILE,
            )

    def put(self, name: str, files: Sequence[Path]) -> int:
        """Makes (or replaces) a table of Parquet files, for queries beside `samples`; gives its rows. Raises CloudError."""
        if name == SAMPLES or not name.isidentifier():
            raise CloudError(
                Text(f"{name!r} cannot be the name of a table of files", f"{name!r} 不能用作文件表的名称"),
                todo=Text("letters, digits and _, and not `samples`", "可用字母、数字与下划线，且不能是 samples"),
            )
        delta = _deltalake()
        try:
            data = pa.concat_tables([_plain(pq.read_table(f)) for f in files], promote_options="default")
            with storage.one_writer(self.url):
                if self.local:
                    Path(self.uri(name)).mkdir(parents=True, exist_ok=True)
                delta.write_deltalake(
                    self.uri(name),
                    data,
                    mode="overwrite",
                    schema_mode="overwrite",
                    storage_options=self.options,
                    writer_properties=_written(samples=False),
                )
        except (OSError, pa.ArrowException, delta.exceptions.DeltaError) as e:
            raise CloudError(Text(f"cannot be taken in: {e}", f"无法导入：{e}"), where=", ".join(map(str, files))) from e
        return int(data.num_rows)

    # ── keeping it tidy ──

    def compact(self) -> int:
        """Writes the small files of `samples` anew as large sorted ones, a month of a plant at a time; gives how many files went in.
        The old ones stay for readers until `vacuum`. Raises CloudError."""
        table = self.open(SAMPLES)
        if table is None:
            return 0
        parts: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for file in _files(table):
            parts.setdefault((file["plant"], file["month"]), []).append(file)
        worth = [(k, fs) for k, fs in sorted(parts.items()) if sum(f["bytes"] < _SMALL for f in fs) >= _MANY]
        delta = _deltalake()
        with storage.one_writer(self.url):
            try:
                for (plant, month), files in worth:
                    self._sort(plant, month, files)
            except (OSError, delta.exceptions.DeltaError) as e:
                raise _unreachable(self.uri(SAMPLES), e) from e
        return sum(len(fs) for _, fs in worth)

    def _sort(self, plant: str, month: str, files: list[dict[str, Any]]) -> None:
        first, last = min(f["first"] for f in files), max(f["last"] for f in files)
        parts = sum(f["rows"] for f in files) // _SORTED + 1
        cuts = [first + (last - first) * i // parts for i in range(parts)] + [last + np.timedelta64(1, "us")]
        for span in itertools.pairwise(cuts):
            self._rewrite(plant, month, span if parts > 1 else None, "SELECT * FROM o")

    def vacuum(self, hours: float = 168) -> int:
        """Removes files that no version younger than so many hours refers to; gives how many."""
        with storage.one_writer(self.url):
            tables = [t for t in map(self.open, self.names()) if t is not None]
            return sum(len(t.vacuum(int(hours), dry_run=False, enforce_retention_duration=hours >= 168)) for t in tables)

    # ── reading ──

    def offer(self, connection: duckdb.DuckDBPyConnection, name: str, table: DeltaTable, files: Sequence[str] | None = None) -> None:
        """Makes a table, or some of its files, known to DuckDB under a name. Partitions that are not asked for are not opened."""
        if not self.local:
            connection.register(name, table.to_pyarrow_dataset())
            return
        paths = list(table.file_uris()) if files is None else list(files)
        if not paths:
            connection.register(name, pa.schema(table.schema().to_arrow()).empty_table())
            return
        listed = ", ".join(map(_quoted, paths))
        partitions = table.metadata().partition_columns
        types = ", ".join(f"{_quoted(c)}: VARCHAR" for c in partitions)
        hive = f", hive_partitioning = true, hive_types = {{{types}}}" if partitions else ", hive_partitioning = false"
        columns = ", ".join(f'"{f.name}"' for f in table.schema().fields)
        connection.execute(f'CREATE VIEW "{name}" AS SELECT {columns} FROM read_parquet([{listed}]{hive})')  # noqa: S608

    def query(self, sql: str, engine: str = "duckdb", address: str | None = None) -> pa.Table:
        """The answer to one SELECT over the tables; see `query.run`."""
        from ronghe.cloud.lake import query

        return query.run(self, sql, engine, address)


def _as_stored(plant: str, month: str, rows: pa.Table) -> pa.Table:
    """Samples as the table holds them, sorted."""
    time = rows.column("time").cast(pa.int64()).to_numpy()
    value = rows.column("value").to_numpy()
    n = len(rows)
    columns = [
        pa.array([plant]).take(pa.array(np.zeros(n, np.int32))),
        pa.array([month]).take(pa.array(np.zeros(n, np.int32))),
        rows.column("tag").cast(pa.utf8()),
        pa.array(time // 1000).cast(SCHEMA.field("time").type),
        pa.array((time % 1000).astype(np.int16)),
        pa.array(value, mask=np.isnan(value)),
        rows.column("quality").cast(pa.int64()),
        rows.column("text") if "text" in rows.column_names else pa.nulls(n, pa.utf8()),
    ]
    table = pa.table(columns, schema=SCHEMA)
    return table.sort_by([("tag", "ascending"), ("time", "ascending"), ("nanos", "ascending")])


def _files(table: DeltaTable) -> list[dict[str, Any]]:
    """Each file of `samples`, with what the log says of it."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if not actions.num_rows:
        return []
    first, last = (actions.column(f"{c}.time").cast(pa.timestamp("us", tz="UTC")).to_numpy() for c in ("min", "max"))
    base = table.table_uri.removeprefix("file://").rstrip("/")
    slack = np.timedelta64(1, "ms")  # the format lets a writer cut these down to whole ms
    return [
        {"uri": f"{base}/{unquote(a['path'])}", "plant": a["partition.plant"], "month": a["partition.month"], "rows": a["num_records"],
         "bytes": a["size_bytes"], "first": first[i], "last": last[i] + slack}
        for i, a in enumerate(actions.to_pylist())
    ]  # fmt: skip


def _viewed(name: str, table: DeltaTable) -> TableView:
    actions = pa.table(table.get_add_actions(flatten=True))
    names = actions.column_names
    plants = set(actions.column("partition.plant").to_pylist()) if "partition.plant" in names else set()
    ends = [0, 0]
    if "min.time" in names and actions.num_rows and pa.types.is_timestamp(actions.schema.field("min.time").type):
        firsts, lasts = (
            actions.column(c).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64()).to_pylist() for c in ("min.time", "max.time")
        )
        ends = [1000 * min(firsts), 1000 * max(lasts)]
    return TableView(
        name=name,
        version=table.version(),
        files=actions.num_rows,
        rows=sum(actions.column("num_records").to_pylist()),
        bytes=sum(actions.column("size_bytes").to_pylist()),
        columns=tuple(f.name for f in table.schema().fields),
        plants=tuple(sorted(plants)),
        first=ends[0],
        last=ends[1],
    )


def _plain(table: pa.Table) -> pa.Table:
    """In types that Delta has: no dictionaries, no unsigned numbers, times in µs UTC."""

    def type_of(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_dictionary(kind):
            return type_of(kind.value_type)
        if pa.types.is_unsigned_integer(kind):
            return pa.int64()
        return pa.timestamp("us", tz="UTC") if pa.types.is_timestamp(kind) else kind

    return table.cast(pa.schema([f.with_type(type_of(f.type)) for f in table.schema]), safe=False)


def _written(*, samples: bool = True) -> WriterProperties:
    delta = _deltalake()
    columns = {}
    if samples:
        columns = {
            "time": delta.ColumnProperties(dictionary_enabled=False, encoding="DELTA_BINARY_PACKED"),
            "value": delta.ColumnProperties(dictionary_enabled=True),
        }
    return delta.WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=_GROUP, column_properties=columns or None)


def _commit(transaction: tuple[str, int] | None) -> Any:
    delta = _deltalake()
    return None if transaction is None else delta.CommitProperties(app_transactions=[delta.Transaction(*transaction)])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _deltalake() -> Any:
    try:
        import deltalake
        import deltalake.exceptions
        import deltalake.fs
    except ImportError as e:
        raise MissingExtra("cloud", Text("the lake", "数据湖")) from e
    return deltalake


def _unreachable(where: str, e: Exception) -> CloudError:
    first = str(e).strip().splitlines()[0] if str(e).strip() else type(e).__name__
    return CloudError(
        Text(f"the lake cannot be used: {first[:300]}", f"数据湖不可用：{first[:300]}"),
        where=where,
        todo=Text("check the place, its keys, and that one centre only writes to it", "请检查位置与密钥，并确认只有一个中心写入"),
    )
