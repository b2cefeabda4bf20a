"""Tables as people have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.maintenance.table import find, read
from ronghe.errors import AppError

S = 1_000_000_000


def write(tmp_path: Path, text: str | bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "time,p,t\n2026-03-09 10:14:33,1.5,20\n2026-03-09 10:14:34,1.25,21\n",
        "datetime;p;t\n2026-03-09 10:14:33;1.5;20\n2026-03-09 10:14:34;1.25;21\n",
        "datetime;p;t\n2026-03-09 10:14:33;1,5;20\n2026-03-09 10:14:34;1,25;21\n",
        "p\tt\tTimestamp\n1.5\t20\t2026/03/09 10:14:33\n1.25\t21\t2026/03/09 10:14:34\n",
        "\ufefftime,p,t\r\n2026-03-09T10:14:33,1.5,20\r\n2026-03-09T10:14:34,1.25,21\r\n\r\n",
        "ts,p,t\n1773051273,1.5,20\n1773051274,1.25,21\n",
        "ts,p,t\n1773051273000,1.5,20\n1773051274000,1.25,21\n",
        "time,machine,p,t\n2026-03-09 10:14:33,pump,1.5,20\n2026-03-09 10:14:34,pump,1.25,21\n",
    ],
    ids=["comma", "semicolon", "decimal comma", "tab", "bom and crlf", "seconds", "milliseconds", "text column"],
)
def test_the_same_table(tmp_path: Path, text: str) -> None:
    table = read(write(tmp_path, text))
    assert table.columns == ("p", "t")
    np.testing.assert_array_equal(table.value, [[1.5, 20], [1.25, 21]])
    assert table.time.tolist() == [1773051273 * S, 1773051274 * S]
    assert table.every == 1.0


def test_gbk(tmp_path: Path) -> None:
    table = read(write(tmp_path, "时间,油温\n2026-03-09 10:14:33,41.5\n".encode("gb18030")))
    assert table.columns == ("油温",)
    assert table.value.tolist() == [[41.5]]


def test_missing_values_and_no_time(tmp_path: Path) -> None:
    table = read(write(tmp_path, "p,t,flag\n1,,true\nNaN,2,false\n--,inf,\n"))
    np.testing.assert_array_equal(table.value, [[1, np.nan, 1], [np.nan, 2, 0], [np.nan, np.nan, np.nan]])
    assert table.time.tolist() == [0, S, 2 * S]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the file is empty"),
        ("\n\n  \n", "the file is empty"),
        ("a,b\n1,2\n1,2,3\n", "not a table"),
        ("a,b\nx,y\n", "no column of numbers: a = 'x'"),
        ("a,b\n", "no column of numbers"),
        ("a,a\n1,2\n", "two columns are called 'a'"),
        ("time,a\n2026-03-09 10:14:33,1\n,2\n", "csv:3: a row has no time"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(AppError) as e:
        read(write(tmp_path, text))
    assert what in str(e.value)
    assert any("\u4e00" <= c <= "\u9fff" for c in e.value.in_("zh"))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    table = read(write(tmp_path, "p,t\n1,2\n"))
    with pytest.raises(AppError, match=r"no column 'q'.*p, t"):
        table.take(["q"])


def test_find(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    for name in ("b/2.csv", "b/c/1.CSV", "0.txt", "notes.md"):
        write(tmp_path, "a\n1\n", name)
    assert [p.relative_to(tmp_path).as_posix() for p in find(tmp_path)] == ["0.txt", "b/2.csv", "b/c/1.CSV"]
    assert find(tmp_path / "0.txt") == [tmp_path / "0.txt"]
    with pytest.raises(AppError, match="no such file"):
        find(tmp_path / "x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AppError, match="no CSV"):
        find(tmp_path / "empty")


@settings(deadline=None, max_examples=150)
@given(st.one_of(st.binary(max_size=300), st.text("ab1,;\t\n.-: \"'", max_size=200).map(str.encode)))
def test_any_file_is_a_table_or_an_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = write(tmp_path_factory.mktemp("f"), raw)
    try:
        table = read(path)
    except AppError:
        return
    assert table.value.shape == (len(table), len(table.columns))
