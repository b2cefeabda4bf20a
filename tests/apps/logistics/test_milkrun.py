"""Rounds inside a plant, by hand: one tugger with two rounds where the takt is long, two where it is short."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ronghe.apps.logistics import formats
from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.milkrun import cycle
from ronghe.cli.logistics import logistics
from ronghe.errors import AppError

TABLES = {
    "places": "name,depot,loading\nstore,yes,60s\ns1,,\ns2,,\n",
    "aisles": "a,b,metres,one_way\nstore,j,50,\nj,s1,50,\nj,s2,100,\n",
    "orders": "name,place,quantity,collect_quantity,service\nb1,s1,6,6,60s\nb2,s2,6,6,60s\n",
    "vehicles": "name,start,quantity,speed_kmh\ntugger,store,8,3.6\n",
}


@pytest.fixture
def plant(tmp_path: Path) -> Path:
    for name, text in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


@pytest.mark.parametrize(("takt", "vehicles", "busy"), [(740, 1, [740 / 740]), (739, 2, [320 / 739, 420 / 739])])
def test_as_many_vehicles_as_the_takt_takes(plant: Path, takt: int, vehicles: int, busy: list[float]) -> None:
    """At 1 m/s: store-s1-store 200 s and two minutes of work, store-s2-store 300 s and two."""
    found = cycle(formats.read(plant), takt, seconds=0.3)
    assert (found.vehicles, found.at_least) == (vehicles, 1)
    assert sorted(found.busy) == pytest.approx(busy)
    assert check(found.problem, found.plan) == []


def test_a_takt_that_is_too_short_is_refused(plant: Path) -> None:
    with pytest.raises(AppError, match="b2 cannot be served within a takt"):
        cycle(formats.read(plant), 419, seconds=0.2)


def test_the_command_says_it(plant: Path) -> None:
    said = CliRunner().invoke(logistics, ["milkrun", str(plant), "--takt", "740s", "--seconds", "0.2"])
    assert (said.exit_code, said.output.splitlines()[0]) == (0, "1 vehicle(s); at least 1")
