"""Every word of the page exists in both languages, every one is used, and none that is used is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web" / "src"
FILES = {p: json.loads(p.read_text(encoding="utf-8")) for p in sorted(WEB.rglob("words.json"))}  # the shell's, and those of views
WORDS: list[tuple[str, str, dict[str, str]]] = [(p.parent.name, key, text) for p, file in FILES.items() for key, text in file.items()]
SOURCES = "\n".join(p.read_text(encoding="utf-8") for p in sorted(WEB.rglob("*")) if p.suffix in (".ts", ".svelte"))
PREFIXES = set(re.findall(r'word\(\s*"(\w+)"', SOURCES)) | {"letter"}


@pytest.mark.parametrize(("place", "key", "text"), WORDS, ids=[f"{place}/{key}" for place, key, _ in WORDS])
def test_both_languages(place: str, key: str, text: dict[str, str]) -> None:
    assert set(text) == {"en", "zh"}
    english, chinese = text["en"], text["zh"]
    assert english.strip()
    assert chinese.strip()
    assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese))
    if not key.startswith("letter_"):
        assert re.search(r"[\u4e00-\u9fff]", chinese), "not Chinese"
    assert not re.search(r"[\u4e00-\u9fff]", english)


def test_every_word_is_used() -> None:
    quoted = set(re.findall(r"""["'`]([a-z]\w*)["'`]""", SOURCES))
    unused = [k for _, k, _ in WORDS if k not in quoted and not any(k.startswith(f"{p}_") for p in PREFIXES)]
    assert unused == []


def test_every_word_that_is_used_exists() -> None:
    used = set(re.findall(r"""\bt\(\s*["'](\w+)["']""", SOURCES))
    assert sorted(used - {k for _, k, _ in WORDS}) == []
