"""What docs/guard.md and docs/ledger.md show works as shown."""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.guard.station import SPEED, Station, make_plant

from ronghe.guard import check_guards
from ronghe.guard.checks import _ALL
from ronghe.guard.condition import parse
from ronghe.plant.model import GuardSpec, Plant

Make = Callable[..., Station]
DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    """The indented blocks of a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [textwrap.dedent(b) for b in re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.M)]


def documented_plant(page: str, start: str) -> Plant:
    (block,) = (b for b in blocks(page) if b.startswith(start))
    (given,) = tomllib.loads(block)["guards"].values()
    plant = make_plant()
    plant.tags["line1/tank/level"] = msgspec.structs.replace(plant.tags["line1/pump1/level"], tag="line1/tank/level")
    spec = msgspec.convert({"tag": SPEED, "envelope": "600..1450 1/min", **given}, GuardSpec)
    return msgspec.structs.replace(plant, guards={SPEED: spec})


@pytest.mark.parametrize(
    ("page", "start"), [("guard.md", '[guards."line1/pump1/speed_setpoint"]'), ("ledger.md", '[guards."line1/pump1/speed_setpoint".worth]')]
)
def test_the_guard_in_the_page_is_sound(page: str, start: str) -> None:
    assert check_guards(documented_plant(page, start)) == []


def test_the_conditions_in_the_page_are_read() -> None:
    (block,) = (b for b in blocks("guard.md") if b.startswith("line1/pump1/pressure <"))
    assert parse(block.strip(), documented_plant("guard.md", '[guards."line1/pump1/speed_setpoint"]')).tags


async def test_the_checks_in_the_page_are_those_that_are_made(station: Make) -> None:
    text = (DOCS / "guard.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", text, re.M)
    assert [f"_{n}" for n in named if n not in ("guard", "twin")] == [f.__name__ for f in _ALL]


async def test_any_tool_can_check_the_chain(station: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    s = station()
    await s.submit(1040.0)
    s.ledger.append("note", {"text": '泵,"hash":"'})
    (block,) = (b for b in blocks("ledger.md") if b.startswith("import hashlib"))
    file = s.folder / "ledger" / "ledger.jsonl"
    monkeypatch.chdir(file.parent)
    exec(block, {})
    file.write_bytes(file.read_bytes().replace(b"1040", b"1041"))
    with pytest.raises(AssertionError):
        exec(block, {})
