"""The physics of the corner that runs by itself, and its line as a master meets it."""

from __future__ import annotations

import asyncio
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe import plugins
from ronghe.connect import Item, Write
from ronghe.demo.battery import CAPACITY, POWER, PROTECTED, SILENCE, Battery
from ronghe.demo.devices import serve_line
from ronghe.demo.lights import BATTERY, FURNACE, METER, MIDNIGHT, PACE, SIZES, Corner, Lapse
from ronghe.demo.prepare import free_port
from ronghe.demo.reheating import Furnace
from ronghe.demo.rig import rows
from ronghe.demo.sun import DAY, PEAK, Roof, clear_sky
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

HOUR = 3600.0


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(-400, 400), st.floats(1, 7200)), min_size=1, max_size=40))
def test_a_battery_stays_within_its_cells_and_its_inverter_and_makes_no_energy(orders: list[tuple[float, float]]) -> None:
    battery, balance = Battery(), 0.0
    for setpoint, seconds in orders:
        battery.setpoint = setpoint
        battery.hear()
        battery.step(seconds)
        balance += battery.power * seconds / 3600
        assert PROTECTED[0] - 1e-9 <= battery.soc <= PROTECTED[1] + 1e-9
        assert abs(battery.power) <= POWER
    assert balance >= (battery.soc - 0.5) * CAPACITY - 1e-6  # what is in it was put in, and more


def test_there_and_back_costs_a_tenth() -> None:
    battery = Battery(soc=0.2, setpoint=100.0)
    taken = given_back = 0.0
    while battery.soc < 0.8:
        battery.hear()
        battery.step(60)
        taken += battery.power / 60
    battery.setpoint = -100.0
    while battery.soc > 0.2:
        battery.hear()
        battery.step(60)
        given_back -= battery.power / 60
    assert given_back / taken == pytest.approx(0.9, abs=0.02)


def test_a_battery_that_nobody_speaks_to_comes_to_rest() -> None:
    battery = Battery(setpoint=50.0)
    battery.step(SILENCE - 1)
    assert battery.power == pytest.approx(50.0)
    battery.step(60)
    assert battery.setpoint == 0.0
    battery.step(60)
    assert battery.power == pytest.approx(0.0, abs=1e-3)


def test_the_roof_gives_nothing_at_night_most_at_noon_and_the_same_again() -> None:
    one, other = Roof(seed=1), Roof(seed=1)
    shown = [one.power(8 * DAY + h * HOUR) for h in range(24)]
    assert shown == [other.power(8 * DAY + h * HOUR) for h in range(24)]
    assert shown[0] == shown[4] == shown[22] == 0.0
    assert 0 < max(shown) <= PEAK
    sky = [clear_sky(8 * DAY + h * HOUR) for h in range(24)]
    assert sky.index(max(sky)) == 12
    assert 400 < max(sky) < 650  # W/m² on the horizontal, January at 35 degrees north
    assert clear_sky(171.5 * DAY) > 950


def after(hours: float, **setpoints: float) -> Furnace:
    furnace = Furnace(**setpoints)  # type: ignore[arg-type]
    furnace.step(hours * HOUR)
    return furnace


def test_a_furnace_answers_its_setpoints_as_furnaces_do() -> None:
    base = after(10)
    cooler, leaner = after(10, heating_setpoint=1150.0), after(10, air_setpoint=1.1)
    softer = after(10, soaking_setpoint=1240.0)
    assert 1000 < base.fuel < 3000  # MJ/t
    assert cooler.fuel < 0.97 * base.fuel
    assert cooler.piece < base.piece - 5
    assert leaner.fuel < 0.97 * base.fuel
    assert 1.0 < leaner.oxygen < base.oxygen - 1.5
    assert leaner.roof > base.roof + 3  # a hotter flame
    assert softer.roof < base.roof - 20
    assert after(10, air_setpoint=1.02).oxygen < 1.0
    assert base.pushed > 50


def test_a_zone_follows_no_faster_than_its_mass_and_its_burners_let_it() -> None:
    furnace = after(6)
    furnace.heating_setpoint = 1280.0
    before, gas = furnace.heating, furnace.gas
    furnace.step(60)
    assert before < furnace.heating < before + 10
    assert furnace.gas > gas * 1.2
    furnace.step(2 * HOUR)
    assert furnace.heating == pytest.approx(1280, abs=2)


