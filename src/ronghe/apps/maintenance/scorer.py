"""Scores rows as they come: moving windows, the index, every property's contribution, and missing values."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.maintenance.normal import Normal

Floats = NDArray[np.float64]


class Scorer:
    """One row in, one score out: 1.0 is the limit. A row costs one product with Φ; nothing is fitted.

    After `step`: `mean` float64[k] is the mean of each property over the window (NaN: too few good values), `z` float64[k] each
    property's contribution over the limit, signed like its deviation. `ready` says whether the window is full.
    """

    def __init__(self, normal: Normal) -> None:
        self.normal = normal
        k, self._w = len(normal.center), normal.window
        self._need = max(1, self._w // 2)  # good values in a window, else the property counts as missing
        self._ring = np.zeros((self._w, k))
        self._good = np.zeros((self._w, k), bool)
        self._sum = np.zeros(k)
        self._count = np.zeros(k, np.int64)
        self._at = self._rows = 0
        self.mean = np.full(k, np.nan)
        self.z = np.zeros(k)
        self._d = np.zeros(k)
        self._inverse_scale = np.divide(1.0, normal.scale, out=np.zeros(k), where=normal.scale > 0)
        self._idle = ~normal.judged
        self._norm = self._norms(normal.diagonal())
        self._unique, self._shared = normal.unique, np.asfortranarray(normal.shared)
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
        return self._rows >= self._w and 2 * len(self._missing) <= int((~self._idle).sum())

    def reset(self) -> None:
        """Forgets the window: what came before does not belong to what comes now."""
        self._ring[:] = 0.0
        self._good[:] = False
        self._sum[:] = 0.0
        self._count[:] = 0
        self._at = self._rows = 0

    def step(self, row: Floats) -> float:
        """Takes a row float64[k], NaN where there is no good value; gives the score, NaN while not `ready`."""
        self._push(row)
        if self._rows < self._w:
            return math.nan
        np.subtract(self.mean, self.normal.center, out=self._d)
        np.multiply(self._d, self._inverse_scale, out=self._d)
        lost = self._count < self._need
        lost[self._idle] = False
        norm = self._norm
        if lost.any():
            norm = self._reconstruct(lost)
        elif len(self._missing):
            self._missing, self._missing_key = self._missing[:0], b""
        self._d[self._idle] = 0.0
        y = self._unique * self._d
        y -= self._shared @ (self._d @ self._shared)
        np.multiply(y, norm, out=self.z)
        return float(np.abs(self.z).max()) if self.ready else math.nan

    def _push(self, row: Floats) -> None:
        good = np.isfinite(row)
        ring, at = self._ring, self._at
        self._sum -= ring[at]
        self._count -= self._good[at]
        np.copyto(ring[at], row)
        ring[at][~good] = 0.0
        self._good[at] = good
        self._at = (at + 1) % self._w
        self._rows += 1
        if self._at == 0:  # the running sum's rounding does not grow with time
            np.sum(ring, 0, out=self._sum)
        else:
            self._sum += ring[at]
        self._count += good
        with np.errstate(invalid="ignore", divide="ignore"):
            np.divide(self._sum, self._count, out=self.mean)

    def _reconstruct(self, lost: NDArray[np.bool_]) -> Floats:
        """Puts in place of missing deviations those that make the index least; gives the norms for what is left."""
        key = lost.tobytes()
        if key != self._missing_key:
            m = np.flatnonzero(lost)
            everything = np.arange(len(lost))
            rows = self.normal.block(m, everything)
            self._fill = np.asarray(np.linalg.solve(rows[:, m], rows), np.float64)
            diagonal = self.normal.diagonal() - np.einsum("ij,ij->j", rows, self._fill)
            diagonal[m] = 0.0
            self._missing, self._missing_key, self._missing_norm = m, key, self._norms(diagonal)
        self._d[self._missing] = 0.0
        self._d[self._idle] = 0.0
        self._d[self._missing] = -(self._fill @ self._d)
        return self._missing_norm

    def expected(self, faulty: NDArray[np.intp]) -> Floats:
        """What normal operation would have shown for some properties, given the others: joint reconstruction (Dunia & Qin 1998)."""
        rest = self._d.copy()
        rest[faulty] = 0.0
        pull = self.normal.times(rest)[faulty]
        usual = -np.linalg.solve(self.normal.block(faulty, faulty), pull)
        level: Floats = self.normal.center[faulty] + self.normal.scale[faulty] * usual
        return level
