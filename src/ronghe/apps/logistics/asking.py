"""Events as the console sends them (plain data) → events of `replan`."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from ronghe.apps.logistics import replan
from ronghe.apps.logistics.problem import FOREVER, Order, Place, Problem, Tick
from ronghe.apps.logistics.running import Day
from ronghe.errors import AppError
from ronghe.text import Text


class _Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A new stop: at a place that is known, or at coordinates. Times in ms since 1970 UTC."""

    name: str
    place: str = ""
    x: float | None = None
    y: float | None = None
    demand: float = 0.0
    from_: float | None = msgspec.field(default=None, name="from")
    to: float | None = None
    minutes: float = 0.0  # that the work takes


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    kind: Literal["late_vehicle", "new_stop", "cancel", "breakdown", "window"]
    vehicle: str = ""
    minutes: float | None = None
    place: str = ""
    order: str = ""
    stop: _Stop | None = None
    goods: Literal["aboard", "depot"] = "aboard"
    from_: float | None = msgspec.field(default=None, name="from")
    to: float | None = None


def events(day: Day, said: object) -> list[replan.Event]:
    """What was said, as events: several where a place with several orders is cancelled. Raises AppError for what says nothing."""
    try:
        asked = msgspec.convert(said, _Asked)
    except msgspec.ValidationError as e:
        raise AppError(Text(f"this event cannot be read: {e}", f"无法识别该事件：{e}"), where="event") from e
    p = day.problem
    match asked.kind:
        case "late_vehicle":
            if asked.minutes is None or not 0 < asked.minutes <= 10_000:
                raise AppError(Text("by how many minutes is it late?", "晚点多少分钟？"), where="event.minutes")
            return [replan.LateVehicle(vehicle=asked.vehicle, ticks=math.ceil(asked.minutes * 60 / p.tick))]
        case "breakdown":
            return [replan.Breakdown(vehicle=asked.vehicle, place=asked.place, goods=asked.goods)]
        case "new_stop":
            return [_new(p, asked.stop)]
        case "cancel":
            return [replan.Cancelled(order=o) for o in _orders(day, asked)]
        case "window":
            early, late = _tick(p, asked.from_, 0), _tick(p, asked.to, FOREVER)
            if early > late:
                raise AppError(Text("the window ends before it begins", "时间窗结束早于开始"), where="event.to")
            return [replan.WindowMoved(order=o, earliest=early, latest=late) for o in _orders(day, asked)]


def _orders(day: Day, asked: _Asked) -> list[str]:
    """The order named, or all at the place named."""
    if asked.order:
        return [asked.order]
    found = [o.name for o in day.problem.orders if o.place == asked.place]
    if not found:
        raise AppError(Text(f"there is no order at {asked.place!r}", f"{asked.place!r} 没有订单"), where="event.place")
    return found


def _tick(p: Problem, at: float | None, default: Tick) -> Tick:
    return default if at is None else max(0, math.floor((at * 1e6 - p.start) / (p.tick * 1e9)))


def _new(p: Problem, stop: _Stop | None) -> replan.NewOrder:
    if stop is None or not stop.name:
        raise AppError(Text("a new stop has a name", "新站点须有名称"), where="event.stop")
    if not (0 <= stop.demand < 1e9) or not (0 <= stop.minutes <= 10_000):
        raise AppError(Text("demand and minutes are 0 or more", "需求量与分钟数须不小于 0"), where="event.stop")
    place = None
    if not stop.place and all(x.name != stop.name for x in p.places):
        if stop.x is None or stop.y is None or not (math.isfinite(stop.x) and math.isfinite(stop.y)):
            raise AppError(Text("a new place has x and y", "新地点须有 x、y"), where="event.stop")
        place = Place(name=stop.name, x=stop.x, y=stop.y)
    order = Order(
        name=stop.name,
        place=stop.place or stop.name,
        delivery=(math.ceil(stop.demand * p.grain - 1e-6),),
        earliest=_tick(p, stop.from_, 0),
        latest=_tick(p, stop.to, FOREVER),
        service=math.ceil(stop.minutes * 60 / p.tick),
    )
    if order.earliest > order.latest:
        raise AppError(Text("the window ends before it begins", "时间窗结束早于开始"), where="event.stop.to")
    return replan.NewOrder(order=order, place=place)
