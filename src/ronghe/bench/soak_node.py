"""The node of the autonomy soak, in a process of its own so that it can be killed: the plant's whole node, in the time that it is told.

Lines of JSON on standard input: `{"now": ns, "samples": [[tag, value, code], …], "solver": bool, "app": bool}`, time goes on to `now` and
the devices show this; answered by `{"done": now, "busy": bool}` when nothing is under way any more but what the guard waits to see. In
between, `{"write": tag, "value": v}` is what goes to a device, and `{"code": StatusCode}` its answer. `{"stop": true}` ends it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import highspy
import msgspec
import numpy as np

from ronghe import plugins
from ronghe.apps.contract import App, Result, Wants
from ronghe.connect import Driver, Found, Item, Still, Write, always
from ronghe.connect.driver import Sink
from ronghe.demo.lights import PACE
from ronghe.edge.lapse import slowed
from ronghe.edge.node import Node
from ronghe.plant import Connection, Plant, load
from ronghe.signals import Batch, TagIndex, Window
from ronghe.signals import quality as q

EVERY = 300  # s between two samples
_RUN = highspy.Highs.run


class Pipe:
    """Standard input and output, and the devices' answers among the lines."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._answers: asyncio.Queue[int] = asyncio.Queue()
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._writing = asyncio.Lock()

    async def run(self) -> None:
        """Until standard input ends."""
        while line := await self._reader.readline():
            message = json.loads(line)
            if "code" in message:
                self._answers.put_nowait(message["code"])
            else:
                self.told.put_nowait(message)
        self.told.put_nowait({"stop": True})

    def say(self, message: dict[str, Any]) -> None:
        """A line on standard output."""
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    async def write(self, tag: str, value: float, still: Still) -> int:
        """To the device and back."""
        async with self._writing:
            if not still():
                return q.BAD_NOT_SENT
            self.say({"write": tag, "value": value})
            return await self._answers.get()


class Line(Driver):
    """The devices as the pipe tells of them."""

    name = "soak"
    Options = msgspec.Struct

    def __init__(self, pipe: Pipe, index: TagIndex) -> None:
        super().__init__(None, index)
        self._pipe = pipe
        self._sink: Sink | None = None
        self._tags: dict[str, str] = {}

    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        self._tags = {i.address: self.index.names[i.id] for i in items}
        self._sink, self.health.state = sink, "up"
        await asyncio.Event().wait()

    def deliver(self, now: int, samples: list[tuple[str, float | None, int]]) -> None:
        """What the devices show at `now` (ns)."""
        assert self._sink is not None
        if samples:
            tags, values, codes = zip(*samples, strict=True)
            self._sink(Batch.of(self.index, tags, now, [np.nan if v is None else v for v in values], list(codes)))

    async def read(self, items: Sequence[Item]) -> Batch:
        raise NotImplementedError

    async def browse(self, under: str = "") -> list[Found]:
        return []

    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        return [await self._pipe.write(self._tags[w.address], float(w.value), still) for w in writes]

    def held(self, write: Write) -> float | str:
        return float(np.float32(write.value))


class Faulty(App):
    """An app, whose thread is killed at every window while `killed`."""

    killed = False

    def __init__(self, kind: type[App], *given: Any) -> None:
        super().__init__(*given)
        app = self._app = kind(*given)
        self.uses, self.pages, self.verbs = app.uses, app.pages, app.verbs  # type: ignore[misc]
        self.ask, self.signal, self.feedback, self.close = app.ask, app.signal, app.feedback, app.close  # type: ignore[method-assign]

    def wants(self) -> Wants:
        return self._app.wants()

    def step(self, window: Window) -> Result:
        if Faulty.killed:
            raise SystemExit
        return self._app.step(window)


def sampled(plant: Plant) -> Plant:
    """The plant in its own time, as its apps are, with a sample every `EVERY` by the pipe."""
    plant, replace = slowed(plant, PACE), msgspec.structs.replace
    return replace(
        plant,
        tags={n: replace(t, every=EVERY) for n, t in plant.tags.items()},
        connections={n: Connection(name=n, driver=Line.name) for n in plant.connections},
    )


def solver(fails: bool) -> None:
    """Has every run of HiGHS raise, or work."""
    setattr(highspy.Highs, "run", _killed if fails else _RUN)  # noqa: B010 a method of somebody else's type


def _killed(self: highspy.Highs) -> None:
    raise RuntimeError("the solver was killed")


def busy(node: Node) -> bool:
    """Whether the guard waits for a device to show what it wrote."""
    return node.guard.changing or any(c.state == "writing" for c in node.guard.cases()[:20])


async def main(folder: Path) -> None:
    """Runs until standard input ends."""
    reader = asyncio.StreamReader(limit=2**20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    pipe = Pipe(reader)
    listening = asyncio.create_task(pipe.run())
    first = await pipe.told.get()
    now = [first["now"]]
    line: list[Line] = []

    def driver(options: Any, index: TagIndex) -> Line:
        line.append(Line(pipe, index))
        return line[0]

    def app(uses: str) -> Any:
        return partial(Faulty, plugins.load("ronghe.apps", uses))

    node = Node(sampled(load(folder)), clock=lambda: now[0], drivers=lambda name: driver, apps=app)
    await node.start(by_itself=False)
    await asyncio.sleep(0)
    pipe.say({"done": now[0], "busy": busy(node)})
    while "stop" not in (told := await pipe.told.get()):
        now[0], Faulty.killed = told["now"], told["app"]
        solver(told["solver"])
        line[0].deliver(now[0], told["samples"])
        await node.settle()
        await node.second()
        await node.settle()
        pipe.say({"done": now[0], "busy": busy(node)})
    await node.stop()
    listening.cancel()


if __name__ == "__main__":
    logging.basicConfig(level=logging.CRITICAL)
    asyncio.run(main(Path(sys.argv[1])))
