"""The words of the guard's conditions: tags, numbers with units, operators."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from ronghe.errors import GuardError
from ronghe.text import Text

Kind = Literal["tag", "word", "number", "op", "(", ")", "end"]

WORDS: Final = frozenset({"and", "or", "not", "true", "false", "falls", "rises", "by", "within"})
LONGEST: Final = 4000  # characters of one condition

_SPACE: Final = re.compile(r"\s*")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_UNIT: Final = re.compile(r"(?:[^\s()<>=!≤≥≠,;&|'\"]|\([^\s()]*\))+")  # UCUM has brackets within a unit: J/(kg.K)
_OPERATOR: Final = re.compile(r"<=|>=|==|!=|<|>|≤|≥|≠")
_WORD: Final = re.compile(r"[^\s()<>=!≤≥≠,;&|'\"]+")
_QUOTED: Final = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_PLAIN: Final = {"≤": "<=", "≥": ">=", "≠": "!="}
_MEANT: Final = {"=": "==", "&&": "and", "&": "and", "||": "or", "|": "or", "!": "not", "，": "and", ",": "and", "；": "and", ";": "and"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word and where it stands in the text; `value` and `unit` of a number."""

    kind: Kind
    text: str
    start: int
    end: int
    value: float = 0.0
    unit: str = ""


class Lexer:
    """The tokens of a text, one ahead. Raises GuardError for a character that begins none."""

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise error(text, LONGEST, Text(f"longer than {LONGEST} characters", f"超过 {LONGEST} 个字符"))
        self.text = text
        self._ahead = self._read(0)

    def peek(self) -> Token:
        """The next token, left where it is."""
        return self._ahead

    def next(self) -> Token:
        """The next token; after the last one, "end" for ever."""
        token = self._ahead
        self._ahead = self._read(token.end)
        return token

    def take(self, kind: Kind, text: str = "") -> Token | None:
        """The next token if it is of this kind (and text), else None and nothing is taken."""
        ahead = self._ahead
        return self.next() if ahead.kind == kind and (not text or ahead.text == text) else None

    def _read(self, at: int) -> Token:
        text = self.text
        at = _end(_SPACE, text, at)
        if at == len(text):
            return Token("end", "", at, at)
        if text[at] in "()":
            return Token("(" if text[at] == "(" else ")", text[at], at, at + 1)
        if found := _OPERATOR.match(text, at):
            return Token("op", _PLAIN.get(found[0], found[0]), at, found.end())
        if found := _QUOTED.match(text, at):
            return Token("tag", found[1] or found[2], at, found.end())
        if found := _NUMBER.match(text, at):
            return self._number(found)
        if found := _WORD.match(text, at):
            word = found[0].lower() if found[0].lower() in WORDS else found[0]
            return Token("word" if word in WORDS else "tag", word, at, found.end())
        sign = text[at : at + 2] if text[at : at + 2] in _MEANT else text[at]
        meant = _MEANT.get(sign)
        todo = Text(f"did you mean `{meant}`?", f"是否想写 {meant}？") if meant else Text("")
        raise error(text, at, Text(f"{sign!r} does not belong here", f"此处不应出现 {sign!r}"), todo)

    def _number(self, found: re.Match[str]) -> Token:
        unit = _UNIT.match(self.text, _end(_SPACE, self.text, found.end()))
        if unit is None or unit[0].lower() in WORDS:
            return Token("number", found[0], found.start(), found.end(), float(found[0]))
        return Token("number", found[0], found.start(), unit.end(), float(found[0]), unit[0])


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    return found.end() if found else at


def error(text: str, at: int, what: Text, todo: Text | str = "") -> GuardError:
    """An error at a place in a text; the column counts from 1."""
    column = at + 1
    shown = text if len(text) <= 60 else f"…{text[max(0, at - 30) : at + 30]}…"
    return GuardError(Text(f"column {column}: {what.en}", f"第 {column} 列：{what.in_('zh')}"), where=shown, todo=todo)
