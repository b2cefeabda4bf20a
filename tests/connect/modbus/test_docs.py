"""What docs/modbus.md says holds: its connections can be made, its addresses read, its byte orders are so."""

from __future__ import annotations

import re
import struct
import tomllib
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ronghe.connect.modbus import Options
from ronghe.connect.modbus.address import WORDS, parse
from ronghe.connect.modbus.codec import decoders

PAGE = (Path(__file__).parents[3] / "docs" / "modbus.md").read_text(encoding="utf-8")


def test_connections() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    tables = tomllib.loads(block)["connections"]
    assert len(tables) == 3
    for table in tables.values():
        assert table.pop("driver") == "modbus"
        msgspec.convert(table, Options)


def test_addresses() -> None:
    written = re.findall(r"`((?:\d+/)?(?:coil|discrete|input|holding):[\w.:\[\]]+|4\d{4,5}(?::\w+)?)`", PAGE)
    assert len(written) >= 15
    for address in written:
        parse(address)
    assert parse("40101") == parse("400101") == parse("holding:100") == parse("holding:0x64")


def test_types() -> None:
    (line,) = re.findall(r"\*\*Types\*\*: (.*?)\. ", PAGE)
    assert set(re.findall(r"`(\w+)`", line)) == set(WORDS)


@pytest.mark.parametrize("order", ["abcd", "cdab", "badc", "dcba"])
def test_orders(order: str) -> None:
    ((short, long),) = re.findall(rf"\| `{order}` \| ([A-H ]+) \| ([A-H ]+) \|", PAGE)
    for letters, kind in ((short, "uint32"), (long, "uint64")):
        sent = letters.replace(" ", "").encode()
        block = np.frombuffer(sent, ">u2").astype(np.uint16)
        (decoder,) = decoders([parse(f"holding:0:{kind}:{order}")], [0], 0, "abcd")
        whole = bytes(sorted(sent))
        assert decoder.values(block)[0][0] == float(struct.unpack(">I" if kind == "uint32" else ">Q", whole)[0])


def test_the_protocol_library_stays_in_one_place() -> None:
    source = Path(__file__).parents[3] / "src" / "ronghe"
    users = {
        p.relative_to(source).as_posix()
        for p in source.rglob("*.py")
        if re.search(r"^\s*(from|import) pymodbus", p.read_text("utf-8"), re.M)
    }
    assert users - {p for p in users if p.startswith(("demo/", "bench/"))} == {"connect/modbus/link.py"}
