"""The runner shows an app its pictures and asks it what people ask, in its own thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ronghe.apps.contract import App, Question, Result, Wants
from ronghe.edge.runner import Runner
from ronghe.errors import AppError
from ronghe.picture import Picture
from ronghe.plant.model import Plant
from ronghe.signals import Batch, TagIndex, Window
from ronghe.text import Text

SECOND = 1_000_000_000


class Eye(App):
    """Looks at pictures; can be asked how many it has seen."""

    uses = "test.eye"
    Options = None  # type: ignore[assignment]
    verbs = {"count": "read", "slow": "operate"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__("eye", Plant(path="a/b/c", name=Text("x")), "", None, Path())
        self.seen: list[int] = []
        self.go = threading.Event()
        self.go.set()

    def wants(self) -> Wants:
        return Wants(tags=("a",), every=1.0, pictures=("cam/picture",))

    def step(self, window: Window) -> Result:
        return Result(signals={"rows": float(len(window))})

    def see(self, picture: Picture) -> Result:
        self.go.wait(10)
        self.seen.append(picture.number)
        return Result(signals={"score": float(picture.number)})

    def ask(self, question: Question) -> object:
        if question.verb == "count":
            return {"seen": len(self.seen), "who": question.who}
        if question.verb == "slow":
            raise ValueError("a bug")
        return super().ask(question)


def shown(number: int) -> Picture:
    return Picture(tag="cam/picture", time=number * SECOND, number=number, pixels=None)


def until(true: Callable[[], Any], what: str) -> None:
    """Waits; the bound is for a broken runner, not a measure of a good one."""
    for _ in range(1000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


@pytest.fixture
def results() -> list[tuple[Result, int]]:
    return []


@pytest.fixture
def runner(results: list[tuple[Result, int]]) -> Iterator[Runner]:
    made = Runner(Eye(), TagIndex(["a", "cam/picture"]), lambda result, at: results.append((result, at)))
    made.start()
    yield made
    made.app.go.set()  # type: ignore[attr-defined]
    made.close()


def test_every_picture_is_seen_once_in_order_and_gives_a_result_of_its_time(runner: Any, results: list[tuple[Result, int]]) -> None:
    for number in range(1, 6):
        runner.show(shown(number))
        until(lambda: len(results) == number, "the result")  # noqa: B023
    assert [(r.signals["score"], at) for r, at in results] == [(n, n * SECOND) for n in range(1, 6)]
    until(lambda: runner.state.pictures == 5, "the count")
    assert (runner.state.unseen, runner.state.rows) == (0, 0)
    assert runner.state.tags == ("a", "cam/picture")


def test_a_slow_app_is_shown_the_newest_and_what_it_did_not_see_is_counted(runner: Any) -> None:
    runner.app.go.clear()
    runner.show(shown(1))
    until(lambda: not runner._shown, "the first to be taken")
    for number in range(2, 31):
        runner.show(shown(number))
    runner.app.go.set()
    until(lambda: runner.app.seen[-1:] == [30], "the newest")
    assert len(runner.app.seen) + runner.state.unseen == 30
    assert runner.app.seen == [1, *range(23, 31)]


def test_rows_and_pictures_both_leave_their_signals(runner: Any) -> None:
    runner.show(shown(3))
    for second in (1, 2, 3):
        runner.put(Batch.of(runner.grid.index, ["a"], second * SECOND, [1.0]))
    until(lambda: runner.state.signals.keys() == {"rows", "score"}, "both signals")


def test_a_question_is_answered_by_the_app(runner: Any) -> None:
    runner.show(shown(1))
    until(lambda: runner.state.pictures == 1, "the picture")
    assert runner.ask(Question(verb="count", who="ann")).result(10) == {"seen": 1, "who": "ann"}


def test_a_question_that_fails_is_told_to_who_asked_and_the_app_goes_on(runner: Any, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AppError, match="internal error"):
        runner.ask(Question(verb="slow")).result(10)
    assert "ValueError: a bug" in caplog.text
    with pytest.raises(AppError, match="does not know 'nonsense'"):
        runner.ask(Question(verb="nonsense")).result(10)
    assert runner.ask(Question(verb="count")).result(10) == {"seen": 0, "who": ""}
    assert runner.state.state != "failed"


def test_a_question_to_a_stopped_app_is_refused_not_forgotten(runner: Any) -> None:
    runner.app.go.clear()
    runner.show(shown(1))
    until(lambda: not runner._shown, "the picture to be taken")
    waiting = runner.ask(Question(verb="count"))
    closing = threading.Thread(target=runner.close)
    closing.start()
    until(lambda: waiting.cancelled(), "the question to be called off")
    runner.app.go.set()
    closing.join(10)
    with pytest.raises(AppError, match="stopped"):
        runner.ask(Question(verb="count")).result(1)


def test_an_app_that_wants_no_tag_is_shown_its_pictures() -> None:
    class Blind(Eye):
        def wants(self) -> Wants:
            return Wants(tags=(), every=1.0, pictures=("cam/picture",))

    runner = Runner(Blind(), TagIndex(["cam/picture"]), lambda result, at: None)
    runner.start()
    runner.put(Batch.of(runner.grid.index, ["cam/picture"], SECOND, [1.0]))
    runner.flush(2 * SECOND)
    runner.show(shown(1))
    until(lambda: runner.app.seen == [1], "the picture")  # type: ignore[attr-defined]
    assert runner.state.state == "up"
    runner.close()
