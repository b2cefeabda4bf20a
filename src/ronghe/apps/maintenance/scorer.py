"""Scores rows as they come: moving windows, the index, every property's contribution, and missing values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.maintenance.normal import Normal

Floats = NDArray[np.float64]

_LARGEST = 1e300  # a scale beyond, or its inverse, is none
_FARTHEST = 1e6  # standard deviations: nonsense from a device must not overflow
SPIKE = 20.0  # standard deviations of single rows: beyond, one row alone is a spike, not the process


class Scorer:
    """One row in, one score out: 1.0 is the limit. A row costs one product with Φ; nothing is fitted.

    After `step`: `level` float64[k] is each property's contribution over the limit, signed like its deviation; `unrest` float64[k] its
    fluctuation over the limit, 0 until it has stood for two windows: a level on its way passes through the window faster than that, and
    is not unrest. `ready` says whether the window is full.
    """

    def __init__(self, normal: Normal) -> None:
        self.normal = normal
        k, self._w = len(normal.center), normal.window
        self._need = max(1, self._w // 2)  # good values in a window, else the property counts as missing
        self._ring = np.zeros((self._w, k))  # deviations of the rows in the window, 0 where there is no value
        self._good = np.zeros((self._w, k), bool)
        self._sum, self._squares = np.zeros(k), np.zeros(k)
        self._count = np.zeros(k, np.int64)
        self._far = np.zeros(k, bool)
        self._restless = np.zeros(k, np.int64)  # rows for which the unrest has been over its limit
        self._at = self._rows = 0
        self.level, self.unrest = np.zeros(k), np.zeros(k)
        self._d, self._variance = np.zeros(k), np.zeros(k)
        # Half a difference of any two numbers is a number; clipped before it is scaled, nothing overflows whatever a device sends.
        self._half_center = 0.5 * normal.center
        self._half_reach = 0.5 * _FARTHEST * np.minimum(normal.scale, _LARGEST)
        self._twice_inverse = np.divide(2.0, normal.scale, out=np.zeros(k), where=normal.scale > 1 / _LARGEST)
        self._half = np.zeros(k)
        self._unrest_norm = 1 / (normal.unrest_scale * normal.limit)
        self._judges = normal.judged
        self._judged = int(normal.judged.sum())
        self.phi = normal.precision()
        self._diagonal = self.phi.diagonal()
        self._norm = self._norms(self._diagonal)
        self._missing: NDArray[np.intp] = np.empty(0, np.intp)
        self._fill: Floats = np.empty((0, 0))
        self._missing_key = b""
        self._missing_norm = self._norm

    def _norms(self, diagonal: Floats) -> Floats:
        """What turns (Φd)_i into √RBC_i over the limit."""
        usable = diagonal > 0
        return np.divide(1 / self.normal.limit, np.sqrt(np.where(usable, diagonal, 1.0)), out=np.zeros(len(diagonal)), where=usable)

    @property
    def ready(self) -> bool:
        """A whole window was seen, and at least half of the properties that can be judged have a value in it."""
        return self._rows >= self._w and 2 * len(self._missing) <= self._judged

    @property
    def mean(self) -> Floats:
        """Mean of each property over the window, in its unit."""
        out: Floats = self.normal.center + self.normal.scale * self._d
        return out

    @property
    def spread(self) -> Floats:
        """Standard deviation of each property within the window, in its unit."""
        out: Floats = self.normal.scale * np.sqrt(self._variance)
        return out

    @property
    def usual_spread(self) -> Floats:
        """Standard deviation within a window in normal operation, in its unit."""
        normal = self.normal
        out: Floats = normal.scale * np.sqrt(np.maximum(np.exp(2 * normal.unrest) - normal.quiet, 0.0))
        return out

    def reset(self) -> None:
        """Forgets the window: what came before does not belong to what comes now."""
        for array in (self._ring, self._good, self._sum, self._squares, self._count, self._far, self._restless):
            array[:] = 0
        self._at = self._rows = 0

    def step(self, row: Floats) -> float:
        """Takes a row float64[k], NaN where there is no good value; gives the score, NaN while not `ready`."""
        self._push(row)
        if self._rows < self._w:
            return math.nan
        count = np.maximum(self._count, 1)
        d, variance = self._d, self._variance
        np.divide(self._sum, count, out=d)
        np.divide(self._squares, count, out=variance)
        variance -= d * d
        np.maximum(variance, 0.0, out=variance)
        self._judge_unrest()
        lost = self._count < self._need
        lost &= self._judges
        norm = self._norm
        if lost.any():
            norm = self._reconstruct(lost)
            self.unrest[self._missing] = 0.0
        elif len(self._missing):
            self._missing, self._missing_key = self._missing[:0], b""
        np.multiply(self.phi.times(d), norm, out=self.level)
        return max(float(np.abs(self.level).max()), float(self.unrest.max())) if self.ready else math.nan

    def _judge_unrest(self) -> None:
        np.multiply(0.5 * np.log(self._variance + self.normal.quiet) - self.normal.unrest, self._unrest_norm, out=self.unrest)
        self._restless += 1
        self._restless[self.unrest < 1.0] = 0
        self.unrest[self._restless <= 2 * self._w] = 0.0

    def _push(self, row: Floats) -> None:
        ring, at = self._ring, self._at
        slot = ring[at]
        self._sum -= slot
        self._squares -= slot * slot
        self._count -= self._good[at]
        good = np.isfinite(row)
        slot[:] = 0.0
        np.multiply(row, 0.5, out=self._half)
        np.subtract(self._half, self._half_center, out=slot, where=good)
        np.clip(slot, -self._half_reach, self._half_reach, out=slot)
        slot *= self._twice_inverse
        far = np.abs(slot) > SPIKE
        good &= ~far | self._far  # one row far away counts when the next one confirms it
        self._far = far
        slot[~good] = 0.0
        self._good[at] = good
        self._count += good
        self._at = (at + 1) % self._w
        self._rows += 1
        if self._at == 0:  # the running sums' rounding does not grow with time
            np.sum(ring, 0, out=self._sum)
            np.einsum("ij,ij->j", ring, ring, out=self._squares)
        else:
            self._sum += slot
            self._squares += slot * slot

    def _reconstruct(self, lost: NDArray[np.bool_]) -> Floats:
        """Puts in place of missing deviations those that make the index least; gives the norms for what is left."""
        key = lost.tobytes()
        if key != self._missing_key:
            m = np.flatnonzero(lost)
            rows = self.phi.rows(m)
            self._fill = np.asarray(np.linalg.solve(rows[:, m], rows), np.float64)
            diagonal = self._diagonal - np.einsum("ij,ij->j", rows, self._fill)
            diagonal[m] = 0.0
            self._missing, self._missing_key, self._missing_norm = m, key, self._norms(diagonal)
        self._d[self._missing] = 0.0
        self._d[self._missing] = -(self._fill @ self._d)
        return self._missing_norm

    def trace(self, lead: int, most: int) -> tuple[list[int], Floats, Floats]:
        """(properties that together explain the deviation, `lead` first, `most` at most; what normal operation would have shown for
        them given all others; the part of the index that each takes away, 0..1).

        One after another the property that explains most of what is left is taken for faulty and reconstructed, jointly with those
        before it, until nothing left is over the limit (Dunia & Qin 1998; Yue & Qin 2001). So no property is named that only smears.
        """
        normal, phi, diagonal = self.normal, self.phi, self._diagonal
        y = phi.times(self._d)
        index = max(float(self._d @ y), 1e-300)
        found, drops = [lead], [float(y[lead] ** 2 / diagonal[lead])]
        while True:
            f = np.array(found)
            rows = phi.rows(f)
            fill = np.linalg.solve(rows[:, f], rows)
            d = self._d.copy()
            d[f] = 0.0
            d[f] = -(fill @ d)
            left = diagonal - np.einsum("ij,ij->j", rows, fill)
            left[f] = 0.0
            size = np.abs(phi.times(d)) * self._norms(left)
            worst = int(size.argmax())
            if size[worst] <= 1.0 or len(found) == most:
                return found, normal.center[f] + normal.scale[f] * d[f], np.array(drops) / index
            found.append(worst)
            drops.append(float((size[worst] * normal.limit) ** 2))
