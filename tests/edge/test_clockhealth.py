"""Clocks: impossible times are told for a while, with their number."""

from __future__ import annotations

from ronghe.edge.clockhealth import ClockHealth
from ronghe.text import Text


def test_impossible_times_are_told_for_a_while() -> None:
    health = ClockHealth(looks=3)
    assert health.look(0) is None
    assert health.look(0) is None
    assert health.look(0) is None
    assert health.look(5) == Text(
        "5 samples of the last 3 s had impossible times and were given the node's own; check the clocks of devices and node",
        "最近 3 秒有 5 个采样的时间戳异常，已改用本节点时间；请检查设备与本节点的时钟",
    )
    said = health.look(7)
    assert said is not None
    assert said.en.startswith("7 samples")
    assert health.look(7) is not None
    said = health.look(7)
    assert said is not None
    assert said.en.startswith("2 samples")
    assert health.look(7) is None
