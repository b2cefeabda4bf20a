"""The house as a whole: the error tree is the drawn one, entry points import, public names are pinned, words have two languages."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import ronghe
from ronghe import errors
from ronghe.apps.contract import App
from ronghe.connect import Driver
from ronghe.text import Text
from ronghe.twin import Twin

PACKAGE = Path(ronghe.__file__).parent
GROUPS = ("ronghe.drivers", "ronghe.apps", "ronghe.twins", "ronghe.commands")

PUBLIC = {
    "ronghe": {"open", "__version__"},
    "ronghe.signals": {"SCHEMA", "Batch", "Grid", "Latest", "TagIndex", "Window"},
    "ronghe.picture": {"Picture", "decode", "encode", "find", "read"},
    "ronghe.connect": {"Driver", "Found", "Health", "Item", "Sink", "Still", "Write", "always"},
    "ronghe.guard": {
        *("Advice", "Case", "Check", "Effect", "Entry", "Evidence", "Expected", "Guard", "Ledger", "Measured", "State", "Step"),
        *("Change", "ChangeCase", "ChangeState", "Put", "Setting", "Told", "Verification", "Watched", "check_guard", "check_guards"),
        *("Interval", "Saving", "Switched"),
    },
    "ronghe.twin": {"Twin"},
    "ronghe.apps": {"App", "Finding", "Page", "Result", "Wants"},
}


def test_the_drawn_error_tree_is_the_real_one() -> None:
    drawn: dict[str, str] = {}
    above: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([\s│├└─]*)([A-Z]\w+)", line)
        if found and found[2][0].isupper() and inspect.isclass(getattr(errors, found[2], None)):
            depth = len(re.findall(r"│   |├── |└── |    ", found[1]))
            above[depth:] = [found[2]]
            if depth > 0:
                drawn[found[2]] = above[depth - 1]
    real = {
        name: cls.__mro__[1].__name__
        for name, cls in vars(errors).items()
        if inspect.isclass(cls) and issubclass(cls, errors.RongheError) and cls is not errors.RongheError
    }
    assert drawn == real


@pytest.mark.parametrize("entry", [e for g in GROUPS for e in entry_points(group=g)], ids=lambda e: f"{e.group}:{e.name}")
def test_every_entry_point_imports_and_is_what_its_group_promises(entry: importlib.metadata.EntryPoint) -> None:
    found = entry.load()
    if entry.group == "ronghe.drivers":
        assert issubclass(found, Driver)
        assert found.name == entry.name
    elif entry.group in ("ronghe.apps", "ronghe.twins"):
        assert issubclass(found, App if entry.group == "ronghe.apps" else Twin)
        assert found.uses == entry.name
    else:
        assert found.name == entry.name


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names_are_pinned(module: str) -> None:
    assert set(importlib.import_module(module).__all__) == PUBLIC[module]


def test_an_unknown_plugin_says_what_is_installed() -> None:
    from ronghe import plugins

    with pytest.raises(errors.RongheError, match="opcua") as caught:
        plugins.load("ronghe.drivers", "opcuaa")
    assert "opcuaa" in caught.value.in_("zh")


def test_every_text_written_in_the_code_has_both_languages() -> None:
    missing = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Text" and len(node.args) == 1:
                value = node.args[0]
                words = value.value if isinstance(value, ast.Constant) else ""
                if isinstance(words, str) and " " in words.strip():
                    missing.append(f"{path.relative_to(PACKAGE)}:{node.lineno}")
    assert not missing


def test_text_falls_back_to_english_and_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Text("hello").in_("zh") == "hello"
    monkeypatch.setenv("RONGHE_LANG", "zh_CN.UTF-8")
    assert str(Text("hello", "你好")) == "你好"
    monkeypatch.setenv("RONGHE_LANG", "en")
    assert str(Text("hello", "你好")) == "hello"
