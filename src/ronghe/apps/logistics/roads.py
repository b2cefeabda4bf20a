"""From where things are to how far apart they are: metres and seconds between all places."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.logistics.problem import Place, Problem, Roads
from ronghe.errors import AppError
from ronghe.text import Text

EARTH: Final = 6_371_008.8  # m, mean radius (IUGG)


def plane(x: NDArray[np.float64], y: NDArray[np.float64], detour: float) -> NDArray[np.int64]:
    """int64[n, n] whole metres between points in kilometres, the straight line times `detour`."""
    km = np.hypot(x[:, None] - x[None, :], y[:, None] - y[None, :])
    return np.round(1000 * km * detour).astype(np.int64)


def lonlat(lon: NDArray[np.float64], lat: NDArray[np.float64], detour: float) -> NDArray[np.int64]:
    """int64[n, n] whole metres between points in degrees: the great circle (haversine) times `detour`."""
    a, b = np.radians(lat), np.radians(lon)
    h = np.sin((a[:, None] - a[None, :]) / 2) ** 2
    h = h + np.cos(a[:, None]) * np.cos(a[None, :]) * np.sin((b[:, None] - b[None, :]) / 2) ** 2
    return np.round(2 * EARTH * np.arcsin(np.sqrt(np.clip(h, 0, 1))) * detour).astype(np.int64)


def seconds(metres: NDArray[np.int64], kmh: float) -> NDArray[np.int64]:
    """int64[n, n] whole seconds at a speed, rounded up: a plan must not promise what cannot be driven."""
    return np.ceil(metres * (3.6 / kmh) - 1e-9).astype(np.int64)


def with_place(problem: Problem, place: Place) -> Problem:
    """The problem with one place more; ways to it are straight lines times the problem's detour.

    Raises AppError for a name that is taken, or where ways are not made from coordinates.
    """
    if any(p.name == place.name for p in problem.places):
        raise AppError(Text(f"there is a place {place.name!r} already", f"地点 {place.name!r} 已存在"))
    if problem.metre != 1.0 or any(r.kmh is None for r in problem.roads.values()):
        what = Text("ways were stated, not computed: a new place cannot be reached", "路程由表给定，无法加入新地点")
        raise AppError(what, todo=Text("name a known place", "请使用已有地点"))
    x, y = (np.array([*(getattr(p, axis) for p in problem.places), getattr(place, axis)]) for axis in ("x", "y"))
    way = (lonlat if problem.map == "lonlat" else plane)(x, y, problem.detour)[-1, :]
    roads: dict[str, Roads] = {}
    for name, r in problem.roads.items():
        took = seconds(way, r.kmh or 1.0)
        roads[name] = Roads(distance=_grown(r.distance, way), duration=_grown(r.duration, took), kmh=r.kmh)
    return msgspec.structs.replace(problem, places=(*problem.places, place), roads=roads)


def _grown(matrix: NDArray[np.int64], way: NDArray[np.int64]) -> NDArray[np.int64]:
    out = np.zeros((len(way), len(way)), np.int64)
    out[:-1, :-1], out[-1, :], out[:, -1] = matrix, way, way
    return out


def aisles(places: Sequence[str], edges: Iterable[tuple[str, str, float, bool]]) -> NDArray[np.float64]:
    """float64[n, n] metres between places along aisles (from, to, metres, one way); inf where no way leads. Dijkstra from each place."""
    ways: dict[str, list[tuple[str, float]]] = {}
    for a, b, metres, one_way in edges:
        ways.setdefault(a, []).append((b, metres))
        if not one_way:
            ways.setdefault(b, []).append((a, metres))
    return np.array([_from(start, places, ways) for start in places])


def _from(start: str, places: Sequence[str], ways: Mapping[str, list[tuple[str, float]]]) -> list[float]:
    best = {start: 0.0}
    queue = [(0.0, start)]
    while queue:
        so_far, at = heapq.heappop(queue)
        if so_far > best[at]:
            continue
        for to, metres in ways.get(at, ()):
            if so_far + metres < best.get(to, math.inf):
                best[to] = so_far + metres
                heapq.heappush(queue, (best[to], to))
    return [best.get(p, math.inf) for p in places]
