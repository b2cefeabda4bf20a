"""An app whose answers are known: what energy and furnace apps tell, so that views can be held against it number by number."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from ronghe.apps.contract import App, Page, Question, Result, Right, Wants
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.text import Text

MINUTE = 60_000  # ms, as in every answer
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """None."""


class Told(App):
    """Answers each verb with what stands in `answers`."""

    uses = "test.told"
    Options = Options
    pages = (
        Page(slug="energy", title=Text("Energy", "能源"), view="energy"),
        Page(slug="books", title=Text("Energy books", "能碳账簿"), view="energy-books"),
        Page(slug="furnace", title=Text("Furnace", "高炉"), view="furnace"),
        Page(slug="tuning", title=Text("Tuning", "寻优"), view="tuning"),
    )
    verbs: ClassVar[Mapping[str, Right]] = dict.fromkeys(("now", "plan", "worth", "enpi", "carbon", "state", "rist", "path"), "read")

    def __init__(self, name: str, plant: Plant, state: Path) -> None:
        super().__init__(name, plant, "line1/pump1", Options(), state)
        self.answers: dict[str, dict[str, Any]] = answers(time.time_ns() // 1_000_000)

    def wants(self) -> Wants:
        """Nothing: it only answers."""
        return Wants(tags=(), every=1.0)

    def step(self, window: Window) -> Result:
        """Nothing comes of the clock's rows."""
        return Result()

    def ask(self, question: Question) -> object:
        """What is known."""
        return self.answers[question.verb]


def text(en: str, zh: str) -> dict[str, str]:
    """A text as JSON."""
    return {"en": en, "zh": zh}


def answers(now: int) -> dict[str, dict[str, Any]]:
    """One answer a verb, at a time in ms."""
    return {"now": _now(now), "plan": _plan(now), "worth": _worth(now)} | _books(now) | _furnace(now) | {"path": _path(now)}


def _price(at: int) -> float:
    hour = time.localtime(at / 1000).tm_hour
    return 0.31 if hour < 7 or hour >= 23 else 1.12 if 10 <= hour < 12 or 17 <= hour < 21 else 0.68


def _now(now: int) -> dict[str, Any]:
    day = time.localtime(now / 1000)
    midnight = now - now % 1000 - (day.tm_hour * 3600 + day.tm_min * 60 + day.tm_sec) * 1000
    names = {0.31: text("valley", "谷段"), 0.68: text("flat", "平段"), 1.12: text("peak", "峰段")}
    edges = [0, 7, 10, 12, 17, 21, 23, 24]
    periods = [
        {"from": midnight + d * DAY + a * HOUR, "to": midnight + d * DAY + b * HOUR}
        | {"price": _price(midnight + a * HOUR), "name": names[_price(midnight + a * HOUR)]}
        for d in (0, 1)
        for a, b in itertools.pairwise(edges)
    ]

    def node(name: str, title: dict[str, str], kind: str, kw: float | None, **more: Any) -> dict[str, Any]:
        return {"name": name, "title": title, "kind": kind, "kw": kw, "soc": None, "capacity_kwh": None, "age_s": 3, "good": True} | more

    return {
        "now": now,
        "currency": "CNY",
        "by": "optimiser",
        "why": None,
        "step_ms": 184,
        "nodes": [
            node("grid", text("Grid", "电网"), "grid", 412.4),
            node("pv", text("Roof", "屋顶光伏"), "pv", 86.2),
            node("battery", text("Battery", "储能电池"), "storage", -120.0, soc=0.62, capacity_kwh=1000),
            node("furnace", text("Arc furnace", "电弧炉"), "load", 540.1),
            node("hall", text("Hall", "车间"), "load", None, age_s=None, good=False),
            node("chiller", text("Chiller", "冷水机组"), "flexible", 78.5),
        ],
        "price": _price(now),
        "next": {"at": now + HOUR, "price": 0.31},
        "tariff": {"version": "2026-01", "periods": periods},
        "month": {"peak_kw": 655.2, "peak_at": now - 3 * DAY, "energy_cost": 120_345.6, "demand_cost": 26_208, "carbon_kg": 84_512},
    }


