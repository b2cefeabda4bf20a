"""What lies between drivers and everything else: device values become values of the plant, and set-points become device values."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.driver import Item
from ronghe.plant import units
from ronghe.plant.model import Plant
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

AHEAD: Final = 60_000_000_000
"""How far, in ns, a device's clock may be ahead of ours before its times are not believed."""

_ROUNDING: Final = 1e-9  # of the width of a range: 1600 kPa is not above 16 bar because a factor was rounded


class Boundary:
    """Scale, unit, range and clock of every tag of a plant, in columns by tag id.

    value = (device value × scale + offset), then from the tag's unit to its property's. Tags that are not of the plant pass unchanged.
    """

    def __init__(self, plant: Plant, index: TagIndex) -> None:
        self._plant, self._index = plant, index
        self.corrected = 0
        """Samples whose time was not believed, see `inward`."""
        ids = index.ids(plant.tags)
        n = len(index)
        self._gain = np.ones(n)
        self._offset = np.zeros(n)
        self._low = np.full(n, -np.inf)
        self._high = np.full(n, np.inf)
        for i, tag in zip(ids.tolist(), plant.tags.values(), strict=True):
            prop = plant.dictionary[tag.property]
            gain, offset = units.factor(tag.unit, prop.unit) if tag.unit else (1.0, 0.0)
            self._gain[i] = tag.scale * gain
            self._offset[i] = tag.offset * gain + offset
            low = -np.inf if prop.low is None else prop.low
            high = np.inf if prop.high is None else prop.high
            slack = _ROUNDING * max((abs(x) for x in (low, high) if np.isfinite(x)), default=0.0)
            self._low[i], self._high[i] = low - slack, high + slack
        self._scaled = (self._gain != 1.0) | (self._offset != 0.0)
        self._ranged = np.isfinite(self._low) | np.isfinite(self._high)

    def inward(self, batch: Batch, now: int) -> Batch:
        """A driver's batch in the plant's units; columns that need no change are not copied.

        A Good value outside its property's low..high becomes UncertainEngineeringUnitsExceeded; NaN and other qualities pass. A source
        time more than `AHEAD` after `now` (ns), or not after 1970, is that of a wrong clock: left as it is it would end every window
        and hide every later value. Such samples are moved, spacing kept as far as `AHEAD` allows, so that the newest is at `now`,
        and counted in `corrected`.
        """
        tag = batch.tag
        if len(self._index) > len(self._gain):
            self._grow()
        changed: dict[str, NDArray[np.float64] | NDArray[np.uint32] | NDArray[np.int64]] = {}
        value = batch.value
        if self._scaled[tag].any():
            value = value * self._gain[tag] + self._offset[tag]
            changed["value"] = value
        if self._ranged[tag].any():
            beyond = ((value < self._low[tag]) | (value > self._high[tag])) & q.is_good(batch.quality)
            if beyond.any():
                changed["quality"] = np.where(beyond, np.uint32(q.UNCERTAIN_RANGE), batch.quality)
        if len(batch) and not (int(batch.time.min()) > 0 and int(batch.time.max()) <= now + AHEAD):
            ahead, none = batch.time > now + AHEAD, batch.time <= 0
            time = batch.time.copy()
            _moved(time, ahead, now)
            _moved(time, none, now)
            changed["time"] = time
            self.corrected += int(ahead.sum() + none.sum())
        return batch.with_(**changed) if changed else batch

    def outward(self, tag: str, value: float) -> float:
        """A value in the unit of the tag's property as the device wants it; whole for int and bool. Raises KeyError for an unknown tag."""
        i = self._index.find(tag)
        if tag not in self._plant.tags or i is None:
            raise KeyError(tag)
        device = (value - float(self._offset[i])) / float(self._gain[i])
        return float(round(device)) if self._plant.property_of(tag).type in ("int", "bool") and np.isfinite(device) else device

    def value(self, tag: str, device: float) -> float:
        """The inverse of `outward`: a device's value in the unit of the tag's property. Raises KeyError for an unknown tag."""
        i = self._index.find(tag)
        if tag not in self._plant.tags or i is None:
            raise KeyError(tag)
        return device * float(self._gain[i]) + float(self._offset[i])

    def items(self, connection: str) -> list[Item]:
        """What a connection's driver has to acquire, in the order of tags.csv; empty for an unknown connection."""
        return [
            Item(id=self._index.id(t.tag), address=t.address, every=t.every, type=self._plant.dictionary[t.property].type)
            for t in self._plant.tags.values()
            if t.connection == connection
        ]

    def _grow(self) -> None:
        """Room for tags that were added to the index since: they pass unchanged."""
        more = len(self._index) - len(self._gain)
        self._gain = np.concatenate([self._gain, np.ones(more)])
        self._offset = np.concatenate([self._offset, np.zeros(more)])
        self._low = np.concatenate([self._low, np.full(more, -np.inf)])
        self._high = np.concatenate([self._high, np.full(more, np.inf)])
        self._scaled = np.concatenate([self._scaled, np.zeros(more, np.bool_)])
        self._ranged = np.concatenate([self._ranged, np.zeros(more, np.bool_)])


def _moved(time: NDArray[np.int64], wrong: NDArray[np.bool_], now: int) -> None:
    """Moves the wrong times in place so that their newest is at `now`; none further back than `AHEAD`."""
    if wrong.any():
        newest = int(time[wrong].max())
        oldest = max(newest - AHEAD, -(2**63))
        time[wrong] = now - (newest - np.maximum(time[wrong], oldest))
