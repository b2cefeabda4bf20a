"""The recorder keeps samples through trouble of the store, in order, and drops the oldest only beyond its limit."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ronghe.edge.recorder import Recorder
from ronghe.errors import StoreFull
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

INDEX = TagIndex(["a"])


def one(time: int) -> Batch:
    return Batch.of(INDEX, ["a"], time, float(time))


def test_everything_put_is_recorded_in_order_and_behind_batches_are_joined() -> None:
    gate, seen = threading.Event(), []

    def append(batch: Batch) -> None:
        gate.wait(10)
        seen.append(batch)

    recorder = Recorder(append)
    recorder.start()
    for t in range(1, 201):
        recorder.put(one(t))
    gate.set()
    recorder.close()
    assert np.concatenate([b.time for b in seen]).tolist() == list(range(1, 201))
    assert len(seen) <= 3  # one while the gate was shut, the rest together
    assert recorder.recorded == 200
    assert recorder.waiting == 0


def test_a_full_disk_delays_and_says_so_and_nothing_is_lost() -> None:
    room, stored, refused = threading.Event(), [], threading.Event()

    def append(batch: Batch) -> None:
        if not room.is_set():
            refused.set()
            raise StoreFull(Text("no space", "空间不足"))
        stored.append(batch)

    recorder = Recorder(append, retry=0.01)
    recorder.start()
    recorder.put(one(1))
    assert refused.wait(10)
    recorder.put(one(2))
    while recorder.trouble is None:
        pass
    assert recorder.trouble == Text("no space", "空间不足")
    room.set()
    recorder.close()
    assert np.concatenate([b.time for b in stored]).tolist() == [1, 2]
    assert recorder.trouble is None
    assert recorder.dropped == 0


@pytest.mark.parametrize("most", [1, 3])
def test_beyond_its_limit_the_oldest_go_first_and_are_counted(most: int) -> None:
    seen: list[Batch] = []
    recorder = Recorder(seen.append, most=most)
    for t in range(1, 11):
        recorder.put(one(t))
    recorder.start()
    recorder.close()
    assert np.concatenate([b.time for b in seen]).tolist() == list(range(11 - most, 11))
    assert recorder.dropped == 10 - most


def test_closing_in_trouble_counts_what_could_not_be_kept() -> None:
    def append(batch: Batch) -> None:
        raise OSError(28, "No space left on device")

    recorder = Recorder(append, retry=0.01)
    recorder.start()
    recorder.put(one(1))
    recorder.close(timeout=10)
    assert recorder.dropped == 1
    assert recorder.trouble is not None
