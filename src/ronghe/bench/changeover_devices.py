"""A press line for changeovers: a plant folder, a press that speaks OPC UA (node-opcua) and a feeder that speaks Modbus (modbus-serial)."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any, Final

from asyncua import Client

from ronghe.bench import peers

HEAT, STROKE, NUMBER = ("line1/press/" + n for n in ("heat", "stroke", "recipe"))
FEED, GRIP = ("line1/feeder/" + n for n in ("feed", "grip"))
OPCUA: Final = {HEAT: "WriteDouble", STROKE: "WriteFloat", NUMBER: "WriteInt16"}
MODBUS: Final = {FEED: 20, GRIP: 21}
OLD: Final = {HEAT: 160.0, STROKE: 40.0, NUMBER: 1.0, FEED: 120.0, GRIP: 6.0}
NEW: Final = {HEAT: 185.0, STROKE: 55.0, NUMBER: 2.0, FEED: 95.0, GRIP: 8.0}
"""As the devices hold them: the feed in tenths of a millimetre."""
MATERIAL, DOOR, PIECE, NEXT = 10, 11, 12, 40
"""Coils of the feeder: coil A-200 is in; the guard door is open; the first piece was measured and is good. And the register that tells the
next product's number."""

PLANT: Final = """\
[plant]
path = "bench/works/hall"
name = {{ en = "Press line", zh = "冲压线" }}

[connections.press]
driver = "opcua"
url = "opc.tcp://127.0.0.1:{opcua}"

[connections.feeder]
driver = "modbus"
host = "127.0.0.1"
port = {modbus}

[apps.changeover]
uses = "scheduling.changeover"
equipment = "line1"
follow = "feeder/next"
"""
GUARD: Final = """
[guards."{tag}"]
mode = "auto"
envelope = "{envelope}"
interlock = "not line1/feeder/door_open"
"""
ENVELOPES: Final = {HEAT: "20..250 Cel", STROKE: "1..80 1/min", NUMBER: "1..99", FEED: "0..50 mm", GRIP: "0..10 bar"}
DICTIONARY: Final = """\
property,name_en,name_zh,unit,type
heat,Temperature set-point,温度设定,Cel,float
stroke,Stroke rate,行程次数,1/min,float
recipe,Recipe number,配方号,,int
feed,Feed length,送料长度,mm,float
grip,Grip pressure,夹紧压力,bar,float
material,Coil A-200 is in,A-200 料卷到位,,bool
door_open,Guard door open,安全门打开,,bool
first_piece,First piece good,首件合格,,bool
next,Next product,下一产品,,int
"""
RECIPE: Final = """\
name = {{ en = "Bracket {product}", zh = "支架 {product}" }}
product = "{product}"
version = "3"
number = {number}
within = "{within}"

[formula]
"press/heat" = "{heat} Cel"
"press/stroke" = "{stroke} 1/min"
"feeder/feed" = "{feed} mm"
"feeder/grip" = "{grip} bar"
"press/recipe" = {number}

[ready.material]
title = {{ en = "Coil is in", zh = "料卷到位" }}
when = "feeder/material"
{confirm}
[proof.first_piece]
title = {{ en = "First piece is good", zh = "首件合格" }}
when = "feeder/first_piece"
"""
CONFIRM: Final = """
[confirm.die]
title = { en = "Die is mounted", zh = "模具已安装" }
"""


