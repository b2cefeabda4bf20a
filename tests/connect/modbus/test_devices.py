"""The driver against devices that are not ours: every table, writes, holes, exceptions, dead units, loss and return."""

from __future__ import annotations

import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from contract import Collected, running, until
from modbus_servers import SerialLine, Server, libmodbus, libmodbus_rtu

from ronghe.connect import Item, Write
from ronghe.connect.modbus import Modbus, Options
from ronghe.errors import BadAddress, ConnectError
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

ORDERS = {"abcd": (0, 1, 2, 3), "badc": (1, 0, 3, 2), "cdab": (2, 3, 0, 1), "dcba": (3, 2, 1, 0)}


def registers(data: bytes) -> list[int]:
    return [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]


def make(server: Server, **options: Any) -> Modbus:
    return Modbus(Options(host="127.0.0.1", port=server.port, **options), TagIndex())


def items(driver: Modbus, addresses: list[str], every: float = 0.05) -> list[Item]:
    return [Item(id=driver.index.id(a), address=a, every=every, type="text" if ":text" in a else "float") for a in addresses]


@pytest.fixture(params=["libmodbus", "modbus-serial", "libmodbus RTU"])
async def device(
    request: pytest.FixtureRequest, c_server: Server, node_server: Server, rtu: tuple[SerialLine, Server]
) -> AsyncIterator[tuple[Modbus, Server]]:
    """A driver and the server behind it, of each kind."""
    if request.param == "libmodbus RTU":
        server = rtu[1]
        driver = Modbus(Options(serial=rtu[0].near, baudrate=115200), TagIndex())
    else:
        server = c_server if request.param == "libmodbus" else node_server
        driver = make(server)
    yield driver, server
    await driver.close()


Device = tuple[Modbus, Server]


async def read(driver: Modbus, *addresses: str) -> list[float]:
    batch = await driver.read(items(driver, list(addresses)))
    assert (batch.quality == q.GOOD).all(), [hex(c) for c in batch.quality]
    return batch.value.tolist()


async def test_all_four_tables(device: Device) -> None:
    driver, server = device
    server.set("coil", 100, 1, 0, 1, 1)
    server.set("discrete", 2100, 0, 1)
    server.set("holding", 100, 7, 65535)
    server.set("input", 100, 8, 32768)
    got = await read(
        driver,
        "coil:100",
        "coil:101",
        "coil:103",
        "discrete:2100",
        "discrete:2101",
        "holding:100",
        "holding:101:int16",
        "input:101",
        "40102",
    )
    assert got == [1, 0, 1, 0, 1, 7, -1, 32768, 65535]


@pytest.mark.parametrize("order", ORDERS)
async def test_every_type_and_order_is_read(device: Device, order: str) -> None:
    driver, server = device
    values = {"int32": ("i", -2_000_000_000), "uint32": ("I", 4_000_000_000), "float32": ("f", -12.5), "int64": ("q", -(2**53)),
              "uint64": ("Q", 2**53), "float64": ("d", 1e300)}  # fmt: skip
    at, wanted = 100, []
    for kind, (code, value) in values.items():
        words = registers(struct.pack(">" + code, value))
        if order in ("cdab", "dcba"):
            words = words[::-1]
        if order in ("badc", "dcba"):
            words = [(w & 255) << 8 | w >> 8 for w in words]
        server.set("holding", at, *words)
        wanted.append((f"holding:{at}:{kind}:{order}", value))
        at += len(words)
    assert await read(driver, *(a for a, _ in wanted)) == [v for _, v in wanted]


