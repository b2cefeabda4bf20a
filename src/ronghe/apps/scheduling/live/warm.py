"""Compiles the search in a process of its own: on the first run on a machine it takes some 20 s of processor time, for which a node's other
apps and devices would have to share this process with the compiler. Later runs find what was compiled on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Final

from ronghe.apps.scheduling.problem import Choice, Job, Machine, Off, Operation, Pool, Problem, Setup, Weights

_LONGEST: Final = 300.0  # s; after that it is compiled here after all
_LOOK: Final = 0.1  # s


def compiled(stop: Callable[[], bool]) -> None:
    """Waits until the search is compiled, or `stop` says that nobody wants it any more."""
    process = subprocess.Popen(  # noqa: S603 - this module itself
        [sys.executable, "-m", __name__],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waited, never = 0.0, threading.Event()
    while process.poll() is None and waited < _LONGEST and not stop():
        never.wait(_LOOK)
        waited += _LOOK
    if process.poll() is None:
        process.terminate()
    process.wait()


def small() -> Problem:
    """A shop that has everything, so that everything is compiled."""
    jobs = tuple(
        Job(
            name=f"j{i}",
            due=20,
            operations=tuple(
                Operation(name=f"j{i}/{k}", choices=(Choice("a", 5), Choice("b", 6)), family="xy"[(i + k) % 2], people={"p": 1})
                for k in range(2)
            ),
        )
        for i in range(3)
    )
    return Problem(
        machines=(Machine(name="a", off=(Off(30, 40),)), Machine(name="b")),
        jobs=jobs,
        setups=(Setup(before="x", after="y", duration=3), Setup(before="y", after="x", duration=2)),
        pools=(Pool(name="p", size=2),),
        weights=Weights(tardiness=1.0, setup=0.1),
    )


def main() -> None:
    """Plans, improves and repairs a small shop, with no more of the processor than nobody else wants."""
    if hasattr(os, "nice"):
        os.nice(10)
    from ronghe.apps.scheduling import repair, solve
    from ronghe.apps.scheduling.search import improve

    problem = small()
    plan = solve.first(problem)
    looks = iter((False, False))
    plan = improve(problem, plan, _LONGEST, stop=lambda: next(looks, True), workers=1)
    repair.repair(repair.breakdown(problem, plan, "a", 3, 9), plan)


if __name__ == "__main__":
    main()
