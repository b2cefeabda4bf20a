"""Collects what is wrong with a plant folder, so that all of it is told at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field

from ronghe.errors import Problem, RongheError
from ronghe.text import Text

_MOST = 200  # problems of one file: a file of another kind altogether needs no thousand lines to say so


@dataclass(slots=True)
class Problems:
    """Problems in the order found."""

    found: list[Problem] = field(default_factory=list)
    _told: dict[str, int] = field(default_factory=dict)

    def error(self, file: str, line: int, en: str, zh: str, meant: str = "") -> None:
        """Something that keeps the folder from being used."""
        self.add(Problem(file, line, Text(en, zh), meant))

    def warn(self, file: str, line: int, en: str, zh: str, meant: str = "") -> None:
        """Something that is probably not meant, but works."""
        self.add(Problem(file, line, Text(en, zh), meant, "warning"))

    def raised(self, file: str, line: int, e: RongheError, about: str = "", meant: str = "") -> None:
        """An error raised by a parser, as a problem of `about` (a key or column); its advice is kept."""
        what = e.what if meant or not e.todo.en else Text(f"{e.what.en}; {e.todo.en}", f"{e.what.in_('zh')}；{e.todo.in_('zh')}")
        self.add(Problem(file, line, Text(f"{about}: {what.en}", f"{about}：{what.in_('zh')}") if about else what, meant))

    def add(self, problem: Problem) -> None:
        """Keeps one, up to a limit for each file."""
        told = self._told.get(problem.file, 0)
        if told < _MOST and problem not in self.found:
            self.found.append(problem)
            self._told[problem.file] = told + 1

    def errors(self, *files: str) -> bool:
        """Whether anything (in these files) is an error."""
        return any(p.severity == "error" and (not files or p.file in files) for p in self.found)

    def sorted(self) -> list[Problem]:
        """By file and line; the order found within a line."""
        return sorted(self.found, key=lambda p: (p.file, p.line))


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or "" when none is near."""
    by_fold = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(word.casefold()[:200], by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else ""
