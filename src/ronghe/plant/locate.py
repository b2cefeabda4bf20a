"""Finds the line of a key in a TOML text, which `tomllib` does not tell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

Path = tuple[str, ...]

_SKIPPED: Final = re.compile(r'"""(?:[^\\]|\\.)*?"""|\'\'\'.*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|#[^\n]*|[^"\'#\[\]{}\n]+', re.DOTALL)
_PART: Final = re.compile(r"\s*(\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[A-Za-z0-9_-]+)\s*(\.)?")


class Lines:
    """Lines of the keys of a TOML text that is known to parse. A key without a line of its own has its parent's."""

    def __init__(self, text: str) -> None:
        self._lines: dict[Path, int] = {(): 0}
        table: Path = ()
        for line, statement in _statements(text):
            if statement.startswith("["):
                table = _dotted(statement.lstrip("["))
                self._learn(table, line)
            else:
                self._learn(table + _dotted(statement), line)

    def of(self, *path: str) -> int:
        """The line (from 1) of a key, else of the nearest table around it; 0 for none."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _learn(self, path: Path, line: int) -> None:
        for n in range(1, len(path) + 1):
            self._lines.setdefault(path[:n], line)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of each table header and each key; a value that goes over several lines belongs to its key's statement."""
    at, line, depth = 0, 1, 0
    start, began = 0, 1
    while at < len(text):
        skipped = _SKIPPED.match(text, at)
        if skipped is not None:
            line += skipped[0].count("\n")
            at = skipped.end()
            continue
        c = text[at]
        depth += (c in "[{") - (c in "]}")
        at += 1
        if c == "\n":
            line += 1
            if depth <= 0:
                yield began, text[start:at].lstrip()
                start, began, depth = at, line, 0
    yield began, text[start:].lstrip()


def _dotted(text: str) -> Path:
    """The parts of the dotted key at the start of `text`."""
    parts: list[str] = []
    at = 0
    while (found := _PART.match(text, at)) is not None:
        part = found[1]
        parts.append(part[1:-1] if part[0] in "\"'" else part)
        at = found.end()
        if not found[2]:
            break
    return tuple(parts)
