"""What a plant folder says, as types. The parser, the JSON Schema and the reference page all come from these."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from ronghe.errors import RongheError
from ronghe.signals.when import parse_duration, parse_time
from ronghe.text import Text

ValueType = Literal["float", "int", "bool", "text", "image"]
Mode = Literal["advise", "approve", "auto"]


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One line of dictionary.csv: what a value means, wherever it comes from (after IEC 61360)."""

    property: Annotated[str, Meta(description="short name, unique in the dictionary, e.g. oil_temperature")]
    irdi: Annotated[str, Meta(description="international identifier where one exists, e.g. 0173-1#02-AAR550#003")] = ""
    name_en: Annotated[str, Meta(description="what people call it, in English; empty: its short name")] = ""
    name_zh: Annotated[str, Meta(description="and in Chinese")] = ""
    unit: Annotated[str, Meta(description="UCUM code, e.g. Cel, bar, kW, 1/min, %; empty: a number without unit")] = ""
    type: Annotated[
        ValueType, Meta(description="a bool is 0 or 1; a text has neither unit nor range; an image's value is the number of its picture")
    ] = "float"
    low: Annotated[float | None, Meta(description="smallest value that can be real; below it a sample is Uncertain")] = None
    high: Annotated[float | None, Meta(description="largest value that can be real; above it a sample is Uncertain")] = None

    def name(self) -> Text:
        """Its name in both languages; the short name where none is given."""
        return Text(self.name_en or self.property, self.name_zh)


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """One line of tags.csv: a place in the plant that has a value, and where to get it."""

    tag: Annotated[str, Meta(description="path below the plant: line/equipment/name, e.g. line1/pump1/pressure")]
    property: Annotated[str, Meta(description="what it means: a property of dictionary.csv")]
    connection: Annotated[str, Meta(description="which connection of plant.toml; empty: computed or entered, not read from a device")] = ""
    address: Annotated[str, Meta(description="where in the device, in the protocol's own notation")] = ""
    every: Annotated[float, Meta(gt=0, description="sampling interval: 100ms, 1s, 5min")] = 1.0  # s
    unit: Annotated[str, Meta(description="UCUM unit the device speaks; empty: the property's own unit")] = ""
    scale: Annotated[float, Meta(description="device value × scale + offset, before any unit conversion")] = 1.0
    offset: Annotated[float, Meta(description="see scale; in the unit of this tag")] = 0.0
    writable: Annotated[bool, Meta(description="a set-point; it is written only where a guard permits it")] = False

    def equipment(self) -> str:
        """The path of the equipment it belongs to: all but the last part; empty for a tag of the plant itself."""
        return self.tag.rpartition("/")[0]


class Equipment(msgspec.Struct, frozen=True, kw_only=True):
    """An `[equipment."PATH"]` table: what people call an equipment, a part of one, or a line; without one, by the last part of its path."""

    name: Annotated[Text, Meta(description="what people call it, in one language or in both")]


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A `[connections.NAME]` table: one device, its driver, and the driver's own options."""

    name: str
    driver: Annotated[str, Meta(description="opcua, modbus, file, or any installed driver")]
    options: Annotated[Any, Meta(description="an instance of the driver's own Options type")] = None

    def __repr__(self) -> str:
        """Without options: they hold what was taken from the environment because it must not be seen."""
        return f"Connection(name={self.name!r}, driver={self.driver!r})"


class Lapse(msgspec.Struct, frozen=True, kw_only=True):
    """Time-lapse: the app's plant is a simulator, or a recording that is played, whose time runs faster than ours."""

    pace: Annotated[int, Meta(ge=1, description="s of the plant's time in one of ours; everything in the app's table is in the plant's")]
    at: Annotated[str, Meta(description="when, by our clock, …, e.g. 2026-03-01T08:00:00Z")]
    shows: Annotated[str, Meta(description="… the plant's shows this")]

    def __post_init__(self) -> None:
        for time in (self.at, self.shows):
            parse_time(time, 0)


