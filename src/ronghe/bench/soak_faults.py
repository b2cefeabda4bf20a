"""What goes wrong in the autonomy soak, and when: sensors, devices, the tariff, the optimiser, the node itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ronghe.signals import quality as q

Kind = Literal["silent", "bad", "frozen", "refuses", "unsure", "solver", "app", "tariff", "killed", "dark"]
"""No sample comes; samples come without a value, Bad; the last value comes again and again, Good; the device refuses writes; it takes
them, and its answer is lost; every run of the solver raises; the app's thread raises SystemExit at every window; the tariff's file is gone;
the node is killed in the middle of a write and started again; it is killed, and started at the end."""

METER, SOC, POWER = "energy/meter/active_power", "energy/battery/soc", "energy/battery/power"
PV, BATTERY, FURNACE = "energy/pv/power", "energy/battery/", "furnace/reheating/"
BILLET, OXYGEN, ROOF = FURNACE + "billet", FURNACE + "oxygen", FURNACE + "roof"


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` from `day` and `hour` (plant's time, from the soak's first midnight) for `hours`; tags that begin with one of `at`."""

    kind: Kind
    day: int
    hour: float
    hours: float
    at: tuple[str, ...] = ()

    @property
    def start(self) -> float:
        """s since the soak began."""
        return self.day * 86_400 + self.hour * 3600

    @property
    def end(self) -> float:
        """s since the soak began."""
        return self.start + self.hours * 3600

    def hits(self, tag: str) -> bool:
        """Whether a tag is among those that it is about."""
        return tag.startswith(self.at)


DAY = (
    Fault("bad", 0, 3, 1, (SOC,)),
    Fault("frozen", 0, 6, 2, (OXYGEN,)),
    Fault("silent", 0, 9, 1, (METER,)),
    Fault("killed", 0, 11, 0),
    Fault("solver", 0, 13, 2),
    Fault("refuses", 0, 17, 1, (BATTERY,)),
    Fault("dark", 0, 21, 1),
)
"""A day in which all of it happens."""

WEEK = (
    Fault("silent", 0, 9, 2, (METER,)),
    Fault("bad", 0, 14, 3, (SOC,)),
    Fault("frozen", 0, 20, 3, (BILLET,)),
    Fault("frozen", 1, 8, 4, (SOC,)),
    Fault("refuses", 1, 17, 2, (BATTERY,)),
    Fault("bad", 1, 2, 3, (OXYGEN,)),
    Fault("killed", 3, 8, 0),
    Fault("solver", 2, 10, 6),
    Fault("silent", 2, 20, 2, (FURNACE,)),
    Fault("tariff", 3, 6, 8),
    Fault("frozen", 3, 18, 5, (METER,)),
    Fault("dark", 4, 3, 2),
    Fault("app", 4, 9, 3),
    Fault("unsure", 4, 17, 2, (BATTERY, FURNACE)),
    Fault("bad", 5, 8, 6, (PV,)),
    Fault("refuses", 5, 10, 4, (FURNACE,)),
    Fault("silent", 5, 18, 2, (BATTERY,)),
    Fault("frozen", 6, 4, 6, (ROOF,)),
    Fault("killed", 6, 18, 0),
)
"""A week that nobody wishes for."""


@dataclass
class Line:
    """Samples as they come through the faults: frozen ones are what they were."""

    _last: dict[str, float] = field(default_factory=dict)

    def samples(self, values: Mapping[str, float], faults: Collection[Fault]) -> list[tuple[str, float | None, int]]:
        """(tag, value, StatusCode) of what comes; nothing of what is silent."""
        found: list[tuple[str, float | None, int]] = []
        for tag, value in values.items():
            kinds = {f.kind for f in faults if f.hits(tag)}
            if "frozen" not in kinds:
                self._last[tag] = value
            if "bad" in kinds:
                found.append((tag, None, q.BAD_SENSOR_FAILURE))
            elif "silent" not in kinds:
                found.append((tag, self._last[tag], q.GOOD))
        return found


def answer(tag: str, faults: Iterable[Fault]) -> tuple[bool, int]:
    """Whether the device takes a write, and what its master hears."""
    kinds = {f.kind for f in faults if f.hits(tag)}
    if "refuses" in kinds:
        return False, q.BAD_DEVICE_FAILURE
    if "silent" in kinds:
        return False, q.BAD_NO_COMMUNICATION
    return True, q.BAD_TIMEOUT if "unsure" in kinds else q.GOOD
