"""The options of energy.account: what an `[apps.NAME]` table with `uses = "energy.account"` may hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ronghe.text import Text

_NAME = r"^[\w-]+$"


class MeterSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One meter: of electricity, gas, heat, whatever is bought or burnt."""

    name: Annotated[str, Meta(pattern=_NAME, description="short name, unique among meters and drivers")]
    title: Annotated[Text, Meta(description="what people call it; empty: its name")] = Text("")
    tag: Annotated[str, Meta(min_length=1, description="its tag, below the equipment or from the root")]
    kind: Annotated[Literal["power", "counter"], Meta(description="power (kW, m3/h): integrated; counter (kWh, m3): differences")] = "power"
    factor: Annotated[str, Meta(description="emission factor of what it measures; grid: bought electricity; empty: not counted")] = ""
    rollover: Annotated[float, Meta(ge=0, description="the counter begins anew at this; 0: it never does")] = 0.0
    highest: Annotated[float, Meta(ge=0, description="largest real power, in kW or units per hour; a faster counter was exchanged")] = 0.0
    accuracy: Annotated[float, Meta(ge=0, le=20, description="class of the meter, % (IEC 62053)")] = 1.0


class DriverSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One relevant variable (ISO 50006): production, outdoor temperature …"""

    name: Annotated[str, Meta(pattern=_NAME, description="short name, unique among meters and drivers")]
    title: Annotated[Text, Meta(description="what people call it; empty: its name")] = Text("")
    tag: Annotated[str, Meta(min_length=1, description="its tag")]
    kind: Annotated[
        Literal["counter", "rate", "mean", "temperature"],
        Meta(description="counter: pieces, differences; rate: per hour, integrated; mean: averaged; temperature: averaged, change points"),
    ] = "mean"
    rollover: Annotated[float, Meta(ge=0, description="the counter begins anew at this; 0: it never does")] = 0.0


class IndicatorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One energy performance indicator: meters against what drives them."""

    name: Annotated[str, Meta(pattern=_NAME, description="short name; signals carry it")]
    title: Annotated[Text, Meta(description="what people call it; empty: its name")] = Text("")
    meters: Annotated[tuple[str, ...], Meta(min_length=1, description="meters that are added, all of an energy")]
    drivers: Annotated[tuple[str, ...], Meta(description="what explains it; at most one temperature")] = ()
    weekday: Annotated[bool, Meta(description="the day of the week matters")] = False
    hour: Annotated[bool, Meta(description="the hour of the day matters")] = False
    target: Annotated[float | None, Meta(description="part of the baseline that is to be saved, 0..1")] = None


class ProductSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One product whose carbon footprint is kept (ISO 14067, partial: gate to gate with purchased material)."""

    name: Annotated[str, Meta(pattern=_NAME, description="short name")]
    title: Annotated[Text, Meta(description="what people call it; empty: its name")] = Text("")
    quantity: Annotated[str, Meta(description="the driver that counts it")]
    unit: Annotated[str, Meta(description="declared unit, as people call it, e.g. t")] = "1"
    weight: Annotated[float, Meta(gt=0, description="how much of a shared meter one unit takes, against the other products")] = 1.0
    meters: Annotated[tuple[str, ...], Meta(description="meters of its own; the others are shared")] = ()
    materials: Annotated[dict[str, float], Meta(description="emission factor → purchased amount per unit")] = {}


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of energy.account: energy, indicators and carbon, period by period (docs/energy-books.md)."""

    meters: Annotated[tuple[MeterSpec, ...], Meta(description="what is measured")] = ()
    drivers: Annotated[tuple[DriverSpec, ...], Meta(description="what explains it")] = ()
    indicators: Annotated[tuple[IndicatorSpec, ...], Meta(description="energy performance indicators")] = ()
    products: Annotated[tuple[ProductSpec, ...], Meta(description="products with a footprint")] = ()
    factors: Annotated[str, Meta(description="emission factors, a file below the plant folder; empty: the starter that comes along")] = ""
    every: Annotated[str, Meta(description="how often meters are read")] = "1min"
    period: Annotated[str, Meta(description="1d, month, or what divides a day: 1h, 15min")] = "1d"
    zone: Annotated[str, Meta(description="time zone of days and weekdays")] = "Asia/Shanghai"
    baseline: Annotated[
        str, Meta(description="28d: the first so long; or a span of days, 2026-01-01..2026-04-01; changed by people in the console")
    ] = "28d"
    good: Annotated[float, Meta(gt=0, le=1, description="least part of a period that must have been measured for it to count")] = 0.95
    hold: Annotated[int, Meta(ge=1, le=400, description="periods judged together before an indicator is said to have left its band")] = 7
    false_alarm: Annotated[float, Meta(ge=10, description="one period in so many may be said so by chance")] = 365.0
