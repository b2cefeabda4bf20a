"""The thread that improves the plan while the clock runs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

import msgspec

from ronghe.apps.scheduling.live.board import Board, State, begun, measured
from ronghe.apps.scheduling.live.warm import compiled
from ronghe.apps.scheduling.problem import Plan
from ronghe.errors import RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)


class Worker:
    """Improves what is on the board for as long as it was asked to; an event on the board begins it anew."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._wake = threading.Condition()
        self._until = 0.0  # by the monotonic clock
        self._asked = 0  # times: what is asked for while it works is not over with it
        self._closed = False
        self._compiled = False
        self._thread: threading.Thread | None = None
        self.improving = False
        self.failed: Text | None = None  # why there is no plan, or no better one

    def first(self) -> None:
        """A plan where there is none, at once."""
        from ronghe.apps.scheduling import solve

        state = self._board.state
        if state.plan is not None:
            return
        try:
            self._board.better(state.version, solve.first(state.problem))
            self.failed = None
        except RongheError as e:
            self.failed = e.what

    def improve(self, seconds: float) -> None:
        """Asks for so many seconds from now."""
        with self._wake:
            self._until = time.monotonic() + seconds
            self._asked += 1
            self.improving = seconds > 0
            if self.improving and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="scheduling", daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def stop(self) -> None:
        """Enough: the plan stays as it is."""
        with self._wake:
            self._until = 0.0

    def close(self) -> None:
        """Ends the thread."""
        with self._wake:
            self._closed, self._until = True, 0.0
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(10)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self._closed and not self.improving:
                    self._wake.wait()
                if self._closed:
                    return
                asked = self._asked
            state = self._board.state
            try:
                self._once(state)
                self.failed = None
            except RongheError as e:
                self.failed = e.what
            except Exception:  # a bug in a solver must not end planning: the plan in force stays
                log.exception("improving failed")
                self.failed = Text("internal error; see the log of the node", "内部错误，详见节点日志")
            with self._wake:
                if (self._board.state.version == state.version and self._asked == asked) or self.failed is not None:
                    self.improving = False

    def _once(self, state: State) -> None:
        if not self._compiled:
            began = time.monotonic()
            compiled(lambda: self._closed)
            self._compiled = True
            with self._wake:
                if self._closed:
                    return
                self._until += time.monotonic() - began if self._until else 0.0
        from ronghe.apps.scheduling import solve

        if state.plan is None:
            self._board.better(state.version, solve.first(state.problem))
            state = self._board.state
        left = self._until - time.monotonic()
        if left <= 0 or state.plan is None:
            return
        # Nothing that begins while it is being improved may move: it will have begun when the better plan is there.
        problem = (
            begun(state.problem, state.plan, self._board.tick(state.problem, ahead=left), state.standing)
            if state.problem.start
            else state.problem
        )
        comparable = measured(problem, state.plan).objective == state.plan.objective

        def told(plan: Plan) -> None:
            bound = plan.lower_bound if comparable else None
            self._board.better(state.version, msgspec.structs.replace(plan, lower_bound=bound))

        # One thread: a node's other apps, and its devices, share the processor with it.
        found = solve.solve(problem, seconds=left, workers=1, start=state.plan, told=told, stop=self._ended(state.version))
        told(found)

    def _ended(self, version: int) -> Callable[[], bool]:
        return lambda: self._closed or time.monotonic() >= self._until or self._board.state.version != version
