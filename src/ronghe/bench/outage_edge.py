"""The edge of the outage benchmark, in a process of its own that can be killed: recorder, historian, outbox and the way to the centre.

Lines of JSON on standard input: `{"from": ns, "seconds": n}`, so many seconds of the plant from then on, as fast as the recorder takes
them; `{"live": n}`, so many seconds in real time; `{"state": true}`; the end of input ends it. On standard output
`{"kept": ns}` after each batch that the recorder has acknowledged, with the newest time in it, `{"done": …}`, `{"state": …}`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.bus.jetstream import JetStream
from ronghe.edge.joining import membership
from ronghe.edge.recorder import Recorder
from ronghe.edge.uplink import Uplink
from ronghe.guard import Ledger
from ronghe.historian import Historian
from ronghe.plant import CentreSpec, Plant
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

TAGS: Final = 5_000
S: Final = 1_000_000_000
PLANT: Final = "bench/works/hall"
NODE: Final = "edge1"
BANDWIDTH: Final = "10 Mbit/s"
"""Of the line's 100 that history may take: more than any intake on the same two cores keeps up with is of no use."""
_AHEAD: Final = 8  # s of the plant that wait for the recorder
_LEVELS: Final = np.random.default_rng(2026)
_LEVEL, _SPREAD = _LEVELS.uniform(10, 1000, TAGS), _LEVELS.uniform(0.05, 5.0, TAGS)
_PERIOD, _DECIMALS = _LEVELS.uniform(600, 90_000, TAGS), _LEVELS.integers(1, 4, TAGS)
_POWER: Final = 10.0**_DECIMALS


def names() -> list[str]:
    """Names of a plant's length and likeness."""
    return [f"line{i // 500}/station{i // 20 % 25}/value{i % 20}" for i in range(TAGS)]


def values(time: int, *, rounded: bool = True) -> NDArray[np.float64]:
    """What every tag shows at a time (ns): a level of its own, a slow swing and noise, resolved to 1, 2 or 3 decimals as a transmitter
    does; not `rounded`: as a computer gives it. The same for the same second, so that it can be checked anywhere."""
    noise = np.random.Generator(np.random.Philox(key=time // S)).standard_normal(TAGS)
    value: NDArray[np.float64] = _LEVEL + _SPREAD * (3 * np.sin(2 * np.pi * (time / S) / _PERIOD) + noise)
    return np.rint(value * _POWER) / _POWER if rounded else value


class Edge:
    """What `ronghe up` runs between a driver and the centre, with the time that it is given."""

    def __init__(self, folder: Path, *, plain: bool = False) -> None:
        home = folder / "centre"
        member = membership(home)
        assert member is not None
        self.now = time.time_ns()
        self.real = True
        self.index = TagIndex(names())
        self.historian = Historian(folder / "historian", self.index)
        self.ledger = Ledger(folder / "ledger", clock=self.clock)
        plant = Plant(path=PLANT, name=Text("outage"), centre=CentreSpec(bandwidth=BANDWIDTH))
        boot = os.urandom(6).hex()
        bus = (lambda: JetStream(member.hub, name=NODE)) if plain else None
        self.uplink = Uplink(plant, self.index, self.historian, self.ledger, home, member, boot=boot, clock=self.clock, bus=bus)
        self.recorder = Recorder(self._append, at_once=TAGS)  # a second of the plant is a message, however fast it goes
        self._ids = np.arange(TAGS, dtype=np.int32)

    def clock(self) -> int:
        """The plant's time, or the real one (ns)."""
        return time.time_ns() if self.real else self.now

    def _append(self, batch: Batch) -> None:
        self.uplink.append(batch)
        say({"kept": int(batch.time[-1])})

    def put(self, time: int) -> None:
        """One second of the plant."""
        self.recorder.put(Batch.of(self.index, self._ids, time, values(time)))

    def make(self, start: int, seconds: int) -> None:
        """As fast as the recorder takes it."""
        self.real = False
        for i in range(seconds):
            self.now = start + i * S
            self.put(self.now)
            while self.recorder.waiting > _AHEAD * TAGS:
                time.sleep(0.001)
        while self.recorder.waiting or self.recorder._taken:
            time.sleep(0.005)
        self.real = True

    def live(self, seconds: int) -> int:
        """A second each second; gives the first (ns)."""
        begin = time.time_ns() // S * S + S
        for i in range(seconds):
            time.sleep(max((begin + i * S - time.time_ns()) / S, 0.0))
            self.put(begin + i * S)
        return begin

    def state(self) -> dict[str, Any]:
        """Of the outbox."""
        told = self.uplink.state
        files = list((self.uplink._home).glob("outbox.sqlite*"))
        return {"files": sum(f.stat().st_size for f in files), **(msgspec.to_builtins(told) if told is not None else {})}


def say(told: dict[str, Any]) -> None:
    """A line on standard output, whole."""
    os.write(1, json.dumps(told).encode() + b"\n")


def main(folder: Path, *, plain: bool) -> None:
    """Runs until standard input ends. `plain`: to a hub without TLS."""
    edge = Edge(folder, plain=plain)
    edge.uplink.start()
    edge.recorder.start()
    say({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        if "from" in order:
            edge.make(order["from"], order["seconds"])
            say({"done": "made"})
        elif "live" in order:
            say({"done": "live", "first": edge.live(order["live"])})
        else:
            say({"state": edge.state()})
    edge.recorder.close()
    edge.uplink.close()
    edge.historian.close()
    edge.ledger.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    main(Path(sys.argv[1]), plain="--plain" in sys.argv)
