"""What a device will hold of a set-point, through scale and register."""

from __future__ import annotations

from pathlib import Path

import pytest

import ronghe.plant
from ronghe.connect.modbus.driver import Modbus
from ronghe.edge.node import Node

PLANT = '[plant]\npath = "test/works/hall"\n[connections.plc]\ndriver = "modbus"\nhost = "127.0.0.1"\n'
TAGS = "tag,property,connection,address,scale,writable\n"
ROWS = [("tenth", "uint16", 10), ("bcd", "bcd16", 0.1), ("short", "float32", 1), ("long", "float64", 1)]


@pytest.mark.parametrize(
    ("tag", "value", "held"),
    [("tenth", 1446.0, 1450.0), ("tenth", 1444.0, 1440.0), ("bcd", 7.26, 7.3), ("short", 0.1, 0.1), ("long", 0.1, 0.1)],
)
async def test_a_value_as_its_register_will_hold_it(tmp_path: Path, tag: str, value: float, held: float) -> None:
    rows = "".join(f"line/{name},speed,plc,holding:{4 * i}:{kind},{scale},yes\n" for i, (name, kind, scale) in enumerate(ROWS))
    for name, text in (("plant.toml", PLANT), ("tags.csv", TAGS + rows), ("dictionary.csv", "property\nspeed\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    node = Node(ronghe.plant.load(tmp_path))
    node.drivers["plc"] = Modbus(node.plant.connections["plc"].options, node.index)
    try:
        assert node.held(f"line/{tag}", value) == pytest.approx(held, rel=1e-7)
    finally:
        await node.stop()