@pytest.mark.parametrize("order", ORDERS)
async def test_what_is_written_arrives_in_the_device(device: Device, order: str) -> None:
    driver, server = device
    server.set("holding", 100, *[0xAAAA] * 16)
    writes = [("holding:100:float32", -12.5), ("holding:102:float64", 1e300), ("holding:106:int64", -(2**62)),
              ("holding:110:uint16", 65535), ("holding:111:int16", -2)]  # fmt: skip
    codes = await driver.write([Write(address=f"{a}:{order}" if "16" not in a else a, value=v) for a, v in writes])
    assert codes == [q.GOOD] * len(writes)
    words = [registers(struct.pack(">f", -12.5)), registers(struct.pack(">d", 1e300)), registers(struct.pack(">q", -(2**62)))]
    expected = []
    for w in words:
        w = w[::-1] if order in ("cdab", "dcba") else w
        expected += [(x & 255) << 8 | x >> 8 for x in w] if order in ("badc", "dcba") else w
    assert server.get("holding", 100, 13) == [*expected, 65535, 65534, 0xAAAA]


async def test_coils_bits_and_texts_are_written(device: Device) -> None:
    driver, server = device
    server.set("coil", 10, 1, 0, 1)
    server.set("holding", 120, 0b1010, 0, 0, 0, 9)
    codes = await driver.write(
        [
            Write(address="coil:10", value=0.0),
            Write(address="coil:11", value=1.0, type="bool"),
            Write(address="holding:120.0", value=1.0),
            Write(address="holding:120.3", value=0.0),
            Write(address="holding:121:text[3]", value="泵 1", type="text"),
        ]
    )
    assert codes == [q.GOOD] * 5
    assert server.get("coil", 10, 3) == [0, 1, 1]
    assert server.get("holding", 120, 5) == [0b0011, *registers("泵 1".encode().ljust(6, b"\0")), 9]
    batch = await driver.read(items(driver, ["holding:121:text[3]", "holding:120.1"]))
    assert batch.text.to_pylist() == ["泵 1", None]
    assert batch.value[1] == 1


async def test_writes_that_cannot_be(device: Device) -> None:
    driver, server = device
    server.set("holding", 100, 1, 2)
    refused = {
        "input:100": q.BAD_NOT_WRITABLE,
        "discrete:1": q.BAD_NOT_WRITABLE,
        "input:100.3": q.BAD_NOT_WRITABLE,
        "holding:100:uint16": q.BAD_OUT_OF_RANGE,
        "holding:100:int16": q.BAD_OUT_OF_RANGE,
        "coil:1": q.BAD_OUT_OF_RANGE,
        "holding:100:text[2]": q.BAD_TYPE_MISMATCH,
        "holding:200:uint32": q.BAD_NODE_UNKNOWN,
        "holding:5000:uint32": q.BAD_NODE_UNKNOWN,
        "holding one hundred": q.BAD_CONFIGURATION,
    }
    assert await driver.write([Write(address=a, value=70000.0) for a in refused]) == list(refused.values())
    assert server.get("holding", 100, 2) == [1, 2]


async def test_hundreds_of_values_in_few_requests(c_server: Server) -> None:
    driver = make(c_server)
    c_server.set("input", 0, *range(300))
    c_server.requests()
    addresses = [f"input:{i}" for i in range(2, 300)] + [f"coil:{i}" for i in range(2000)]
    batch = await driver.read(items(driver, addresses))
    assert c_server.requests() == 4  # 298 registers in three reads of 125 at most, 2000 coils in one
    assert batch.value[:298].tolist() == list(range(2, 300))
    await driver.close()


async def test_gaps_are_read_along_as_far_as_allowed(c_server: Server) -> None:
    for gap, requests in ((0, 4), (9, 2), (20, 1)):
        driver = make(c_server, gap=gap)
        c_server.requests()
        await read(driver, "input:10", "input:20", "input:40", "input:50")
        assert c_server.requests() == requests
        await driver.close()


