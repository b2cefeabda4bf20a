"""A routing problem: the facts alone. Vehicles leave depots, serve orders at places, and come back.

All numbers that a plan is computed with are integers: times in ticks since the problem's start, distances, amounts and money in small
units. `Problem` says what one of each is worth. What the words mean exactly stands beside each field; the checker
(`ronghe.apps.logistics.check`) holds every plan to just that.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.text import Text

Tick = int
"""Time since the problem's start, in its tick. Durations too."""

FOREVER: Final = 1 << 42
"""Later than every tick, longer than every distance."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Somewhere to drive to. x, y: kilometres, or longitude and latitude in degrees (WGS 84); `Problem.map` says which."""

    name: str
    x: float = 0.0
    y: float = 0.0
    title: str = ""


class Depot(msgspec.Struct, frozen=True, kw_only=True):
    """A place where vehicles load. A trip may begin, and a vehicle come back, while it is open: opens <= t <= closes."""

    place: str
    opens: Tick = 0
    closes: Tick = FOREVER
    loading: Tick = 0  # at the start of every trip from here


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Goods to be brought, fetched, or both.

    `delivery` comes from where the vehicle's trip began, `pickup` goes to where it ends. With an `origin` the delivery is collected there,
    on the same trip, before it is delivered at `place` (and there is no pickup). Work at the place starts at earliest <= t <= latest and
    takes `service`; it may end after `latest`. No trip that serves the order begins before `release`.
    """

    name: str
    place: str
    delivery: tuple[int, ...] = ()
    pickup: tuple[int, ...] = ()
    earliest: Tick = 0
    latest: Tick = FOREVER
    service: Tick = 0
    release: Tick = 0
    origin: str = ""
    origin_earliest: Tick = 0
    origin_latest: Tick = FOREVER
    origin_service: Tick = 0
    prize: int | None = None  # money lost where it is left out; None: it must be served
    only: tuple[str, ...] = ()  # vehicles that may serve it; (): every one
    promised: Tick | None = None  # where `latest` was moved because it could not be held: until when it should have been


class Vehicle(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle with its driver: one route, of one trip or several. Its shift: earliest <= start, end <= latest.

    Breaks within a shift are not planned: `max_duration` is what may lie between leaving and coming back, all waiting included.
    """

    name: str
    start: str  # a place; one that is no depot where the vehicle is on its way already
    end: str
    capacity: tuple[int, ...] = ()  # (): without limit
    fixed: int = 0  # money, where it is used at all
    per_distance: int = 1  # money a unit of distance
    per_tick: int = 0  # money a tick between leaving and coming back
    earliest: Tick = 0
    latest: Tick = FOREVER
    max_duration: Tick = FOREVER
    max_distance: int = FOREVER
    reloads: tuple[str, ...] = ()  # depots where it may end a trip and begin the next
    max_trips: int = 1
    aboard: tuple[int, ...] = ()  # what it carries at its start and brings to its next depot
    roads: str = ""  # which of the problem's roads it takes
    carbon: float | None = None  # kg CO2e a kilometre, empty
    carbon_load: float | None = None  # kg CO2e more a kilometre and tonne aboard
    title: str = ""


class Roads(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """From every place to every other. distance int64[n, n] in units of distance; duration int64[n, n] in ticks."""

    distance: NDArray[np.int64]
    duration: NDArray[np.int64]
    kmh: float | None = None  # at which durations follow from distances; None: they were stated


class Problem(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything a plan is computed from. Names are unique within their kind; `ronghe.apps.logistics.sound` says what does not fit."""

    places: tuple[Place, ...]
    depots: tuple[Depot, ...]
    orders: tuple[Order, ...]
    vehicles: tuple[Vehicle, ...]
    roads: dict[str, Roads]  # over `places`, in their order
    start: int = 0  # ns since 1970 UTC of tick 0; 0: abstract, as in benchmarks
    tick: float = 1.0  # s
    metre: float | None = None  # metres a unit of distance; None: abstract
    money: float = 1.0  # units of money in one of the currency, or of the benchmark's cost
    currency: str = ""
    dimensions: tuple[str, ...] = ("quantity",)  # of amounts
    grain: int = 1  # units of an amount in one
    weight: int | None = None  # which dimension is kilograms
    map: Literal["plane", "lonlat"] = "plane"
    detour: float = 1.0  # the way to a place that was not there before: the straight line times this
    name: str = ""


Do = Literal["start", "collect", "deliver", "serve", "reload", "end"]


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """One stop: arrive <= start (of the work) <= depart. `load` is what is aboard on leaving."""

    place: str
    do: Do
    order: str = ""
    arrive: Tick
    start: Tick
    depart: Tick
    load: tuple[int, ...] = ()


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """What one vehicle does, from its start to its end. `carbon` in kg CO2e; None where no factor is stated."""

    vehicle: str
    stops: tuple[Stop, ...]
    distance: int
    duration: Tick
    cost: int  # units of money
    carbon: float | None = None


class Unserved(msgspec.Struct, frozen=True, kw_only=True):
    """An order that no route serves, and why as far as it is known."""

    order: str
    why: Text


Status = Literal["feasible", "partial", "infeasible"]
"""Everything holds; everything holds but not every order that must be served is; a route breaks a rule."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `objective`: cost of the routes and the prizes of optional orders left out, in the currency."""

    routes: tuple[Route, ...]
    unserved: tuple[Unserved, ...] = ()
    objective: float
    status: Status = "feasible"
    carbon: float | None = None  # kg CO2e; None where a vehicle that is used states no factor
    seconds: float = 0.0  # that were spent
    by: str = ""  # which method found it
