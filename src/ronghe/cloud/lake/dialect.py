"""The SQL that a lake answers alike on one machine and on a cluster: what both DuckDB and Daft speak, and mean the same by.

DuckDB parses the query and gives its tree. From the tree comes either Daft's text of it or an error that names what is not in the subset:

    [WITH name AS (SELECT …), …]
    SELECT [DISTINCT] * | expression [AS name], …
    FROM table | (SELECT …) AS name [[LEFT] JOIN … ON a = b AND …]
    [WHERE …] [GROUP BY a column, name or expression of the SELECT list, …] [HAVING …]
    [ORDER BY a column of the answer [ASC | DESC] [NULLS FIRST | LAST], …] [LIMIT n]

with = <> < <= > >=, AND OR NOT, + - * / %, BETWEEN, IN (…), IS [NOT] NULL, [NOT] LIKE, CASE, CAST to DOUBLE or DATE, times as text
('2026-03-01T08:00:00Z') or TIMESTAMP '…', and the functions in `FUNCTIONS` and `AGGREGATES`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import duckdb
import msgspec

from ronghe.errors import CloudError
from ronghe.text import Text

FUNCTIONS: Final = ("abs", "round", "floor", "ceil", "sqrt", "ln", "exp", "power", "lower", "length", "year", "month", "day", "hour",
                    "minute", "date_trunc")  # fmt: skip
AGGREGATES: Final = ("count", "sum", "avg", "min", "max", "stddev", "stddev_samp", "stddev_pop", "var_pop")
UNITS: Final = ("second", "minute", "hour", "day")
"""Of date_trunc."""

_COMPARISONS: Final = {
    "COMPARE_EQUAL": "=", "COMPARE_NOTEQUAL": "<>", "COMPARE_LESSTHAN": "<", "COMPARE_GREATERTHAN": ">",
    "COMPARE_LESSTHANOREQUALTO": "<=", "COMPARE_GREATERTHANOREQUALTO": ">=",
}  # fmt: skip
_OPERATORS: Final = {"+", "-", "*", "/", "%"}
_CASTS: Final = {"DOUBLE": "DOUBLE", "DATE": "DATE", "FLOAT8": "DOUBLE"}
Node = dict[str, Any]


class Key(msgspec.Struct, frozen=True):
    """One column by which the answer is ordered."""

    column: str
    descending: bool
    nulls_first: bool


class Query(msgspec.Struct, frozen=True):
    """A query of the subset. `duckdb` and `daft` are its text without order and limit; the answer's rows stand in the order of `keys`, then
    of all columns from left to right."""

    duckdb: str
    daft: str
    distinct: bool
    keys: tuple[Key, ...]
    limit: int | None
    offset: int


class NotPortable(CloudError):
    """A query that only one of the engines can answer."""

    def __init__(self, what: Text) -> None:
        super().__init__(
            Text(f"not in the SQL that both engines speak: {what.en}", f"不在两种引擎共有的 SQL 之内：{what.zh}"),
            todo=Text(
                "write it otherwise (docs/lake.md lists what there is), or use --engine duckdb",
                "请改写（见 docs/lake.md），或用 --engine duckdb",
            ),
        )


def parse(connection: duckdb.DuckDBPyConnection, sql: str) -> Node:
    """The tree of one SELECT. Raises CloudError when it is not one, or not SQL."""
    row = connection.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0]
    tree = json.loads(row)
    if tree["error"] or len(tree["statements"]) != 1:
        message = tree.get("error_message", "")
        only = "Only SELECT" in message or not tree["error"]
        what = (
            Text("only one SELECT can be answered", "只能执行一条 SELECT 语句")
            if only
            else Text(f"not SQL: {message}", f"不是有效的 SQL：{message}")
        )
        raise CloudError(what)
    node: Node = tree["statements"][0]["node"]
    return node


def portable(
    connection: duckdb.DuckDBPyConnection, node: Node, columns: Sequence[str], times: Collection[str], known: Collection[str]
) -> Query:
    """The query in both engines' words. `columns` are those of its answer, `known` those of the tables, `times` those among them that hold
    times.

    Raises NotPortable, naming what is not in the subset.
    """
    if len(set(columns)) < len(columns):
        raise NotPortable(Text("two columns of one name in the answer; name them by AS", "结果中有同名的列；请用 AS 命名"))
    modifiers = {m["type"]: m for m in node.get("modifiers", ())}
    inner = {**node, "modifiers": []}
    printer = _Printer(times, known)
    text = printer.select(inner, columns)
    limit = modifiers.get("LIMIT_MODIFIER", {})
    orders = modifiers.get("ORDER_MODIFIER", {}).get("orders", ())
    distinct = modifiers.get("DISTINCT_MODIFIER")
    if (distinct and distinct["distinct_on_targets"]) or set(modifiers) - {"LIMIT_MODIFIER", "ORDER_MODIFIER", "DISTINCT_MODIFIER"}:
        raise NotPortable(Text("DISTINCT ON", "DISTINCT ON"))
    tree = json.dumps({"error": False, "statements": [{"node": inner, "named_param_map": []}]})
    duck = connection.execute("SELECT json_deserialize_sql($tree::JSON)", {"tree": tree}).fetchall()[0][0]
    return Query(
        duckdb=duck,
        daft=text,
        distinct=distinct is not None,
        keys=tuple(_key(o, node["select_list"], columns) for o in orders),
        limit=_whole(limit.get("limit"), "LIMIT"),
        offset=_whole(limit.get("offset"), "OFFSET") or 0,
    )


def _whole(node: Node | None, what: str) -> int | None:
    if node is None:
        return None
    if node["class"] != "CONSTANT" or node["literal"]["kind"] != "INTEGER":
        raise NotPortable(Text(f"{what} that is not a whole number", f"{what} 不是整数"))
    return int(node["literal"]["text"])


def _key(order: Node, items: Sequence[Node], columns: Sequence[str]) -> Key:
    at = _column_of(order["expression"], items, columns)
    if at is None:
        raise NotPortable(
            Text(
                "ORDER BY something that is not a column of the answer; add it to the SELECT list",
                "ORDER BY 的内容不是结果中的列；请加入 SELECT 列表",
            )
        )
    descending = order["type"] == "DESCENDING"
    return Key(columns[at], descending, order["null_order"] in ("NULLS FIRST", "NULLS_FIRST"))


def _column_of(node: Node, items: Sequence[Node], columns: Sequence[str]) -> int | None:
    """Which column of the answer an expression of ORDER BY or GROUP BY means: by place, by name, or by saying the same."""
    if node["class"] == "CONSTANT" and node["literal"]["kind"] == "INTEGER":
        place = int(node["literal"]["text"]) - 1
        return place if 0 <= place < len(columns) else None
    if node["class"] == "COLUMN_REF" and len(node["column_names"]) == 1 and node["column_names"][0] in columns:
        return list(columns).index(node["column_names"][0])
    said = _bare(node)
    return next((i for i, item in enumerate(items) if _bare(item) == said), None)


def _bare(node: Any) -> Any:
    """A tree without places in the text and names given to it."""
    if isinstance(node, dict):
        return {k: _bare(v) for k, v in node.items() if k not in ("query_location", "query_location_length", "alias")}
    return [_bare(v) for v in node] if isinstance(node, list) else node


class _Printer:
    """Daft's text of a tree."""

    def __init__(self, times: Collection[str], known: Collection[str]) -> None:
        self._times, self._known = times, known

    def select(self, node: Node, columns: Sequence[str] | None = None) -> str:
        """One SELECT; `columns`: the names of its answer, where they are known."""
        if node["type"] != "SELECT_NODE":
            raise NotPortable(Text("UNION and its like", "UNION 等集合运算"))
        odd = [k for k in ("sample", "qualify") if node.get(k)] + [m["type"] for m in node["modifiers"] if not _plain_distinct(m)]
        if odd or node["aggregate_handling"] != "STANDARD_HANDLING" or len(node["group_sets"]) > 1:
            what = odd[0].lower().replace("_modifier", "") if odd else "GROUP BY ALL, ROLLUP"
            raise NotPortable(Text(f"{what} here", f"此处的 {what}"))
        names = [_name(item) for item in node["select_list"]] if columns is None else list(columns)
        parts = ["SELECT DISTINCT" if node["modifiers"] else "SELECT", self._items(node["select_list"], names)]
        parts += ["FROM", self._table(node["from_table"])]
        if node["where_clause"]:
            parts += ["WHERE", self.expression(node["where_clause"])]
        if node["group_expressions"]:
            parts += ["GROUP BY", ", ".join(self._group(g, node["select_list"], names) for g in node["group_expressions"])]
        if node["having"]:
            parts += ["HAVING", self.expression(node["having"])]
        named = node["cte_map"]["map"]
        head = ", ".join(f"{_quoted(c['key'])} AS ({self.select(c['value']['query_node'])})" for c in named)
        return (f"WITH {head} " if named else "") + " ".join(parts)

    def _items(self, items: Sequence[Node], names: Sequence[str]) -> str:
        if len(items) == 1 and items[0]["class"] == "STAR" and not items[0]["relation_name"]:
            if any(items[0][k] for k in ("exclude_list", "replace_list", "rename_list", "columns", "expr")):
                raise NotPortable(Text("* EXCLUDE, REPLACE, COLUMNS", "* EXCLUDE、REPLACE、COLUMNS"))
            return "*"
        return ", ".join(f"{self.expression(item)} AS {_quoted(name)}" for item, name in zip(items, names, strict=True))

    def _group(self, node: Node, items: Sequence[Node], names: Sequence[str]) -> str:
        if node["class"] == "COLUMN_REF" and not any(n == node["column_names"][-1] for n in names):
            return self.expression(node)
        at = _column_of(node, items, names)
        if at is None:
            raise NotPortable(
                Text(
                    "GROUP BY an expression that the SELECT list does not hold; add it there", "GROUP BY 的表达式不在 SELECT 列表中；请加入"
                )
            )
        if items[at]["class"] == "COLUMN_REF":
            return self.expression(items[at])
        if names[at] in self._known:
            raise NotPortable(
                Text(
                    f"{names[at]!r} names an expression and a column; name the expression otherwise",
                    f"{names[at]!r} 既是表达式又是列名；请改名",
                )
            )
        return _quoted(names[at])

    def _table(self, node: Node) -> str:
        kind = node["type"]
        if node.get("sample") or node.get("column_name_alias"):
            raise NotPortable(Text("SAMPLE, or names for the columns of a table", "SAMPLE 或表的列别名"))
        alias = f" AS {_quoted(node['alias'])}" if node["alias"] else ""
        if kind == "BASE_TABLE" and not node["schema_name"] and not node["catalog_name"]:
            return _quoted(node["table_name"]) + alias
        if kind == "SUBQUERY" and alias:
            return f"({self.select(node['subquery']['node'])}){alias}"
        plain = kind == "JOIN" and node["join_type"] in ("INNER", "LEFT") and node["ref_type"] == "REGULAR"
        if plain and not node["using_columns"] and not node["is_implicit"]:
            joined = "LEFT JOIN" if node["join_type"] == "LEFT" else "JOIN"
            return f"{self._table(node['left'])} {joined} {self._table(node['right'])} ON {self._equalities(node['condition'])}"
        names = {"EMPTY": "SELECT without FROM", "TABLE_FUNCTION": "a function in FROM", "JOIN": "a join that is not [LEFT] JOIN … ON"}
        what = names.get(kind, kind.lower())
        raise NotPortable(Text(what, what))

    def _equalities(self, node: Node) -> str:
        if node["type"] == "CONJUNCTION_AND":
            return " AND ".join(self._equalities(c) for c in node["children"])
        if node["type"] != "COMPARE_EQUAL":
            raise NotPortable(Text("a join ON anything but a = b AND …", "ON 条件不是 a = b AND … 的连接"))
        return self.expression(node)

    # ── expressions ──

    def expression(self, node: Node) -> str:
        """Any expression."""
        kind = node["class"]
        method = getattr(self, f"_{kind.lower()}", None)
        if method is None:
            known = {"WINDOW": Text("window functions", "窗口函数"), "SUBQUERY": Text("a SELECT within an expression", "表达式中的 SELECT")}
            raise NotPortable(known.get(kind, Text(kind.lower(), kind.lower())))
        return str(method(node))

    def _column_ref(self, node: Node) -> str:
        return ".".join(map(_quoted, node["column_names"]))

    def _constant(self, node: Node) -> str:
        kind, text = node["literal"]["kind"], node["literal"]["text"]
        if kind == "STRING":
            return "'" + text.replace("'", "''") + "'"
        if kind == "NULL_LITERAL":
            return "NULL"
        if kind in ("INTEGER", "NUMERIC", "BOOLEAN"):
            return str(text)
        raise NotPortable(Text(f"{text!r}", f"{text!r}"))

    def _comparison(self, node: Node) -> str:
        if node["type"] not in _COMPARISONS:
            raise NotPortable(Text("IS DISTINCT FROM", "IS DISTINCT FROM"))
        left, right = self._beside(node["left"], node["right"]), self._beside(node["right"], node["left"])
        return f"({left} {_COMPARISONS[node['type']]} {right})"

    def _between(self, node: Node) -> str:
        value = self.expression(node["input"])
        return f"({value} >= {self._beside(node['lower'], node['input'])} AND {value} <= {self._beside(node['upper'], node['input'])})"

    def _beside(self, node: Node, other: Node) -> str:
        """An expression that is compared with another: text beside a time is a time."""
        time = other["class"] == "COLUMN_REF" and other["column_names"][-1] in self._times
        if time and node["class"] == "CONSTANT" and node["literal"]["kind"] == "STRING":
            return _time(node["literal"]["text"])
        return self.expression(node)

    def _conjunction(self, node: Node) -> str:
        return "(" + f" {node['type'].removeprefix('CONJUNCTION_')} ".join(self.expression(c) for c in node["children"]) + ")"

    def _operator(self, node: Node) -> str:
        kind, parts = node["type"], [self.expression(c) for c in node["children"]]
        if kind == "OPERATOR_NOT":
            return f"(NOT {parts[0]})"
        if kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
            return f"({parts[0]} {kind.removeprefix('OPERATOR_').replace('_', ' ')})"
        if kind in ("COMPARE_IN", "COMPARE_NOT_IN"):
            return f"({parts[0]} {'NOT IN' if 'NOT' in kind else 'IN'} ({', '.join(parts[1:])}))"
        if kind == "OPERATOR_COALESCE":
            return f"coalesce({', '.join(parts)})"
        raise NotPortable(Text(kind.removeprefix("OPERATOR_").lower(), kind.removeprefix("OPERATOR_").lower()))

    def _case(self, node: Node) -> str:
        checks = " ".join(f"WHEN {self.expression(c['when_expr'])} THEN {self.expression(c['then_expr'])}" for c in node["case_checks"])
        return f"CASE {checks} ELSE {self.expression(node['else_expr'])} END"

    def _cast(self, node: Node) -> str:
        child, wanted = node["child"], node["type_expr"]["type_name"].upper()
        if wanted.startswith("TIMESTAMP") and child["class"] == "CONSTANT" and child["literal"]["kind"] == "STRING":
            return _time(child["literal"]["text"])
        if wanted not in _CASTS or node["try_cast"]:
            raise NotPortable(Text(f"CAST to {wanted}", f"转换为 {wanted}"))
        return f"CAST({self.expression(child)} AS {_CASTS[wanted]})"

    def _function(self, node: Node) -> str:
        name = node["function_name"].lower()
        given = [a["expression"] for a in node["arguments"]]
        if node["filter"] or node["order_bys"]["orders"]:
            raise NotPortable(Text("FILTER or ORDER BY within a function", "函数内的 FILTER 或 ORDER BY"))
        if name == "count_star":
            return "COUNT(*)"
        parts = [self.expression(g) for g in given]
        if name in _OPERATORS and len(parts) == 2:
            return f"({parts[0]} {name} {parts[1]})"
        if name in ("-", "+") and len(parts) == 1:
            return f"({name}{parts[0]})"
        if name in ("~~", "!~~") and given[1]["class"] == "CONSTANT" and "\\" not in parts[1]:
            return f"({parts[0]} {'NOT ' if name == '!~~' else ''}LIKE {parts[1]})"
        if name == "date_trunc" and (given[0]["class"] != "CONSTANT" or given[0]["literal"]["text"].lower() not in UNITS):
            raise NotPortable(Text(f"date_trunc to anything but {', '.join(UNITS)}", f"date_trunc 的单位不是 {'、'.join(UNITS)}"))
        if name in AGGREGATES and len(parts) == 1 and (not node["distinct"] or name == "count"):
            return f"{name}({'DISTINCT ' if node['distinct'] else ''}{parts[0]})"
        if name in FUNCTIONS:
            return f"{name}({', '.join(parts)})"
        raise NotPortable(Text(f"the function {name}", f"函数 {name}"))


def _plain_distinct(modifier: Node) -> bool:
    return modifier["type"] == "DISTINCT_MODIFIER" and not modifier["distinct_on_targets"]


def _name(item: Node) -> str:
    """The name of a column of a SELECT that is not the answer."""
    if item["class"] == "STAR":
        return "*"
    if item["alias"]:
        return str(item["alias"])
    if item["class"] == "COLUMN_REF":
        return str(item["column_names"][-1])
    raise NotPortable(Text("an expression without a name in a SELECT within; name it by AS", "内层 SELECT 中未命名的表达式；请用 AS 命名"))


def _time(text: str) -> str:
    """A moment, UTC where it does not say otherwise; both engines are given whole seconds and µs."""
    try:
        at = datetime.fromisoformat(text.strip().replace(" UTC", "Z"))
    except ValueError as e:
        raise CloudError(
            Text(f"not a time: {text!r}", f"不是时间：{text!r}"), todo=Text("e.g. 2026-03-01T08:00:00Z", "例如 2026-03-01T08:00:00Z")
        ) from e
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    whole = f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S} +0000'"
    return f"({whole} + INTERVAL '{at.microsecond} microseconds')" if at.microsecond else whole


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
