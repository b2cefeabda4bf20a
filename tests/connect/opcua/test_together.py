from __future__ import annotations

import asyncio

import pytest

from ronghe.connect.opcua.together import Together
from ronghe.errors import ConnectError


async def forever(ended: list[str], name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(name)


async def fails(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def test_the_first_failure_ends_all() -> None:
    ended: list[str] = []
    work = Together()
    work.begin(forever(ended, "a"))
    work.begin(asyncio.sleep(0))  # ends by itself: no failure
    work.begin(fails(ValueError("one")))
    work.begin(fails(ValueError("two")))
    with pytest.raises(ValueError, match="one"):
        await work.until_one_fails()
    assert ended == ["a"]


async def test_a_task_that_a_library_cancelled_is_a_lost_connection() -> None:
    work = Together()
    work.begin(fails(asyncio.CancelledError()))
    with pytest.raises(ConnectError):
        await work.until_one_fails()


async def test_a_cancellation_from_outside_is_never_lost() -> None:
    """Not even when it falls together with a failure."""
    for failing in (False, True):
        ended: list[str] = []
        work = Together()
        work.begin(forever(ended, "a"))
        task = asyncio.create_task(work.until_one_fails())
        await asyncio.sleep(0)
        if failing:
            work.begin(fails(ValueError("x")))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["a"]
