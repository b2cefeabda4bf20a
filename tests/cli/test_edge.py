"""`ronghe up` says what its console cannot have before a device is touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TAGS = "tag,property,connection,address,every,unit,scale,writable\nline/level,level,plc,input:10:uint16,100ms,,,\n"
DICTIONARY = "property,irdi,name_en,name_zh,unit,type,low,high\nlevel,,Level,液位,%,float,0,100\n"
PLANT = """
[plant]
path = "test/works/hall"
name = {{ en = "Hall", zh = "车间" }}

[connections.plc]
driver = "modbus"
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture
def device() -> Iterator[socket.socket]:
    """Where the plant's device is expected: whoever connects is kept waiting."""
    with socket.socket() as device:
        device.bind(("127.0.0.1", 0))
        device.listen()
        device.settimeout(0)
        yield device


@pytest.fixture
def plant(tmp_path: Path, device: socket.socket) -> Path:
    """A plant of one device."""
    (tmp_path / "plant.toml").write_text(PLANT.format(port=device.getsockname()[1]), encoding="utf-8")
    (tmp_path / "tags.csv").write_text(TAGS, encoding="utf-8")
    (tmp_path / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
    return tmp_path


def refused(plant: Path, device: socket.socket, *words: str, lang: str = "en") -> str:
    """What `ronghe up` says when it ends by itself with 1, having touched no device."""
    done = subprocess.run(
        [sys.executable, "-m", "ronghe", "up", str(plant), *words],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "RONGHE_LANG": lang, "PYTHONUTF8": "1"},
        timeout=60,
        check=False,
    )
    with pytest.raises(BlockingIOError):
        device.accept()
    assert done.returncode == 1
    assert done.stdout == ""  # a node that has started says what it runs
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_taken_port(plant: Path, device: socket.socket) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = refused(plant, device, "--port", str(other.getsockname()[1]))
    assert "cannot listen there" in said
    assert "--port" in said


@pytest.mark.parametrize("damage", ["all of it", "a page inside"])
def test_a_damaged_file_of_users(plant: Path, device: socket.socket, damage: str) -> None:
    made = subprocess.run([sys.executable, "-m", "ronghe", "user", "add", str(plant), "li", "operator"], capture_output=True, check=False)
    assert made.returncode == 0
    path = plant / ".ronghe" / "users.sqlite"
    held = path.read_bytes()
    path.write_bytes(b"\xa5" * len(held) if damage == "all of it" else held[:4096] + b"\xa5" * (len(held) - 4096))
    said = refused(plant, device, "--port", "0", lang="zh")
    assert str(path) in said
    assert "控制台用户文件已损坏" in said
    assert "请将该文件移走" in said
    assert path.stat().st_size == len(held)