class TestHoles:
    """libmodbus refuses holding 200 to 202 with exception 2, 210 with 4, 220 with 6."""

    async def test_only_what_is_illegal_is_unknown_and_it_is_learned(self, c_server: Server) -> None:
        driver = make(c_server)
        c_server.set("holding", 190, *range(190, 200))
        c_server.set("holding", 203, *range(203, 210))
        addresses = [f"holding:{i}" for i in range(190, 210)]
        batch = await driver.read(items(driver, addresses))
        unknown = [200, 201, 202]
        assert [a for a, code in zip(range(190, 210), batch.quality, strict=True) if code == q.BAD_NODE_UNKNOWN] == unknown
        assert [v for v in batch.value.tolist() if v == v] == [i for i in range(190, 210) if i not in unknown]
        c_server.requests()
        again = await driver.read(items(driver, addresses))
        assert again.quality.tolist() == batch.quality.tolist()
        assert c_server.requests() == 2
        await driver.close()

    async def test_a_hole_between_wanted_values_is_learned(self, c_server: Server) -> None:
        driver = make(c_server)
        assert len(await read(driver, "holding:199", "holding:203", "holding:204")) == 3
        c_server.requests()
        assert len(await read(driver, "holding:199", "holding:203", "holding:204")) == 3
        assert c_server.requests() == 2
        await driver.close()

    async def test_a_value_that_reaches_into_a_hole_is_unknown(self, c_server: Server) -> None:
        driver = make(c_server)
        batch = await driver.read(items(driver, ["holding:198:uint16", "holding:199:float32", "holding:199:uint16"]))
        assert batch.quality.tolist() == [q.GOOD, q.BAD_NODE_UNKNOWN, q.GOOD]
        await driver.close()

    async def test_a_failing_register_does_not_spoil_its_neighbours(self, c_server: Server) -> None:
        driver = make(c_server)
        addresses = [f"holding:{i}" for i in range(203, 220)]
        async with running(driver, items(driver, addresses)) as sink:
            await until(lambda: all(sink.rows(a) for a in addresses) and sink.good("holding:219") > 3, "all heard of")
        last = {a: sink.rows(a)[-1][2] for a in addresses}
        assert last.pop("holding:210") == q.BAD_DEVICE_FAILURE
        assert set(last.values()) == {q.GOOD}

    async def test_a_busy_device_is_asked_again_then_passed_over(self, c_server: Server) -> None:
        driver = make(c_server, retries=2)
        c_server.requests()
        batch = await driver.read(items(driver, ["holding:219", "holding:220"]))
        assert batch.quality.tolist() == [q.BAD_OUT_OF_SERVICE] * 2
        assert c_server.requests() == 3
        await driver.close()

    async def test_while_running_an_illegal_item_is_told_once(self, c_server: Server) -> None:
        driver = make(c_server)
        async with running(driver, items(driver, ["holding:199", "holding:200", "holding:203"])) as sink:
            await until(lambda: sink.good("holding:203") > 5, "samples")
        assert [r[2] for r in sink.rows("holding:200")] == [q.BAD_NODE_UNKNOWN]
        assert all(r[2] == q.GOOD for r in sink.rows("holding:199"))


