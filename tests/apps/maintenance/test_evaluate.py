"""The evaluation counts as it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.maintenance.evaluate import Counts, evaluate, judge
from ronghe.errors import AppError

from .conftest import process


def labelled(path: Path, rows: np.ndarray, label: np.ndarray) -> None:
    """A file as SKAB writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["datetime;a;b;c;d;e;anomaly;changepoint"]
    for i, (row, true) in enumerate(zip(rows, label, strict=True)):
        values = ";".join(f"{v:.6f}" for v in row)
        lines.append(f"2020-03-09 {10 + i // 3600:02}:{i // 60 % 60:02}:{i % 60:02};{values};{true:.1f};0.0")
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for i in range(4):
        rows, label = process(900, seed=i), np.zeros(900)
        label[600:750] = 1
        if i:  # in the first, nothing happens though the label says so
            rows[600:750] += [-14, 6, 0, 0, 0]
        labelled(tmp_path / ("x" if i < 2 else "y") / f"{i}.csv", rows, label)
    (tmp_path / "anomaly-free.csv").write_text("datetime;a\n2020-03-09 10:00:00;1\n")
    return tmp_path


def test_figures(folder: Path) -> None:
    report = evaluate(folder)
    assert (report.files, report.rows) == (4, 2000)
    assert report.skipped == ("anomaly-free.csv",)
    assert report.mar == pytest.approx(25, abs=5), "one of four is missed whole"
    assert report.folders["y"].f1 > 0.9
    assert report.folders["x"].files == 2
    assert report.per_file["x/0.csv"].f1 == 0
    assert report.far < 8
    assert report.whole_file.far == pytest.approx(report.far * 1400 / 3000, abs=0.1), "the rows learned from count as true negatives"
    assert report.whole_file.mar == report.mar
    assert report.ms_per_row > 0


def test_labels_are_not_looked_at(folder: Path) -> None:
    before = evaluate(folder)
    path = folder / "y" / "2.csv"
    path.write_text(path.read_text().replace(";1.0;0.0\n", ";0.0;0.0\n"))
    after = evaluate(folder)
    assert after.per_file["y/3.csv"] == before.per_file["y/3.csv"]
    said = round(before.per_file["y/2.csv"].f1, 1)
    assert said > 0.8
    assert after.per_file["y/2.csv"].far > 20, "the same rows are said to be abnormal"


def test_later_rows_do_not_change_earlier_verdicts() -> None:
    rows = process(900)
    rows[600:700] += [-14, 6, 0, 0, 0]
    whole, _ = judge(rows, 1.0)
    part, _ = judge(rows[:650], 1.0)
    np.testing.assert_array_equal(whole[:650], part)
    assert not whole[:600].any()
    assert whole[650]


def test_counts() -> None:
    said, true = np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 1], bool)
    c = Counts.of(said, true) + Counts()
    assert (c.tp, c.fp, c.fn, c.tn) == (2, 1, 1, 1)
    assert (round(c.f1, 3), c.far, round(c.mar, 2)) == (0.667, 50.0, 33.33)
    assert (Counts().f1, Counts().far, Counts().mar) == (0, 0, 0)


def test_nothing_labelled(folder: Path) -> None:
    with pytest.raises(AppError, match="'fault'"):
        evaluate(folder, label="fault")
