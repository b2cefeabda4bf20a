"""The demonstration's devices as real protocol servers in a process of their own: the rig and the hall's controller by OPC UA, the energy
corner and the gas sensors by Modbus TCP, one camera by the pictures that it leaves in a folder, the other by its MJPEG stream."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from asyncua import ua
from asyncua.server.server import Server
from pymodbus.constants import ExcCodes
from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ronghe.demo.gas import frame as gas_frame
from ronghe.demo.hall import serve_hall
from ronghe.demo.lights import SIZES, Corner, Lapse
from ronghe.demo.press import Operator, recording, serve_camera
from ronghe.demo.rig import NOMINAL_FAN, NOMINAL_PUMP, Rig

NAMESPACE = "urn:ronghe:demo:rig"
SPEED = 20.0  # recorded seconds played in one second
GOOD_FOR = 30.0  # s until the cooler begins to fail
FAILS_IN = 6.0  # s it takes to get from good to BAD
BAD = 0.32  # condition at the end

VARIABLES = {
    "CoolingEfficiency": "CE",
    "CoolingPower": "CP",
    "EfficiencyFactor": "SE",
    "OilTemperature1": "TS1",
    "OilTemperature2": "TS2",
    "OilTemperature3": "TS3",
    "OilTemperature4": "TS4",
    "Vibration": "VS1",
}


async def serve_line(port: int, corner: Corner, shows: Callable[[], float], running: Callable[[], float]) -> None:
    """The Modbus line of the energy corner (`ronghe.demo.lights`), with the gas sensors as its unit 2 (`ronghe.demo.gas`). `shows` is the
    corner's time, `running` s since the demonstration began."""

    def unit(number: int) -> SimDevice:
        async def serve(code: int, first: int, address: int, count: int, registers: list[int], values: object) -> ExcCodes | None:
            corner.advance(shows())
            if isinstance(values, list) and not corner.write(number, address, values):
                return ExcCodes.ILLEGAL_ADDRESS
            registers[:] = corner.read(number)
            return None

        registers = SimData(0, count=SIZES[number], values=0, datatype=DataType.REGISTERS)
        return SimDevice(id=number, simdata=registers, action=serve)

    async def sense(code: int, first: int, address: int, count: int, registers: list[int], values: object) -> ExcCodes | None:
        registers[0:6] = gas_frame(running())
        return None

    gas = SimDevice(id=2, simdata=SimData(0, count=6, values=0, datatype=DataType.REGISTERS, readonly=True), action=sense)
    await StartAsyncTcpServer(context=[gas, *map(unit, SIZES)], address=("127.0.0.1", port))


async def serve_rig(port: int, clock: Callable[[], float] = time.monotonic) -> None:
    """The rig behind an OPC UA server; fan and pump set-points can be written and have an effect."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/rig")
    server.set_server_name("Hydraulic test rig (recorded)")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    space = await server.register_namespace(NAMESPACE)
    rig = Rig()
    folder = await server.nodes.objects.add_object(ua.NodeId.from_string(f"ns={space};s=Rig"), "Rig")
    nodes = {}
    for name in VARIABLES:
        nodes[name] = await folder.add_variable(ua.NodeId.from_string(f"ns={space};s=Rig.{name}"), name, 0.0, ua.VariantType.Double)
    fan_speed = await folder.add_variable(
        ua.NodeId.from_string(f"ns={space};s=Rig.FanSpeed"), "FanSpeed", NOMINAL_FAN, ua.VariantType.Double
    )
    pump_speed = await folder.add_variable(
        ua.NodeId.from_string(f"ns={space};s=Rig.PumpSpeed"), "PumpSpeed", NOMINAL_PUMP, ua.VariantType.Double
    )
    fan = await folder.add_variable(
        ua.NodeId.from_string(f"ns={space};s=Rig.FanSetpoint"), "FanSetpoint", NOMINAL_FAN, ua.VariantType.Double
    )
    pump = await folder.add_variable(
        ua.NodeId.from_string(f"ns={space};s=Rig.PumpSetpoint"), "PumpSetpoint", NOMINAL_PUMP, ua.VariantType.Double
    )
    for setpoint in (fan, pump):
        await setpoint.set_writable()
    async with server:
        began, tick = clock(), 0
        while True:
            running = clock() - began
            failed = min(max((running - GOOD_FOR) / FAILS_IN, 0.0), 1.0)
            rig.condition = 1.0 - (1.0 - BAD) * failed
            rig.fan_setpoint, rig.pump_setpoint = float(await fan.read_value()), float(await pump.read_value())
            sample = rig.step(1.0)
            now = ua.DateTime.now(UTC).replace(tzinfo=None)
            values = {nodes[n]: sample[s] for n, s in VARIABLES.items()} | {fan_speed: rig.fan, pump_speed: rig.pump}
            for node, value in values.items():
                data = ua.DataValue(ua.Variant(float(value), ua.VariantType.Double), SourceTimestamp=now, ServerTimestamp=now)
                await server.write_attribute_value(node.nodeid, data)
            tick += 1
            await asyncio.sleep(max(0.0, began + tick / SPEED - clock()))


async def serve(rig_port: int, line_port: int, hall_port: int, camera_port: int, pictures: Path, lapse: Lapse) -> None:
    """All devices, until standard input ends: they never outlive whoever started them."""
    shown, began = recording(), time.monotonic()

    def running() -> float:
        return time.monotonic() - began

    devices = (
        serve_rig(rig_port),
        serve_line(line_port, Corner(lapse.shows(time.time())), lambda: lapse.shows(time.time()), running),
        serve_hall(hall_port, pictures, Operator(shown), running),
        serve_camera(camera_port, shown, running),
    )
    servers = [asyncio.create_task(device) for device in devices]
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    done, _ = await asyncio.wait([*servers, ended], return_when=asyncio.FIRST_COMPLETED)
    for task in servers:
        task.cancel()
    for task in done:
        task.result()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; whoever started this ends it
    logging.basicConfig(level=logging.ERROR)
    *ports, pictures, since = sys.argv[1:]
    rig, line, hall, camera = map(int, ports)
    asyncio.run(serve(rig, line, hall, camera, Path(pictures), Lapse(float(since))))
