"""Not a test: a node that is killed. `python carrier.py OUTBOX URL PLANT` puts messages, prints the ids acknowledged, and carries them."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path

from ronghe.bus import subjects
from ronghe.bus.carry import Carrier
from ronghe.bus.contract import Message
from ronghe.bus.jetstream import JetStream
from ronghe.bus.outbox import Outbox


async def main(path: Path, url: str, plant: str) -> None:
    box = Outbox(path, most=10**9, clock=time.time_ns)
    bus = JetStream(url, name="n1")
    await bus.connect()
    os.write(1, b"open\n")
    carrying = asyncio.create_task(Carrier(box, bus, bandwidth=None).run())
    subject = subjects.subject(plant, "n1", subjects.SAMPLES)
    for n in itertools.count():
        message = Message(subject, f"{os.getpid()}-{n}", os.urandom(5000), time.time_ns())
        await box.append([message])
        os.write(1, f"{message.id}\n".encode())
        assert not carrying.done()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
