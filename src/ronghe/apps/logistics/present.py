"""A day as the console's view `routes` draws it: plain data; times in ms since 1970 UTC, lateness in minutes."""

from __future__ import annotations

from typing import Any

from ronghe.apps.logistics.problem import FOREVER, Problem, Route, Tick
from ronghe.apps.logistics.running import Day
from ronghe.apps.logistics.schedule import Facts, late_by
from ronghe.text import Text


def ms(p: Problem, tick: Tick) -> int:
    """A tick as ms since 1970 UTC."""
    return round(p.start / 1e6 + tick * p.tick * 1e3)


def text(said: Text) -> dict[str, str]:
    """A text in both languages."""
    return {"en": said.en, "zh": said.in_("zh")}


def day(d: Day, now: Tick) -> dict[str, Any]:
    """Places, routes, what is not served, and figures."""
    p, late = d.problem, late_by(d.plan, Facts(d.problem))
    routes = [_route(d, r, now) for r in d.plan.routes if len(r.stops) > 1]
    return {
        "now": ms(p, now),
        "map": p.map,
        "places": _places(d, late),
        "routes": routes,
        "unserved": [{"place": _place(p, u.order), "order": u.order, "why": text(u.why)} for u in d.plan.unserved],
        "figures": {
            "cost": d.plan.objective,
            "currency": p.currency or None,
            "distance_km": sum(r["distance_km"] for r in routes) if p.metre is not None else None,
            "hours": sum(r["hours"] for r in routes),
            "carbon_kg": d.plan.carbon,
            "late": len(late),
            "unserved": len(d.plan.unserved),
            "vehicles": len(routes),
        },
        "status": d.plan.status,
    }


def _place(p: Problem, order: str) -> str:
    return next(o.place for o in p.orders if o.name == order)


def _places(d: Day, late: dict[str, Tick]) -> list[dict[str, Any]]:
    p = d.problem
    depots = {x.place: x for x in p.depots}
    arrive: dict[str, Tick] = {}
    for r in d.plan.routes:
        for s in r.stops:
            if s.order:
                arrive[s.place] = min(s.arrive, arrive.get(s.place, s.arrive))
    out = []
    for place in p.places:
        here = [o for o in p.orders if o.place == place.name]
        depot = depots.get(place.name)
        opens = depot.opens if depot else min((o.earliest for o in here), default=0)
        closes = depot.closes if depot else min((o.latest for o in here), default=FOREVER)
        out.append(
            {
                "name": place.name,
                "title": place.title or place.name,
                "x": place.x,
                "y": place.y,
                "depot": depot is not None,
                "from": ms(p, opens) if opens > 0 else None,
                "to": ms(p, closes) if closes < FOREVER else None,
                "demand": sum(_first(o.delivery) + _first(o.pickup) for o in here) / p.grain if here else None,
                "arrive": ms(p, arrive[place.name]) if place.name in arrive else None,
                "late": max((late[o.name] for o in here if o.name in late), default=0) * p.tick / 60,
            }
        )
    return out


def _first(amounts: tuple[int, ...]) -> int:
    return amounts[0] if amounts else 0


def _route(d: Day, r: Route, now: Tick) -> dict[str, Any]:
    p = d.problem
    v = next(v for v in p.vehicles if v.name == r.vehicle)
    room = v.capacity[0] if v.capacity else FOREVER
    return {
        "vehicle": r.vehicle,
        "title": v.title or v.name,
        "stops": [
            {
                "place": s.place,
                "order": s.order,
                "do": s.do,
                "arrive": ms(p, s.arrive),
                "start": ms(p, s.start),
                "depart": ms(p, s.depart),
                "load": _first(s.load) / p.grain,
            }
            for s in r.stops
        ],
        "distance_km": r.distance * p.metre / 1000 if p.metre is not None else None,
        "hours": r.duration * p.tick / 3600,
        "cost": r.cost / p.money,
        "carbon_kg": r.carbon,
        "load": max(_first(s.load) for s in r.stops) / p.grain,
        "capacity": room / p.grain if room < FOREVER else None,
        "done": sum(s.depart <= now for s in r.stops),
    }
