"""A small kiln: two set-points, first-order dynamics, a cost with its least inside the ranges, and oxygen that must not fall too low."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.contract import Result
from ronghe.apps.furnace.tune.app import Tune
from ronghe.apps.furnace.tune.settings import Hold, Options, Vary
from ronghe.guard import ChangeCase
from ronghe.plant import GuardSpec, Plant, Property, Tag
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

START = (0.30, 40.0)
MINUTE = 60_000_000_000


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    dictionary = {
        "cost": Property(property="cost", name_en="gas and power", name_zh="燃气与电费", unit="kW"),
        "air": Property(property="air", name_en="air ratio", name_zh="空气系数", unit="1"),
        "fan": Property(property="fan", name_en="fan speed", name_zh="风机转速", unit="%"),
        "oxygen": Property(property="oxygen", name_en="oxygen", name_zh="氧含量", unit="%"),
    }
    kinds = {"air_sp": ("air", True), "fan_sp": ("fan", True), "cost": ("cost", False), "oxygen": ("oxygen", False)}
    tags = {
        f"kiln/{n}": Tag(tag=f"kiln/{n}", property=p, connection="plc", address=n, every=60.0, writable=w) for n, (p, w) in kinds.items()
    }
    guards = {
        "kiln/air_sp": GuardSpec(tag="kiln/air_sp", mode="auto", envelope="0..1", fresh="5min"),
        "kiln/fan_sp": GuardSpec(tag="kiln/fan_sp", mode="auto", envelope="0..100 %", fresh="5min"),
    }
    return Plant(path="acme/wuxi/kiln", name=Text("kiln"), folder=str(tmp_path), dictionary=dictionary, tags=tags, guards=guards)


def options(**more: object) -> Options:
    """Tuned within a few hundred rows."""
    given: dict[str, object] = {
        "objective": {"cost": 1.0},
        "vary": (
            Vary(tag="air_sp", low=0.0, high=1.0, ramp="0.02 per 1min"),
            Vary(tag="fan_sp", low=0.0, high=100.0, ramp="2 % per 1min"),
        ),
        "hold": (Hold(tag="oxygen", limit=2.0, side="above", margin=0.1),),
        "every": "1min",
        "settle": "15min",
        "window": "10min",
    }
    return Options(**(given | more))  # type: ignore[arg-type]


class Kiln:
    """Steady cost 100 + 80 (air - 0.62)² + 60 (fan/100 - 0.7)²; oxygen 4 - 3 air + 0.8 (1 - fan/100) - load; both lag five minutes."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.x = np.array(START)
        self.load = 0.0
        self.state = self.steady()
        self.time = 1_700_000_000_000_000_000 // MINUTE * MINUTE
        self.least_oxygen = np.inf

    def steady(self) -> np.ndarray:
        air, fan = self.x[0], self.x[1] / 100
        return np.array([100 + 80 * (air - 0.62) ** 2 + 60 * (fan - 0.7) ** 2, 4 - 3 * air + 0.8 * (1 - fan) - self.load])

    def row(self, app: Tune) -> Window:
        """One minute later."""
        self.time += MINUTE
        self.state += (self.steady() - self.state) * (1 - np.exp(-1 / 5))
        self.least_oxygen = min(self.least_oxygen, self.state[1])
        noisy = self.state + self.rng.normal(size=2) * (0.1, 0.01)
        seen = {"kiln/air_sp": self.x[0], "kiln/fan_sp": self.x[1], "kiln/cost": noisy[0], "kiln/oxygen": noisy[1]}
        value = np.array([[seen[t] for t in app.wants().tags]])
        return Window(app.wants().tags, np.array([self.time]), value, np.full(value.shape, q.GOOD, np.uint32), np.zeros(value.shape))

    def put(self, app: Tune, result: Result) -> None:
        """What a guard in auto does."""
        for a in result.advice:
            self.x[app.set_points.index(a.tag)] = a.value
            app.feedback(a.id, "done")
        for c in result.changes:
            for s in c.settings:
                self.x[app.set_points.index(s.tag)] = s.value
            app.follow(ChangeCase(id=c.id, change=c, state="done"))

    def run(self, app: Tune, rows: int) -> list[Result]:
        """That many minutes in auto."""
        out = []
        for _ in range(rows):
            out.append(app.step(self.row(app)))
            self.put(app, out[-1])
        return out
