"""The hall's controller as a real OPC UA server: the etching line with the camera over its exit, and the press cell.

The line makes a board every `TAKT` seconds; its camera leaves a picture of each in a folder, as a camera's own software does. See
`ronghe.demo.etcher` for the line, `ronghe.demo.boards` for boards, `ronghe.demo.press` for the press and its camera.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

import numpy as np
from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server

from ronghe.demo.boards import boards, photographed
from ronghe.demo.etcher import HOT_BATH, NOMINAL_BATH, Etcher
from ronghe.demo.press import STROKES, Operator
from ronghe.picture import encode

NAMESPACE = "urn:ronghe:demo:hall"
SCAN = 0.2  # s between two scans of the controller
TAKT = 0.5  # s between two boards
GOOD_FOR = 40.0  # s until the bath's heater control fails
HEATS_IN = 3.0  # s it takes the bath to get hot: what takes an hour on a real line
KEPT = 24  # pictures that stay in the folder


async def serve_hall(port: int, folder: Path, operator: Operator, running: Callable[[], float]) -> None:
    """The controller on `port`, its camera's pictures in `folder`; until cancelled. `running` gives s since the demonstration began."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/hall")
    server.set_server_name("Hall controller (demonstration)")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace(NAMESPACE)
    etcher = Etcher()

    async def variable(path: str, value: float | int, *, writable: bool = False) -> Node:
        kind = ua.VariantType.Double if isinstance(value, float) else ua.VariantType.Int32
        node = await server.nodes.objects.add_variable(ua.NodeId.from_string(f"ns={space};s={path}"), path, value, kind)
        if writable:
            await node.set_writable()
        return node

    setpoint = await variable("Etcher.ConveyorSetpoint", etcher.setpoint, writable=True)
    permit = await variable("Press.Permit", 1, writable=True)
    speed, bath = await variable("Etcher.ConveyorSpeed", etcher.speed), await variable("Etcher.BathTemperature", etcher.bath)
    count, strokes = await variable("Etcher.Boards", 0), await variable("Press.StrokeRate", STROKES)
    rng = np.random.default_rng(11)
    line = Line(folder, etcher, rng)
    async with server:
        began, scans = running(), 0
        camera = asyncio.create_task(line.run(running))
        try:
            while not camera.done():
                etcher.bath = NOMINAL_BATH + (HOT_BATH - NOMINAL_BATH) * float(np.clip((running() - GOOD_FOR) / HEATS_IN, 0.0, 1.0))
                etcher.setpoint = float(await setpoint.read_value())
                etcher.step(SCAN)
                permitted = bool(await permit.read_value())
                if operator.gives(permitted, running()):
                    await permit.write_value(1, ua.VariantType.Int32)
                shown = {
                    speed: etcher.speed,
                    bath: etcher.bath + 0.05 * float(rng.standard_normal()),
                    count: line.made,
                    strokes: STROKES if permitted else 0.0,
                }
                now = ua.DateTime.now(UTC).replace(tzinfo=None)
                for node, value in shown.items():
                    kind = ua.VariantType.Double if isinstance(value, float) else ua.VariantType.Int32
                    data = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=now, ServerTimestamp=now)
                    await server.write_attribute_value(node.nodeid, data)
                scans += 1
                await asyncio.sleep(max(0.0, began + scans * SCAN - running()))
            camera.result()
        finally:
            camera.cancel()


class Line:
    """Boards, one after the other, and the pictures of them."""

    def __init__(self, folder: Path, etcher: Etcher, rng: np.random.Generator) -> None:
        self.made = 0
        self._folder, self._etcher, self._rng = folder, etcher, rng
        self._kept: list[Path] = []

    async def run(self, running: Callable[[], float]) -> None:
        """A board every `TAKT` seconds, for ever."""
        began = running()
        while True:
            await asyncio.to_thread(self.make)
            await asyncio.sleep(max(0.0, began + self.made * TAKT - running()))

    def make(self) -> None:
        """One board, and its picture in the folder."""
        board = boards()[int(self._rng.integers(len(boards())))]
        etched = board.etched(self._etcher.defects(board, self._rng))
        picture = encode(photographed(etched, self._rng))
        path = self._folder / f"{self.made + 1:06}_{board.name}.jpg"
        part = path.with_name(f"{path.name}.part")
        part.write_bytes(picture)
        os.replace(part, path)  # whoever watches the folder never meets half a picture
        self.made += 1
        self._kept.append(path)
        if len(self._kept) > KEPT:
            self._kept.pop(0).unlink(missing_ok=True)
