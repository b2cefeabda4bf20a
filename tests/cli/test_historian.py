"""`ronghe query`, as a person runs it, while the node goes on writing."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest

from ronghe.cli.main import main
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

S = 1_000_000_000
NAN = float("nan")


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A plant folder whose node runs: ten minutes of a pressure, a temperature with bad samples, and a state; the store stays open."""
    folder = tmp_path_factory.mktemp("plant")
    index = TagIndex()
    with Historian(folder / ".ronghe" / "historian", index, head_rows=1000) as store:
        now = time.time_ns()
        for i in range(600):
            bad = q.BAD_NO_COMMUNICATION if i % 10 == 0 else q.GOOD
            store.append(
                Batch.of(
                    index,
                    ["line1/pump1/pressure", "line1/pump1/temperature", "line1/state"],
                    now - (600 - i) * S,
                    [i / 10, NAN if bad else 20.25, NAN],
                    [q.GOOD, bad, q.GOOD],
                    [None, None, "运行"],
                )
            )
        yield folder


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def query(*arguments: str | Path, lang: str = "en") -> Done:
    """The whole command line, in this process: starting one takes longer than answering."""
    out, err = io.StringIO(), io.StringIO()
    code: int | str | None = 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("RONGHE_LANG", lang)
        patch.setattr(sys, "argv", ["ronghe", "query", *map(str, arguments)])
        try:
            main()
        except SystemExit as left:
            code = left.code
    return Done(int(code or 0), out.getvalue(), err.getvalue())


def answer(*arguments: str | Path, lang: str = "en") -> str:
    done = query(*arguments, lang=lang)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_last_as_a_table_in_both_languages(plant: Path) -> None:
    lines = answer(plant, "--last").splitlines()
    assert lines[0].split() == ["tag", "time", "(UTC)", "value", "quality", "text"]
    assert lines[1].startswith("line1/pump1/pressure")
    assert "59.9" in lines[1]
    assert lines[3].rstrip().endswith("运行")
    chinese = answer(plant, "line1/pump1/*", "--last", lang="zh").splitlines()
    assert chinese[0].split() == ["标签", "时间", "(UTC)", "值", "质量"]
    assert "良好" in chinese[1]


def test_from_another_process_while_the_node_writes(plant: Path) -> None:
    command = [sys.executable, "-c", "from ronghe.cli.main import main; main()", "query", str(plant), "*pressure", "--last"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "RONGHE_LANG": "zh"})
    assert "59.9" in done.stdout
    assert "良好" in done.stdout


def test_raw_as_csv_from_a_store_folder(plant: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(answer(plant / ".ronghe" / "historian", "*pressure", "-20min", "now", "--format", "csv"))))
    assert len(rows) == 600
    assert [float(r["value"]) for r in rows] == [i / 10 for i in range(600)]
    assert rows[0]["time"].endswith("Z")


def test_aggregates_as_json(plant: Path) -> None:
    text = answer(plant, "*temperature", "-20min", "--every", "1min", "--function", "mean", "--function", "count", "--format", "json")
    rows = json.loads(text)
    assert all(r["mean"] == 20.25 for r in rows if r["count"])  # the first and the last minute may hold nothing but a bad sample
    assert sum(r["count"] for r in rows) == 540
    assert {r["tag"] for r in rows} == {"line1/pump1/temperature"}
    assert all(0 < r["good"] < 1 for r in rows[1:-1])


def test_to_files(plant: Path, tmp_path: Path) -> None:
    for name in ("all.parquet", "all.csv", "all.json"):
        assert answer(plant, "*", "-20min", "-o", tmp_path / name) == ""
    table = pq.read_table(tmp_path / "all.parquet")
    assert table.num_rows == 1800
    assert set(table.column("tag").to_pylist()) == {"line1/pump1/pressure", "line1/pump1/temperature", "line1/state"}
    assert len((tmp_path / "all.csv").read_text().splitlines()) == 1801
    rows = json.loads((tmp_path / "all.json").read_text())
    assert len(rows) == 1800
    assert rows[-1]["text"] == "运行"
    assert rows[-1]["value"] is None


def test_sql(plant: Path) -> None:
    text = answer(plant, "--sql", "SELECT tag, count(*) AS n FROM samples GROUP BY tag ORDER BY tag", "--format", "csv")
    assert text.splitlines() == ["tag,n", "line1/pump1/pressure,600", "line1/pump1/temperature,600", "line1/state,600"]


def test_a_long_table_is_cut_and_says_so(plant: Path) -> None:
    done = query(plant, "*pressure", "-20min")
    assert len(done.stdout.splitlines()) == 101
    assert "500 more rows" in done.stderr
    assert len(answer(plant, "*pressure", "-20min", "--limit", "250").splitlines()) == 251


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("*presure",), "line1/pump1/pressure"),
        (("*", "yesterday"), "not a time"),
        (("*", "-1h", "--every", "5m"), "'min'"),
        (("*", "-1h", "--function", "mean"), "--every"),
        (("*", "-1h", "--format", "parquet"), "-o"),
        (("--sql", "DROP TABLE samples"), "SELECT"),
        (("*", "now", "-1h"), "before the start"),
    ],
)
def test_mistakes_are_told_in_one_line(plant: Path, arguments: tuple[str, ...], said: str) -> None:
    done = query(plant, *arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_folder_without_a_store(tmp_path: Path) -> None:
    done = query(tmp_path, lang="zh")
    assert done.returncode == 1
    assert "ronghe up" in done.stderr
    assert query("-h").returncode == 0


def test_a_plant_of_many_tags_is_read_in_parts(tmp_path: Path) -> None:
    index = TagIndex()
    names = [f"t{i:03}" for i in range(120)]
    with Historian(tmp_path, index) as store:
        store.append(Batch.of(index, names, time.time_ns(), np.arange(120.0)))
    rows = list(csv.DictReader(io.StringIO(answer(tmp_path, "t*", "-1min", "--format", "csv"))))
    assert [r["tag"] for r in rows] == names
    assert json.loads(answer(tmp_path, "t*", "-2h", "-1h", "--format", "json")) == []