def _plan(now: int) -> dict[str, Any]:
    step = 15 * MINUTE
    begin = now - now % step
    past, ahead = [begin - k * step for k in range(96, 0, -1)], [begin + k * step for k in range(96)]

    def load(at: int) -> float:
        return 450 + 150 * math.sin(at / HOUR / 4) + 40 * math.sin(at / MINUTE / 31)

    def sun(at: int) -> float:
        return max(0.0, 180 * math.sin((time.localtime(at / 1000).tm_hour - 6) / 12 * math.pi))

    def soc(at: int) -> float:
        return 0.5 + 0.35 * math.sin(at / HOUR / 4)

    def kw(at: int) -> float:
        return 160 * math.cos(at / HOUR / 4)

    def band(mean: list[float], share: float) -> dict[str, list[float]]:
        return {"mean": mean, "low": [v * (1 - share) for v in mean], "high": [v * (1 + share) for v in mean]}

    grid = [load(at) - sun(at) + kw(at) for at in past]
    return {
        "now": now,
        "step_s": 900,
        "times": ahead,
        "price": [_price(at) for at in ahead],
        "carbon": [0.55 + 0.1 * math.sin(at / HOUR / 3) for at in ahead],
        "load": band([load(at) for at in ahead], 0.08),
        "pv": band([sun(at) for at in ahead], 0.3),
        "grid": [load(at) - sun(at) + kw(at) for at in ahead],
        "storage": [
            {
                "name": "battery",
                "title": text("Battery", "储能电池"),
                "kw": [kw(at) for at in ahead],
                "soc": [soc(at) for at in ahead],
            }
        ],
        "actual": {
            "times": past,
            "grid": [None if 30 < k < 36 else v for k, v in enumerate(grid)],
            "load": [load(at) for at in past],
            "pv": [sun(at) for at in past],
            "planned_grid": [v + 25 * math.sin(k) for k, v in enumerate(grid)],
            "storage": [{"name": "battery", "kw": [kw(at) for at in past], "soc": [soc(at) for at in past]}],
        },
    }


def _worth(now: int) -> dict[str, Any]:
    days: list[dict[str, Any]] = [
        {"time": now - k * DAY, "money": 310 + 120 * math.sin(k), "low": 210 + 120 * math.sin(k), "high": 410 + 120 * math.sin(k)}
        | {"kwh": -12.0, "kg": 35.0, "by": "rule" if k == 5 else "optimiser"}
        for k in range(14, 0, -1)
    ]
    method = text("against the old rule on the same measured load", "以相同实测负荷按原规则计算对比")
    return {"currency": "CNY", "days": days, "method": method} | {
        "total": {"money": 4372.5, "low": 3911.0, "high": 4834.0, "kwh": -168.0, "kg": 490.0, "days": 14}
    }


def _books(now: int) -> dict[str, dict[str, Any]]:
    periods = [
        {"time": now - k * DAY, "actual": e + (18 if k == 4 else -3 * math.sin(k)), "expected": e, "low": e - 9, "high": e + 9}
        for k in range(30, 0, -1)
        for e in [120 + 25 * math.sin(k / 3)]
    ]
    sums, total = [], 0.0
    for one in periods:
        total += one["actual"] - one["expected"] - 1
        sums.append(total)
    line: dict[str, Any] = {"unit": "kW.h/t", "driver": text("steel cast", "钢产量"), "model": text("a + b · tonnes", "a + b · 吨钢")}
    enpi = [
        line
        | {"name": "steel", "title": text("Power per tonne of steel", "吨钢电耗"), "r2": 0.91, "cv_rmse": 0.062, "valid": True, "why": None}
        | {"periods": periods, "cusum": sums, "target": 115.0},
        line
        | {"name": "air", "title": text("Compressed air", "压缩空气"), "r2": 0.31, "cv_rmse": 0.4, "valid": False, "target": None}
        | {"why": text("R² is 0.31, below 0.75", "R² 为 0.31，低于 0.75"), "periods": periods[:3], "cusum": [None] * 3},
    ]
    factors = [
        {"name": "grid", "title": text("Grid, East China", "华东电网"), "scope": 2, "basis": "location", "value": 0.5703, "unit": "kg/kWh"}
        | {"version": "2023", "source": "Ministry of Ecology and Environment, notice 2023-43"},
        {"name": "gas", "title": text("Natural gas", "天然气"), "scope": 1, "basis": "", "value": 2.1622, "unit": "kg/m3"}
        | {"version": "2006", "source": "IPCC Guidelines 2006, volume 2, table 2.2"},
    ]
    days = [{"time": now - k * DAY, "location": 2900 + 80 * k, "market": 2100 + 60 * k, "scope1": 640.0} for k in range(14, 0, -1)]
    products = [
        {"name": "billet", "title": text("Billet 150", "方坯 150"), "quantity": 812.0, "unit": "t"}
        | {"kg_per_unit": 412.3, "low": 396.0, "high": 428.0}
    ]
    carbon = {"scope1_kg": 8960.0, "scope2_location_kg": 49_000.0, "scope2_market_kg": 35_700.0}
    return {"enpi": {"indicators": enpi}, "carbon": carbon | {"factors": factors, "days": days, "products": products}}


