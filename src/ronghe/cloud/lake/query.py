"""SQL over a lake: on this machine by DuckDB, or on a Ray cluster by Daft, with the same answer.

Both read the files of the same version of the Delta tables. A query of the common subset (see `dialect`) is answered alike: the same names
and types of columns, and the same rows in the same order; sums, means and deviations of floats agree to 1e-9 of their size, since they are
added up in another order. DuckDB alone also answers the rest of its SQL, as DuckDB does.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
import tempfile
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from ronghe.cloud.lake import dialect
from ronghe.cloud.lake.dialect import NotPortable, Query
from ronghe.errors import CloudError, MissingExtra
from ronghe.text import Text

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from ronghe.cloud.lake.table import Lake

ENGINES: Final = ("duckdb", "ray")


def run(lake: Lake, sql: str, engine: str = "duckdb", address: str | None = None) -> pa.Table:
    """The answer to one SELECT. `address`: of the Ray cluster ("auto", ray://…); none: the one that this process is joined to, or one
    started here.

    Raises NotPortable for a query that a cluster cannot be asked, CloudError for one that cannot be answered, MissingExtra.
    """
    if engine not in ENGINES:
        raise CloudError(Text(f"no such engine: {engine}", f"没有该引擎：{engine}"), todo=Text("duckdb or ray", "可用 duckdb 或 ray"))
    found = {name: table for name in lake.names() if (table := lake.open(name)) is not None}
    try:
        with duckdb.connect(":memory:") as plan:
            node, schema, query = _planned(plan, sql, found)
        if engine == "ray":
            if isinstance(query, NotPortable):
                raise query
            return _cluster(query, schema, found, lake.options, address)
        return _here(lake, sql if isinstance(query, NotPortable) else _ordered(query, schema), found, _used(node)).cast(schema)
    except duckdb.Error as e:
        first = str(e).splitlines()[0]
        raise CloudError(
            Text(f"this cannot be answered: {first}", f"无法执行：{first}"),
            todo=Text(f"tables: {', '.join(found) or '-'}", f"现有表：{'、'.join(found) or '-'}"),
        ) from e


def _planned(
    plan: duckdb.DuckDBPyConnection, sql: str, tables: dict[str, DeltaTable]
) -> tuple[dialect.Node, pa.Schema, Query | NotPortable]:
    """The tree, the columns of the answer, and the query in the common subset, or why it is not. Nothing is read."""
    node = dialect.parse(plan, sql)
    plan.execute("SET TimeZone = 'UTC'; SET enable_external_access = false")
    times, known = set(), set()
    for name, table in tables.items():
        schema = pa.schema(table.schema().to_arrow())
        known |= set(schema.names)
        times |= {f.name for f in schema if pa.types.is_timestamp(f.type)}
        plan.register(name, schema.empty_table())
    columns = plan.sql(sql).to_arrow_table().schema
    schema = pa.schema([pa.field(f.name, _plain(f.type)) for f in columns])
    try:
        return node, schema, dialect.portable(plan, node, schema.names, times, known)
    except NotPortable as e:
        return node, schema, e


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type in which both engines' answers are given."""
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return pa.utf8()
    return pa.timestamp("us", tz="UTC") if pa.types.is_timestamp(kind) else kind


def _used(node: Any) -> set[str]:
    """The tables that a query names."""
    if isinstance(node, dict):
        mine = {node["table_name"]} if node.get("type") == "BASE_TABLE" else set()
        return mine.union(*map(_used, node.values()))
    return set().union(*map(_used, node)) if isinstance(node, list) else set()


# ── on this machine ──


def _ordered(query: Query, schema: pa.Schema) -> str:
    keys = [f'"{k.column}" {"DESC" if k.descending else "ASC"} NULLS {"FIRST" if k.nulls_first else "LAST"}' for k in query.keys]
    keys += [f"{i} ASC NULLS LAST" for i in range(1, len(schema) + 1)]
    limit = "" if query.limit is None else f" LIMIT {query.limit}"
    offset = f" OFFSET {query.offset}" if query.offset else ""
    distinct = "DISTINCT " if query.distinct else ""
    return f"SELECT {distinct}* FROM ({query.duckdb}) AS answer ORDER BY {', '.join(keys)}{limit}{offset}"  # noqa: S608


def _here(lake: Lake, sql: str, tables: dict[str, DeltaTable], used: set[str]) -> pa.Table:
    """By DuckDB, which can reach nothing but the files of the tables."""
    with tempfile.TemporaryDirectory(prefix="ronghe-lake-") as scratch, duckdb.connect(":memory:") as connection:
        files = []
        connection.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{scratch}'")
        for name, table in tables.items():
            if name in used:
                lake.offer(connection, name, table)
                files += table.file_uris() if lake.local else []
        allowed = ", ".join("'" + f.replace("'", "''") + "'" for f in files)
        connection.execute(f"SET allowed_paths = [{allowed}]; SET allowed_directories = ['{scratch}']")
        connection.execute("SET enable_external_access = false; SET lock_configuration = true")
        return connection.sql(sql).to_arrow_table()


# ── on a cluster ──


def _cluster(query: Query, schema: pa.Schema, tables: dict[str, DeltaTable], options: dict[str, str], address: str | None) -> pa.Table:
    daft = join(address)
    config = _io(daft, options)
    frames = {
        n: daft.read_deltalake(t.table_uri, version=t.version(), io_config=config) for n, t in tables.items() if f'"{n}"' in query.daft
    }
    try:
        frame = daft.sql(query.daft, register_globals=False, **frames)
        if query.distinct:
            frame = frame.distinct()
        keys = [(k.column, k.descending, k.nulls_first) for k in query.keys]
        keys += [(c, False, False) for c in schema.names if c not in {k.column for k in query.keys}]
        by, descending, first = (list(c) for c in zip(*keys, strict=True))
        frame = frame.sort([daft.col(c) for c in by], desc=descending, nulls_first=first)
        if query.limit is not None or query.offset:
            end = None if query.limit is None else query.limit + query.offset
            found = (frame if end is None else frame.limit(end)).to_arrow().slice(query.offset)
        else:
            found = frame.to_arrow()
    except Exception as e:  # Daft raises what its Rust parts raise, of no common type
        why = str(e).strip().splitlines()[-1]  # above it stands the way through the cluster
        raise CloudError(Text(f"the cluster did not answer: {why}", f"集群未能给出结果：{why}")) from e
    return found.select(schema.names).cast(schema)


def join(address: str | None) -> Any:
    """Daft, running on the Ray cluster at an address; see `run`. Raises MissingExtra, CloudError when the cluster is away."""
    # Neither may tell its makers what is asked here.
    os.environ.update(DAFT_ANALYTICS_ENABLED="0", DO_NOT_TRACK="true", RAY_USAGE_STATS_ENABLED="0")
    os.environ.setdefault("DAFT_PROGRESS_BAR", "0")
    try:
        import daft
        import ray
    except ImportError as e:
        raise MissingExtra("cluster", Text("a query on a cluster", "集群查询")) from e
    logging.getLogger("daft").setLevel(logging.ERROR)
    start(ray, address)
    daft.set_runner_ray(noop_if_initialized=True)
    return daft


def start(ray: Any, address: str | None) -> None:
    """Joins a cluster, or starts one on this machine. Raises CloudError when it cannot be reached."""
    if ray.is_initialized():
        return
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    own = {} if address else {"include_dashboard": False, "object_store_memory": 200_000_000}
    try:
        if host:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()  # Ray itself would try for ever
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **own)
    except Exception as e:  # Ray raises no type of its own here
        raise CloudError(
            Text(f"no Ray cluster at {address or 'this machine'}: {e}", f"{address or '本机'} 的 Ray 集群不可用：{e}"),
            todo=Text("start one: ray start --head", "请先启动：ray start --head"),
        ) from e
    # What Ray tells of workers that died it prints on standard output, where answers go.
    worker: Any = importlib.import_module("ray._private.worker")
    worker._worker_logs_enabled = False


def _io(daft: Any, options: dict[str, str]) -> Any:
    if not options:
        return None
    from daft.io import IOConfig, S3Config

    return IOConfig(
        s3=S3Config(
            endpoint_url=options.get("AWS_ENDPOINT_URL"),
            region_name=options.get("AWS_REGION", "us-east-1"),
            key_id=options.get("AWS_ACCESS_KEY_ID"),
            access_key=options.get("AWS_SECRET_ACCESS_KEY"),
            session_token=options.get("AWS_SESSION_TOKEN"),
            use_ssl=not options.get("AWS_ENDPOINT_URL", "").startswith("http://"),
        )
    )
