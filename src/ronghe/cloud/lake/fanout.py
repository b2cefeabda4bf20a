"""One function over many items: on the cores of this machine, or on a Ray cluster, by the same call.

    results = fanout(fit, equipment, on="processes")        # in the order of the items

A worker that is killed, or that runs out of memory, takes nothing with it: what it had in hand is done again, alone, so that an item that
kills its worker every time is named. An exception of the function is raised as it is.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, Final, Literal, TypeVar

from ronghe.errors import CloudError, MissingExtra
from ronghe.text import Text

Item = TypeVar("Item")
Result = TypeVar("Result")
ATTEMPTS: Final = 3
"""How often an item is given to a worker before it is said to kill them."""


def fanout(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    on: Literal["processes", "ray"] = "processes",
    workers: int | None = None,
    address: str | None = None,
) -> list[Result]:
    """`[function(i) for i in items]`, side by side. `workers`: at most so many at a time (None: as many as there are cores); `address`: of
    the Ray cluster, as for `query.run`. The function and the items are pickled: it is one that a module defines.

    Raises what the function raised first; CloudError naming the item whose worker died
    `ATTEMPTS` times; MissingExtra.
    """
    listed = list(items)
    if on == "ray":
        return _on_ray(function, listed, workers, address)
    if on != "processes":
        raise CloudError(Text(f"cannot work on {on!r}", f"不支持在 {on!r} 上执行"), todo=Text("processes or ray", "可用 processes 或 ray"))
    return _on_processes(function, listed, workers)


def _on_processes(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None) -> list[Result]:
    most = max(1, min(workers or os.cpu_count() or 1, len(items)))
    done: dict[int, Result] = {}
    left = deque(range(len(items)))
    suspects: deque[int] = deque()  # were in hand when a worker died: done one by one, so that it is known which one kills
    killed = [0] * len(items)
    while left or suspects:
        # Spawned: a fork of a process with threads (Arrow, DuckDB) can hang.
        with ProcessPoolExecutor(most, mp_context=multiprocessing.get_context("spawn")) as pool:
            running: dict[Future[Result], int] = {}
            try:
                while left or suspects or running:
                    queue, room = (suspects, 1) if suspects else (left, 0 if any(killed[at] for at in running.values()) else most)
                    while queue and len(running) < room:
                        try:
                            future = pool.submit(function, items[queue[0]])
                        except OSError as e:  # how a pool that breaks at this very moment says so
                            raise BrokenProcessPool(str(e)) from e
                        running[future] = queue.popleft()
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        done[running[future]] = future.result()
                        del running[future]
            except BrokenProcessPool:
                for future, at in sorted(running.items(), key=lambda r: r[1]):
                    if future.done() and future.exception() is None:
                        done[at] = future.result()
                        continue
                    killed[at] += 1
                    if killed[at] == ATTEMPTS:
                        raise _killed(items[at]) from None
                    suspects.append(at)
    return [done[i] for i in range(len(items))]


def _on_ray(function: Callable[[Item], Result], items: Sequence[Item], workers: int | None, address: str | None) -> list[Result]:
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as e:
        raise MissingExtra("cluster", Text("work on a cluster", "集群计算")) from e
    from ronghe.cloud.lake.query import start

    start(ray, address)
    remote = ray.remote(_call).options(max_retries=ATTEMPTS - 1, num_cpus=1)
    most = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
    waiting = deque(enumerate(items))
    running: dict[Any, int] = {}
    done: dict[int, Result] = {}
    while waiting or running:
        while waiting and len(running) < most:
            at, item = waiting.popleft()
            running[remote.remote(function, item)] = at
        ready, _ = ray.wait(list(running), num_returns=1)
        at = running.pop(ready[0])
        try:
            done[at] = ray.get(ready[0])
        except ray.exceptions.RayTaskError as e:
            raise e.cause from None
        except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as e:
            raise _killed(items[at]) from e
    return [done[i] for i in range(len(items))]


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _killed(item: object) -> CloudError:
    named = repr(item)
    named = named if len(named) <= 200 else named[:200] + "…"
    return CloudError(
        Text(f"the worker died {ATTEMPTS} times over {named}", f"处理 {named} 时工作进程 {ATTEMPTS} 次异常退出"),
        todo=Text("give it more memory, or leave the item out", "请增加内存，或排除该项"),
    )