def _furnace(now: int) -> dict[str, dict[str, Any]]:
    def silicon(k: float) -> float:
        return 0.46 + 0.08 * math.sin(k / 4) + 0.03 * math.sin(k * 1.7)

    history = [{"time": now - k * 2 * HOUR - HOUR, "value": silicon(-k)} for k in range(36, -1, -1)]
    past = [
        {"time": one["time"], "mean": v - 0.02, "low": v - 0.09, "high": v + 0.05, "value": v}
        for one in history[12:]
        for v in [one["value"]]
    ]
    fan = [
        {"time": now + k * 2 * HOUR + HOUR, "mean": silicon(k), "low": silicon(k) - 0.05 - 0.02 * k, "high": silicon(k) + 0.05 + 0.02 * k}
        for k in range(4)
    ]
    state = {
        "now": now,
        "unit": "%",
        "silicon": {"value": 0.456, "time": now - HOUR, "age_s": 3600, "good": True},
        "target": {"low": 0.4, "high": 0.5},
        "history": history,
        "fan": fan,
        "past": past,
        "coverage": 0.91,
        "hit_rate": 0.78,
        "drift": True,
        "text": text("silicon falls in the next two casts", "后两铁次硅含量将下降"),
        "model": {"hash": "4f1c9a72e0b1", "rows": 1840, "until": now - 2 * DAY},
        "outside": [text("blast moisture is above all that was learnt", "鼓风湿度高于学习样本范围")],
    }
    points = [
        {"name": "A", "x": 1.43, "y": 0.98, "title": text("top gas", "炉顶煤气")},
        {"name": "E", "x": 0.0, "y": -1.42, "title": text("blast and impurities", "鼓风与杂质")},
        {"name": "W", "x": 1.0, "y": 0.26, "title": text("wustite at the reserve zone", "热储备区浮氏体")},
    ]
    rist = {"line": [[0.0, -1.42], [1.43, 0.98]], "points": points, "x_title": text("(O + H₂) / (C + H₂)", "(O + H₂) / (C + H₂)")}
    rist |= {"y_title": text("(O + H₂) / Fe", "(O + H₂) / Fe"), "carbon": 386.2, "oxygen": 402.7, "nitrogen": None, "from": "typed"}
    rist |= {"assumptions": [text("hot-metal carbon 4.6 %", "铁水含碳 4.6 %"), text("no silicon to slag", "硅不入渣")]}
    return {"state": state, "rist": rist}


def _path(now: int) -> dict[str, Any]:
    steps = [
        {"n": k, "time": now - (12 - k) * HOUR, "x": [1450 - 6.0 * k, 28 + 0.3 * k], "objective": 512 - 40 * (1 - math.exp(-k / 3))}
        | {"expected": None if k == 0 else 510 - 40 * (1 - math.exp(-k / 3)), "low": None if k == 0 else 465.0, "high": 520.0}
        | {"feasible": k != 4, "by": "start" if k == 0 else "person" if k == 7 else "model", "state": "settled"}
        for k in range(12)
    ]
    return {
        "objective": {"title": text("Gas per tonne", "吨钢煤气耗"), "unit": "MJ/t", "better": "lower"},
        "variables": [
            {"tag": "line1/furnace/zone1", "title": text("Zone 1 temperature", "一区温度"), "unit": "Cel", "low": 1350, "high": 1500}
            | {"value": 1384.0, "proposed": 1378.0, "ramp": text("at most 6 °C in 15 min", "每 15 min 最多 6 °C")},
            {"tag": "line1/furnace/air", "title": text("Air ratio", "空燃比"), "unit": "%", "low": 20, "high": 40}
            | {"value": 31.3, "proposed": None, "ramp": None},
        ],
        "constraints": [
            {
                "title": text("Slab exit temperature", "出钢温度"),
                "unit": "Cel",
                "limit": 1180,
                "side": "above",
                "value": 1192.0,
                "margin": 12.0,
            },
            {"title": text("Oxygen in the stack", "烟气含氧"), "unit": "%", "limit": 4, "side": "below", "value": 4.3, "margin": -0.3},
        ],
        "steps": steps,
        "radius": 0.12,
        "best": 11,
        "saving": {"value": 38.4, "low": 31.0, "high": 45.8},
        "state": text("waits until the last change is through, 12 min more", "等待上次调整稳定，还需 12 min"),
        "settled": False,
    }