class TestGateway:
    """libmodbus: unit 9 never answers, 10 answers "gateway target silent", 11 has no coils and no functions 5, 6, 22."""

    async def test_dead_units_do_not_stop_the_others(self, c_server: Server) -> None:
        driver = make(c_server, timeout=0.2, retries=0)
        alive, dead = ["1/input:0", "2/input:1"], ["9/input:0", "10/input:0", "9/coil:4"]
        async with running(driver, items(driver, [*alive, *dead])) as sink:
            await until(lambda: all(sink.good(a) > 30 for a in alive), "samples of the living")
            assert driver.health.state == "up"
            assert "9, 10" in driver.health.reason.en
            assert driver.health.dropped > 0
        for address in dead:
            assert [r[2] for r in sink.rows(address)] == [q.BAD_NO_COMMUNICATION]
        assert all(r[2] == q.GOOD for a in alive for r in sink.rows(a))

    async def test_read_says_which_unit_is_silent(self, c_server: Server) -> None:
        driver = make(c_server, timeout=0.2, retries=0)
        batch = await driver.read(items(driver, ["9/input:0", "1/input:0", "10/input:0"]))
        assert batch.quality.tolist() == [q.BAD_TIMEOUT, q.GOOD, q.BAD_TIMEOUT]
        with pytest.raises(ConnectError) as raised:
            await driver.read(items(driver, ["9/input:0"]))
        assert "unit 9" in raised.value.where
        await driver.close()

    async def test_writes_to_silent_units(self, c_server: Server) -> None:
        driver = make(c_server, timeout=0.2, retries=0)
        codes = await driver.write([Write(address=f"{u}/coil:5", value=1.0) for u in (9, 10, 1)])
        assert codes == [q.BAD_TIMEOUT, q.BAD_NO_COMMUNICATION, q.GOOD]
        await driver.close()

    async def test_devices_that_know_fewer_functions(self, c_server: Server) -> None:
        driver = make(c_server, unit=11)
        c_server.set("holding", 130, 0, 0b0100)
        c_server.set("coil", 20, 0)
        codes = await driver.write(
            [Write(address="holding:130", value=77.0), Write(address="holding:131.0", value=1.0), Write(address="coil:20", value=1.0)]
        )
        assert codes == [q.GOOD] * 3
        assert c_server.get("holding", 130, 2) == [77, 0b0101]
        assert c_server.get("coil", 20) == [1]
        batch = await driver.read(items(driver, ["coil:1", "coil:2", "discrete:1"]))
        assert batch.quality.tolist() == [q.BAD_NOT_READABLE, q.BAD_NOT_READABLE, q.GOOD]
        await driver.close()


async def test_browse_is_a_scan_of_a_range(device: Device) -> None:
    driver, server = device
    server.set("holding", 198, 5, 6)
    found = await driver.browse("holding:198-203")
    assert found[0].address == "holding:198"
    assert found[0].value == 5
    assert found[0].writable
    assert "holding:200" not in {f.address for f in found}
    assert {f.address for f in found} >= {"holding:198", "holding:199", "holding:203"}
    assert [f.type for f in await driver.browse("1/discrete:0-9")] == ["bool"] * 10
    assert await driver.browse() == []


@pytest.mark.parametrize("under", ["holding", "holding:9-3", "holding:0-70000", "*", "999/holding:0-1"])
async def test_browse_says_what_it_can(c_server: Server, under: str) -> None:
    with pytest.raises(BadAddress) as raised:
        await make(c_server).browse(under)
    assert "holding:0-199" in raised.value.todo.en


async def test_malformed_items_spoil_only_themselves(c_server: Server) -> None:
    driver = make(c_server)
    async with running(driver, items(driver, ["input:0", "rubbish", "input:5:text[4"])) as sink:
        await until(lambda: sink.good("input:0") > 2, "samples")
    assert [r[2] for r in sink.rows("rubbish")] == [q.BAD_CONFIGURATION]
    with pytest.raises(BadAddress):
        await driver.run(items(driver, ["rubbish"]), Collected())


async def test_a_server_killed_between_polls_and_back_in_time_loses_nothing() -> None:
    server = libmodbus()
    server.start()
    driver = make(server)
    try:
        first = await read(driver, "input:0")
        server.stop()
        server.start()
        assert await read(driver, "input:0") >= first
    finally:
        await driver.close()
        server.stop()


