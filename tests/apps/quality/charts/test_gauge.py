"""The crossed study against the worked example of the AIAG manual."""

from __future__ import annotations

import numpy as np
import pytest

from ronghe.apps.quality.charts.gauge import study
from ronghe.errors import AppError

# AIAG, Measurement Systems Analysis, 4th edition, figure III-B 15: ten parts, appraisers A, B, C, three trials each
AIAG = """
 0.29 -0.56  1.34  0.47 -0.80  0.02  0.59 -0.31  2.26 -1.36
 0.41 -0.68  1.17  0.50 -0.92 -0.11  0.75 -0.20  1.99 -1.25
 0.64 -0.58  1.27  0.64 -0.84 -0.21  0.66 -0.17  2.01 -1.31
 0.08 -0.47  1.19  0.01 -0.56 -0.20  0.47 -0.63  1.80 -1.68
 0.25 -1.22  0.94  1.03 -1.20  0.22  0.55  0.08  2.12 -1.62
 0.07 -0.68  1.34  0.20 -1.28  0.06  0.83 -0.34  2.19 -1.50
 0.04 -1.38  0.88  0.14 -1.46 -0.29  0.02 -0.46  1.77 -1.49
-0.11 -1.13  1.09  0.20 -1.07 -0.67  0.01 -0.56  1.45 -1.77
-0.15 -0.96  0.67  0.11 -1.45 -0.49  0.21 -0.49  1.87 -2.16
"""
MEASURED = np.array([row.split() for row in AIAG.strip().splitlines()], float).reshape(3, 3, 10).transpose(2, 0, 1)


def test_it_gives_the_numbers_of_the_manual() -> None:
    """Tables III-B 8 to 10: F of the interaction 0.434 (p 0.974), pooled; EV 0.199933, AV 0.226838, GRR 0.302373, PV 1.042327, TV 1.085."""
    found = study(MEASURED)
    assert found.pooled
    deviation = found.deviation
    assert deviation["repeatability"] == pytest.approx(0.199933, abs=2e-6)
    assert deviation["reproducibility"] == pytest.approx(0.226838, abs=2e-6)
    assert deviation["grr"] == pytest.approx(0.302373, abs=2e-6)
    assert deviation["part"] == pytest.approx(1.042327, abs=2e-6)
    assert deviation["total"] == pytest.approx(1.085, abs=5e-4)
    assert [round(found.percent[k], 1) for k in ("repeatability", "reproducibility", "grr", "part")] == [18.4, 20.9, 27.9, 96.0]
    assert found.contribution["grr"] == pytest.approx(7.8, abs=0.05)
    assert found.ndc == 4
    squares = {r.source: (r.freedom, round(r.squares, 4)) for r in found.table}
    assert squares["part"] == (9, 88.3619)
    assert squares["appraiser"] == (2, 3.1673)
    assert squares["repeatability"][0] == 78
    assert "30" in found.verdict.en


def test_an_interaction_that_is_there_is_not_pooled() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 5, (8, 1, 1)) + rng.normal(0, 1, (8, 3, 1)) + rng.normal(0, 0.1, (8, 3, 3))
    found = study(values, tolerance=60.0)
    assert not found.pooled
    assert found.deviation["repeatability"] == pytest.approx(0.1, rel=0.3)
    assert found.deviation["part × appraiser"] == pytest.approx(1.0, rel=0.4)
    assert found.of_tolerance is not None
    assert found.of_tolerance["grr"] == pytest.approx(100 * 6 * found.deviation["grr"] / 60)


def test_components_are_recovered_on_average() -> None:
    rng = np.random.default_rng(1)
    found = [
        study(rng.normal(0, 3, (10, 1, 1)) + rng.normal(0, 1, (1, 3, 1)) + rng.normal(0, 0.5, (10, 3, 2))).variance for _ in range(300)
    ]
    assert np.mean([v["repeatability"] for v in found]) == pytest.approx(0.25, rel=0.1)  # pooling by a test makes it a little small
    assert np.mean([v["part"] for v in found]) == pytest.approx(9.0, rel=0.1)
    assert np.mean([v["appraiser"] for v in found]) == pytest.approx(1.0, rel=0.2)


def test_one_appraiser_gives_repeatability_alone() -> None:
    found = study(MEASURED[:, :1])
    assert found.deviation["reproducibility"] == 0
    assert found.deviation["repeatability"] == pytest.approx(np.sqrt(MEASURED[:, 0].var(axis=1, ddof=1).mean()))


def test_what_is_no_study_is_refused() -> None:
    for values in (MEASURED[:1], MEASURED[:, :, :1], np.full((3, 2, 2), np.nan)):
        with pytest.raises(AppError):
            study(values)
