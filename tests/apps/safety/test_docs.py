"""The page's commands run, and its numbers of the options are the options'."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from ronghe.apps.safety import ADVISORY
from ronghe.apps.safety.settings import LimitsOptions, ZoneOptions

from .conftest import SEQUENCE
from .test_commands import ronghe

PAGE = (Path(__file__).parents[3] / "docs" / "safety.md").read_text(encoding="utf-8")
COMMANDS = [line.strip().removeprefix("$ ronghe safety ").split() for line in PAGE.splitlines() if line.strip().startswith("$ ronghe")]


def test_documented_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tune.mp4", "tune.json.gz"):
        shutil.copy(SEQUENCE / name, tmp_path)
    zones = re.search(r"`(\[\{\"name\".*?\}\])`", PAGE)
    assert zones
    (tmp_path / "zones.json").write_text(zones[1])
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 2
    for words in COMMANDS:
        code, out, err = ronghe(*words)
        assert code == 0, err
        assert out
        if "--json" in words:
            assert json.loads(out)["result"]["pictures"] == 12


def test_every_option_is_on_the_page() -> None:
    for name in (*ZoneOptions.__struct_fields__, *LimitsOptions.__struct_fields__):
        assert f"`{name}`" in PAGE or f"\n    {name} = " in PAGE or f".{name}]]" in PAGE, name
    o = ZoneOptions()
    assert f"| {o.sure}, {o.doubtful} |" in PAGE
    assert f"| {o.vote.n} of {o.vote.m} |" in PAGE


def test_it_says_what_it_is_not() -> None:
    for standard in ("IEC 61508", "ISO 13849", "IEC 61496"):
        assert standard in PAGE
        assert standard in ADVISORY.en
        assert standard in ADVISORY.zh
    assert "安全 PLC" in ADVISORY.zh
