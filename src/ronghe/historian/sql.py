"""SQL over a store, by DuckDB: one SELECT over `samples(tag, time, value, quality, text)`, which reaches nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ronghe.errors import BadQuery
from ronghe.historian.block import Block, merge
from ronghe.historian.query import Sources, overlap
from ronghe.text import Text

if TYPE_CHECKING:
    import duckdb

_SEGMENT: Final = """
    SELECT tag, time, CASE WHEN scale >= 0 THEN digits / pow(10, scale) ELSE value END AS value, quality, text, {order} AS written
    FROM read_parquet('{path}')"""
_HEAD: Final = "SELECT *, {order} AS written FROM head"
_ONCE: Final = "SELECT * FROM ({rows}) QUALIFY row_number() OVER (PARTITION BY tag, time ORDER BY written DESC) = 1"
_VIEW: Final = """
    CREATE VIEW samples AS
    SELECT n.name AS tag, s.time, s.value, s.quality, s.text FROM ({rows}) s JOIN names n ON n.id = s.tag"""


def run(text: str, sources: Sources, names: Sequence[str]) -> pa.Table:
    """The answer. Raises BadQuery when it is not one SELECT, or when DuckDB cannot answer it."""
    import duckdb

    connection = duckdb.connect(":memory:")
    try:
        _offer(connection, sources, names)
        statements = connection.extract_statements(text)
        # Nothing but SELECT: with EXPLAIN ANALYZE, for one, a COPY over a segment would be carried out.
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise BadQuery(
                Text("only one SELECT can be answered", "只能执行一条 SELECT 语句"),
                todo=Text("ask one question of `samples` at a time", "请每次只对 `samples` 查询一次"),
            )
        return connection.sql(text).to_arrow_table()
    except duckdb.Error as e:
        raise BadQuery(Text(f"DuckDB cannot answer this: {e}", f"DuckDB 无法执行：{e}")) from e
    finally:
        connection.close()


def _offer(connection: duckdb.DuckDBPyConnection, sources: Sources, names: Sequence[str]) -> None:
    """Makes the view, then closes every other door."""
    head = merge([run for h in sources.heads for run in h.runs()])
    connection.register("names", pa.table({"id": pa.array(range(len(names)), pa.int32()), "name": pa.array(list(names), pa.utf8())}))
    connection.register("head", _arrow(head))
    paths = [str(s.path).replace("'", "''") for s in sources.segments]
    rows = [_SEGMENT.format(order=i, path=p) for i, p in enumerate(paths)] + [_HEAD.format(order=len(paths))]
    spans = Sources(sources.segments).spans(None, 0, 2**63 - 1)
    spans.append((head.tag[head.firsts()], head.time[head.firsts()], head.time[head.lasts()]))
    twice, _ = overlap(spans)
    parts = [r for r, t in zip(rows, twice, strict=True) if not t]
    if twice.any():
        parts.append(_ONCE.format(rows=" UNION ALL ".join(r for r, t in zip(rows, twice, strict=True) if t)))
    allowed = ", ".join(f"'{p}'" for p in paths)
    connection.execute(f"SET allowed_paths = [{allowed}]")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_external_access = false")
    connection.execute(_VIEW.format(rows=" UNION ALL ".join(parts)))
    connection.execute("SET lock_configuration = true")


def _arrow(block: Block) -> pa.Table:
    text = pa.nulls(len(block), pa.utf8()) if block.text is None else block.text
    time = pa.array(block.time).cast(pa.timestamp("ns", tz="UTC"))
    return pa.table({"tag": block.tag, "time": time, "value": block.value, "quality": block.quality, "text": text})