def write_plant(folder: Path, opcua: int, modbus: int, *, confirm: bool = True, within: str = "3s") -> Path:
    """The plant folder with two recipes: a-100, which is at work, and a-200."""
    space = "nsu=http://example.org/press;s=Types."
    rows = [f"{t},{t.rpartition('/')[2]},press,{space}{node},100ms,,,yes" for t, node in OPCUA.items()]
    rows += [
        f"{FEED},feed,feeder,holding:{MODBUS[FEED]}:uint16,100ms,,0.1,yes",
        f"{GRIP},grip,feeder,holding:{MODBUS[GRIP]}:uint16,100ms,,,yes",
    ]
    coils = {"material": MATERIAL, "door_open": DOOR, "first_piece": PIECE}
    rows += [f"line1/feeder/{name},{name},feeder,coil:{at},100ms,,," for name, at in coils.items()]
    rows.append(f"line1/feeder/next,next,feeder,holding:{NEXT}:uint16,100ms,,,")
    toml = PLANT.format(opcua=opcua, modbus=modbus) + "".join(GUARD.format(tag=t, envelope=e) for t, e in ENVELOPES.items())
    (folder / "recipes").mkdir(parents=True)
    texts = {
        "plant.toml": toml,
        "tags.csv": "\n".join(["tag,property,connection,address,every,unit,scale,writable", *rows]),
        "dictionary.csv": DICTIONARY,
    }
    for name, product, values in (("a-100", "A-100", OLD), ("a-200", "A-200", NEW)):
        texts[f"recipes/{name}.toml"] = RECIPE.format(
            product=product,
            number=round(values[NUMBER]),
            within=within,
            heat=values[HEAT],
            stroke=values[STROKE],
            feed=values[FEED] / 10,
            grip=values[GRIP],
            confirm=CONFIRM if confirm else "",
        )
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


class Devices:
    """Both devices, as processes. What they hold is read by asyncua and by the feeder itself: by none of our drivers."""

    def __init__(self, folder: Path) -> None:
        place = peers.folder()
        self._feeder = _start(place, "modbus_server.js", "0")
        self._press = _start(place, "opcua_server.js", json.dumps({"pki": str(folder / "pki")}))
        self.modbus = int(_line(self._feeder, "ready").split()[1])
        self.opcua = int(json.loads(_line(self._press, '{"port"'))["port"])

    def feeder(self, command: str) -> str:
        """One command to the feeder's server."""
        assert self._feeder.stdin is not None
        assert self._feeder.stdout is not None
        self._feeder.stdin.write(command + "\n")
        self._feeder.stdin.flush()
        return self._feeder.stdout.readline().strip()

    async def hold(self) -> dict[str, float]:
        """What the devices hold now."""
        found = {}
        async with Client(f"opc.tcp://127.0.0.1:{self.opcua}", timeout=20) as client:
            space = await client.get_namespace_index("http://example.org/press")
            for tag, name in OPCUA.items():
                found[tag] = float(await client.get_node(f"ns={space};s=Types.{name}").read_value())
        return found | {tag: float(self.feeder(f"get holding {at} 1")) for tag, at in MODBUS.items()}

    async def reset(self, values: dict[str, float]) -> None:
        """Sets both up anew, as by hand, with all in order and no piece made yet."""
        self.feeder("behave well")
        for tag, at in MODBUS.items():
            self.feeder(f"set holding {at} {values[tag]:.0f}")
        self.feeder(f"set coil {MATERIAL} 1 0 0")
        async with Client(f"opc.tcp://127.0.0.1:{self.opcua}", timeout=20) as client:
            space = await client.get_namespace_index("http://example.org/press")
            for tag, name in OPCUA.items():
                node = client.get_node(f"ns={space};s=Types.{name}")
                await node.write_value(
                    round(values[tag]) if name == "WriteInt16" else values[tag], await node.read_data_type_as_variant_type()
                )

    def stop(self) -> None:
        """Ends both."""
        for process in (self._feeder, self._press):
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _start(place: Path, script: str, *arguments: str) -> subprocess.Popen[str]:
    command: list[Any] = [peers.node(), str(place / script), *arguments]
    return subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _line(process: subprocess.Popen[str], start: str) -> str:
    assert process.stdout is not None
    return next(line for line in process.stdout if line.startswith(start))


async def until(true: Any, what: str, seconds: float = 60.0) -> None:
    """Waits for something to become true. Raises TimeoutError that says what was waited for."""
    for _ in range(round(seconds / 0.02)):
        if true():
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(f"waited in vain for {what}")