async def test_a_device_that_stands_still_with_its_connection_open() -> None:
    server = libmodbus()
    server.start()
    driver = make(server, timeout=0.2, retries=0)
    try:
        async with running(driver, items(driver, ["input:0", "holding:9"])) as sink:
            await until(lambda: sink.good("holding:9") > 2, "samples")
            server.freeze()
            await until(lambda: sink.rows("input:0")[-1][2] == q.BAD_NO_COMMUNICATION, "told as lost")
            assert driver.health.state == "down"
            seen = sink.good("input:0")
            server.thaw()
            await until(lambda: sink.good("input:0") > seen, "samples again")
            assert [r[2] for r in sink.rows("holding:9")].count(q.BAD_NO_COMMUNICATION) == 1
            assert driver.health.reconnects == 1
            times = [r[0] for r in sink.rows("input:0")]
            assert times == sorted(set(times))
    finally:
        server.thaw()
        server.stop()


async def test_a_plain_serial_server(rtu: tuple[SerialLine, Server]) -> None:
    """RTU frames through TCP: socat between the driver and libmodbus on its serial line."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bridge = subprocess.Popen(["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr", f"FILE:{rtu[0].near},raw,echo=0"])
    driver = Modbus(Options(host="127.0.0.1", port=port, framing="rtu"), TagIndex())
    try:
        rtu[1].set("holding", 150, 41, 42)
        async with running(driver, items(driver, ["holding:150", "holding:151", "input:0"])) as sink:
            await until(lambda: sink.good("input:0") > 3, "samples")
            assert await driver.write([Write(address="holding:150:float32", value=-12.5)]) == [q.GOOD]
        assert {r[1] for r in sink.rows("holding:151") if r[2] == q.GOOD} <= {42, 0}
        assert rtu[1].get("holding", 150, 2) == [0xC148, 0]
    finally:
        bridge.kill()
        bridge.wait()


async def test_an_adapter_that_is_pulled_out_and_put_back(line: SerialLine) -> None:
    server = libmodbus_rtu(line)
    server.start()
    driver = Modbus(Options(serial=line.near, baudrate=115200, timeout=0.3), TagIndex())
    try:
        async with running(driver, items(driver, ["input:0", "input:1"])) as sink:
            await until(lambda: sink.good("input:1") > 2, "samples")
            line.pull_out()
            await until(lambda: sink.rows("input:0")[-1][2] == q.BAD_NO_COMMUNICATION, "told as lost")
            await until(lambda: "no such serial port" in driver.health.reason.en, "why")
            server.stop()
            line.plug_in()
            server.start()
            seen = sink.good("input:1")
            await until(lambda: sink.good("input:1") > seen, "samples again")
            assert [r[2] for r in sink.rows("input:0")].count(q.BAD_NO_COMMUNICATION) == 1
    finally:
        server.stop()


async def test_several_intervals_share_the_connection(c_server: Server) -> None:
    driver = make(c_server)
    fast, slow = items(driver, ["input:0"], every=0.02), items(driver, ["input:1", "2/input:1"], every=0.2)
    async with running(driver, [*fast, *slow]) as sink:
        await until(lambda: sink.good("2/input:1") >= 5, "slow samples")
    assert sink.good("input:0") > 2 * sink.good("input:1")
    times = [r[0] for r in sink.rows("input:1")]
    assert np.all(np.diff(times) > 0)


def test_options_that_cannot_be() -> None:
    wrong: list[Callable[[], Options]] = [
        lambda: Options(),
        lambda: Options(host="a", serial="b"),
        lambda: Options(serial="b", framing="tcp"),
        lambda: Options(serial="b", unit=0),
    ]
    for build in wrong:
        with pytest.raises(ValueError, match=r"\w"):
            build()


async def test_no_broadcast_by_mistake(rtu: tuple[SerialLine, Server]) -> None:
    driver = Modbus(Options(serial=rtu[0].near, baudrate=115200), TagIndex())
    rtu[1].set("holding", 140, 1)
    assert await driver.write([Write(address="0/holding:140", value=9.0)]) == [q.BAD_CONFIGURATION]
    assert (await driver.read(items(driver, ["0/holding:140", "holding:140"]))).quality.tolist() == [q.BAD_CONFIGURATION, q.GOOD]
    assert rtu[1].get("holding", 140) == [1]
    await driver.close()
