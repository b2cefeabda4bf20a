"""From rows to a package to scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ronghe.apps.furnace.silicon import training
from ronghe.apps.furnace.silicon.evaluate import evaluate
from ronghe.apps.furnace.silicon.features import HOUR
from ronghe.apps.furnace.silicon.heats import Heats, read
from ronghe.apps.furnace.silicon.packing import unpack
from ronghe.errors import AppError, ModelError
from ronghe.models import Package, load

from .conftest import NAMES, NOISE, write


@pytest.fixture
def package(model: Path) -> Package:
    return load(model)


def test_it_is_better_than_both_and_near_what_is_possible(package: Package, heats: Heats) -> None:
    report = evaluate(package, heats)
    assert (report.rows, report.passed_over) == (300, 600)
    assert report.mse == report.adapting.mse
    assert report.mse < 0.95 * report.ridge.mse < report.persistence.mse
    assert report.mse > (0.4 * NOISE) ** 2, "less than chance leaves: it has seen what it could not"
    assert report.hit_rate > report.persistence.hit_rate
    assert abs(report.coverage_90 - 0.9) < 0.05
    assert report.r2 > 0.4


def test_a_file_of_later_rows_alone_gives_the_same(package: Package, heats: Heats) -> None:
    whole, later = evaluate(package, heats), evaluate(package, heats.cut(slice(600, None)))
    assert msgspec.structs.replace(whole, passed_over=0) == later


def test_frozen_or_late_is_another_protocol(package: Package, heats: Heats) -> None:
    now, frozen, late = evaluate(package, heats), evaluate(package, heats, adapt=False), evaluate(package, heats, delay=3 * HOUR)
    assert frozen.mse == now.frozen.mse != now.mse
    assert late.mse > now.mse
    assert late.persistence.mse > now.persistence.mse
    assert "180 min" in late.protocol.en
    assert "180 min" in late.protocol.zh


def test_a_step_of_the_furnace_is_followed_by_adapting(package: Package, heats: Heats) -> None:
    later = heats.cut(slice(600, None))
    rng = np.random.default_rng(0)
    wild = replace(later, silicon=later.silicon * np.exp(0.25 * rng.normal(size=len(later))))
    report = evaluate(package, wild)
    assert report.frozen.coverage_90 < 0.75
    assert report.adapting.coverage_90 > report.frozen.coverage_90 + 0.08


def test_rows_where_the_model_never_was_are_counted(package: Package, heats: Heats) -> None:
    later = heats.cut(slice(600, None))
    process = later.process.copy()
    process[10:15, 0] += 50
    assert evaluate(package, replace(later, process=process)).outside >= evaluate(package, later).outside + 5


def test_what_cannot_be(package: Package, heats: Heats, tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no row is later than the model's training"):
        evaluate(package, heats.cut(slice(0, 600)))
    other = replace(heats, names=("coal", "blast_temperature", "wind"))
    with pytest.raises(AppError, match="top_pressure"):
        evaluate(package, other)
    with pytest.raises(AppError, match="too few"):
        training.fit(heats.cut(slice(0, 399)))
    with pytest.raises(ModelError, match=r"not 'furnace\.silicon/1'"):
        unpack(Package(msgspec.structs.replace(package.manifest, kind="maintenance.detect/1")))
    for broken in ({**package.arrays, "sd": np.ones(2)}, {k: v for k, v in package.arrays.items() if k != "slow"}):
        with pytest.raises(ModelError):
            unpack(Package(package.manifest, broken))


def test_files(heats: Heats, tmp_path: Path) -> None:
    write(tmp_path / "two" / "b.csv", heats.cut(slice(40, 90)))
    write(tmp_path / "two" / "a.csv", heats.cut(slice(0, 50)))  # ten rows are in both
    back = read(tmp_path / "two")
    assert back.names == NAMES
    assert (back.time == heats.time[:90]).all()
    assert back.process == pytest.approx(heats.process[:90])
    assert back.former == pytest.approx(heats.former[:90])
    bare = tmp_path / "bare.csv"
    bare.write_text("at,coal,Si\n2026-01-01 00:00:00,1,0.5\n2026-01-01 01:00:00,2,0.7\n2026-01-01 02:00:00,3,0.4\n")
    assert read(bare, "Si").former.tolist() == pytest.approx([0.5, 0.5, 0.56])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read as a table"),
        ("a,SI\n1,2\n", "no column holds times"),
        ("time,a\n2026-01-01 00:00:00,2\n", "no column 'SI'"),
        ("time,a,SI\n2026-01-01 00:00:00,2,0.4\n2026-01-01 01:00:00,,0.4\n", "x.csv:3: a has no value"),
        ("time,a,SI\n2026-01-01 00:00:00,2,0.4\n2026-01-01 01:00:00,1,-0.4\n", "x.csv:3: an assay of silicon is not above 0"),
        ("time,a,SI\n2026-01-01 00:00:00,hot,0.4\n", "a is no number"),
    ],
)
def test_a_file_that_is_none_is_said(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(AppError, match=said) as e:
        read(tmp_path)
    assert e.value.what.zh
