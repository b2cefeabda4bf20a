"""Values of every type, read, acquired and written, against node-opcua."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from tests.connect.contract import running, until
from tests.connect.opcua.servers import NodeServer

from ronghe.connect import Item, Write
from ronghe.connect.opcua import OpcUa, Options
from ronghe.connect.opcua.units import UNECE, ucum
from ronghe.connect.opcua.values import variant
from ronghe.errors import BadAddress
from ronghe.plant import units
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

PRESS = "nsu=http://example.org/press;s="
HELD: dict[str, float] = {
    "Boolean": 1, "SByte": -5, "Byte": 200, "Int16": -300, "UInt16": 60000, "Int32": -70000, "UInt32": 4e9, "Int64": 7,
    "Float": 1.5, "Double": 2.25,
}  # fmt: skip
WORDS = {"String": "Pressenraum 压机", "LocalizedText": "bereit"}
NEITHER = {"DateTime": q.BAD_TYPE_MISMATCH, "Array": q.BAD_TYPE_MISMATCH, "Bad": q.BAD_SENSOR_FAILURE}
ALL = [*HELD, *WORDS, *NEITHER]


def make(server: NodeServer, **options: Any) -> OpcUa:
    return OpcUa(Options(url=server.url, **options), TagIndex())


def items(driver: OpcUa) -> list[Item]:
    return [Item(id=driver.index.id(n), address=f"{PRESS}Types.{n}", every=0.1, type="text" if n in WORDS else "float") for n in ALL]


def check(rows: dict[str, tuple[float, int, str | None]]) -> None:
    for name, value in HELD.items():
        assert rows[name] == (value, q.GOOD, None)
    for name, words in WORDS.items():
        assert math.isnan(rows[name][0])
        assert rows[name][1:] == (q.GOOD, words)
    for name, code in NEITHER.items():
        assert math.isnan(rows[name][0])
        assert rows[name][1:] == (code, None)


async def test_every_type_read(press: NodeServer) -> None:
    driver = make(press)
    try:
        batch = await driver.read(items(driver))
    finally:
        await driver.close()
    assert batch.text is not None
    check({n: (float(batch.value[i]), int(batch.quality[i]), batch.text[i].as_py()) for i, n in enumerate(ALL)})
    assert np.all(batch.time > 1_500_000_000_000_000_000)


async def test_every_type_acquired(press: NodeServer) -> None:
    driver = make(press)
    async with running(driver, items(driver)) as sink:
        await until(lambda: all(sink.rows(n) for n in ALL), "all of them")
    check({n: sink.rows(n)[0][1:] for n in ALL})


async def test_a_type_other_than_the_dictionarys_is_a_mismatch(press: NodeServer) -> None:
    driver = make(press)
    swapped = [
        Item(id=driver.index.id("number"), address=f"{PRESS}Types.Double", type="text"),
        Item(id=driver.index.id("text"), address=f"{PRESS}Types.String", type="float"),
    ]
    try:
        batch = await driver.read(swapped)
    finally:
        await driver.close()
    assert batch.quality.tolist() == [q.BAD_TYPE_MISMATCH] * 2
    assert np.isnan(batch.value).all()
    assert batch.text is None


@pytest.mark.parametrize(
    ("node", "value", "read"),
    [
        ("Boolean", 1.0, 1.0),
        ("Boolean", 0.0, 0.0),
        ("Int16", -7.0, -7.0),
        ("Byte", 255.0, 255.0),
        ("Float", 0.5, 0.5),
        ("Int64", 2.0**53, 2.0**53),
    ],
)
async def test_written_as_the_node_takes_it(press: NodeServer, node: str, value: float, read: float) -> None:
    driver = make(press)
    address = f"{PRESS}Types.Write{node}"
    try:
        assert await driver.write([Write(address=address, value=value)]) == [q.GOOD]
        assert (await driver.read([Item(id=driver.index.id("x"), address=address)])).value.tolist() == [read]
    finally:
        await driver.close()


async def test_what_does_not_fit_is_refused_and_not_rounded(press: NodeServer) -> None:
    driver = make(press)
    wrong = [
        ("Int16", 40_000.0),
        ("Int16", 1.5),
        ("Byte", -1.0),
        ("Float", 1e300),
        ("Boolean", 2.0),
        ("Double", "warm"),
        ("Int64", math.nan),
    ]
    try:
        codes = await driver.write([Write(address=f"{PRESS}Types.Write{n}", value=v) for n, v in wrong])
        assert set(codes) == {q.BAD_OUT_OF_RANGE, q.BAD_TYPE_MISMATCH}
        assert (await driver.write([Write(address=f"{PRESS}Types.WriteString", value="着力", type="text")])) == [q.GOOD]
        text = await driver.read([Item(id=0, address=f"{PRESS}Types.WriteString", type="text")])
        assert text.text is not None
        assert text.text.to_pylist() == ["着力"]
    finally:
        await driver.close()


async def test_browse_tells_what_a_tag_needs(press: NodeServer) -> None:
    driver = make(press)
    try:
        found = {f.path: f for f in await driver.browse()}
        below = await driver.browse("Press/Types")
        by_address = await driver.browse(f"{PRESS}Press.Types")
        with pytest.raises(BadAddress, match="Temperature"):
            await driver.browse("Press/Nothing")
    finally:
        await driver.close()
    temperature = found["Press/Temperature"]
    assert (temperature.type, temperature.unit, temperature.writable) == ("float", "Cel", False)
    assert temperature.description == "Temperature of the press"
    assert temperature.address == f"{PRESS}Press.Temperature"
    assert found["Press/Speed"].unit == "1/min"
    assert found["Press/Types/Boolean"].type == "bool"
    assert found["Press/Types/Int64"].type == "int"
    assert found["Press/Types/String"].value == WORDS["String"]
    assert found["Press/Types/WriteDouble"].writable
    assert found["Press/Types/Bad"].value is None
    assert not {"Press/Types/DateTime", "Press/Types/Array"} & set(found), "what cannot be a sample is not listed"
    assert not any("EngineeringUnits" in p or p.startswith("Server") for p in found)
    # Below Types there is a way back up to the press, so that its variables are below Types too; each is listed once all the same.
    assert {f.address for f in below} == {f.address for f in by_address} == {f.address for f in found.values()}
    assert len(below) == len(found)


def test_every_unit_of_the_table_is_ucum() -> None:
    for code, unit in UNECE.items():
        units.parse(unit)
        assert ucum(int.from_bytes(code.encode(), "big"), "") == unit


@pytest.mark.parametrize(
    ("display", "unit"), [("°C", "Cel"), ("m³/h", "m3/h"), ("kWh", "kW.h"), ("U/min", "1/min"), ("pH", "[pH]"), ("furlong", ""), ("", "")]
)
def test_units_by_how_they_are_written(display: str, unit: str) -> None:
    assert ucum(-1, display) == unit


def test_numbers_for_every_type() -> None:
    assert variant(3.0, ua.VariantType.UInt64) == ua.Variant(3, ua.VariantType.UInt64)
    assert variant(2.5, ua.VariantType.String) == ua.Variant("2.5", ua.VariantType.String)
    assert variant(1.0, ua.VariantType.DateTime) == q.BAD_TYPE_MISMATCH
    assert variant(2.0**64, ua.VariantType.UInt64) == q.BAD_OUT_OF_RANGE
    assert variant(math.inf, ua.VariantType.Double) == ua.Variant(math.inf, ua.VariantType.Double)
