"""Not a test: a writer whose disk becomes full. Run as `python filler.py FOLDER limit|ballast`.

Appends until StoreFull, several times over; then there is room again, and it goes on. Prints JSON: numbers acknowledged, how often the
store was full, and whether appending and sealing went on afterwards.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import numpy as np

from ronghe.errors import StoreFull
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S
ROWS = 500
UNLIMITED = resource.RLIM_INFINITY


def main(folder: Path, how: str) -> None:
    rng = np.random.default_rng(0)
    acknowledged: list[int] = []
    full = 0
    with Historian(folder, TagIndex(), clock=lambda: T0, head_rows=20_000) as store:
        ids = store.index.ids(f"t{i}" for i in range(ROWS))
        if how == "limit":  # no file may grow beyond this: the log first, the segments' sealing too
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, UNLIMITED))
        number = 0
        while full < 5:
            try:
                store.append(Batch.of(store.index, ids, T0 + number * S, number + rng.random(ROWS)))
                acknowledged.append(number)
            except StoreFull:
                full += 1
            number += 1
        known_bad = set(range(number)) - set(acknowledged)
        sealed_when_full = True
        try:
            store.flush()
        except StoreFull:
            sealed_when_full = False
        if how == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (UNLIMITED, UNLIMITED))
        else:
            (folder.parent / "ballast").unlink()
        for _ in range(10):
            store.append(Batch.of(store.index, ids, T0 + number * S, number + rng.random(ROWS)))
            acknowledged.append(number)
            number += 1
        store.flush()
        found = store.raw(["t0", f"t{ROWS - 1}"], 0, 2**62)
        print(
            json.dumps(
                {
                    "acknowledged": acknowledged,
                    "refused": sorted(known_bad),
                    "full": full,
                    "sealed_when_full": sealed_when_full,
                    "found": [int(v) for v in found.value[: len(found) // 2]],
                    "trouble": store.stats().trouble is not None,
                }
            )
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
