"""What docs/file-driver.md shows can be read."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from ronghe.connect.file import File, Options
from ronghe.signals import TagIndex

PAGE = (Path(__file__).parents[3] / "docs" / "file-driver.md").read_text(encoding="utf-8")


def test_connections() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    tables = tomllib.loads(block)["connections"]
    assert len(tables) == 2
    for table in tables.values():
        assert table.pop("driver") == "file"
        msgspec.convert(table, Options)


@pytest.mark.parametrize(("number", "tags"), [(0, ["压力", "流量"]), (1, ["pump1/pressure"])])
async def test_tables(tmp_path: Path, number: int, tags: list[str]) -> None:
    shown = re.findall(r"\n\n((?:    .*\n)+)", PAGE)[number]
    path = tmp_path / "shown.csv"
    path.write_text(re.sub(r"(?m)^    ", "", shown), encoding="utf-8")
    found = await File(Options(path=str(path)), TagIndex()).browse()
    assert [f.address for f in found] == tags
    assert found[0].value == 1.5