class Placing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the models of an app may run: each of their runs is answered within the deadline, at the cheapest site that can."""

    deadline: Annotated[str, Meta(description="the longest that one run of its model may take, e.g. 50ms")]
    sites: Annotated[
        tuple[str, ...] | None,
        Meta(description="the [sites.NAME] it may use besides this node; else all; of an app for safety, those of kind device or edge"),
    ] = None

    def __post_init__(self) -> None:
        if parse_duration(self.deadline) <= 0:
            raise RongheError(Text("the deadline must be longer than nothing", "时限必须大于零"))


class SiteSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A `[sites.NAME]` table: a computer on which models may run, by the Open Inference Protocol v2; without a `url`, this node itself."""

    kind: Annotated[Literal["device", "edge", "workshop", "centre"], Meta(description="how near it is to the machine")]
    url: Annotated[str, Meta(description="http(s)://host:port of its endpoint; empty: this node")] = ""
    title: Annotated[Text | None, Meta(description="what people call it; else its name")] = None
    cost: Annotated[
        float, Meta(ge=0, description="of one second of computing there, in one unit for all sites: money, or W, and costs are in J")
    ] = 1.0
    call: Annotated[float, Meta(ge=0, description="of each call, in the same unit")] = 0.0
    api_key: Annotated[str, Meta(description="its key, from the environment; empty: none is asked for")] = ""
    ca: Annotated[Path | None, Meta(description="PEM file of who signed its certificate; else those that the system trusts")] = None

    def __repr__(self) -> str:
        """Without the key, which must not be seen."""
        return f"SiteSpec(kind={self.kind!r}, url={self.url!r})"


class AppSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An `[apps.NAME]` table: one app at work on one equipment."""

    name: str
    uses: Annotated[str, Meta(description="which app, e.g. maintenance.detect")]
    equipment: Annotated[str, Meta(description="path of the equipment; its tags are the app's input")] = ""
    lapse: Annotated[Lapse | None, Meta(description="time-lapse, for simulators and recordings; none: the app lives in our time")] = None
    place: Annotated[Placing | None, Meta(description="where its models may run; none: here, and no deadline is watched")] = None
    options: Annotated[Any, Meta(description="an instance of the app's own Options type")] = None


class TwinSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A `[twins.NAME]` table: a model of a part of the plant, on which set-points are tried before the plant feels them.

    A model is code, and is run."""

    name: str
    uses: Annotated[str, Meta(description="which kind: fmu, python, replay, or any installed")]
    options: Annotated[Any, Meta(description="an instance of the twin's own Options type")] = None


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """How a guard's actions are valued: a measured tag against a stated baseline, never the promise."""

    tag: Annotated[str, Meta(description="the tag in which the worth is measured, or a signal of an app: apps/APP/SIGNAL")]
    better: Annotated[Literal["lower", "higher"], Meta(description="which change is worth something")] = "lower"
    before: Annotated[str, Meta(description="baseline: this long just before the action, e.g. 10min")] = "10min"
    settle: Annotated[str, Meta(description="left out after the action, while the process moves, e.g. 2min")] = "0s"
    after: Annotated[str, Meta(description="measured: this long after settling, e.g. 10min")] = "10min"
    cycle: Annotated[
        str, Meta(description="length of a load cycle, e.g. 1min: whole cycles are compared, each one observation; empty: no cycle")
    ] = ""
    price: Annotated[float, Meta(description="money per unit of the tag and hour (0: worth is given in the tag's own unit only)")] = 0.0
    currency: Annotated[str, Meta(description="of the price, ISO 4217")] = "CNY"


class GuardSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A `[guards."TAG"]` table: under what conditions this set-point may be written. Without one, a tag is never written."""

    tag: Annotated[str, Meta(description="the set-point that it guards")]
    mode: Annotated[Mode, Meta(description="advise: show only; approve: a person decides; auto: written when all checks pass")] = "advise"
    envelope: Annotated[str, Meta(description='allowed range with unit, e.g. "600..1450 1/min"')]
    rate: Annotated[str, Meta(description='largest change in a time, e.g. "50 1/min per 1 min"; empty: no limit')] = ""
    interlock: Annotated[str, Meta(description='must be true to write, e.g. "line1/tank/level > 20 % and not line1/pump1/trip"')] = ""
    watch: Annotated[
        str, Meta(description='expected effect, else it is rolled back, e.g. "line1/pump1/temperature falls within 10 min"')
    ] = ""
    fresh: Annotated[str, Meta(description="the set-point and every tag of the interlock must be Good and at most this old")] = "10s"
    approvals: Annotated[int, Meta(ge=1, le=2, description="how many different people must approve, in mode approve")] = 1
    hold: Annotated[str, Meta(description="after a write, no other write to this tag for this long")] = "0s"
    twin: Annotated[str, Meta(description="a [twins.NAME] on which each value is tried before it is written; empty: none")] = ""
    trial: Annotated[str, Meta(description="how long it is tried, in the plant's time, e.g. 10min")] = "10min"
    keeps: Annotated[
        str, Meta(description='must hold at every step of the trial, e.g. "line1/f1/temperature < 1250 Cel"; with a twin, required')
    ] = ""
    worth: Annotated[Worth | None, Meta(description="how what its actions were worth is measured; none: it is not")] = None


class HistorianSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The `[historian]` table: the store of everything measured."""

    keep: Annotated[str, Meta(description="how long samples are kept, e.g. 400d, at least 1h; empty: for ever")] = ""


class CentreSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The `[centre]` table: what this node sends to the centre that it has joined (`ronghe join`); without one, it counts for nothing."""

    send: Annotated[
        tuple[str, ...],
        Meta(description='which tags, by path or pattern: "line1/pump1" and all below it, "*/temperature", "apps/*"; empty: all of them'),
    ] = ()
    bandwidth: Annotated[str, Meta(description='the most that it may use of the line, e.g. "2 Mbit/s"; empty: no limit')] = ""
    most: Annotated[
        str, Meta(description='disk for what waits to be sent, e.g. "20 GB"; when it is full, the oldest goes first, and an alarm says so')
    ] = "20 GB"

    def sends(self, tag: str) -> bool:
        """Whether the samples of a tag go to the centre."""
        return not self.send or any(takes(pattern, tag) for pattern in self.send)


def takes(pattern: str, tag: str) -> bool:
    """Whether a path, or a pattern in which `*` is any text, is of this tag or of an equipment that it belongs to."""
    return fnmatchcase(tag, pattern) or fnmatchcase(tag, pattern.rstrip("/") + "/*")


class Plant(msgspec.Struct, frozen=True, kw_only=True):
    """The whole plant folder, checked: every reference between its parts holds."""

    path: Annotated[str, Meta(description="enterprise/site/area (ISA-95)")]
    name: Text
    folder: str = ""
    dictionary: dict[str, Property] = field(default_factory=dict)
    tags: dict[str, Tag] = field(default_factory=dict)
    connections: dict[str, Connection] = field(default_factory=dict)
    apps: dict[str, AppSpec] = field(default_factory=dict)
    sites: dict[str, SiteSpec] = field(default_factory=dict)
    twins: dict[str, TwinSpec] = field(default_factory=dict)
    guards: dict[str, GuardSpec] = field(default_factory=dict)
    equipment: dict[str, Equipment] = field(default_factory=dict)
    historian: HistorianSpec = HistorianSpec()
    centre: CentreSpec = CentreSpec()

    def property_of(self, tag: str) -> Property:
        """The dictionary entry of a tag. Raises KeyError for an unknown tag."""
        return self.dictionary[self.tags[tag].property]

    def unit_of(self, tag: str) -> str:
        """The unit in which everything inside Ronghe speaks of this tag: its property's. Raises KeyError for an unknown tag."""
        return self.property_of(tag).unit

    def equipment_name(self, path: str) -> Text:
        """What people call an equipment; the last part of its path where plant.toml does not say, the plant's name for an empty path."""
        if path in self.equipment:
            return self.equipment[path].name
        return Text(path.rpartition("/")[2]) if path else self.name

    def tags_under(self, path: str) -> list[Tag]:
        """The tags at or below an equipment path, in the order of tags.csv; all of them for an empty path."""
        return [t for t in self.tags.values() if not path or t.tag == path or t.tag.startswith(path + "/")]
