"""Small days for the tests: a depot in the middle, customers around it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from ronghe.apps.logistics import replan
from ronghe.apps.logistics import roads as ways
from ronghe.apps.logistics.problem import FOREVER, Depot, Order, Place, Problem, Roads, Vehicle

H = 3600


def day(
    orders: tuple[Order, ...], vehicles: tuple[Vehicle, ...], at: list[tuple[float, float]], *, loading: int = 0, kmh: float = 36.0
) -> Problem:
    """Places p0 (the depot), p1 … at kilometres `at`; metres, seconds, thousandths of money."""
    x, y = np.array([a for a, _ in at]), np.array([b for _, b in at])
    metres = ways.plane(x, y, 1.0)
    return Problem(
        places=tuple(Place(name=f"p{i}", x=a, y=b) for i, (a, b) in enumerate(at)),
        depots=(Depot(place="p0", loading=loading),),
        orders=orders,
        vehicles=vehicles,
        roads={"": Roads(distance=metres, duration=ways.seconds(metres, kmh), kmh=kmh)},
        start=1_767_571_200_000_000_000,  # 2026-01-05
        metre=1.0,
        money=1000.0,
    )


def truck(name: str = "t1", **more: Any) -> Vehicle:
    return Vehicle(**{"name": name, "start": "p0", "end": "p0", "capacity": (10,), **more})


def mixed(rng: random.Random, n: int = 12, k: int = 4) -> Problem:
    """Deliveries, pickups, both, goods collected on the way, windows, releases, prizes, several trips."""
    at = [(5.0, 5.0), *((rng.uniform(0, 10), rng.uniform(0, 10)) for _ in range(n))]
    orders = []
    for i in range(n):
        early = rng.choice([0, 0, rng.randrange(3 * H)])
        kind = rng.random()
        amounts: dict[str, Any] = (
            {"delivery": (rng.randint(1, 5),)}
            if kind < 0.6
            else {"pickup": (rng.randint(1, 5),)}
            if kind < 0.75
            else {"delivery": (2,), "pickup": (3,)}
            if kind < 0.85
            else {"delivery": (2,), "origin": f"p{rng.randint(1, n)}", "origin_service": 60}
        )
        orders.append(
            Order(
                name=f"o{i}",
                place=f"p{i + 1}",
                earliest=early,
                latest=early + rng.choice([2, 4, 9]) * H if early or rng.random() < 0.3 else FOREVER,
                service=300,
                release=rng.choice([0, 0, 0, H]),
                prize=rng.randint(100, 20_000) if rng.random() < 0.2 else None,
                only=("v0", "v1") if rng.random() < 0.1 else (),
                **amounts,
            )
        )
    vehicles = tuple(
        truck(
            f"v{i}",
            capacity=(12,),
            fixed=500,
            per_tick=rng.choice([0, 1]),
            latest=10 * H,
            max_duration=9 * H,
            max_trips=1 + i % 2,
            reloads=("p0",) if i % 2 else (),
            carbon=0.8,
        )
        for i in range(k)
    )
    return day(tuple(orders), vehicles, at, loading=600, kmh=30.0)


def happening(rng: random.Random, p: Problem, i: int) -> replan.Event:
    """Something that may happen on a day."""
    vehicle = rng.choice(p.vehicles).name
    order = rng.choice(p.orders).name if p.orders else "none"
    return rng.choice(
        [
            replan.LateVehicle(vehicle=vehicle, ticks=rng.randint(100, 5000)),
            replan.NewOrder(
                order=Order(name=f"n{i}", place=rng.choice(p.places).name, delivery=(3,), latest=rng.choice([FOREVER, 20_000]), service=100)
            ),
            replan.Cancelled(order=order),
            replan.WindowMoved(order=order, earliest=rng.randrange(20_000), latest=30_000),
            replan.Breakdown(vehicle=vehicle, goods=rng.choice(["aboard", "depot"])),
        ]
    )
