"""The recorder keeps samples through trouble of the store, in order, and drops the oldest only beyond its limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ronghe.edge.recorder import Recorder
from ronghe.errors import StoreFull
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

INDEX = TagIndex(["a"])


def one(at: int) -> Batch:
    return Batch.of(INDEX, ["a"], at, float(at))


def until(true: Callable[[], Any], what: str) -> None:
    """Waits; the bound is for a broken recorder, not a measure of a good one."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


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
    until(lambda: recorder.trouble, "trouble")
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


class Store:
    """Raises `error` until told otherwise."""

    def __init__(self, error: BaseException) -> None:
        self.error: BaseException | None = error
        self.stored: list[int] = []

    def append(self, batch: Batch) -> None:
        if self.error is not None:
            raise self.error
        self.stored += batch.time.tolist()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), Text("out of memory", "内存不足")),
        (ValueError("a bug"), Text("internal error; see the log of the node", "内部错误，详见节点日志")),
    ],
)
def test_whatever_the_store_raises_is_said_and_tried_again(error: Exception, said: Text, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(error)
    recorder = Recorder(store.append, retry=0.01)
    recorder.start()
    recorder.put(one(1))
    until(lambda: recorder.look() == said, "what is wrong")
    recorder.put(one(2))
    store.error = None
    until(lambda: recorder.recorded == 2, "the samples")
    recorder.close()
    assert store.stored == [1, 2]
    assert recorder.trouble is None
    assert caplog.text.count("samples are not recorded") == 1


def test_samples_that_cannot_be_joined_are_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(OSError())
    store.error = None
    recorder = Recorder(store.append, retry=0.01)
    for t in (1, 2):
        recorder.put(one(t))

    def full(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "concat", full)
        recorder.start()
        until(lambda: recorder.trouble, "trouble")
    until(lambda: recorder.recorded == 2, "the samples")
    recorder.close()
    assert store.stored == [1, 2]


def test_a_thread_that_ended_is_said_and_started_again_with_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # an end that only the recorder itself can notice
    store = Store(SystemExit())
    recorder = Recorder(store.append, retry=0.01)
    assert recorder.look() is None  # not started yet
    recorder.start()
    recorder.put(one(1))
    recorder._thread.join(30)
    store.error = None
    assert recorder.look() == Text("the recorder had stopped and was started again", "记录线程曾意外退出，已重新启动")
    recorder.put(one(2))
    until(lambda: recorder.recorded == 2, "the samples")
    assert recorder.look() is None
    recorder.close()
    assert store.stored == [1, 2]
    assert recorder.look() is None  # asked to end
