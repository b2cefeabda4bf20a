"""Lines of keys in TOML texts."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.plant.locate import Lines

TEXT = '''\
# comment [not.a.table] x = 1
top = "a # no comment [x]"

[plant]  # the plant
name = { en = "P", zh = "泵" }
long = """
[no.table]
key = 1
"""
list = [
  "a", # ] not the end
  "b]",
]
after = 'it''s'

[guards."line1/pump1/speed.x"]
mode = "auto"
a.b.c = 1
[guards."line1/pump1/speed.x".worth]
tag = 'x'
[[many]]
x = 1
[[many]]
y = 2
'''.replace("'it''s'", '"it\'s"')


def test_lines_of_a_text_with_every_trap() -> None:
    tomllib.loads(TEXT)
    lines = Lines(TEXT)
    assert lines.of("top") == 2
    assert lines.of("plant") == 4
    assert lines.of("plant", "name") == 5
    assert lines.of("plant", "name", "zh") == 5
    assert lines.of("plant", "long") == 6
    assert lines.of("plant", "list") == 10
    assert lines.of("plant", "after") == 14
    assert lines.of("guards", "line1/pump1/speed.x") == 16
    assert lines.of("guards", "line1/pump1/speed.x", "mode") == 17
    assert lines.of("guards", "line1/pump1/speed.x", "a", "b") == 18
    assert lines.of("guards", "line1/pump1/speed.x", "worth", "tag") == 20
    assert lines.of("many", "y") == 24
    assert lines.of("nowhere", "at", "all") == 0
    assert lines.of("plant", "absent") == 4


words = st.text("abc-_ä./#[]\"' ", min_size=1, max_size=6)
leaves = st.integers(0, 9) | st.text("a#[]{}=\"'\n\\", max_size=8) | st.lists(st.text('a]#"\n', max_size=4), max_size=3)


def quoted(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


def literal(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(f"\n  {literal(v)} # ]\n" for v in value) + "]"
    if isinstance(value, str) and "\n" in value and "\\" not in value and '"' not in value:
        return f'"""\n{value}"""'
    return quoted(value) if isinstance(value, str) else str(value)


@settings(deadline=None)
@given(st.dictionaries(words, st.dictionaries(words, leaves, max_size=4), max_size=4))
def test_every_key_written_is_found_at_its_line(tables: dict[str, dict[str, Any]]) -> None:
    text, expected = "", {}
    for table, entries in tables.items():
        expected[(table,)] = text.count("\n") + 1
        text += f"[{quoted(table)}] # x = 1\n"
        for key, value in entries.items():
            text += "\n"
            expected[(table, key)] = text.count("\n") + 1
            text += f"{quoted(key)} = {literal(value)}\n"
    assert tomllib.loads(text) == tables
    lines = Lines(text)
    for path, line in expected.items():
        if '"' not in "".join(path):
            assert lines.of(*path) == line


@given(st.text("[]{}\"'#=.\n\\ab ", max_size=60))
def test_any_text_ends(text: str) -> None:
    assert Lines(text).of("a") >= 0
