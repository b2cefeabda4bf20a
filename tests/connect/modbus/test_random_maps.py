"""Any set of values, planned in any way, from a device with holes: each is what the device holds, or unknown, and nothing else."""

from __future__ import annotations

import asyncio
import math
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from modbus_servers import Server

from ronghe.connect import Item
from ronghe.connect.modbus import Modbus, Options
from ronghe.connect.modbus.address import WORDS
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

FORMATS = {"int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "int64": "q", "uint64": "Q", "float64": "d"}
KEEP = {"abcd": (False, False), "badc": (False, True), "cdab": (True, False), "dcba": (True, True)}
HOLE = range(200, 203)

values = st.tuples(st.sampled_from(["holding", "input"]), st.integers(150, 205), st.sampled_from([*FORMATS]), st.sampled_from([*KEEP]))


def expected(memory: dict[str, list[int]], table: str, start: int, kind: str, order: str) -> float | None:
    """The value by the definition of types and orders; None in the hole."""
    n = WORDS[kind]
    if table == "holding" and any(r in HOLE for r in range(start, start + n)):
        return None
    words = memory[table][start : start + n]
    reverse, swap = KEEP[order]
    words = words[::-1] if reverse else words
    data = b"".join((w & 255).to_bytes(1, "big") + (w >> 8).to_bytes(1, "big") if swap else w.to_bytes(2, "big") for w in words)
    return float(struct.unpack(">" + FORMATS[kind], data)[0])


@settings(deadline=None, max_examples=60)
@given(
    some=st.lists(values, min_size=1, max_size=40),
    gap=st.integers(0, 124),
    block=st.integers(4, 125),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_value_is_the_devices(c_server: Server, some: list[tuple[str, int, str, str]], gap: int, block: int, seed: int) -> None:
    memory = {t: [(seed * (i + 3) * 2654435761 >> 7) & 0xFFFF for i in range(210)] for t in ("holding", "input")}
    for table, words in memory.items():
        c_server.set(table, 150, *words[150:210])

    async def twice() -> list[tuple[list[float], list[int]]]:
        driver = Modbus(Options(host="127.0.0.1", port=c_server.port, gap=gap, block=block), TagIndex())
        items = [Item(id=i, address=f"{t}:{s}:{k}:{o}") for i, (t, s, k, o) in enumerate(some)]
        try:
            batches = [await driver.read(items) for _ in range(2)]
        finally:
            await driver.close()
        return [(b.value.tolist(), b.quality.tolist()) for b in batches]

    for value, quality in asyncio.run(twice()):
        for sample, got, code in zip(some, value, quality, strict=True):
            wanted = expected(memory, *sample)
            if wanted is None:
                assert code == q.BAD_NODE_UNKNOWN
            elif math.isfinite(wanted):
                assert (got, code) == (wanted, q.GOOD)
            else:
                assert code == q.BAD
