"""Not a test: writers that are killed. Run as `python ingester.py FOLDER ROUNDS SEED`.

Imports once, then forks a writer a round: it opens the store, appends numbered batches, writes each number to a pipe once it is
acknowledged, and is killed (SIGKILL) at a random moment. The numbers acknowledged are printed at the end, one line a round.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S
TAGS = [f"t{i}" for i in range(20)]
HEAD_ROWS = 600


def batch(index: TagIndex, number: int) -> Batch:
    """20 tags at one time; and, as after a reconnect, the three batches before once more."""
    times = np.repeat(T0 + S * np.arange(max(number - 3, 0), number + 1), len(TAGS))
    return Batch.of(index, TAGS * (len(times) // len(TAGS)), times, (times - T0) / S / 100)


def write(folder: Path, first: int, pipe: int) -> None:
    """Appends for ever, while another thread seals and merges."""
    store = Historian(folder, TagIndex(), clock=lambda: T0, head_rows=HEAD_ROWS)

    def upkeep() -> None:
        while True:
            store.compact()
            time.sleep(0.005)

    threading.Thread(target=upkeep, daemon=True).start()
    number = first
    while True:
        store.append(batch(store.index, number))
        os.write(pipe, struct.pack("<I", number))
        number += 1


def one_round(folder: Path, first: int, delay: float, *, opened: bool) -> list[int]:
    """The numbers that a writer acknowledged before it was killed, `delay` s after it was started (or, if `opened`, after the first
    number, however slow the machine is)."""
    read, written = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        try:
            write(folder, first, written)
        finally:
            os._exit(1)  # only reached by an error: the parent finds a child that died by itself
    os.close(written)
    data = os.read(read, 4) if opened else b""
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status):
        sys.exit("the writer failed by itself")
    while piece := os.read(read, 1 << 16):
        data += piece
    os.close(read)
    return [n for (n,) in struct.iter_unpack("<I", data[: len(data) // 4 * 4])]


def warm_up() -> None:
    """Imports and first calls that would otherwise be made anew in every child, which would be killed while still at them."""
    with tempfile.TemporaryDirectory() as place, Historian(Path(place), TagIndex(), clock=lambda: T0) as store:
        for number in range(3):
            store.append(batch(store.index, number))
            store.flush()
        store.compact()


def main(folder: Path, rounds: int, seed: int) -> None:
    warm_up()
    rng = random.Random(seed)
    first = 0
    for _ in range(rounds):
        acknowledged = one_round(folder, first, rng.uniform(0.0, 0.15), opened=rng.random() < 0.75)
        print(*acknowledged, flush=True)
        first = max([first, *(n + 1 for n in acknowledged)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
