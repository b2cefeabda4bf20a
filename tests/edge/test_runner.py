"""The runner: windows in, results out; a slow or broken app stops nobody."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ronghe.apps.contract import App, Result, Wants
from ronghe.edge.runner import Runner
from ronghe.plant.model import Plant
from ronghe.signals import Batch, TagIndex, Window
from ronghe.text import Text

SECOND = 1_000_000_000


class Echo(App):
    """Gives back the sum of the newest row; raises for a negative one, exits for a very negative one; waits at `gate`."""

    uses = "test.echo"
    Options = msgspec.Struct

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False
        self.told: list[tuple[str, str, str]] = []

    def wants(self) -> Wants:
        return Wants(tags=("a", "b"), every=1.0)

    def step(self, window: Window) -> Result:
        self.gate.wait(10)
        total = float(window.value[-1].sum())
        if total < -1000:
            sys.exit(1)
        if total < 0:
            raise ValueError("negative")
        return Result(signals={"sum": total})

    def feedback(self, advice: str, outcome: str) -> None:
        if outcome == "failed":
            raise ValueError("feedback")
        self.told.append((advice, outcome, threading.current_thread().name))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    got: list[tuple[float, int]] = []
    arrived = threading.Semaphore(0)

    def took(result: Result, at: int) -> None:
        got.append((result.signals["sum"], at))
        arrived.release()

    app = Echo("echo", Plant(path="t", name=Text("t")), "", None, tmp_path)
    made = Runner(app, TagIndex(["a", "b", "c"]), took, most=10)
    made.got, made.arrived = got, arrived  # type: ignore[attr-defined]
    made.start()
    yield made
    app.gate.set()
    made.close()


def row(runner: Runner, second: int, a: float, b: float) -> Batch:
    return Batch.of(runner.grid.index, ["a", "b", "c"], second * SECOND, [a, b, 99.0])


def until(true: Callable[[], Any], what: str) -> None:
    """Waits; the bound is for a broken runner, not a measure of a good one."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


def test_each_completed_row_gives_one_result(runner: Any) -> None:
    for s in range(1, 6):
        runner.put(row(runner, s, s, 1.0))
        assert runner.arrived.acquire(timeout=10)
    assert runner.got == [(s + 1.0, s * SECOND) for s in range(1, 6)]
    runner.close()
    assert runner.state.rows == 5


def test_an_error_is_said_and_the_next_window_is_tried(runner: Any, caplog: pytest.LogCaptureFixture) -> None:
    runner.put(row(runner, 1, -5.0, 1.0))
    until(lambda: runner.state.state == "failed", "the failure")
    assert runner.state.reason == Text("internal error; see the log of the node", "内部错误，详见节点日志")
    assert "app echo failed" in caplog.text
    assert "ValueError: negative" in caplog.text
    runner.put(row(runner, 2, 5.0, 1.0))
    until(lambda: runner.state.state == "up", "the next try")
    assert runner.state.reason is None


def test_an_app_that_would_end_the_process_is_said_and_tried_again(runner: Any, caplog: pytest.LogCaptureFixture) -> None:
    runner.put(row(runner, 1, -5000.0, 1.0))
    until(lambda: runner.state.state == "failed", "the failure")
    assert runner.state.reason == Text("it tried to end the whole process", "应用试图结束整个进程")
    assert "app echo failed" in caplog.text
    runner.put(row(runner, 2, 5.0, 1.0))
    until(lambda: runner.state.state == "up", "the next try")
    assert runner.got == [(6.0, 2 * SECOND)]


def test_put_never_waits_for_a_slow_app_and_skips_the_oldest(runner: Any) -> None:
    runner.app.gate.clear()
    for s in range(1, 101):
        runner.put(row(runner, s, s, 0.0))
    assert runner.state.skipped > 0
    runner.app.gate.set()
    until(lambda: runner.got and runner.got[-1][0] == 100.0, "the newest row")


def test_what_became_of_advice_is_told_in_the_thread_of_the_app_and_never_skipped(runner: Any, caplog: pytest.LogCaptureFixture) -> None:
    runner.app.gate.clear()
    runner.put(row(runner, 1, 1.0, 0.0))  # the app is at work: nobody waits for it
    runner.tell("a1", "waiting")
    for s in range(2, 101):
        runner.put(row(runner, s, s, 0.0))
    runner.tell("a1", "done")
    assert runner.state.skipped > 0
    runner.app.gate.set()
    until(lambda: len(runner.app.told) == 2, "the outcomes")
    assert runner.app.told == [("a1", "waiting", "app echo"), ("a1", "done", "app echo")]
    until(lambda: runner.got and runner.got[-1][0] == 100.0, "the newest row")
    runner.tell("a2", "failed")
    until(lambda: runner.state.state == "failed", "the failure")
    assert "ValueError: feedback" in caplog.text


def test_the_clock_completes_rows_that_wait_for_a_silent_tag(runner: Any) -> None:
    runner.put(Batch.of(runner.grid.index, ["a"], SECOND, 1.0))
    runner.flush(5 * SECOND)
    assert runner.arrived.acquire(timeout=10)


def test_close_lets_the_app_keep_what_it_learned(runner: Any) -> None:
    runner.close()
    assert runner.app.closed
    assert runner.state.state == "stopped"


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1)])
def test_an_app_that_does_not_close_keeps_nobody_from_closing(
    runner: Any, error: BaseException, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def close() -> None:
        raise error

    monkeypatch.setattr(runner.app, "close", close)
    runner.close()
    assert runner.state.state == "stopped"
    assert "app echo did not close" in caplog.text
