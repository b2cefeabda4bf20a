"""The demonstration's devices as real protocol servers in a process of their own: the rig and the hall's controller by OPC UA, the energy
meter and the gas sensors by Modbus TCP, one camera by the pictures that it leaves in a folder, the other by its MJPEG stream."""

from __future__ import annotations

import asyncio
import logging
import signal
import struct
import sys
import time
from collections.abc import Callable
from datetime import UTC
from pathlib import Path

from asyncua import ua
from asyncua.server.server import Server
from pymodbus.server import StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ronghe.demo.gas import frame as gas_frame
from ronghe.demo.hall import serve_hall
from ronghe.demo.press import Operator, recording, serve_camera
from ronghe.demo.rig import NOMINAL_FAN, NOMINAL_PUMP, Rig, rows

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


async def serve_meter(port: int, clock: Callable[[], float] = time.monotonic) -> None:
    """The steel works' energy meter behind a Modbus TCP server: one recorded quarter of an hour is played in a second.

    Input (and holding) registers of unit 1, big-endian: 0 active power (float32, kW), 2 reactive power (float32, kvar), 4 power factor
    (uint16, 0.01 %), 5 always 0, 6 energy counter (uint32, 0.1 kWh), 8 CO2 (float32, t/h). Unit 2 are the gas sensors, see
    `ronghe.demo.gas`.
    """
    recording = [[float(row[c]) for c in ("active_kwh", "reactive_kvarh", "power_factor", "co2_t")] for row in rows("steel_energy.csv.gz")]
    counter = [0.0]
    for row in recording:
        counter.append(counter[-1] + row[0])
    began = clock()

    async def refresh(code: int, start: int, address: int, count: int, registers: list[int], values: object) -> None:
        turns, quarter = divmod(int(clock() - began), len(recording))
        active, reactive, factor, co2 = recording[quarter]
        energy = turns * counter[-1] + counter[quarter]
        frame = struct.pack(">ffHHIf", active * 4, reactive * 4, round(factor * 100), 0, round(energy * 10), co2 * 4)
        registers[0:10] = struct.unpack(">10H", frame)

    async def sense(code: int, start: int, address: int, count: int, registers: list[int], values: object) -> None:
        registers[0:6] = gas_frame(clock() - began)

    meter = SimDevice(id=1, simdata=SimData(0, count=10, values=0, datatype=DataType.REGISTERS, readonly=True), action=refresh)
    gas = SimDevice(id=2, simdata=SimData(0, count=6, values=0, datatype=DataType.REGISTERS, readonly=True), action=sense)
    await StartAsyncTcpServer(context=[meter, gas], address=("127.0.0.1", port))


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


async def serve(rig_port: int, meter_port: int, hall_port: int, camera_port: int, pictures: Path) -> None:
    """All devices, until standard input ends: they never outlive whoever started them."""
    shown, began = recording(), time.monotonic()

    def running() -> float:
        return time.monotonic() - began

    devices = (
        serve_rig(rig_port),
        serve_meter(meter_port),
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
    *ports, folder = sys.argv[1:]
    rig, meter, hall, camera = map(int, ports)
    asyncio.run(serve(rig, meter, hall, camera, Path(folder)))
