"""The tables of a problem: what a line of each CSV file, or of each sheet of a book, may say."""

from __future__ import annotations

import msgspec


class PlaceRow(msgspec.Struct, frozen=True, kw_only=True):
    """places.csv. x, y in kilometres, or lon, lat in degrees; neither where distances.csv or aisles.csv has all ways."""

    name: str
    title: str = ""
    x: float | None = None
    y: float | None = None
    lon: float | None = None
    lat: float | None = None
    depot: bool = False
    opens: str = ""
    closes: str = ""
    loading: str = ""  # how long loading takes before every trip


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """orders.csv. Amounts brought to the place, and amounts collected there."""

    name: str
    place: str
    origin: str = ""  # collected there on the same trip, instead of loaded at the depot
    quantity: float = 0.0
    weight_kg: float = 0.0
    volume_m3: float = 0.0
    collect_quantity: float = 0.0
    collect_weight_kg: float = 0.0
    collect_volume_m3: float = 0.0
    earliest: str = ""
    latest: str = ""
    service: str = ""
    origin_earliest: str = ""
    origin_latest: str = ""
    origin_service: str = ""
    release: str = ""
    value: float | None = None  # lost where it is left out; empty: it must be served
    vehicles: str = ""  # that may serve it, divided by spaces; empty: every one


class VehicleRow(msgspec.Struct, frozen=True, kw_only=True):
    """vehicles.csv. Empty capacities and limits: without."""

    name: str
    start: str
    title: str = ""
    count: float = 1.0  # so many alike, called name-1, name-2 …
    end: str = ""  # empty: where it starts
    quantity: float | None = None
    weight_kg: float | None = None
    volume_m3: float | None = None
    fixed: float = 0.0
    per_km: float = 0.0
    per_hour: float = 0.0
    shift_start: str = ""
    shift_end: str = ""
    max_hours: float | None = None
    max_km: float | None = None
    reload: str = ""  # depots where it may load again, divided by spaces
    trips: float = 1.0
    speed_kmh: float | None = None
    kg_co2_per_km: float | None = None
    kg_co2_per_tkm: float | None = None


class DistanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """distances.csv: one way each."""

    origin: str
    destination: str
    km: float
    minutes: float | None = None


class AisleRow(msgspec.Struct, frozen=True, kw_only=True):
    """aisles.csv: the ways inside a plant, between places and junctions."""

    a: str
    b: str
    metres: float
    one_way: bool = False


class SettingRow(msgspec.Struct, frozen=True, kw_only=True):
    """settings.csv; see `Settings`."""

    name: str
    value: str


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What settings.csv may say: names and values."""

    name: str = ""
    start: str = ""  # ISO 8601 of tick 0; "08:30" elsewhere is on this day
    detour: float = 1.0  # the way along roads is so much longer than the straight line
    speed_kmh: float = 40.0
    currency: str = ""
