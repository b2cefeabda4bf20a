"""`ronghe bench historian` at toy size: every store that is installed really runs, and all of them answer alike."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ronghe.bench import historian
from ronghe.bench.historian_data import START, S, Size, batches, tag_name, times_of

KEYS = {"ingest_per_s", "bytes_per_point", "last_all_ms", "raw_ms", "aggregate_ms", "asof_ms", "worst_append_ms"}


def test_a_tiny_run_has_every_key_and_the_stores_agree() -> None:
    found = historian.run(full=True, tags=120, samples=90)
    json.dumps(found)
    assert found.keys() >= {*KEYS, "peers", "protocol", "compact_s", "cold"}
    assert all(found[k] > 0 for k in KEYS)
    peers = found["peers"]
    assert peers.keys() == {"duckdb", "sqlite", "postgres", "chdb", "influxdb"}
    assert "left_out" not in peers["sqlite"]
    assert "left_out" not in peers["duckdb"]
    for name, peer in peers.items():
        if "left_out" not in peer:
            assert peer.keys() >= {*KEYS, "durability", "layout", "ours_times_better"}, (name, peer)
            assert peer["answers_agree"], name


def test_a_peer_that_takes_too_long_is_left_out_and_that_is_said() -> None:
    found = historian._measured("sqlite", Size(5000, 1000), seconds=0.5)
    assert "50 s" in found["left_out"]


def test_a_peer_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(historian, "_PEERS", ("nosuch",))
    monkeypatch.setattr(historian, "_missing", lambda _: "")
    found = historian.run(tags=10, samples=5, peer_samples=5)
    assert "nosuch" in found["peers"]["nosuch"]["failed"]


def test_the_samples_are_what_the_protocol_says() -> None:
    size = Size(50, 20)
    found = list(batches(size))
    assert [t for t, _, _ in found] == [START + i * S for i in range(20)]
    assert all(v.shape == (50,) and (v.round(2) == v).all() for _, v, _ in found)
    assert len({tag_name(i) for i in range(10_000)}) == 10_000
    assert size.spread(100) == list(range(50))
    assert size.spread(5) == [5, 15, 25, 35, 45]
    assert len(times_of(size)) == 20


def test_one_store_can_be_measured_by_hand(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ronghe.bench.historian_peers", "ronghe", str(tmp_path), "50", "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["answers"].keys() == {"last_all", "raw", "aggregate", "asof"}
