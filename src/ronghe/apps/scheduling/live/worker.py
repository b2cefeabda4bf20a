"""What improves the plan while the clock runs."""

from __future__ import annotations

import time

import msgspec

from ronghe.apps.improving import Improver, Turn
from ronghe.apps.scheduling.live.board import Board, begun, measured
from ronghe.apps.scheduling.live.warm import compiled
from ronghe.apps.scheduling.problem import Plan
from ronghe.errors import RongheError


class Worker(Improver):
    """Improves what is on the board for as long as it was asked to; an event on the board begins it anew."""

    def __init__(self, board: Board) -> None:
        super().__init__("scheduling", self._attempt, lambda: board.state.version)
        self._board = board
        self._compiled = False

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

    def _attempt(self, turn: Turn) -> None:
        if not self._compiled:
            began = time.monotonic()
            compiled(turn.closed)
            self._compiled = True
            turn.lasts(time.monotonic() - began)
        from ronghe.apps.scheduling import solve

        state = self._board.state
        if state.version != turn.version:
            return
        if state.plan is None:
            self._board.better(state.version, solve.first(state.problem))
            state = self._board.state
        left = turn.left()
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
            self._board.better(turn.version, msgspec.structs.replace(plan, lower_bound=bound))

        # One thread: a node's other apps, and its devices, share the processor with it.
        told(solve.solve(problem, seconds=left, workers=1, start=state.plan, told=told, stop=turn.over))
