"""A CityLearn data set made up here, of two buildings: every policy ends empty, nothing is broken, and the metrics are what they say."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ronghe.apps.energy.replay import citylearn
from ronghe.cli.energy import energy
from ronghe.errors import AppError

HOURS = 12 * 24


def table(path: Path, columns: dict[str, np.ndarray]) -> None:
    rows = [",".join(columns), *(",".join(f"{v:g}" for v in row) for row in zip(*columns.values(), strict=True))]
    path.write_bytes(gzip.compress(("\n".join(rows) + "\n").encode()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng, t = np.random.default_rng(0), np.arange(HOURS)
    hour = t % 24
    sun = np.clip(np.sin((hour - 6) / 12 * np.pi), 0, None) * 700
    buildings = {}
    for name, size in (("A", 6.4), ("B", 3.2), ("elsewhere", 6.4)):
        storage = {"attributes": {"capacity": size, "efficiency": 0.9, "nominal_power": 5.0}}
        buildings[name] = {
            "energy_simulation": f"{name}.csv",
            "electrical_storage": storage,
            "pv": {"attributes": {"nominal_power": 4.0}},
            "pricing": "pricing.csv",
            "carbon_intensity": "carbon_intensity.csv",
        }
        if name != "elsewhere":
            load = 0.6 + 1.5 * ((hour >= 16) & (hour < 21)) + 0.2 * rng.random(HOURS)
            day = (t // 24 % 7) + 1
            columns = {"hour": hour + 1, "day_type": day, "non_shiftable_load": load, "solar_generation": sun}
            table(tmp_path / f"{name}.csv.gz", columns)
    table(tmp_path / "pricing.csv.gz", {"electricity_pricing": np.where((hour >= 16) & (hour < 21), 0.5, 0.2)})
    table(tmp_path / "carbon_intensity.csv.gz", {"carbon_intensity": np.full(HOURS, 0.15)})
    (tmp_path / "schema.json").write_text(json.dumps({"buildings": buildings}), encoding="utf-8")
    return tmp_path


def test_the_district_is_better_off_than_under_the_rule(folder: Path) -> None:
    found = json.loads(CliRunner().invoke(energy, ["replay", "--data", str(folder), "--json"], catch_exceptions=False).stdout)
    assert found["violations"] == 0  # every half ends empty, too
    assert found["missing"] == ["elsewhere"]
    assert found["rule_steps"] == 3 * 24
    assert max(found[k] for k in ("cost", "carbon", "peak")) < 0.95
    bills = found["by_policy"]
    assert found["cost"] == pytest.approx(bills["optimiser"]["cost"] / bills["rule"]["cost"])
    assert found["peak_of_none"] == pytest.approx(bills["optimiser"]["peak"] / bills["none"]["peak"])


def test_the_metrics_are_of_what_is_bought() -> None:
    net = np.concatenate([np.full(24, -1.0), np.full(24, 2.0)])
    net[30] = 5.0
    assert citylearn._bill(net, np.full(48, 0.5), np.full(48, 0.1)) == {
        "cost": pytest.approx(25.5),
        "carbon": pytest.approx(5.1),
        "peak": pytest.approx(2.0),
    }


def test_a_data_set_that_cannot_be_read_is_told(folder: Path) -> None:
    (folder / "pricing.csv.gz").unlink()
    with pytest.raises(AppError, match=r"pricing\.csv"):
        citylearn.run(folder)
