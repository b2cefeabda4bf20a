"""Lines of numbers, as benchmark files hold them, with what is wrong told by file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ronghe.apps.scheduling.sound import LARGEST
from ronghe.errors import AppError
from ronghe.text import Text

NUMBERS = re.compile(r"[+-]?\d{1,15}(\.\d*)?")
_WHOLE = re.compile(r"[+-]?\d{1,15}")


class Line(msgspec.Struct, frozen=True):
    """A line's words and its number in the file, from 1."""

    number: int
    words: list[str]

    def whole(self, path: Path) -> list[int]:
        """The words as whole numbers. Raises AppError for any other, and for negative ones."""
        out = []
        for word in self.words:
            if not _WHOLE.fullmatch(word):
                shown = word if len(word) <= 24 else word[:24] + "…"
                raise self.wrong(path, Text(f"{shown!r} is no whole number", f"{shown!r} 不是整数"))
            out.append(int(word))
        negative = next((n for n in out if n < 0), None)
        if negative is not None:
            raise self.wrong(
                path, Text(f"{negative} is negative: times and machines are not", f"出现负数 {negative}：时间与设备号不能为负")
            )
        return out

    def wrong(self, path: Path, what: Text) -> AppError:
        """The error that says what is wrong on this line."""
        return AppError(what, where=f"{path}:{self.number}")


def lines(path: Path, data: bytes) -> Iterator[Line]:
    """The lines that hold something, without comments (#). Raises AppError for bytes that are no UTF-8 text."""
    for number, raw in enumerate(_text(path, data).splitlines(), 1):
        words = raw.partition("#")[0].split()
        if words:
            yield Line(number, words)


def counts(path: Path, first: Line) -> tuple[int, int]:
    """How many jobs and machines the first line promises. Raises AppError where that is nothing or absurd."""
    jobs, machines = Line(first.number, first.words[:2]).whole(path)
    if jobs < 1 or machines < 1:
        raise first.wrong(
            path, Text(f"{jobs} jobs on {machines} machines: nothing to plan", f"{jobs} 个订单、{machines} 台设备：没有可排的内容")
        )
    if max(jobs, machines) > LARGEST:
        what = Text(
            f"{jobs} jobs on {machines} machines: at most {LARGEST} operations are planned at once",
            f"{jobs} 个订单、{machines} 台设备：一次最多排 {LARGEST} 道工序",
        )
        raise first.wrong(path, what)
    return jobs, machines


def rows(path: Path, first: Line, jobs: int, found: Iterator[Line]) -> list[Line]:
    """The lines of the jobs, exactly as many as promised. Raises AppError for fewer (cut off?) and for more."""
    out: list[Line] = []
    held = 0
    for line in found:
        if len(out) == jobs:
            raise line.wrong(path, Text(f"a line more than the {jobs} jobs promised", f"多于首行声明的 {jobs} 个订单"))
        out.append(line)
        held += len(line.words) // 2
        if held > 50 * LARGEST:
            raise line.wrong(path, Text(f"more than {LARGEST} operations", f"工序超过 {LARGEST} 道"))
    if len(out) < jobs:
        last = out[-1] if out else first
        what = Text(f"{jobs} jobs are promised, the file ends after {len(out)}", f"首行声明 {jobs} 个订单，文件在第 {len(out)} 个之后结束")
        raise last.wrong(path, what)
    return out


def base(path: Path, machines: int, used: list[tuple[Line, int]]) -> int:
    """0 or 1: what the file's first machine is called. `used` is each line with its highest machine number and then with its lowest.
    Raises AppError for a number out of range, naming the first line that holds one."""
    lowest = min(n for _, n in used)
    highest = max(n for _, n in used)
    first = 1 if lowest > 0 and highest == machines else 0
    if highest >= machines + first:
        line, number = next((line, n) for line, n in used if n >= machines + first)
        what = Text(
            f"machine {number}: there are {machines}, numbered {first} to {machines - 1 + first}",
            f"设备号 {number} 超出范围：共 {machines} 台，编号 {first} 至 {machines - 1 + first}",
        )
        raise line.wrong(path, what)
    return first


def _text(path: Path, data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise AppError(Text("is UTF-16", "是 UTF-16 编码"), where=str(path), todo=Text("save it as UTF-8", "请另存为 UTF-8"))
    if b"\0" in data[:65536]:
        raise AppError(Text("is binary data, not text", "是二进制数据，不是文本"), where=str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise AppError(
            Text("is not UTF-8 text (GBK?)", "不是 UTF-8 文本（可能是 GBK）"),
            where=f"{path}:{line}",
            todo=Text("save it as UTF-8", "请另存为 UTF-8"),
        ) from e
