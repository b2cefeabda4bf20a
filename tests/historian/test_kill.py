"""kill -9 at any moment: no acknowledged sample is lost, none is doubled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from ronghe.historian import Historian
from ronghe.signals import TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S
KILLS = 100


def test_a_hundred_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    script = Path(__file__).with_name("ingester.py")
    done = subprocess.run([sys.executable, script, folder, str(KILLS), "1"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    rounds = [[int(n) for n in line.split()] for line in done.stdout.splitlines()]
    assert len(rounds) == KILLS
    acknowledged = sorted({n for numbers in rounds for n in numbers})
    assert sum(bool(r) for r in rounds) > KILLS / 2  # else this has shown little
    assert len(acknowledged) > KILLS
    with Historian(folder, TagIndex(), clock=lambda: T0) as store:
        assert not store.stats().damage
        assert store.stats().segments > 0
        for settle in (lambda: None, store.compact):
            settle()
            found = store.raw(None, 0, 2**62)
            numbers = (found.time - T0) // S
            for tag in range(20):
                mine = numbers[found.tag == tag]
                assert (np.diff(mine) > 0).all()
                assert np.isin(acknowledged, mine).all()
            np.testing.assert_array_equal(found.value, numbers / 100)
            assert store.sql("SELECT count(*) FROM samples").column(0).to_pylist() == [len(found)]
