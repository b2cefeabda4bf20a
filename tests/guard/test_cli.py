"""`ronghe ledger`: on a real ledger, also while a guard writes to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tests.guard.station import HEAT, POWER, SPEED, S, Station

from ronghe.cli.guard import ledger
from ronghe.errors import LedgerError
from ronghe.guard.ledger import FILE
from ronghe.plant.model import Worth

Make = Callable[..., Station]


def ronghe_ledger(*arguments: str | Path) -> Result:
    return CliRunner().invoke(ledger, [str(a) for a in arguments])


@pytest.fixture
async def plant(tmp_path: Path, station: Make, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plant folder whose guard wrote twice, one of them in vain, and goes on running."""
    monkeypatch.setenv("RONGHE_LANG", "en")
    s = station(worth=Worth(tag=POWER, before="1min", after="1min", price=0.8), watch=f"{HEAT} falls by 2 K within 20 s")
    chance = np.random.default_rng(5)

    async def live(seconds: int, power: float, heat: float) -> None:
        for _ in range(seconds):
            s.now += S
            s.values[POWER], s.values[HEAT] = power + 0.1 * chance.standard_normal(), heat
            s.hear()
            await s.guard.tick()

    await live(70, 20.0, 60.0)
    await s.submit(1040.0)
    await live(70, 18.0, 57.0)
    await s.submit(1080.0)
    await live(40, 18.0, 57.0)
    await s.submit(9000.0)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".ronghe").symlink_to(s.folder, target_is_directory=True)
    return tmp_path / "work"


def test_verify(plant: Path) -> None:
    result = ronghe_ledger("verify", plant)
    assert result.exit_code == 0
    head = json.loads((plant / ".ronghe" / "ledger" / FILE).read_text().splitlines()[-1])["hash"]
    assert result.output.split()[-1] == head
    assert ronghe_ledger("verify", plant, "--head", head[:12]).exit_code == 0
    unknown = ronghe_ledger("verify", plant, "--head", "0" * 64)
    assert unknown.exit_code == 1
    assert "not in the chain" in unknown.output


def test_verify_finds_a_change(plant: Path) -> None:
    file = plant / ".ronghe" / "ledger" / FILE
    text = file.read_text()
    file.write_text(text.replace('"written":1040.0', '"written":1041.0', 1))
    result = ronghe_ledger("verify", plant)
    assert result.exit_code == 1
    assert "its hash does not fit" in result.output
    found = json.loads(ronghe_ledger("verify", plant, "--json").output)
    assert not found["ok"]
    file.write_text(text)
    assert ronghe_ledger("verify", plant).exit_code == 0


def test_show(plant: Path) -> None:
    lines = ronghe_ledger("show", plant).output.splitlines()
    assert len(lines) == len((plant / ".ronghe" / "ledger" / FILE).read_text().splitlines())
    assert SPEED in lines[1]
    assert "writing 1040 1/min, was 1000 1/min" in lines[1]
    writes = ronghe_ledger("show", plant, "--kind", "guard.write", "--json").output.splitlines()
    assert [json.loads(line)["body"]["written"] for line in writes] == [1040.0, 1080.0]
    assert ronghe_ledger("show", plant, "--since", "2100-01-01").output == ""
    assert len(ronghe_ledger("show", plant, "--since", "2020-01-01").output.splitlines()) == len(lines)


def test_show_in_chinese(plant: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_LANG", "zh")
    assert "写入 1040" in ronghe_ledger("show", plant).output


def test_worth(plant: Path) -> None:
    text = ronghe_ledger("worth", plant).output
    first, second = text.split("A2 ")
    assert "1000 1/min → 1040 1/min  [done]" in first
    assert "CNY/h" in first
    assert "mean of line1/pump1/power over the 1 min before" in first
    assert "independent" in first
    assert "[rolled_back]" in second
    assert "not measured" in second
    rows = [json.loads(line) for line in ronghe_ledger("worth", plant, "--json").output.splitlines()]
    assert [r["id"] for r in rows] == ["A1", "A2"]
    assert rows[0]["worth"]["effect"] == pytest.approx(-2.0, abs=0.2)
    assert "nothing was written" in ronghe_ledger("worth", plant, "--since", "2100-01-01").output


def test_no_ledger(tmp_path: Path) -> None:
    for command in ("verify", "show", "worth"):
        result = ronghe_ledger(command, tmp_path)
        assert isinstance(result.exception, LedgerError)
        assert "there is no ledger" in str(result.exception)
