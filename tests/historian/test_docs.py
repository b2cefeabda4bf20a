"""What docs/historian.md shows, runs."""

from __future__ import annotations

import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from ronghe.cli.main import main
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

PAGE = (Path(__file__).parents[2] / "docs" / "historian.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ronghe query .*$", PAGE, re.M)


def test_the_python_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    exec(compile(example, "docs/historian.md", "exec"), {})
    with Historian(tmp_path / "store", TagIndex(), readonly=True) as store:
        assert store.last().value.tolist() == [3.21, 1450.0]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = TagIndex()
    with Historian(tmp_path / "plant" / ".ronghe" / "historian", index) as store:
        store.append(Batch.of(index, ["line1/pump1/pressure", "line1/pump1/temperature"], time.time_ns() - 10**9, [3.2, 41.5]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["ronghe", *shlex.split(command, comments=True)[1:]])
    sys.argv[2] = "plant"
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0


def test_there_are_commands() -> None:
    assert len(COMMANDS) >= 5
