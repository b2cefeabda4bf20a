# ruff: noqa: S608 - what is put into these queries are our own numbers
"""The stores that `ronghe bench historian` compares with, each set up as its own documentation advises for such data.

Run as `python -m ronghe.bench.historian_peers NAME FOLDER TAGS SAMPLES`: one store a process, so that none is in another's way.
"""

from __future__ import annotations

import importlib
import json
import os
import pwd
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.bench.historian_data import MINUTE, START, S, Size, Store, folder_bytes, measure, tag_name, times_of
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

if TYPE_CHECKING:
    import psycopg


class Ronghe:
    """Our own."""

    durability = "write-ahead log, fdatasync per batch; segments fsynced"
    layout = "segments sorted by (tag, time), zstd Parquet"

    def __init__(self, folder: Path, size: Size) -> None:
        self.size, self.folder = size, folder
        self.index = TagIndex(tag_name(i) for i in range(size.tags))
        self.ids = np.arange(size.tags, dtype=np.int32)
        self.store = Historian(folder, self.index, clock=lambda: size.end)

    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        self.store.append(Batch.of(self.index, self.ids, time, value, quality))

    def seal(self) -> None:
        self.store.flush()

    def compact(self) -> None:
        self.store.compact()

    def reopen(self) -> None:
        self.store.close()
        self.store = Historian(self.folder, self.index, clock=lambda: self.size.end)

    def bytes(self) -> int:
        return folder_bytes(self.folder)

    def last_all(self) -> float:
        return float(self.store.last().value.sum())

    def raw(self, tag: int) -> float:
        return float(self.store.raw([tag_name(tag)], START, self.size.end).value.sum())

    def aggregate(self, tags: list[int]) -> float:
        found = self.store.aggregate([tag_name(t) for t in tags], START, self.size.end, MINUTE)
        return float(np.nansum(found.column("mean").to_numpy()))

    def asof(self, tags: list[int]) -> float:
        found = self.store.asof([tag_name(t) for t in tags], START + S // 2, self.size.end, S)
        return float(np.nansum(found.value))

    def close(self) -> None:
        self.store.close()


class DuckDb:
    """DuckDB's own file format: ingestion and queries in one process, as it is meant to be used."""

    durability = "one transaction per batch; its write-ahead log is fsynced at commit (the default)"
    layout = "one table in the order of arrival (the usual way); CHECKPOINT seals"

    def __init__(self, folder: Path, size: Size) -> None:
        import duckdb

        self.path, self.size = folder / "duck.db", size
        self.db = duckdb.connect(str(self.path))
        self.db.execute("CREATE TABLE samples (tag INTEGER, time TIMESTAMP_NS, value DOUBLE, quality UINTEGER)")
        self.tags = np.arange(size.tags, dtype=np.int32)

    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        times = pa.array(np.full(self.size.tags, time)).cast(pa.timestamp("ns"))
        self.db.register("batch", pa.table({"tag": self.tags, "time": times, "value": value, "quality": quality}))
        self.db.execute("INSERT INTO samples SELECT * FROM batch")

    def seal(self) -> None:
        self.db.execute("CHECKPOINT")

    def compact(self) -> None:
        pass  # it has nothing of the kind for one table

    def reopen(self) -> None:
        import duckdb

        self.db.close()
        self.db = duckdb.connect(str(self.path))

    def bytes(self) -> int:
        return folder_bytes(self.path.parent)

    def _sum(self, query: str, parameters: list[Any] | None = None) -> float:
        return float(np.nansum(next(iter(self.db.execute(query, parameters).fetchnumpy().values()))))

    def last_all(self) -> float:
        return self._sum("SELECT arg_max(value, time), tag FROM samples GROUP BY tag")

    def raw(self, tag: int) -> float:
        return self._sum("SELECT value, time, quality FROM samples WHERE tag = ? ORDER BY time", [tag])

    def aggregate(self, tags: list[int]) -> float:
        some = ", ".join(map(str, tags))
        return self._sum(
            f"SELECT avg(value) FILTER (quality < 1073741824), tag, time_bucket(INTERVAL 1 minute, time) AS bucket"
            f" FROM samples WHERE tag IN ({some}) GROUP BY tag, bucket ORDER BY tag, bucket"
        )

    def asof(self, tags: list[int]) -> float:
        times = pa.array(np.tile(times_of(self.size), len(tags))).cast(pa.timestamp("ns"))
        names = np.repeat(np.array(tags, np.int32), len(times_of(self.size)))
        self.db.register("wanted", pa.table({"tag": names, "time": times}))
        self.db.execute("CREATE OR REPLACE TEMP TABLE grid AS SELECT * FROM wanted")
        some = ", ".join(map(str, tags))
        return self._sum(
            "SELECT CASE WHEN s.quality < 1073741824 THEN s.value END, g.tag, g.time FROM grid g"
            f" ASOF JOIN (SELECT * FROM samples WHERE tag IN ({some})) s ON g.tag = s.tag AND s.time <= g.time"
        )

    def close(self) -> None:
        self.db.close()


class Sqlite:
    """SQLite with the samples in one clustered B-tree."""

    durability = "one transaction per batch; journal_mode=WAL, synchronous=FULL"
    layout = "WITHOUT ROWID, primary key (tag, time)"

    def __init__(self, folder: Path, size: Size) -> None:
        self.path, self.size = folder / "lite.db", size
        self.reopen()
        columns = "tag INTEGER, time INTEGER, value REAL, quality INTEGER"
        self.db.execute(f"CREATE TABLE samples ({columns}, PRIMARY KEY (tag, time)) WITHOUT ROWID")
        self.db.execute("CREATE TABLE tags (tag INTEGER PRIMARY KEY)")
        self.db.executemany("INSERT INTO tags VALUES (?)", ((t,) for t in range(size.tags)))

    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        rows = zip(range(self.size.tags), [time] * self.size.tags, value.tolist(), quality.tolist(), strict=True)
        self.db.execute("BEGIN")
        self.db.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", rows)
        self.db.execute("COMMIT")

    def seal(self) -> None:
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def compact(self) -> None:
        self.db.execute("VACUUM")
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def reopen(self) -> None:
        self.db = sqlite3.connect(self.path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-262144", "mmap_size=1073741824"):
            self.db.execute(f"PRAGMA {pragma}")

    def bytes(self) -> int:
        return folder_bytes(self.path.parent)

    def last_all(self) -> float:
        newest = "SELECT value FROM samples s WHERE s.tag = t.tag ORDER BY time DESC LIMIT 1"
        return float(sum(r[1] for r in self.db.execute(f"SELECT tag, ({newest}) FROM tags t").fetchall()))

    def raw(self, tag: int) -> float:
        rows = self.db.execute("SELECT value, time, quality FROM samples WHERE tag = ? ORDER BY time", (tag,)).fetchall()
        return float(sum(r[0] for r in rows))

    def aggregate(self, tags: list[int]) -> float:
        some = ", ".join(map(str, tags))
        rows = self.db.execute(
            f"SELECT avg(value) FILTER (WHERE quality < 1073741824), tag, time / {MINUTE} AS bucket"
            f" FROM samples WHERE tag IN ({some}) GROUP BY tag, bucket ORDER BY tag, bucket"
        ).fetchall()
        return float(sum(r[0] or 0.0 for r in rows))

    def asof(self, tags: list[int]) -> float:
        # One walk along the key per tag and a search per row in NumPy: several times faster than a subquery per cell.
        grid, total = times_of(self.size), 0.0
        for tag in tags:
            rows = self.db.execute("SELECT time, value, quality FROM samples WHERE tag = ? ORDER BY time", (tag,)).fetchall()
            times, values, codes = (np.array(c) for c in zip(*rows, strict=True))
            at = times.searchsorted(grid, "right") - 1
            total += float(np.nansum(np.where(codes[at] < 0x40000000, values[at], np.nan)))
        return total

    def close(self) -> None:
        self.db.close()


class Postgres:
    """PostgreSQL on a socket of its own, started for the run from the binaries that are installed."""

    durability = "one COPY and commit per batch; fsync=on, synchronous_commit=on"
    layout = "table with primary key (tag, time)"

    def __init__(self, folder: Path, size: Size) -> None:
        self.size, self.data = size, folder / "data"
        programs = postgres_programs()
        if programs is None:
            raise FileNotFoundError("postgres")
        self.programs = programs
        user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
        if user:
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True, "cwd": folder}
        options = ["-D", str(self.data), "-A", "trust", "-U", "bench", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run([*user, str(programs / "initdb"), *options], **quiet)  # type: ignore[call-overload]
        settings = {"listen_addresses": "", "unix_socket_directories": folder, "shared_buffers": "512MB", "max_wal_size": "4GB"}
        self.server = subprocess.Popen(
            [*user, str(programs / "postgres"), "-D", str(self.data), *(f"--{k}={v}" for k, v in settings.items())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
        )
        self.db = self._connect()
        columns = "tag int4, time int8, value float8, quality int8"
        self.db.execute(f"CREATE TABLE samples ({columns}, PRIMARY KEY (tag, time))")
        self.db.execute(f"CREATE TABLE tags AS SELECT generate_series(0, {size.tags - 1}) AS tag")

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg

        until = monotonic() + 20
        while True:
            try:
                return psycopg.connect(host=str(self.data.parent), user="bench", dbname="postgres", autocommit=True)
            except psycopg.OperationalError:
                if monotonic() > until:
                    self.server.kill()
                    raise
                sleep(0.05)

    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        # COPY's binary format, put together by NumPy: no Python object a row.
        rows = np.empty(self.size.tags, _PG_ROW)
        rows["fields"], rows["n1"], rows["n2"], rows["n3"], rows["n4"] = 4, 4, 8, 8, 8
        rows["tag"], rows["time"], rows["value"], rows["quality"] = np.arange(self.size.tags), time, value, quality
        with self.db.cursor().copy("COPY samples FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\x00" + bytes(8) + rows.tobytes() + b"\xff\xff")

    def seal(self) -> None:
        self.db.execute("CHECKPOINT")

    def compact(self) -> None:
        self.db.execute("VACUUM ANALYZE samples")
        self.db.execute("CHECKPOINT")

    def reopen(self) -> None:
        self.db.close()
        self.db = self._connect()

    def bytes(self) -> int:
        row = self.db.execute("SELECT pg_total_relation_size('samples')").fetchone()
        return int(row[0]) if row else 0

    def _rows(self, query: str) -> list[Any]:
        return self.db.execute(query, binary=True).fetchall()

    def last_all(self) -> float:
        newest = "SELECT value FROM samples s WHERE s.tag = t.tag ORDER BY time DESC LIMIT 1"
        return float(sum(r[1] for r in self._rows(f"SELECT t.tag, l.value FROM tags t, LATERAL ({newest}) l")))

    def raw(self, tag: int) -> float:
        rows = self._rows(f"SELECT value, time, quality FROM samples WHERE tag = {tag} ORDER BY time")
        return float(sum(r[0] for r in rows))

    def aggregate(self, tags: list[int]) -> float:
        some = ", ".join(map(str, tags))
        rows = self._rows(
            f"SELECT avg(value) FILTER (WHERE quality < 1073741824), tag, time / {MINUTE} AS bucket"
            f" FROM samples WHERE tag IN ({some}) GROUP BY tag, bucket ORDER BY tag, bucket"
        )
        return float(sum(r[0] or 0.0 for r in rows))

    def asof(self, tags: list[int]) -> float:
        grid, total = times_of(self.size), 0.0
        some = ", ".join(map(str, tags))
        rows = self._rows(f"SELECT tag, time, value, quality FROM samples WHERE tag IN ({some}) ORDER BY tag, time")
        tag, times, values, codes = (np.array(c) for c in zip(*rows, strict=True))
        for one in tags:
            low, high = tag.searchsorted([one, one + 1])
            at = low + times[low:high].searchsorted(grid, "right") - 1
            total += float(np.nansum(np.where(codes[at] < 0x40000000, values[at], np.nan)))
        return total

    def close(self) -> None:
        self.db.close()
        self.server.terminate()
        self.server.wait(20)


_PG_ROW = np.dtype(
    [
        ("fields", ">i2"),
        ("n1", ">i4"),
        ("tag", ">i4"),
        ("n2", ">i4"),
        ("time", ">i8"),
        ("n3", ">i4"),
        ("value", ">f8"),
        ("n4", ">i4"),
        ("quality", ">i8"),
    ]
)


def postgres_programs() -> Path | None:
    """The folder of `initdb` and `postgres`, if they are installed."""
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((p for p in places if (p / "initdb").exists() and (p / "postgres").exists()), None)


class ChDb:
    """ClickHouse in process (chDB)."""

    durability = "one INSERT per batch; fsync_after_insert=1, fsync_part_directory=1"
    layout = "MergeTree ORDER BY (tag, time); Delta, DoubleDelta and ZSTD codecs; OPTIMIZE FINAL compacts"

    def __init__(self, folder: Path, size: Size) -> None:
        session: Any = importlib.import_module("chdb.session")  # it carries no types
        self.size, self.folder = size, folder
        self.db = session.Session(str(folder))
        self.db.query("CREATE DATABASE bench")
        columns = (
            "tag Int32 CODEC(Delta, ZSTD(1)), time DateTime64(9, 'UTC') CODEC(DoubleDelta, ZSTD(1)),"
            " value Float64 CODEC(ZSTD(1)), quality UInt32 CODEC(ZSTD(1))"
        )
        settings = "fsync_after_insert = 1, fsync_part_directory = 1"
        self.db.query(f"CREATE TABLE bench.samples ({columns}) ENGINE = MergeTree ORDER BY (tag, time) SETTINGS {settings}")
        self.tags = np.arange(size.tags, dtype=np.int32)

    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        times = pa.array(np.full(self.size.tags, time)).cast(pa.timestamp("ns", tz="UTC"))
        batch = pa.table({"tag": self.tags, "time": times, "value": value, "quality": quality})
        assert batch.num_rows  # `batch` is looked up by its name from the query
        self.db.query("INSERT INTO bench.samples SELECT * FROM Python(batch)")

    def seal(self) -> None:
        pass  # every insert is a part in its final form

    def compact(self) -> None:
        self.db.query("OPTIMIZE TABLE bench.samples FINAL")

    def reopen(self) -> None:
        self.db.query("SYSTEM DROP MARK CACHE")
        self.db.query("SYSTEM DROP UNCOMPRESSED CACHE")

    def bytes(self) -> int:
        found = self.db.query("SELECT sum(bytes_on_disk) FROM system.parts WHERE database = 'bench' AND active", "CSV")
        return int(str(found))

    def _table(self, query: str) -> pa.Table:
        return pa.ipc.open_file(pa.py_buffer(self.db.query(query, "Arrow").bytes())).read_all()

    def last_all(self) -> float:
        return float(self._table("SELECT tag, argMax(value, time) AS v FROM bench.samples GROUP BY tag").column("v").to_numpy().sum())

    def raw(self, tag: int) -> float:
        found = self._table(f"SELECT value, time, quality FROM bench.samples WHERE tag = {tag} ORDER BY time")
        return float(found.column("value").to_numpy().sum())

    def aggregate(self, tags: list[int]) -> float:
        some = ", ".join(map(str, tags))
        found = self._table(
            f"SELECT tag, toStartOfMinute(time) AS bucket, avgIf(value, quality < 1073741824) AS mean"
            f" FROM bench.samples WHERE tag IN ({some}) GROUP BY tag, bucket ORDER BY tag, bucket"
        )
        return float(np.nansum(found.column("mean").to_numpy()))

    def asof(self, tags: list[int]) -> float:
        some = ", ".join(map(str, tags))
        n = len(times_of(self.size))
        grid = f"SELECT toInt32(arrayJoin([{some}])) AS tag, fromUnixTimestamp64Nano(toInt64({START + S // 2}) + number * {S}, 'UTC') AS time FROM numbers({n})"  # noqa: E501
        found = self._table(
            f"SELECT g.tag, g.time, if(s.quality < 1073741824, s.value, nan) AS v FROM ({grid}) g"
            f" ASOF JOIN (SELECT * FROM bench.samples WHERE tag IN ({some})) s ON g.tag = s.tag AND g.time >= s.time"
        )
        return float(np.nansum(found.column("v").to_numpy()))

    def close(self) -> None:
        self.db.close()


class InfluxDb:
    """InfluxDB 1.x on ports of its own, started for the run from the `influxd` that is installed."""

    durability = "one write request per batch, acknowledged after fsync of its write-ahead log (the default)"
    layout = "one measurement, the tag as series, line protocol; TSM files, tsi1 index"

    def __init__(self, folder: Path, size: Size) -> None:
        self.size, self.folder = size, folder
        self.port, other = _free_ports(2)
        config = folder / "influxdb.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{other}"\n[meta]\ndir = "{folder}/meta"\n'
            f'[data]\ndir = "{folder}/data"\nwal-dir = "{folder}/wal"\nindex-version = "tsi1"\nquery-log-enabled = false\n'
            'cache-snapshot-write-cold-duration = "1s"\ncompact-full-write-cold-duration = "1s"\n'
            f'[http]\nbind-address = "127.0.0.1:{self.port}"\nlog-enabled = false\n[monitor]\nstore-enabled = false\n'
        )
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.server = subprocess.Popen(["influxd", "run", "-config", str(config)], cwd=folder, **quiet)  # type: ignore[call-overload]
        until = monotonic() + 20
        while True:
            try:
                self._query("CREATE DATABASE bench", "POST")
                break
            except OSError:
                if monotonic() > until:
                    self.close()
                    raise
                sleep(0.05)
        self.heads = [f"samples,id={t} value=" for t in range(size.tags)]

    def _call(self, path: str, data: bytes | None, method: str, **fields: str) -> bytes:
        request = Request(f"http://127.0.0.1:{self.port}{path}?{urlencode(fields)}", data, method=method)
        with urlopen(request, timeout=60) as response:  # noqa: S310
            return bytes(response.read())

    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        rows = zip(self.heads, value.tolist(), quality.tolist(), strict=True)
        lines = "\n".join(f"{head}{v},quality={c}i {time}" for head, v, c in rows)
        self._call("/write", lines.encode(), "POST", db="bench", precision="ns")

    def seal(self) -> None:
        pass  # it writes its cache to TSM files when nothing has been written for a while

    def compact(self) -> None:
        until = monotonic() + 20
        while folder_bytes(self.folder / "wal") > 1000 and monotonic() < until:
            sleep(0.05)

    def reopen(self) -> None:
        pass

    def bytes(self) -> int:
        return folder_bytes(self.folder / "data") + folder_bytes(self.folder / "wal")

    def _query(self, text: str, method: str = "GET") -> list[Any]:
        answer = msgspec.json.decode(self._call("/query", None, method, db="bench", epoch="ns", q=text))
        series: list[Any] = answer["results"][0].get("series", [])
        return series

    def last_all(self) -> float:
        return float(sum(s["values"][0][1] for s in self._query("SELECT last(value) FROM samples GROUP BY id")))

    def raw(self, tag: int) -> float:
        (series,) = self._query(f"SELECT value, quality FROM samples WHERE id = '{tag}'")
        return float(sum(r[1] for r in series["values"]))

    def aggregate(self, tags: list[int]) -> float:
        some = " OR ".join(f"id = '{t}'" for t in tags)
        span = f"time >= {START} AND time < {self.size.end}"
        found = self._query(
            f"SELECT mean(value) FROM samples WHERE ({some}) AND quality < 1073741824 AND {span} GROUP BY time(1m), id fill(none)"
        )
        return float(sum(r[1] for s in found for r in s["values"]))

    def asof(self, tags: list[int]) -> float:
        grid, total = times_of(self.size), 0.0
        some = " OR ".join(f"id = '{t}'" for t in tags)
        for series in self._query(f"SELECT value, quality FROM samples WHERE {some} GROUP BY id"):
            times, values, codes = (np.array(c) for c in zip(*series["values"], strict=True))
            at = times.searchsorted(grid, "right") - 1
            total += float(np.nansum(np.where(codes[at] < 0x40000000, values[at], np.nan)))
        return total

    def close(self) -> None:
        self.server.terminate()
        self.server.wait(20)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


STORES: dict[str, type[Store]] = {
    "ronghe": Ronghe,
    "duckdb": DuckDb,
    "sqlite": Sqlite,
    "postgres": Postgres,
    "chdb": ChDb,
    "influxdb": InfluxDb,
}


def main(name: str, folder: Path, size: Size) -> None:
    """Measures one store and prints the result as one line of JSON."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    store = STORES[name](folder, size)
    try:
        result = measure(store, size)
    finally:
        store.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Size(int(sys.argv[3]), int(sys.argv[4])))