def test_the_meter_adds_up() -> None:
    corner = Corner(8 * DAY + 9 * HOUR)
    recorded = [float(row["active_kwh"]) for row in rows("steel_energy.csv.gz")]
    assert corner.load == recorded[8 * 96 + 36] * 4
    assert corner.write(BATTERY, 4, words(80.0))
    corner.advance(corner.time + 600)
    assert corner.battery.power == pytest.approx(80.0)
    assert corner.grid == pytest.approx(corner.load - corner.roof.power(corner.time) + 80.0)
    frame = corner.read(METER)
    assert floats(frame[0:2])[0] == pytest.approx(corner.grid, rel=1e-6)
    assert frame[6] * 65536 + frame[7] == round(corner.bought * 10)
    assert [len(corner.read(unit)) for unit in SIZES] == list(SIZES.values())


def test_in_one_step_or_in_many_the_same() -> None:
    one, many = Corner(8 * DAY), Corner(8 * DAY)
    one.advance(8 * DAY + 2 * HOUR)
    for minute in range(120):
        many.advance(8 * DAY + (minute + 1) * 60)
    assert (many.bought, many.furnace.fuel) == pytest.approx((one.bought, one.furnace.fuel), rel=1e-9)


@pytest.mark.parametrize(
    ("unit", "start", "value"),
    [(BATTERY, 0, 1.0), (BATTERY, 5, 1.0), (METER, 0, 1.0), (FURNACE, 6, 1.0), (FURNACE, 0, float("nan"))],
)
def test_what_is_no_setpoint_or_no_number_is_not_taken(unit: int, start: int, value: float) -> None:
    corner = Corner(8 * DAY)
    before = corner.read(unit)
    assert not corner.write(unit, start, words(value))
    assert not corner.write(BATTERY, 4, [0])  # half a number
    assert corner.read(unit) == before


def test_all_of_the_furnace_at_once() -> None:
    corner = Corner(8 * DAY)
    assert corner.write(FURNACE, 0, words(1150.0) + words(1260.0) + words(1.15))
    f = corner.furnace
    assert (f.heating_setpoint, f.soaking_setpoint) == (1150.0, 1260.0)
    assert f.air_setpoint == pytest.approx(1.15)
    assert floats(corner.read(FURNACE)[0:4]) == (1150.0, 1260.0)


def test_time_lapse() -> None:
    lapse = Lapse(1000.0)
    assert lapse.shows(1000.0) == MIDNIGHT
    assert lapse.shows(1003.0) - MIDNIGHT == 3 * PACE == 900


def words(value: float) -> list[int]:
    return list(struct.unpack(">2H", struct.pack(">f", value)))


def floats(registers: list[int]) -> tuple[float, ...]:
    return struct.unpack(f">{len(registers) // 2}f", struct.pack(f">{len(registers)}H", *registers))


def test_a_master_on_the_line_reads_writes_and_is_refused() -> None:
    asyncio.run(talk())


async def talk() -> None:
    corner, port = Corner(8 * DAY), free_port()
    time = [8 * DAY]
    server = asyncio.create_task(serve_line(port, corner, lambda: time[0], lambda: 0.0))
    index = TagIndex(["power", "set", "soc", "gas"])
    kinds = plugins.load("ronghe.drivers", "modbus")
    driver = kinds(msgspec.convert({"host": "127.0.0.1", "port": port}, kinds.Options), index)
    addresses = ["3/input:0:float32", "3/holding:4:float32", "3/input:2:float32", "2/input:0:float32"]
    items = [Item(id=i, address=a) for i, a in enumerate(addresses)]
    try:
        await listening(port)
        assert (await driver.read(items)).value[:3].tolist() == [0.0, 0.0, 50.0]
        assert await driver.write([Write(address=addresses[1], value=60.0)]) == [q.GOOD]
        time[0] += 900
        power, setpoint, soc, chlorine = (await driver.read(items)).value.tolist()
        assert (power, setpoint) == (pytest.approx(60.0), 60.0)
        assert soc == pytest.approx(50 + 15 * 0.95 / CAPACITY * 100, abs=0.1)
        assert 0 < chlorine < 0.1
        (code,) = await driver.write([Write(address="3/holding:0:float32", value=1.0)])  # the measured power
        assert q.severity(code) == "bad"
    finally:
        await driver.close()
        server.cancel()


async def listening(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            return
