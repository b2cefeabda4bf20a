"""An inspection line and a press under cameras: a real node with the real apps, over folders that pictures are put into."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from served import Served

from ronghe.bench.parts import product
from ronghe.picture import encode

PLANT = """
[plant]
path = "acme/suzhou/plates"
name = { en = "Plate works", zh = "标牌厂" }

[equipment."line1/station"]
name = { en = "Inspection station", zh = "检测工位" }

[connections.station]
driver = "camera"
source = "station"
mode = "watch"

[connections.press]
driver = "camera"
source = "press"
repeat = true
rate = 2.0
ignore = ["frozen", "moved", "out of focus", "dark", "covered", "over-exposed"]

[apps.plates]
uses = "quality.inspect"
equipment = "line1/station"
learn = 0
group = 5
base = 20
keep_parts = 1000

[apps.guarded]
uses = "safety.zone"
equipment = "line1/press"
fps = 2.0
late = ""

[apps.guarded.health]
silent = "5s"
ignore = ["frozen", "moved", "out of focus", "dark", "covered", "over-exposed"]

[[apps.guarded.zones]]
name = "table"
polygon = [[0.2, 0.3], [0.7, 0.3], [0.7, 0.8], [0.2, 0.8]]
"""
TAGS = """tag,property,connection,address,every
line1/station/camera,view,station,picture,1s
line1/press/camera,view,press,picture,500ms
"""
DICTIONARY = """property,irdi,name_en,name_zh,unit,type,low,high
view,,View,画面,,image,,
"""


class Eye(Served):
    """The line; `put` lays a part under its camera."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plates = product(5, 160)
        self.rng = np.random.default_rng(5)
        self.made = 0
        (folder / "plant.toml").write_text(PLANT, encoding="utf-8")
        (folder / "tags.csv").write_text(TAGS, encoding="utf-8")
        (folder / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
        (folder / "station").mkdir()
        (folder / "press").mkdir()
        for k in range(4):
            (folder / "press" / f"{k}.jpg").write_bytes(encode(self.plates.draw(self.rng)[0]))

    def part(self, *, defective: bool = False) -> bytes:
        """A picture of a part; a defect is plain to see."""
        pixels, _ = self.plates.draw(self.rng)
        if defective:
            pixels = pixels.copy()
            pixels[60:84, 50:104] = (250, 30, 30)
        return encode(pixels, 95)

    def put(self, picture: bytes) -> str:
        """Lays a part under the line's camera; gives its name."""
        self.made += 1
        name = f"plate-{self.made:04d}.jpg"
        (self.folder / "station" / name).write_bytes(picture)
        return name

    def until_values(self) -> None:
        """The line's camera has nothing to tell before the first part."""
        while not self.node.latest.time.all():
            self.put(self.part())
            time.sleep(1)
