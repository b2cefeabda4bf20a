"""A full disk: StoreFull, nothing acknowledged is lost, and once there is room it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from ronghe.historian import Historian
from ronghe.signals import TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S


def small_disk(place: Path) -> bool:
    """A file system of 2 MB at `place`; only an administrator may make one."""
    return os.geteuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", place], check=False).returncode == 0


@pytest.fixture(params=["limit", *(["ballast"] if os.geteuid() == 0 else [])])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Where the store goes, and how its disk becomes full: a limit on the size of files (any user), or a truly full file system."""
    how = request.param
    mounted = how == "ballast" and small_disk(tmp_path)
    if mounted:
        (tmp_path / "ballast").write_bytes(bytes(1_200_000))
    yield tmp_path / "store", how if mounted else "limit"
    if mounted:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(place: tuple[Path, str]) -> None:
    folder, how = place
    script = Path(__file__).with_name("filler.py")
    done = subprocess.run([sys.executable, script, folder, how], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["full"] == 5
    assert len(report["acknowledged"]) > 15
    assert not report["trouble"]
    assert set(report["acknowledged"]) <= set(report["found"])
    with Historian(folder, TagIndex(), clock=lambda: T0) as store:
        assert not store.stats().damage
        found = store.raw(["t7"], 0, 2**62)
        numbers = (found.time - T0) // S
        assert np.isin(report["acknowledged"], numbers).all()
        assert (np.diff(numbers) > 0).all()
        np.testing.assert_array_equal(np.floor(found.value), numbers)
