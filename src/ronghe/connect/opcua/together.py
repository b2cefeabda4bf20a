"""Tasks that stand and fall together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from ronghe.errors import ConnectError
from ronghe.text import Text


class Together:
    """Runs tasks until one of them fails, then ends the others and raises what it failed with.

    `asyncio.TaskGroup` cannot be used for a loop that goes on after a failure: in Python 3.11 and 3.12 a cancellation from outside that
    falls together with the failure is dropped, and the loop would never end.
    """

    def __init__(self) -> None:
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts one more; may end by itself."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # Cancelled, if not by us: a library cancelled what it waited for when its connection ended.
        ended = ConnectError(Text("the connection ended", "连接已中断"))
        error = ended if task.cancelled() else task.exception()
        if error is not None and not self._failed.done():
            self._failed.set_exception(error)

    async def until_one_fails(self) -> None:
        """Raises what the first task failed with, ConnectError where it was cancelled. All have ended then, and after a cancellation."""
        try:
            await self._failed
        finally:
            if not self._failed.cancel() and not self._failed.cancelled():
                self._failed.exception()  # seen, even where a cancellation came first
            left = list(self._tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
