"""A small valid plant folder, with a driver and an app of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest

from ronghe.errors import Problem, RongheError
from ronghe.plant.folder import examine
from ronghe.plant.model import GuardSpec, Plant, ValueType
from ronghe.text import Text

PLANT = """\
[plant]
path = "acme/shanghai/water"
name = { en = "Pump station", zh = "泵站" }

[connections.plc1]
driver = "probe"
url = "opc.tcp://plc1:4840"
password = { env = "TEST_PLC1_PASSWORD" }
trust = "certificates/plc1.pem"

[connections.meter]
driver = "probe"
url = "tcp://meter"
port = 502

[apps.pump-health]
uses = "test.detect"
equipment = "line1/pump1"
limit = 0.9

[guards."line1/pump1/speed_setpoint"]
mode = "approve"
envelope = "600..1450 1/min"
rate = "50 1/min per 1 min"
interlock = "line1/pump1/pressure < 8 bar"
watch = "line1/pump1/pressure falls within 10 min"
hold = "1min"

[guards."line1/pump1/speed_setpoint".worth]
tag = "line1/meter/power"
before = "5min"

[equipment."line1/pump1"]
name = { en = "Pump 1", zh = "1 号泵" }

[historian]
keep = "400d"
"""

TAGS = """\
tag,property,connection,address,every,unit,scale,offset,writable
line1/pump1/pressure,pressure,plc1,@pressure,1s,kPa,,,
line1/pump1/speed_setpoint,speed,plc1,@speed,100ms,,,,true
line1/pump1/running,running,plc1,@running,1s,,,,
# power comes from another device
line1/meter/power,power,meter,@30001,5s,W,10,,
line1/pump1/remark,remark,,,,,,,
"""

DICTIONARY = """\
property,irdi,name_en,name_zh,unit,type,low,high
pressure,0173-1#02-AAR550#003,Pressure,压力,bar,float,0,16
speed,,Speed,转速,1/min,float,0,3000
running,,Running,运行,,bool,,
power,,Power,功率,kW,float,0,
remark,,Remark,备注,,text,,
"""


class Probe:
    """A driver as far as a plant folder is concerned."""

    class Options(msgspec.Struct, frozen=True, kw_only=True):
        url: str
        port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 4840
        mode: Literal["poll", "subscribe"] = "subscribe"
        password: str = ""
        trust: Path | None = None
        keys: Annotated[str, msgspec.Meta(extra={"path": True, "except": ("none",)})] = ""
        code: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$", description="two letters, e.g. AB")] = "AB"
        retries: list[int] = []

        def __post_init__(self) -> None:
            if self.url.startswith("tcp") and self.mode == "subscribe" and self.port == 4840:
                raise RongheError(Text("tcp needs a port", "tcp 需要端口"))

    @classmethod
    def check_address(cls, address: str, type: ValueType) -> Text | None:
        return None if address.startswith("@") else Text("an address begins with @", "地址应以 @ 开头")


class Detect:
    """An app as far as a plant folder is concerned."""

    class Options(msgspec.Struct, frozen=True, kw_only=True):
        limit: float = 1.0
        model: Path | None = None


def drivers(name: str) -> Any:
    return {"probe": Probe}[name]


def apps(name: str) -> Any:
    return {"test.detect": Detect}[name]


def no_condition(guard: GuardSpec, plant: Plant) -> list[tuple[str, RongheError]]:
    return [("interlock", RongheError(Text("unknown word", "未知词"), where="column 3"))] if "??" in guard.interlock else []


class Folder:
    """A plant folder in which one thing at a time is made wrong."""

    plant, tags, dictionary = PLANT, TAGS, DICTIONARY

    def __init__(self, path: Path) -> None:
        self.path = path
        for name, text in (("plant.toml", PLANT), ("tags.csv", TAGS), ("dictionary.csv", DICTIONARY)):
            (path / name).write_text(text, encoding="utf-8")

    def change(self, file: str, old: str, new: str) -> Folder:
        text = (self.path / file).read_text(encoding="utf-8")
        assert old in text
        (self.path / file).write_text(text.replace(old, new, 1), encoding="utf-8")
        return self

    def examine(self, *, secrets: bool = True) -> tuple[Plant | None, list[Problem]]:
        return examine(self.path, drivers=drivers, apps=apps, check_guard=no_condition, secrets=secrets)

    def problems(self) -> list[Problem]:
        return self.examine()[1]

    @property
    def find(self) -> dict[str, Callable[[str], Any]]:
        return {"drivers": drivers, "apps": apps}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setenv("TEST_PLC1_PASSWORD", "correct horse")
    return Folder(tmp_path)
