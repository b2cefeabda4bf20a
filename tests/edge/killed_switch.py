"""Run as a program: for every folder given, a process that dies (as by kill -9 or a power cut) at another step of a switch.

The nth dies before the nth file gets its name. Prints how many names a whole switch gives.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

from ronghe.edge.configuration import Configuration

really = os.replace


def switch(plant: Path, hash: str, step: int) -> int:
    """Switches, dying before the name `step` is given; gives how many names there were."""
    calls = 0

    def replace(*names: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == step:
            os._exit(9)
        really(*names)

    os.replace = replace  # type: ignore[assignment]
    Configuration(plant, plant / ".ronghe" / "centre", time.time_ns).place(hash, ())
    return calls


if __name__ == "__main__":
    for n, plant in enumerate(sys.argv[2:], start=1):
        if (child := os.fork()) == 0:
            print(switch(Path(plant), sys.argv[1], n), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
