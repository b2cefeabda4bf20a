"""Reads a text file of a plant folder, in whatever encoding a spreadsheet or an editor left it."""

from __future__ import annotations

import codecs
from pathlib import Path

from ronghe.plant.problems import Problems

_LARGEST = 64 * 1024 * 1024  # bytes: half a million tags


def read_text(path: Path, problems: Problems) -> str | None:
    """The text with "\\n" line ends and without a byte order mark, or None with the reason among the problems.

    UTF-8 is expected; UTF-16 with its mark and GB18030 (what Excel writes in China) are read too, the latter with a warning.
    """
    name = path.name
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            problems.error(name, 0, f"{size / 1e6:.0f} MB is too large for this file", f"文件过大（{size / 1e6:.0f} MB）")
            return None
        data = path.read_bytes()
    except FileNotFoundError:
        problems.error(name, 0, "the file is missing from the plant folder", "工厂文件夹中缺少该文件")
        return None
    except OSError as e:
        problems.error(name, 0, f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}")
        return None
    text = _decode(data, name, problems)
    if text is None:
        return None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    nul = text.find("\0")
    if nul >= 0:
        problems.error(name, text.count("\n", 0, nul) + 1, "a NUL byte: this is not a text file", "含有 NUL 字节：不是文本文件")
        return None
    return text


def _decode(data: bytes, name: str, problems: Problems) -> str | None:
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16") if marked else data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        problems.error(name, line, "the text is not UTF-8: save the file as UTF-8", "文本不是 UTF-8 编码：请另存为 UTF-8")
        return None
    problems.warn(name, line, "read as GB18030; UTF-8 is safer: save the file as UTF-8", "按 GB18030 编码读取；建议另存为 UTF-8")
    return text
