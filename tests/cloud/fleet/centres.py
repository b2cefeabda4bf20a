"""A centre at work, in a thread of its own, and plant folders that join it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ronghe.cloud import folder
from ronghe.cloud.centre import Centre
from ronghe.edge.centrelink import CentreLink
from ronghe.edge.joining import HOME, context, join

PLANT = "acme/north/press"
TOML = """\
[plant]
path = "{plant}"
name = {{ en = "Press shop", zh = "冲压车间" }}

[connections.replay]
driver = "file"
path = "{recording}"
times = "now"
loop = true
"""
TAGS = "tag,property,connection,address,every\nline/pressure,pressure,replay,pressure,100ms\n"
DICTIONARY = "property,irdi,name_en,name_zh,unit,type,low,high\npressure,,Pressure,压力,bar,float,0,16\n"
RECORDING = "time,pressure\n" + "".join(f"2026-01-01T00:00:{s:02d}Z,{4 + s % 3}\n" for s in range(60))


def plant_folder(to: Path, plant: str = PLANT, recording: str = "recording.csv") -> Path:
    """A plant of one tag that plays a recording for ever."""
    to.mkdir(parents=True)
    (to / "plant.toml").write_text(TOML.format(plant=plant, recording=recording), encoding="utf-8")
    (to / "tags.csv").write_text(TAGS, encoding="utf-8")
    (to / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
    (to / "recording.csv").write_text(RECORDING, encoding="utf-8")
    return to


class Running:
    """`centre`, and its event loop, in which it must be spoken to."""

    def __init__(self, centre: Centre, loop: asyncio.AbstractEventLoop) -> None:
        self.centre, self.loop = centre, loop
        self.links: list[CentreLink] = []

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def joined(self, to: Path, node: str, plant: str = PLANT) -> Path:
        """A new plant folder that has joined as `node`."""
        fleet = self.centre.fleet
        join(fleet.url, fleet.invite(node, plant, "test"), plant_folder(to, plant), time.time_ns)
        return to

    def link(self, plant: Path) -> CentreLink:
        """A connection with the certificate of a plant folder that has joined."""
        return self.link_by(context(plant / HOME))

    def link_by(self, tls: ssl.SSLContext) -> CentreLink:
        self.links.append(CentreLink(self.centre.url, tls))
        return self.links[-1]


@contextmanager
def running(home: Path, *, whole: bool = True) -> Iterator[Running]:
    """A centre on free ports, with all its parts, or with its fleet alone."""
    shutil.rmtree(home, ignore_errors=True)
    folder.make(home, "127.0.0.1", time.time_ns)
    text = "[fleet]\nport = 0\n[hub]\nport = 0\n[serving]\nport = 0\ngrpc = 0\n[metrics]\nlisten = '127.0.0.1:0'\n"
    (home / "cloud.toml").write_text(text)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test centre", daemon=True)
    thread.start()

    async def make() -> Centre:
        centre = Centre(home)
        if not whole:
            centre._parts = list  # type: ignore[assignment]
        try:
            await centre.start()
        except BaseException:
            await centre.stop()  # its hub is a process of its own
            raise
        return centre

    found = Running(asyncio.run_coroutine_threadsafe(make(), loop).result(60), loop)
    try:
        yield found
    finally:
        found.call(found.centre.stop())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def until(what: Callable[[], Any], why: str, most: float = 20.0) -> Any:
    """What `what` gives once it is true."""
    end = time.monotonic() + most
    while not (found := what()):
        assert time.monotonic() < end, f"waited in vain for {why}"
        time.sleep(0.05)
    return found
