"""The glossary has each word once, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

GLOSSARY = Path(__file__).parents[2] / "docs" / "glossary.md"


def rows() -> list[list[str]]:
    lines = GLOSSARY.read_text(encoding="utf-8").splitlines()
    cells = [
        [c.strip() for c in line.strip("|").split("|")] for line in lines if line.startswith("| ") and not line.startswith("| English")
    ]
    return cells


def test_each_word_has_both_languages() -> None:
    chinese = re.compile("[\u4e00-\u9fff]")
    for row in rows():
        assert len(row) == 4, row
        english, zh, meaning, meant = row
        assert chinese.search(zh), row
        assert chinese.search(meant), row
        assert not chinese.search(english + meaning), row
        assert meaning.endswith((".", "`.")), row
        assert meant.endswith("。"), row


def test_each_word_is_there_once() -> None:
    for column in (0, 1):
        words = [row[column] for row in rows()]
        assert len(words) == len(set(words)) > 50
