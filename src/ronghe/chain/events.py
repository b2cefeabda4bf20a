"""Events as people type them, and what they do to the facts of the chain.

    late source=T-204 by=6h                  a delivery (or material=steel_sheet: the next one of it) comes later
    breakdown machine=oven from=2026-03-02T10:00 for=3h
    rush order=R-1 like=SO-1001 due=2026-03-03T12:00 quantity=10 weight=5
    truck vehicle=V1                         a vehicle drops out

Times without a zone are UTC; `from` may be left out: now.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from typing import Final

import msgspec

from ronghe.apps.scheduling.live.events import copied
from ronghe.apps.scheduling.problem import Off
from ronghe.apps.scheduling.problem import Problem as Shop
from ronghe.chain.facts import Facts
from ronghe.chain.reasons import span
from ronghe.errors import AppError
from ronghe.plant.problems import nearest
from ronghe.signals.when import format_time, parse_duration, parse_time
from ronghe.text import Text

_KEYS: Final = {
    "late": ("source", "material", "by"),
    "breakdown": ("machine", "from", "for"),
    "rush": ("order", "like", "due", "quantity", "weight"),
    "truck": ("vehicle",),
}


def apply(facts: Facts, said: str) -> tuple[Facts, Text]:
    """The facts after an event, and the event in words. Raises AppError for what cannot be understood, or names nothing."""
    try:
        kind, *words = shlex.split(said)
    except ValueError:
        kind, words = "", []
    if kind not in _KEYS:
        known = ", ".join(_KEYS)
        what = Text(f"an event begins with one of {known}, not {kind[:40]!r}", f"事件须以 {known} 之一开头，而不是 {kind[:40]!r}")
        raise AppError(what, where="--event", todo=_example("late", nearest(kind, _KEYS)))
    values: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in _KEYS[kind] or not equals or not value:
            known = ", ".join(f"{k}=…" for k in _KEYS[kind])
            raise AppError(Text(f"{kind} knows {known}, not {word[:60]!r}", f"{kind} 支持 {known}，而不是 {word[:60]!r}"), where="--event")
        values[key] = value
    does: dict[str, Callable[[Facts, dict[str, str]], tuple[Facts, Text]]] = {
        "late": _late,
        "breakdown": _breakdown,
        "rush": _rush,
        "truck": _truck,
    }
    return does[kind](facts, values)


def _example(*kinds: str) -> Text:
    examples = {
        "late": "late source=T-204 by=6h",
        "breakdown": "breakdown machine=oven for=3h",
        "rush": "rush order=R-1 like=SO-1001",
        "truck": "truck vehicle=V1",
    }
    one = next((examples[k] for k in reversed(kinds) if k in examples), examples["late"])
    return Text(f'write e.g. --event "{one}"', f'例如 --event "{one}"')


def _known(kind: Text, name: str, known: list[str]) -> str:
    if name in known:
        return name
    meant = nearest(name, known)
    hint = (f" (did you mean {meant!r}?)", f"（是否想写 {meant!r}？）") if meant else ("", "")
    raise AppError(Text(f"there is no {kind.en} {name!r}{hint[0]}", f"没有{kind.in_('zh')} {name!r}{hint[1]}"), where="--event")


def _needed(values: dict[str, str], kind: str, key: str) -> str:
    if key not in values:
        raise AppError(Text(f"{kind} needs {key}=…", f"{kind} 需要 {key}=…"), where="--event", todo=_example(kind))
    return values[key]


def _ticks(shop: Shop, ns: int) -> int:
    return math.ceil(ns / (shop.tick * 1e9))


def _late(facts: Facts, values: dict[str, str]) -> tuple[Facts, Text]:
    shop = facts.shop
    by = parse_duration(_needed(values, "late", "by"))
    later = [a for a in shop.arrivals if a.at > shop.now]
    if "source" in values:
        source = _known(Text("delivery", "到货来源"), values["source"], sorted({a.source for a in later if a.source}))
        moved = {id(a) for a in later if a.source == source}
        name = source
    else:
        name = _known(Text("delivery of", "待到货物料"), _needed(values, "late", "material"), sorted({a.material for a in later}))
        moved = {id(min((a for a in later if a.material == name), key=lambda a: a.at))}
    arrivals = tuple(msgspec.structs.replace(a, at=a.at + _ticks(shop, by)) if id(a) in moved else a for a in shop.arrivals)
    en, zh = span(by)
    text = Text(f"{name} comes {en} later", f"{name} 到货推迟 {zh}")
    return msgspec.structs.replace(facts, shop=msgspec.structs.replace(shop, arrivals=arrivals)), text


def _breakdown(facts: Facts, values: dict[str, str]) -> tuple[Facts, Text]:
    shop = facts.shop
    machine = _known(Text("machine", "机器"), _needed(values, "breakdown", "machine"), [m.name for m in shop.machines])
    now = shop.start + round(shop.now * shop.tick * 1e9)
    begin = parse_time(values["from"], now) if "from" in values else now
    lasts = parse_duration(_needed(values, "breakdown", "for"))
    first = max(0, int((begin - shop.start) // (shop.tick * 1e9)))
    off = Off(first, first + _ticks(shop, lasts), "breakdown", True)
    machines = tuple(
        msgspec.structs.replace(m, off=tuple(sorted((*m.off, off), key=lambda o: (o.start, o.end)))) if m.name == machine else m
        for m in shop.machines
    )
    en, zh = span(lasts)
    text = Text(f"{machine} stands for {en} from {format_time(begin)}", f"{machine} 自 {format_time(begin)} 起停机 {zh}")
    return msgspec.structs.replace(facts, shop=msgspec.structs.replace(shop, machines=machines)), text


def _rush(facts: Facts, values: dict[str, str]) -> tuple[Facts, Text]:
    shop = facts.shop
    jobs = {j.name: j for j in shop.jobs}
    like = jobs[_known(Text("order", "订单"), _needed(values, "rush", "like"), list(jobs))]
    name = _needed(values, "rush", "order")
    if name in jobs:
        raise AppError(Text(f"there already is an order {name!r}", f"订单 {name!r} 已存在"), where="--event")
    quantity, weight = (_number(values, key, default) for key, default in (("quantity", like.quantity), ("weight", like.weight)))
    due = like.due
    if "due" in values:
        now = shop.start + round(shop.now * shop.tick * 1e9)
        due = int((parse_time(values["due"], now) - shop.start) // (shop.tick * 1e9))
    job = copied(like, name, quantity, due, weight, shop.now)
    text = Text(f"rush order {name}: {quantity:g} {like.product}", f"插单 {name}：{like.product} {quantity:g} 件")
    return msgspec.structs.replace(facts, shop=msgspec.structs.replace(shop, jobs=(*shop.jobs, job))), text


def _number(values: dict[str, str], key: str, default: float) -> float:
    try:
        value = float(values.get(key, default))
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise AppError(Text(f"{key} must be a number above 0", f"{key} 必须是大于 0 的数字"), where="--event")
    return value


def _truck(facts: Facts, values: dict[str, str]) -> tuple[Facts, Text]:
    if facts.trucks is None:
        raise AppError(Text("there are no trucks in this folder", "该文件夹中没有 trucks"), where="--event")
    vehicles = facts.trucks.vehicles
    vehicle = _known(Text("vehicle", "车辆"), _needed(values, "truck", "vehicle"), [v.name for v in vehicles])
    left = tuple(v for v in vehicles if v.name != vehicle)
    if not left:
        raise AppError(Text("it is the only vehicle", "这是唯一一辆车"), where="--event")
    text = Text(f"{vehicle} drops out", f"{vehicle} 退出运行")
    return msgspec.structs.replace(facts, trucks=msgspec.structs.replace(facts.trucks, vehicles=left)), text
