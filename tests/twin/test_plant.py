"""Twins in a plant folder: `ronghe check` tells what is wrong with them by line, and `ronghe twin try` tries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ronghe.cli.plant import check
from ronghe.cli.twin import twin
from ronghe.errors import TwinError
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

PLANT = """\
[plant]
path = "test/works/hall"

[connections.plc]
driver = "modbus"
host = "127.0.0.1"

[twins.furnace]
uses = "python"
model = "furnace.py:Furnace"
every = "10s"
inputs = { "line1/f1/power" = "power" }
outputs = { "line1/f1/temperature" = "temperature" }

[twins.furnace.state]
"line1/f1/temperature" = "temperature"

[guards."line1/f1/power"]
mode = "auto"
envelope = "0..500 kW"
twin = "furnace"
trial = "1h"
keeps = "line1/f1/temperature < 1250 Cel"
"""
TAGS = """\
tag,property,connection,address,every,writable
line1/f1/power,power,plc,holding:1,1s,yes
line1/f1/temperature,temperature,plc,input:1,1s,
"""
DICTIONARY = "property,unit\npower,kW\ntemperature,Cel\n"
MODEL = """\
class Furnace:
    units = {"temperature": "K"}

    def start(self, values):
        self.temperature = values["temperature"]

    def step(self, inputs, seconds):
        self.temperature += seconds / 1800 * (298.15 + 4 * inputs["power"] - self.temperature)
        return {"temperature": self.temperature}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RONGHE_LANG", "en")
    for name, text in (("plant.toml", PLANT), ("tags.csv", TAGS), ("dictionary.csv", DICTIONARY), ("furnace.py", MODEL)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def checked(folder: Path, *replaced: tuple[str, str], model: str = MODEL) -> list[tuple[int, str]]:
    """(line, problem) of the folder with other words in its plant.toml."""
    text = PLANT
    for before, after in replaced:
        assert before in text
        text = text.replace(before, after)
    (folder / "plant.toml").write_text(text, encoding="utf-8")
    (folder / "furnace.py").write_text(model, encoding="utf-8")
    body = json.loads(CliRunner().invoke(check, [str(folder), "--json"]).output)
    assert all(p["what"]["zh"] for p in body["problems"])
    return [(p["line"], p["what"]["en"] + p.get("meant", "")) for p in body["problems"]]


def test_check_tells_what_is_wrong_with_a_twin_and_where(folder: Path) -> None:
    assert checked(folder) == []
    for replaced, line, says in (
        (('uses = "python"', 'uses = "pyton"'), 9, "no twin is called 'pyton'"),
        (('every = "10s"', 'every = "0s"'), 8, "every must be more than 0"),
        (('every = "10s"', 'evry = "10s"'), 11, "unknown key 'evry'"),
        (("furnace.py:Furnace", "furnace.py:Oven"), 8, "has no attribute 'Oven'"),
        (('{ "line1/f1/power" = "power" }', '{ "line1/f1/pwr" = "power" }'), 12, "no tag line1/f1/pwr; did you mean line1/f1/power?"),
        (('twin = "furnace"', 'twin = "furnce"'), 21, "no [twins.furnce] in plant.tomlfurnace"),
        (('trial = "1h"', 'trial = "1 year"'), 22, "not a duration"),
        (('trial = "1h"', 'trial = "90d"'), 22, "at most 20000"),
        (('keeps = "line1/f1/temperature < 1250 Cel"', ""), 21, "keeps is missing"),
        (("line1/f1/temperature < 1250 Cel", "line1/f1/power < 400 kW"), 23, "shows none of its tags"),
        (('{ "line1/f1/power" = "power" }', '{ "line1/f1/temperature" = "power" }'), 21, "furnace does not take line1/f1/power"),
    ):
        found = checked(folder, replaced)
        assert [n for n, _ in found] == [line], (replaced, found)
        assert says in found[0][1]
    assert checked(folder, model="import nothing_of_the_kind\n")[0][0] == 8


def tried(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(twin, ["try", str(folder), "furnace", *arguments])


def test_try(folder: Path) -> None:
    result = tried(folder, "--set", "line1/f1/power=250", "--for", "1h")
    assert "neither a store nor a plant folder" in str(result.exception)
    start = ("--from", "line1/f1/temperature=900", "--from", "line1/f1/power=200")
    result = tried(folder, "--set", "line1/f1/power=250", "--for", "1h", *start)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0].startswith("line1/f1/temperature: now 900 °C, lowest 900.7 °C after 10 s, highest ")
    assert lines[1].startswith("✓ line1/f1/power: on the twin, line1/f1/temperature peaks at ")

    store = Historian(folder / ".ronghe" / "historian", TagIndex())
    store.append(Batch.of(store.index, ["line1/f1/power", "line1/f1/temperature"], 1_790_000_000_000_000_000, [200.0, 900.0]))
    result = tried(folder, "--set", "line1/f1/power=400", "--for", "1h", "--json")
    store.close()
    body = json.loads(result.output)
    assert result.exit_code == 1
    assert body["from"] == {"line1/f1/power": 200.0, "line1/f1/temperature": 900.0}
    assert (len(body["times"]), body["times"][-1]) == (360, 3600.0)
    shown = body["shows"]["line1/f1/temperature"]
    assert shown[-1] == pytest.approx(1625 - 725 * (1 - 1 / 180) ** 360)
    said = body["guards"]["line1/f1/power"]
    first = next(k for k, v in enumerate(shown) if v >= 1250)
    assert not said["ok"]
    assert f"after {(first + 1) * 10 / 60:.3g} min" in said["text"]["en"]


def test_try_says_what_it_cannot(folder: Path) -> None:
    for arguments, says in (
        (("--set", "line1/f1/power"), "is not TAG=NUMBER"),
        (("--set", "line1/f1/temperature=1", "--from", "line1/f1/temperature=900", "--from", "line1/f1/power=1"), "does not take"),
    ):
        result = tried(folder, *arguments)
        assert isinstance(result.exception, TwinError)
        assert says in str(result.exception)
    result = CliRunner().invoke(twin, ["try", str(folder), "furnance"])
    assert "no twin 'furnance' → there is: furnace" in str(result.exception)
