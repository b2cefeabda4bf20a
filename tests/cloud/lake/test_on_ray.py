"""A real Ray cluster, of this machine: the same answers, killed workers made good. One process for all of it, since
starting the cluster takes longest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ronghe.cloud.lake import Lake

from .conftest import table_of

QUERIES = 7


def test_a_cluster_answers_alike_and_survives_its_workers(lake: Lake, tmp_path: Path) -> None:
    lake.add("acme/一", table_of(300))
    lake.add("acme/one", table_of(300, value=0.25))
    lake.add("acme/one", table_of(20, value=0.5))  # replaced rows: files that were written anew
    script = Path(__file__).with_name("cluster.py")
    environment = {**os.environ, "PYTHONPATH": str(script.parent), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), lake.url, str(tmp_path)], capture_output=True, text=True, timeout=240, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["same"] == [True] * QUERIES
    assert found["squares"] == [0, 1, 4, 9, 16]
    assert found["raised"] == "no root of -4"
    assert found["done"] == ["a", "kill1", "b"]
