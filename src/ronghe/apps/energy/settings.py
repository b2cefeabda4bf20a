"""The options of energy.optimise: what an `[apps.NAME]` table with `uses = "energy.optimise"` may hold."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Storage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A battery whose power can be set."""

    name: Annotated[str, Meta(min_length=1, pattern=r"^[\w-]+$", description="short name; signals and savings carry it")]
    set: Annotated[str, Meta(min_length=1, description="set-point, kW at the grid's side, above 0: charges")]
    soc: Annotated[str, Meta(min_length=1, description="state of charge, %")]
    measured: Annotated[str, Meta(description="its power as measured, kW, above 0: charges; empty: as set")] = ""
    capacity: Annotated[float, Meta(gt=0, description="kWh")]
    power: Annotated[float, Meta(gt=0, description="greatest power of either direction, kW")]
    efficiency: Annotated[float, Meta(gt=0, le=1, description="of a whole cycle; half of the loss on either way")] = 0.9
    low: Annotated[float, Meta(ge=0, lt=1, description="least state of charge that is planned, 0..1")] = 0.1
    high: Annotated[float, Meta(gt=0, le=1, description="greatest state of charge that is planned, 0..1")] = 0.9
    wear: Annotated[float, Meta(ge=0, description="what the ageing costs, per kWh discharged")] = 0.0

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} ≥ high {self.high:g}")


class Flexible(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that must take so much energy in a window of every day, at a power that can be set (an electric kiln, a charger)."""

    name: Annotated[str, Meta(min_length=1, pattern=r"^[\w-]+$", description="short name")]
    set: Annotated[str, Meta(min_length=1, description="set-point, kW")]
    energy: Annotated[float, Meta(gt=0, description="what it must have taken by the end of the window, kWh")]
    power: Annotated[float, Meta(gt=0, description="its greatest power, kW")]
    hours: Annotated[str, Meta(description="the window, in the tariff's timezone; may run over midnight")] = "0-24"


class Buffer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A store of something made with electricity: a compressed-air receiver, a hot-holding furnace. It leaks, and is drawn from."""

    name: Annotated[str, Meta(min_length=1, pattern=r"^[\w-]+$", description="short name")]
    set: Annotated[str, Meta(min_length=1, description="set-point, kW")]
    level: Annotated[str, Meta(min_length=1, description="how full it is, %")]
    capacity: Annotated[float, Meta(gt=0, description="electricity that fills it from 0 to 100 %, kWh")]
    power: Annotated[float, Meta(gt=0, description="greatest power, kW")]
    draw: Annotated[float, Meta(ge=0, description="what is drawn on average, in kW of electricity")] = 0.0
    leak: Annotated[float, Meta(ge=0, lt=1, description="share of the level that is lost in an hour")] = 0.0
    low: Annotated[float, Meta(ge=0, lt=1, description="least level, 0..1")] = 0.1
    high: Annotated[float, Meta(gt=0, le=1, description="greatest level, 0..1")] = 0.9

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"low {self.low:g} ≥ high {self.high:g}")


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of energy.optimise: storage, flexible machines and buffers at the economic optimum (docs/energy.md)."""

    grid: Annotated[str, Meta(min_length=1, description="active power at the meter, kW, above 0: bought")]
    pv: Annotated[str, Meta(description="what the PV gives, kW; empty: there is none")] = ""
    tariff: Annotated[str, Meta(min_length=1, description="the tariff, a file below the plant folder")] = "tariff.toml"
    every: Annotated[str, Meta(description="how often set-points are set, a divisor of 15min, or 15min")] = "15min"
    storage: Annotated[tuple[Storage, ...], Meta(description="batteries")] = ()
    flexible: Annotated[tuple[Flexible, ...], Meta(description="machines that must take energy within a window")] = ()
    buffers: Annotated[tuple[Buffer, ...], Meta(description="compressed air, hot holding")] = ()
    export: Annotated[float, Meta(ge=0, description="greatest power that may be fed in, kW")] = 0.0
    carbon: Annotated[float, Meta(ge=0, description="of the electricity bought, kg CO2e per kWh; 0: not known")] = 0.0
    carbon_price: Annotated[float, Meta(ge=0, description="what a kg CO2e costs, in the tariff's currency")] = 0.0
    accuracy: Annotated[float, Meta(gt=0, le=5, description="class of the meter, % (IEC 62053)")] = 1.0
    deadline: Annotated[float, Meta(gt=0, le=9, description="a plan that takes longer than this many s is not used")] = 5.0
