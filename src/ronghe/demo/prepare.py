"""Writes the demonstration's plant folder and starts its devices."""

from __future__ import annotations

import asyncio
import csv
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import numpy as np

from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import pack
from ronghe.apps.quality.boards import judge as template_judge
from ronghe.apps.quality.boards.judge import Templates
from ronghe.apps.quality.boards.template import Comparer
from ronghe.demo.boards import boards
from ronghe.demo.learned import remember
from ronghe.demo.lights import MIDNIGHT, NEW_YEAR, PACE
from ronghe.demo.orders import write_works
from ronghe.demo.rig import SENSORS, cycles, split
from ronghe.models import save
from ronghe.signals.when import format_time
from ronghe.text import Text

TAGS = {
    "CE": "hydraulics/rig/cooler/efficiency",
    "CP": "hydraulics/rig/cooler/power",
    "SE": "hydraulics/rig/efficiency_factor",
    "TS1": "hydraulics/rig/oil/temperature1",
    "TS2": "hydraulics/rig/oil/temperature2",
    "TS3": "hydraulics/rig/oil/temperature3",
    "TS4": "hydraulics/rig/oil/temperature4",
    "VS1": "hydraulics/rig/pump/vibration",
}


LAPSED = ("energy", "books", "furnace")  # apps of the corner whose time is another than ours
STARTS = 6.0  # s that all of it takes to be at work
PICTURES = "pictures"
"""The folder, below the plant's, in which the camera over the etching line leaves its pictures."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the devices listen on this machine, and since when (s since 1970 UTC) the energy corner's time runs."""

    rig: int
    meter: int
    hall: int
    camera: int
    since: int = 0

    @classmethod
    def free(cls) -> Ports:
        """Ports that are free now; the corner's time begins."""
        grid = 900 // PACE  # a quarter of an hour of the corner, in s: so that it begins where one of ours does
        since = (int(time.time() + STARTS) // grid + 1) * grid
        return cls(rig=free_port(), meter=free_port(), hall=free_port(), camera=free_port(), since=since)

    def all(self) -> tuple[int, ...]:
        """The ports, in the order in which the devices are told them."""
        return self.rig, self.meter, self.hall, self.camera


def write_folder(folder: Path, ports: Ports) -> None:
    """Writes plant.toml, tags.csv, dictionary.csv, the order board's folders, `normal.csv` (cycles with a good cooler), and the models:
    learned from it, and of the boards' templates."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in files("ronghe.demo").joinpath("plant").iterdir():
        text = source.read_text(encoding="utf-8")
        lapse = {"pace": PACE, "at": format_time(ports.since * 10**9), "shows": format_time(round(NEW_YEAR + MIDNIGHT) * 10**9)}
        for name, word in (asdict(ports) | lapse).items():
            text = text.replace(f"@{name.upper()}@", str(word))
        (folder / source.name).write_text(text, encoding="utf-8")
    write_works(folder, datetime.now(UTC))
    for app in LAPSED:  # of an earlier run: its time was another
        shutil.rmtree(folder / ".ronghe" / "apps" / app, ignore_errors=True)
    remember(folder / ".ronghe" / "apps" / "energy", MIDNIGHT)
    pictures = folder / PICTURES
    shutil.rmtree(pictures, ignore_errors=True)  # of an earlier run
    pictures.mkdir()
    rows = split(cycles()[1.0])[0].reshape(-1, len(SENSORS))
    with (folder / "normal.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["time", *(TAGS[s] for s in SENSORS)])
        writer.writerows([second, *row] for second, row in enumerate(rows.tolist()))
    designs = boards()
    templates = Templates([b.name for b in designs], np.stack([b.template for b in designs]), Comparer())
    save(folder / "boards.model", template_judge.pack(templates, name="boards", created=time.time_ns()))
    # As `ronghe maintenance detect fit normal.csv -o rig.model` does.
    columns = [Measured(tag, tag, Text(tag), "") for tag in TAGS.values()]
    save(
        folder / "rig.model",
        pack(learn(rows), columns, rows, name="rig", created=time.time_ns(), time=np.arange(len(rows)) * 10**9, every=1.0),
    )


def free_port() -> int:
    """A port of this machine that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@asynccontextmanager
async def devices(folder: Path, ports: Ports) -> AsyncIterator[None]:
    """The devices in a process of their own, up before this is entered. Raises TimeoutError when they do not come up."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ronghe.demo.devices",
        *map(str, ports.all()),
        str(folder / PICTURES),
        str(ports.since),
        stdin=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            for port in ports.all():
                await _listening(port)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
            continue
        writer.close()
        return
