"""The benchmark's own counting, and one small run of all three clients; what it measures is not a test's business."""

from __future__ import annotations

import numpy as np

from ronghe.bench.opcua import _result, compare


def test_counts_each_tag_and_source_time_once_and_only_within_the_span() -> None:
    s = 1_000_000_000
    tag = np.array([1, 1, 2, 1, 1])
    source = np.array([10, 10, 10, 11, 30]) * s
    arrived = np.array([11, 11, 11, 12, 99]) * s
    result = _result(tag, source, arrived, 0.5, 10 * s, 12 * s + 1)
    assert result["per_s"] == 1.5
    assert result["doubled"] == 1
    assert result["lag_p50_ms"] == 1000.0
    assert result["us_a_sample"] == 333333.33


def test_a_small_run_has_every_key_and_every_client_delivers() -> None:
    result = compare(20, 0.3, 1.0)
    assert result["offered_per_s"] == 200
    for key in ("delivered_per_s", "asyncua_plain_per_s", "node_client_per_s"):
        assert 0 < result[key] < 2 * result["offered_per_s"]
    assert result["cpu_s"] > 0
    assert all(client["doubled"] == 0 for client in result["clients"].values())
    assert "20 Double variables" in result["protocol"]
