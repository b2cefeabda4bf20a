"""An intake in a process of its own, to be killed: `python taker.py URL FOLDER`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ronghe.bus.jetstream import JetStream
from ronghe.cloud.lake.intake import Intake


async def _main(url: str, folder: Path) -> None:
    bus = JetStream(url, name="centre", in_hand=0.5)
    intake = Intake(bus, folder)
    await intake.start()
    while True:
        await asyncio.sleep(0.05)
        print(sum(n["messages"] for n in intake.view()), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], Path(sys.argv[2])))
