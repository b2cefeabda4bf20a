"""The commands, on files as people have them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ronghe.cli.energy import energy
from ronghe.errors import AppError

from .conftest import noise


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Hours of 2024 in two files, day first; 8 % saved from July on; two hours of 3 March were not measured, and most of 5 March."""
    folder = tmp_path_factory.mktemp("works")
    rng = np.random.default_rng(0)
    n = 366 * 24
    day, hour = np.arange(n) // 24, np.arange(n) % 24
    t = 12 + 14 * np.sin((day - 110) * 2 * np.pi / 366) + noise(rng, n, 0.9, 2)
    y = 100 + 4 * np.maximum(15 - t, 0) + noise(rng, n, 0.8, 8)
    y[day >= 182] *= 0.92
    dates = [np.datetime64("2024-01-01") + int(d) for d in day]
    said = [f"{d.astype(object):%d/%m/%Y}" for d in dates]
    lost = (day == 62) & (hour < 1) | (day == 64) & (hour > 3)
    rows = [f"{d},{h + 1},{'' if gone else f'{v:.2f}'},{v / 50:.3f}" for d, h, v, gone in zip(said, hour, y, lost, strict=True)]
    (folder / "load.csv").write_text("\n".join(["day,hour,kwh,tonnes", *rows]) + "\n", encoding="utf-8")
    rows = [f"{d},{h + 1},{v:.2f}" for d, h, v in zip(said, hour, t, strict=True)]
    (folder / "weather.csv").write_text("\n".join(["day,hour,outside", *rows]) + "\n", encoding="utf-8")
    return folder


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(energy, [str(w) for w in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_indicator_and_saving(works: Path) -> None:
    model = [works / "load.csv", works / "weather.csv", "--time", "day,hour", "--energy", "kwh", "--temperature", "outside", "--json"]
    found = json.loads(run("enpi", *model, "--baseline", "2024-01-01..2024-07-01"))
    assert found["valid"] is True
    assert found["reported"]["enpi"] == pytest.approx(0.92, abs=0.02)
    assert next(iter(found["baseline"]["model"])) == "constant"
    assert len(found["periods"]) == 366
    march = {p["time"]: p["actual"] for p in found["periods"]}
    assert march[1_709_596_800_000] is None, "a day of which four hours were measured does not count"
    assert march[1_709_424_000_000] is not None
    saved = json.loads(
        run(
            "verify",
            *model,
            "--before",
            "2024-01-01..2024-07-01",
            "--after",
            "2024-07-01..2025-01-01",
            "--price",
            "0.7",
            "--factor",
            "grid",
        )
    )
    saving = saved["saving"]
    assert saving["energy"]["low"] < 0.08 * saved["adjusted_kwh"] < saving["energy"]["high"]
    assert saving["money"]["value"] == pytest.approx(0.7 * saving["energy"]["value"])
    assert saving["carbon"]["value"] == pytest.approx(0.5306 * saving["energy"]["value"])
    assert saving["method"] == "option_c"
    assert 0 < saved["fsu"] < 1


def test_carbon_and_footprint(works: Path) -> None:
    files = [works / "load.csv", "--time", "day,hour", "--meter", "kwh=grid", "--json"]
    found = json.loads(run("carbon", *files, "--every", "month"))
    kwh = sum(float(x.split(",")[2] or 0) for x in (works / "load.csv").read_text().splitlines()[1:])
    assert found["scope2_location_kg"] == pytest.approx(0.5306 * kwh, rel=0.005)
    assert found["scope1_kg"] == 0
    assert {f["name"] for f in found["factors"]} == {"electricity-cn", "electricity-cn-residual"}
    assert len(found["periods"]) == 12
    made = json.loads(run("footprint", *files, "--product", "tonnes"))["products"][0]
    assert made["low"] < 50 * 0.5306 < made["high"]


@pytest.mark.parametrize(
    ("text", "where", "said"),
    [
        ("time,kwh\n2024-01-01,5\n2024-01-02,x\n", ":3", "not a number"),
        ("time,kwh\n2024-01-01,5\n\n2024-01-32,6\n", ":4", "not a date"),
        ("time,kwk\n2024-01-01,5\n", ":1", "did you mean 'kwk'"),
        ("time,kwh\n01/02/2024,5\n02/03/2024,5\n", "", "more than one way"),
        ("time,kwh\n", "", "no row"),
        ("", "", "empty"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, where: str, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AppError) as e:
        run("enpi", path, "--energy", "kwh", "--baseline", "2024-01-01..2024-02-01")
    assert e.value.where == f"{path}{where}"
    assert said in e.value.in_("en")
    assert e.value.in_("zh") != e.value.in_("en")


def test_the_commands_of_the_page(works: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[4] / "docs" / "energy-books.md").read_text(encoding="utf-8")
    commands = [shlex.split(line.strip())[3:] for line in page.splitlines() if line.startswith("    $ ronghe energy ")]
    assert [c[0] for c in commands] == ["enpi", "verify", "carbon", "footprint"]
    monkeypatch.chdir(works)
    said = [run(*c) for c in commands]
    assert "valid: yes" in said[0]
    assert "of 366 periods do not count" in said[0]
    assert "saved" in said[1]
    assert "scope 2, by market" in said[2]
    assert "kg CO2e per unit" in said[3]


def test_a_switchback_from_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"2024-01-{1 + h // 24:02d}T{h % 24:02d}:00,{100 - 10 * ((h // 12) % 2) + rng.normal(0, 3):.2f},{(h // 12) % 2}" for h in range(480)
    ]
    (tmp_path / "x.csv").write_text("\n".join(["time,kwh,on", *rows]) + "\n", encoding="utf-8")
    found = json.loads(run("verify", tmp_path / "x.csv", "--energy", "kwh", "--every", "1h", "--on", "on", "--settle", "1", "--json"))
    assert found["pairs"] == 20
    assert found["saving"]["method"] == "switchback"
    assert found["saving"]["energy"]["low"] < 2400 < found["saving"]["energy"]["high"]
    assert 2200 < found["saving"]["energy"]["value"] < 2600
