"""What docs/twin.md shows works as shown."""

from __future__ import annotations

import re
import shlex
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.twin.test_plant import DICTIONARY, TAGS

from ronghe.cli.plant import check
from ronghe.cli.twin import twin
from ronghe.historian import Historian
from ronghe.plant import load
from ronghe.signals import Batch, TagIndex

PAGE = (Path(__file__).parents[2] / "docs" / "twin.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(b) for b in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", PAGE, re.M)]


def block(start: str) -> str:
    (found,) = (b for b in BLOCKS if b.startswith(start))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The plant of the page."""
    monkeypatch.setenv("RONGHE_LANG", "en")
    head = '[plant]\npath = "test/works/hall"\n\n[connections.plc]\ndriver = "modbus"\nhost = "127.0.0.1"\n\n'
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "furnace.py").write_text(block("class Furnace"), encoding="utf-8")
    twins = block("[twins.past]") + "\n" + block("[twins.furnace]")
    for name, text in (("plant.toml", head + twins), ("tags.csv", TAGS), ("dictionary.csv", DICTIONARY)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    store = Historian(tmp_path / ".ronghe" / "historian", TagIndex())
    for k in range(3):
        store.append(Batch.of(store.index, ["line1/f1/power", "line1/f1/temperature"], (1_790_000_000 + 10 * k) * 10**9, [200.0, 900.0]))
    store.close()
    return tmp_path


def test_the_plant_of_the_page_is_sound(folder: Path) -> None:
    result = CliRunner().invoke(check, [str(folder)])
    assert result.exit_code == 0, result.output


def test_the_commands_of_the_page_work(folder: Path) -> None:
    lines = block("ronghe twin try").splitlines()
    assert len(lines) == 2
    for line in lines:
        words = shlex.split(line.replace("PLANT", str(folder)))
        assert words[:2] == ["ronghe", "twin"]
        result = CliRunner().invoke(twin, words[2:])
        assert result.exit_code == 0, (line, result.output, result.exception)


def test_the_python_of_the_page_works(folder: Path) -> None:
    names = {"plant": load(folder)}
    exec(block("from ronghe.twin.sandbox"), names)
    assert names["shown"].values.shape == (360, 1)  # type: ignore[attr-defined]
