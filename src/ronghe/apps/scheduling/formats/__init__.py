"""Problems from files: JSPLIB and FJSP text, this project's own JSON, B2MML-shaped JSON, and tables (a folder of CSV, or Excel).

`read` recognises which it is by what the file holds; no name or ending is trusted where the content can tell.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TypeVar

import msgspec

from ronghe.apps.scheduling.formats import fjsp, jsplib
from ronghe.apps.scheduling.formats.lines import NUMBERS, Line, lines
from ronghe.apps.scheduling.problem import Plan, Problem
from ronghe.errors import AppError
from ronghe.text import Text

LARGEST = 64_000_000  # bytes; far beyond what can be planned at once
_ZIP = b"PK\x03\x04"
_Kind = TypeVar("_Kind", Problem, Plan)


def read(path: Path) -> Problem:
    """The problem in a file or folder. Raises AppError with the cause, the file and, in text, the line."""
    if path.is_dir():
        from ronghe.apps.scheduling.formats import table

        return table.read(path)
    data = read_bytes(path)
    if data[:4] == _ZIP or path.suffix.lower() in (".xlsx", ".csv"):
        from ronghe.apps.scheduling.formats import table

        return table.read(path)
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{":
        return _json(path, data)
    return _benchmark(path, data)


def read_bytes(path: Path) -> bytes:
    """A whole file. Raises AppError where it is missing, empty, unreadable or absurdly large."""
    try:
        if path.stat().st_size > LARGEST:
            what = Text(f"larger than {LARGEST // 10**6} MB: no scheduling problem", f"大于 {LARGEST // 10**6} MB，不是排产问题文件")
            raise AppError(what, where=str(path))
        data = path.read_bytes()
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e
    if not data.strip():
        raise AppError(Text("is empty", "文件为空"), where=str(path))
    return data


def _json(path: Path, data: bytes) -> Problem:
    """Our own JSON, or B2MML-shaped JSON: the keys tell."""
    body = data.removeprefix(b"\xef\xbb\xbf")
    try:
        keys = set(msgspec.json.decode(body, type=dict[str, msgspec.Raw]))
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise AppError(Text(f"is no JSON: {e}", f"不是有效的 JSON：{e}"), where=str(path)) from e
    if not {"machines", "jobs"} <= keys:
        from ronghe.apps.scheduling.formats import b2mml

        return b2mml.read(path)
    return _struct(path, body, Problem)


def read_plan(path: Path) -> Plan:
    """A plan that was written as JSON."""
    return _struct(path, read_bytes(path).removeprefix(b"\xef\xbb\xbf"), Plan)


def _struct(path: Path, body: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise AppError(Text(f"does not fit: {e}", f"内容不符合格式：{e}"), where=str(path)) from e


def _benchmark(path: Path, data: bytes) -> Problem:
    """JSPLIB or FJSP text. Job-shop lines hold a machine and a time for each machine; flexible lines begin with how many operations."""
    found = lines(path, data)
    first = next(found, None)
    if first is None:
        raise AppError(Text("holds nothing but comments", "只有注释，没有内容"), where=str(path))
    if len(first.words) not in (2, 3) or not all(NUMBERS.fullmatch(w) for w in first.words):
        what = Text(
            "is neither JSPLIB nor FJSP text: the first line must hold the numbers of jobs and machines",
            "既不是 JSPLIB 也不是 FJSP 文本：首行应为订单数和设备数",
        )
        raise AppError(what, where=f"{path}:{first.number}")
    second = next(found, None)
    flexible = len(first.words) == 3 or (second is not None and _flexible(second, first))
    rest = [] if second is None else [second]
    return (fjsp if flexible else jsplib).parse(path, first, chain(rest, found))


def _flexible(line: Line, first: Line) -> bool:
    """Whether a job's line is flexible: an odd count of numbers, or one that reads as such and not as one visit to each machine."""
    if len(line.words) % 2:
        return True
    row = [int(w) if w.isdecimal() else -1 for w in line.words]
    each_once = len(set(row[::2])) == len(row) // 2 and len(row) == 2 * int(float(first.words[1]))
    return fjsp.fits(row) and not each_once
