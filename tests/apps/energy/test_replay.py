"""The replay: nobody looks ahead, nothing is broken, all is counted by a simulator of its own, and the record is read as it is meant."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ronghe.apps.energy.replay import month, records
from ronghe.apps.energy.replay.simulator import Limits, check
from ronghe.apps.energy.site import Battery, Site, follow
from ronghe.cli.energy import energy
from ronghe.errors import AppError

from .conftest import working, write

DAY = 96
PRICE = np.select([np.arange(DAY) // 4 < 7, (np.arange(DAY) // 4 >= 10) & (np.arange(DAY) // 4 < 15)], [0.3, 1.1], 0.7)
BATTERY = Battery("battery", 200, 100, 0.9, 0.1, 0.9, 0.05)


def task(net: NDArray[np.float64], days: int, *, export: float = 0.0) -> month.Task:
    """The last `days` of a load, taken for a month."""
    return month.Task(
        name="m", net=net, first=len(net) - days * DAY, price=np.tile(PRICE, days + 2), sell=np.zeros((days + 2) * DAY), demand=40.0,
        carbon=0.5, carbon_price=0.1, battery=BATTERY, soc=0.5, export=export, weekday=(3 + len(net) // DAY - days) % 7, held=False,
    )  # fmt: skip


def test_a_month_is_better_than_the_rule_and_breaks_nothing(load: NDArray[np.float64]) -> None:
    m = month.replay(task(load[: 20 * DAY], 3))
    assert m.perfect.cost < m.optimiser.cost < m.rule.cost < m.none.cost
    for bill in (m.perfect, m.optimiser, m.rule, m.rule_twice):
        assert bill.violations == 0
        assert bill.soc_end == pytest.approx(0.5, abs=1e-3)
        assert bill.cost == pytest.approx(bill.energy + bill.demand + bill.wear + bill.carbon)
    assert m.rule_steps == 0


def test_what_comes_later_changes_nothing_before(load: NDArray[np.float64]) -> None:
    seen, changed = load[: 14 * DAY].copy(), load[: 14 * DAY].copy()
    at = DAY  # of the last two days, from here on
    changed[12 * DAY + at :] = np.random.default_rng(1).uniform(0, 600, DAY)
    powers = [month.Acted(t, Site(batteries=(BATTERY,)), 150.0, lambda: 0.0).run() for t in (task(seen, 2), task(changed, 2))]
    assert (powers[0][:at] == powers[1][:at]).all()
    assert (powers[0][at:] != powers[1][at:]).any()


def test_without_history_the_rule_acts() -> None:
    m = month.replay(task(working(4), 4))
    assert m.rule_steps == 3 * DAY
    assert m.optimiser.violations == 0


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.floats(-50, 400), st.floats(-300, 300)), min_size=1, max_size=60), st.floats(0.5, 1), st.floats(0, 300))
def test_a_battery_within_its_limits_is_no_violation(steps: list[tuple[float, float]], efficiency: float, cap: float) -> None:
    b = Battery("a", 100, 60, efficiency, 0.2, 0.8)
    stored, net, powers = 50.0, [], []
    for load, wanted in steps:
        powers.append(b.within(follow(wanted, load, cap, 50.0), stored, 0.25))
        stored = b.after(powers[-1], stored, 0.25)
        net.append(load)
    limits = Limits(capacity=100, power=60, efficiency=efficiency, low=0.2, high=0.8, start=0.5, end=stored / 100, export=50)
    counted = check(limits, 0.25, net, powers, [n + p for n, p in zip(net, powers, strict=True)])
    assert counted.violations == 0
    assert counted.soc_end == pytest.approx(stored / 100)


@pytest.mark.parametrize(
    ("net", "power", "grid", "kind"),
    [
        ([100.0], [61.0], [161.0], "power"),
        ([100.0] * 4, [60.0] * 4, [160.0] * 4, "soc"),
        ([100.0], [10.0], [100.0], "balance"),
        ([10.0], [-20.0], [-10.0], "export"),
        ([100.0], [10.0], [110.0], "end"),
    ],
)
def test_the_simulator_counts(net: list[float], power: list[float], grid: list[float], kind: str) -> None:
    limits = Limits(capacity=100, power=60, efficiency=0.9, low=0.2, high=0.8, start=0.5, end=0.5)
    assert getattr(check(limits, 0.25, net, power, grid), kind) >= 1


def test_records_are_read_from_sub_folders_in_any_split(tmp_path: Path, load: NDArray[np.float64]) -> None:
    write(tmp_path / "old", load[: 40 * DAY])
    write(tmp_path / "new", load, first=35 * DAY)
    packed = tmp_path / "new" / "load.csv"
    (tmp_path / "new" / "load.csv.gz").write_bytes(gzip.compress(packed.read_bytes()))
    packed.unlink()
    record = records.read(tmp_path)
    assert np.allclose(record.load, load, atol=1e-3)
    assert [m[0] for m in record.months()] == ["2026-01", "2026-02"]
    assert record.rows == len(load)


def test_a_month_with_a_hole_is_not_whole_and_the_hole_is_filled_for_history(tmp_path: Path, load: NDArray[np.float64]) -> None:
    write(tmp_path, load[: 20 * DAY], "a.csv")
    write(tmp_path, load, "b.csv", first=20 * DAY + 2)
    record = records.read(tmp_path)
    assert [m[0] for m in record.months()] == ["2026-02"]
    assert record.filled[20 * DAY] == pytest.approx(load[13 * DAY], abs=1e-3)


def test_steel_works(tmp_path: Path) -> None:
    """Quarter-hours end at the time given, and the last of a day is written with that day."""
    rows = ["date,Usage_kWh,NSM,Day_of_week"]
    rows += [f"1/2/2018 {s // 3600}:{s % 3600 // 60:02d},{k},{s},x" for k, s in enumerate([*range(900, 86400, 900), 0])]
    (tmp_path / "s.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    record = records.read(tmp_path)
    assert str(record.start) == "2018-02-01 00:00:00"
    assert record.load.tolist() == [4.0 * k for k in range(96)]


@pytest.mark.parametrize(("text", "where"), [("a,b\n1,2\n", "no file"), ("time,load_kw\n2026-01-01,x\n", "a.csv:2")])
def test_what_cannot_be_read_is_told(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    with pytest.raises(AppError, match=where) as e:
        records.read(tmp_path)
    assert e.value.todo.en


def test_the_command(tmp_path: Path, load: NDArray[np.float64]) -> None:
    write(tmp_path, load)
    asked = ["replay", "--data", str(tmp_path), "--json", "--capacity", "200", "--power", "100", "--carbon-price", "0.05"]
    done = CliRunner().invoke(energy, asked, catch_exceptions=False)
    found = json.loads(done.stdout)
    assert found["months"] == ["2026-02"]
    assert found["warm_up"] == ["2026-01"]
    assert found["violations"] == 0
    assert found["perfect_cost"] < found["cost"] < found["rule_cost"]
    assert found["gap"] == pytest.approx(found["cost"] / found["perfect_cost"] - 1)
    assert found["parameters"]["capacity_kwh"] == 200
    assert found["parameters"]["carbon_price_per_kg"] == 0.05
    assert {s["hours_ahead"] for s in found["forecast"]} == {0.25, 1.0, 4.0, 12.0, 24.0}
    assert all(s["mae"] < s["naive_mae"] for s in found["forecast"])
    none = CliRunner().invoke(energy, ["replay", "--data", str(tmp_path), "--months", "2027-01"])
    assert isinstance(none.exception, AppError)
