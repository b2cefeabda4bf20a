"""A small process with two hidden causes, its plant, and ways to feed an app."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe.apps.contract import App, Finding
from ronghe.apps.maintenance.detect import Detect
from ronghe.apps.maintenance.settings import Options
from ronghe.guard import Advice
from ronghe.plant import Equipment, Plant, Property, Tag
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

Floats = NDArray[np.float64]
S = 1_000_000_000
START = 1_700_000_000 * S

PROPERTIES = {
    "cooler_efficiency": ("cooling efficiency", "冷却效率", "%"),
    "oil_temperature": ("oil temperature", "油温", "Cel"),
    "pressure": ("pressure", "压力", "bar"),
    "flow": ("flow", "流量", "L/min"),
    "power": ("motor power", "电机功率", "kW"),
}
LEVEL = np.array([45.0, 40.0, 150.0, 8.0, 2.5])
NOISE = np.array([0.5, 0.3, 1.0, 0.05, 0.03])
LOADINGS = np.array([[0.1, 0.3, 1.5, -0.05, 0.06], [-0.4, 0.5, 0.0, 0.0, 0.01]])


def process(n: int, seed: int = 0) -> Floats:
    """Normal operation, float64[n, 5]: load and ambient move several properties together."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 2))
    return LEVEL + hidden @ LOADINGS + rng.normal(size=(n, 5)) * NOISE


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    dictionary = {p: Property(property=p, name_en=en, name_zh=zh, unit=unit) for p, (en, zh, unit) in PROPERTIES.items()}
    dictionary["fan_setpoint"] = Property(property="fan_setpoint", name_en="fan set-point", name_zh="风机设定值", unit="%")
    dictionary["running"] = Property(property="running", type="bool")
    tags = {f"line1/rig/{p}": Tag(tag=f"line1/rig/{p}", property=p, connection="plc") for p in PROPERTIES}
    tags["line1/rig/fan"] = Tag(tag="line1/rig/fan", property="fan_setpoint", writable=True)
    tags["line1/rig/running"] = Tag(tag="line1/rig/running", property="running")
    folder = tmp_path / "plant"
    folder.mkdir()
    equipment = {"line1/rig": Equipment(name=Text("Test rig", "试验台"))}
    return Plant(path="acme/shanghai/shop", name=Text("shop"), folder=str(folder), dictionary=dictionary, tags=tags, equipment=equipment)


class Bench:
    """Feeds an app row by row and keeps what it said."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.tags = app.wants().tags
        self.row = 0
        self.findings: list[Finding] = []
        self.advice: list[Advice] = []
        self.signals: list[dict[str, float]] = []

    def feed(self, rows: Floats, quality: int = q.BAD_NO_COMMUNICATION, **extra: float) -> list[Finding]:
        """Rows of the five measured tags, then of the others by the last part of their name; gives the findings of these rows."""
        before = len(self.findings)
        others = [extra.get(t.rpartition("/")[2], 50.0) for t in self.tags[5:]]
        for measured in rows:
            value = np.array([[*measured, *others]])
            codes = np.where(np.isnan(value), np.uint32(quality), np.uint32(0))
            time = np.array([START + self.row * S])
            result = self.app.step(Window(self.tags, time, value, codes, np.zeros_like(value)))
            self.row += 1
            self.findings += result.findings
            self.advice += result.advice
            self.signals.append(result.signals)
        return self.findings[before:]


@pytest.fixture
def bench(plant: Plant, tmp_path: Path) -> Callable[..., Bench]:
    def make(**options: object) -> Bench:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        return Bench(Detect("rig", plant, "line1/rig", Options(**{"learn": "400s", **options}), state, clock=lambda: START))

    return make


def keys(findings: Iterable[Finding]) -> list[tuple[str, bool]]:
    """What was said, news of a standing condition left out."""
    out: list[tuple[str, bool]] = []
    for f in findings:
        if (f.key, f.active) not in out[-1:]:
            out.append((f.key, f.active))
    return out
