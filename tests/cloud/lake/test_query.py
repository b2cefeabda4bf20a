"""SQL over the lake: what the common subset is, and that DuckDB reaches nothing else. The cluster's side is in test_on_ray."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ronghe.cli.lake import lake as command
from ronghe.cloud.lake import Lake
from ronghe.cloud.lake.dialect import NotPortable
from ronghe.cloud.lake.storage import storage_options
from ronghe.errors import CloudError

from .conftest import table_of

NOT_PORTABLE = {
    "SELECT tag, lag(value) OVER (PARTITION BY tag ORDER BY time) AS d FROM samples": "window functions",
    "SELECT quantile_cont(value, 0.9) AS p FROM samples": "the function quantile_cont",
    "SELECT tag FROM samples UNION SELECT 'x'": "UNION",
    "SELECT tag, count(*) AS n FROM samples GROUP BY ALL": "GROUP BY ALL",
    "SELECT count(*) FILTER (WHERE value > 1) AS n FROM samples": "FILTER",
    "SELECT tag FROM samples WHERE value > (SELECT avg(value) FROM samples)": "a SELECT within",
    "SELECT a.tag FROM samples AS a JOIN samples AS b ON a.value > b.value": "ON anything but",
    "SELECT date_trunc('month', time) AS m FROM samples": "date_trunc",
    "SELECT tag FROM samples ORDER BY value": "ORDER BY something that is not a column",
    "SELECT date_trunc('day', time) AS time FROM samples GROUP BY date_trunc('day', time)": "names an expression and a column",
    "SELECT cast(value AS BIGINT) AS i FROM samples": "CAST to BIGINT",
    "SELECT 1 AS one": "SELECT without FROM",
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake"))
    lake.add("acme/one", table_of(300))
    lake.add("acme/two", table_of(300, value=0.5))
    return lake


@pytest.mark.parametrize(("sql", "named"), NOT_PORTABLE.items())
def test_what_a_cluster_cannot_be_asked_is_named_before_it_is(filled: Lake, sql: str, named: str) -> None:
    with pytest.raises(NotPortable, match=named):
        filled.query(sql, "ray")
    assert filled.query(sql).num_columns  # DuckDB answers all the same


def test_rows_stand_in_one_order_however_few_are_asked_for(filled: Lake) -> None:
    found = filled.query("SELECT tag, plant, count(*) AS n FROM samples GROUP BY tag, plant ORDER BY n DESC LIMIT 3")
    assert found.to_pydict() == {
        "tag": ["line/p0/flow"] * 2 + ["line/p1/flow"],
        "plant": ["acme/one", "acme/two", "acme/one"],
        "n": [100] * 3,
    }
    assert found.schema.types == [pa.utf8(), pa.utf8(), pa.int64()]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY samples TO '/tmp/x'",
        "SELECT 1; SELECT 2",
        "DROP TABLE samples",
        "SELECT nothing FROM samples",
        "SELECT * FROM nowhere",
        "not SQL",
    ],
)
def test_nothing_but_one_select_over_the_tables(filled: Lake, sql: str) -> None:
    with pytest.raises(CloudError):
        filled.query(sql)


def test_files_are_queried_beside_samples(filled: Lake, tmp_path: Path) -> None:
    pq.write_table(pa.table({"tag": ["line/p0/flow"], "cost": pa.array([7], pa.uint16())}), tmp_path / "cost.parquet")
    run = CliRunner()
    given = ["--lake", filled.url]
    assert run.invoke(command, [*given, "import", "cost", str(tmp_path / "cost.parquet")]).exit_code == 0
    joined = "SELECT s.plant AS plant, sum(s.value * c.cost) AS cost FROM samples AS s JOIN cost AS c ON s.tag = c.tag GROUP BY s.plant"
    shown = run.invoke(command, [*given, "query", joined, "--format", "csv"])
    assert shown.output == "plant,cost\nacme/one,103950.0\nacme/two,104300.0\n"
    shown = run.invoke(command, [*given, "tables", "--json"])
    assert '"name":"cost"' in shown.output
    assert '"plants":["acme/one","acme/two"]' in shown.output
    with pytest.raises(CloudError, match="cannot be the name"):
        filled.put("samples", [tmp_path / "cost.parquet"])


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CloudError, match="plain text"):
        storage_options("s3://b/p", {"secret": "s3cr3t"})
    with pytest.raises(CloudError, match="no such option: secrt"):
        storage_options("s3://b/p", {"secrt": "x"})
    monkeypatch.setenv("LAKE_SECRET", "s3cr3t")
    found = storage_options("s3://b/p", {"secret": {"env": "LAKE_SECRET"}, "endpoint": "http://127.0.0.1:9"})
    assert found["AWS_SECRET_ACCESS_KEY"] == "s3cr3t"
    assert found["AWS_ALLOW_HTTP"] == "true"
