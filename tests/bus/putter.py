"""Not a test: a process that is killed. `python putter.py OUTBOX FIRST` puts three messages at a time and prints the ids acknowledged."""

from __future__ import annotations

import itertools
import os
import sys
import time
from pathlib import Path

from ronghe.bus.contract import Message
from ronghe.bus.outbox import Outbox


def main(path: Path, first: int) -> None:
    box = Outbox(path, most=10**9, clock=time.time_ns)
    os.write(1, b"open\n")
    for n in itertools.count():
        messages = [Message("ronghe.a.b.c.n.samples", f"{first}-{os.getpid()}-{n}-{i}", os.urandom(9000), time.time_ns()) for i in range(3)]
        box.put(messages)
        os.write(1, "".join(f"{m.id}\n" for m in messages).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
