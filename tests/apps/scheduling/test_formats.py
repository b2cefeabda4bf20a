"""Files in, problems out; and what is wrong told by file and line."""

from pathlib import Path

import msgspec
import pytest

from ronghe.apps.scheduling.formats import read, read_plan
from ronghe.apps.scheduling.problem import Choice, Job, Machine, Operation, Problem
from ronghe.errors import AppError

FT06 = """\
# instance ft06
# Fisher and Thompson 6x6 instance
6 6
2  1  0  3  1  6  3  7  5  3  4  6
1  8  2  5  4 10  5 10  0 10  3  4
2  5  3  4  5  8  0  9  1  1  4  7
1  5  0  5  2  5  3  3  4  8  5  9
2  9  1  3  4  5  5  4  0  3  3  1
1  3  3  3  5  9  0 10  4  4  2  1
"""


def _write(folder: Path, text: str | bytes, name: str = "x.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def _choices(problem: Problem) -> list[list[list[tuple[str, int]]]]:
    return [[[(c.machine, c.duration) for c in o.choices] for o in j.operations] for j in problem.jobs]


def test_jsplib(tmp_path: Path) -> None:
    problem = read(_write(tmp_path, FT06, "ft06.txt"))
    assert (problem.name, len(problem.machines), len(problem.jobs)) == ("ft06", 6, 6)
    assert _choices(problem)[1] == [[("M1", 8)], [("M2", 5)], [("M4", 10)], [("M5", 10)], [("M0", 10)], [("M3", 4)]]


@pytest.mark.parametrize("header", ["2 3", "2 3 1.5", "2 3 2"])
def test_fjsp_with_and_without_the_mean_of_choices(tmp_path: Path, header: str) -> None:
    problem = read(_write(tmp_path, f"{header}\n2 1 1 5 2 1 3 2 4\n1 2 2 7 3 1\n\n"))
    assert [m.name for m in problem.machines] == ["M1", "M2", "M3"]  # counted from 1, as the file does
    assert _choices(problem) == [[[("M1", 5)], [("M1", 3), ("M2", 4)]], [[("M2", 7), ("M3", 1)]]]


def test_fjsp_counted_from_0(tmp_path: Path) -> None:
    problem = read(_write(tmp_path, "2 2\n2 2 0 25 1 37 2 0 32 1 24\n1 1 1 4\n"))
    assert [m.name for m in problem.machines] == ["M0", "M1"]


def test_a_job_shop_line_that_reads_as_flexible_too_is_a_job_shop(tmp_path: Path) -> None:
    # 1 1 0 5: one operation with one choice, or machine 1 for 1 and machine 0 for 5
    assert _choices(read(_write(tmp_path, "1 2\n1 1 0 5\n"))) == [[[("M1", 1)], [("M0", 5)]]]


def test_a_byte_order_mark_and_windows_line_ends_are_no_trouble(tmp_path: Path) -> None:
    plain = read(_write(tmp_path, FT06))
    assert read(_write(tmp_path, b"\xef\xbb\xbf" + FT06.replace("\n", "\r\n").encode())) == plain


def test_our_own_json(tmp_path: Path) -> None:
    problem = Problem(machines=(Machine(name="A"),), jobs=(Job(name="J", operations=(Operation(name="o", choices=(Choice("A", 3),)),)),))
    assert read(_write(tmp_path, msgspec.json.encode(problem), "p.json")) == problem


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("", 0, "is empty"),
        ("# only words\n", 0, "nothing but comments"),
        ("hello world\n1 2\n", 1, "neither JSPLIB nor FJSP"),
        ("0 4\n", 1, "nothing to plan"),
        ("2 2\n0 1 1 2\n", 2, "2 jobs are promised, the file ends after 1"),
        ("1 2\n0 1 1 2\n0 1 1 2\n", 3, "a line more than the 1 jobs"),
        ("2 2\n0 1 1 2\n0 1 1\n", 3, "3 numbers; a job on 2 machines has 4"),
        ("2 2\n0 1 1 2\n0 1 1 -2\n", 3, "-2 is negative"),
        ("2 2\n0 1 1 2\n0 1 5 2\n", 3, "machine 5: there are 2, numbered 0 to 1"),
        ("2 2\n0 1 1 2\n0 1 1 2.5\n", 3, "'2.5' is no whole number"),
        ("2 2\n0 1 1 2\n0 1 1 two\n", 3, "'two' is no whole number"),
        ("2 2 1\n1 1 1 2\n2 1 1 2\n", 3, "the line ends before operation 2 of 2"),
        ("2 2 1\n1 1 1 2\n1 2 1 2\n", 3, "the line ends within operation 1 of 1"),
        ("2 2 1\n1 1 1 2\n1 0\n", 3, "operation 1 has no machine"),
        ("2 2 1\n1 1 1 2\n1 1 1 2 9\n", 3, "1 numbers too many"),
        ("2 2 1\n1 1 1 2\n1 2 1 2 1 3\n", 3, "names a machine twice"),
        ("2 2 1\n1 1 1 2\n0\n", 3, "a job without operations"),
        ("1000000 10\n", 1, "at most 100000 operations"),
        ("90000 90000\n", 1, "at most 100000 are planned"),
        (FT06.replace("Fisher", "费舍尔").encode("gbk"), 2, "is not UTF-8 text (GBK?)"),
        (FT06.encode("utf-16"), 0, "is UTF-16"),
        (bytes(range(256)) * 4, 0, "is binary data"),
        ('{"machines": [', 0, "is no JSON"),
        ('{"machines": [], "jobs": 3}', 0, "does not fit"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, text: str | bytes, line: int, says: str) -> None:
    path = _write(tmp_path, text)
    with pytest.raises(AppError) as e:
        read(path)
    assert e.value.where == (f"{path}:{line}" if line else str(path))
    assert says in e.value.in_("en")
    assert e.value.what.zh
    assert e.value.what.zh != e.value.what.en


def test_a_million_rows_are_refused_before_they_are_read_one_by_one(tmp_path: Path) -> None:
    path = _write(tmp_path, "90000 2 1\n" + "1 1 1 5\n" * 1_000_000)
    with pytest.raises(AppError, match="more than"):
        read(path)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="cannot be read"):
        read(tmp_path / "none.txt")
    with pytest.raises(AppError, match="does not fit"):
        read_plan(_write(tmp_path, '{"objective": 3}', "plan.json"))
