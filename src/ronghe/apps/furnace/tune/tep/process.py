"""The process and its controller, one row at a time: what is measured, and, for the judge alone, what is true."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from tep_studio.control.registry import RICKER_MODE1
from tep_studio.simulation.native import NativeTEPKernel, ffi, lib
from tep_studio.simulation.schema import TEP_SCHEMA

from ronghe.apps.furnace.tune.tep import loop
from ronghe.apps.furnace.tune.tep.loop import Floats

STEP: Final = 0.0005  # h: Ricker's base sample, and the step of the integration
FLAGS: Final = 0x4 | 0x8 | 0x20 | 0x40
"""Monitors; noise and disturbances from random numbers of their own, disturbances renewed at their own times (Bathelt et al. 2015): how
often the process is looked at does not change what disturbs it."""
_NOISELESS: Final = 0x10
_SEED: Final = 1431655765  # Downs and Vogel's

_LOOPS: Final = ("production", "reactor_level", "reactor_pressure", "reactor_temperature", "separator_level")
_LOOPS_2: Final = ("separator_temperature", "stripper_level")


@dataclass(frozen=True, slots=True)
class Row:
    """A stretch of operation. `measured` float64[41] are means with noise; all else is without noise and not for a tuner to see."""

    time: float  # h, at its end
    measured: Floats
    cost: float  # $/h, mean
    least: Floats  # [6] pressure kPa, levels of reactor, separator and stripper %, production m3/h, %G
    greatest: Floats
    outside: Floats  # [6] minutes outside its band
    shutdown: int  # code; 0: it runs


class Process:
    """One plant that runs on, from Downs and Vogel's base case. `bands` float64[6, 2]: limits that the judge counts by, as `Row`."""

    def __init__(self, seed: int, bands: Floats, *, flags: int = FLAGS) -> None:
        self._handles = [lib.tep_create() for _ in range(2)]
        self._numbers = _numbers(self._handles)
        self.x = NativeTEPKernel().reset()
        self.idv = np.zeros(loop.DISTURBANCES)
        self.valves = self.x[38:].copy()
        start = ffi.from_buffer("double[]", self.x)
        for handle, bits in zip(self._handles, (flags, flags | _NOISELESS), strict=True):
            lib.tep_reset(handle, start, 1, float(_SEED - 2 * seed), 1, float(bits))
            lib.tep_set_inputs(handle, ffi.from_buffer("double[]", self.valves), ffi.from_buffer("double[]", self.idv))
        self._seen, self._true = (loop.Outputs(*(np.zeros(n) for n in (41, 32, 21, 62, 96))) for _ in range(2))
        self._slope = np.zeros(loop.STATES)
        self._bands = bands
        self.time = 0.0
        loop.look(loop.NATIVE.outputs, self._numbers[0], 0.0, self.x, self._seen)
        self.measured = self._seen.measured  # float64[41], the latest
        self._wiring, self._gains, self._memory = _controller(self.measured)
        self.set_points = start_set_points(self.measured)

    def copy(self) -> Process:
        """The same plant at the same time, to go another way from here."""
        twin = copy.copy(self)
        twin._handles = [_copied(h) for h in self._handles]
        twin._numbers = _numbers(twin._handles)
        twin._seen, twin._true = (loop.Outputs(*(a.copy() for a in o)) for o in (self._seen, self._true))
        twin.measured = twin._seen.measured
        for name in ("x", "idv", "valves", "_slope", "_gains", "_memory", "set_points"):
            setattr(twin, name, getattr(self, name).copy())
        return twin

    def close(self) -> None:
        """Gives the C memory back."""
        for handle in self._handles:
            lib.tep_destroy(handle)
        self._handles.clear()

    def run(self, steps: int) -> Row:
        """Goes on for `steps` of `STEP` hours with the present set-points and disturbances."""
        mean, facts = np.zeros(loop.MEASURED), np.zeros(2 + 3 * loop.WATCHED)
        self.time = loop.advance(
            loop.NATIVE,
            self._numbers,
            self._wiring,
            self._gains,
            self._memory,
            self.set_points,
            self.idv,
            self.x,
            self.valves,
            self._slope,
            self._seen,
            self._true,
            self.time,
            STEP,
            steps,
            self._bands,
            mean,
            facts,
        )
        watched = facts[2:].reshape(loop.WATCHED, 3)
        return Row(self.time, mean, facts[0], watched[:, 0], watched[:, 1], watched[:, 2] * steps * STEP * 60, int(facts[1]))


def _numbers(handles: list[Any]) -> NDArray[np.uint64]:
    return np.array([int(ffi.cast("uintptr_t", h)) for h in handles], np.uint64)


def _copied(handle: Any) -> Any:
    """A handle with the whole model of another in it."""
    new, size = lib.tep_create(), int(lib.tep_model_size())
    room = ffi.new(f"char[{size}]")
    lib.tep_get_model_bytes(handle, room)
    lib.tep_set_model_bytes(new, room)
    return new


def start_set_points(y: Floats) -> Floats:
    """Ricker's set-points that hold what is measured, in the order of `loop.SP_REACTOR` and following."""
    total = y[22] + y[24]
    static = [RICKER_MODE1.nominal.static_mv[n] for n in _STATIC]
    return np.array([y[7], y[6], y[8], y[11], y[14], y[16], 100 * y[22] / total, total, *static])


_STATIC: Final = ("compressor_recycle_valve", "stripper_steam_valve", "reactor_agitator_speed")


def _controller(y: Floats) -> tuple[loop.Wiring, Floats, Floats]:
    """Ricker's controller as arrays, from tep-studio's table of it, ready for a bumpless start at `y`. Overrides are on."""
    table, nominal = RICKER_MODE1, RICKER_MODE1.nominal
    own = [getattr(table, n) for n in (*_LOOPS, *_LOOPS_2)]
    gains = np.zeros((loop.LOOPS, 8))
    for i, spec in enumerate([*own, *table.feed_loops, table.ya, table.yac]):
        low, high = getattr(spec, "lo", -np.inf), getattr(spec, "hi", np.inf)
        gains[i] = spec.kc, spec.ti_hours, spec.ts_hours, low, high, spec.x0, 0.0, -spec.ts_hours
    measurement = {v.name: v.index for v in TEP_SCHEMA.measurements}
    valve = {v.name: v.index for v in TEP_SCHEMA.manipulated_variables}

    def places(names: list[str], of: dict[str, int]) -> NDArray[np.int64]:
        return np.array([of[n] for n in names], np.int64)

    over = {o.name: o for o in table.overrides}
    pressure, level = over["high_pressure_to_production"], over["high_level_to_recycle"]
    g = y[measurement["stripper_underflow_G_concentration"]]
    r2, r3 = float(np.polyval(nominal.p2_coeffs, g)), float(np.polyval(nominal.p3_coeffs, g))
    base = [nominal.fp_base, r2, r3, nominal.production_sp_rate_limit]
    base += [pressure.threshold, pressure.gain, level.threshold, level.gain]
    wiring = loop.Wiring(
        value=places([s.pv for s in (*own, *table.feed_loops)], measurement),
        valve=places([s.mv for s in table.feed_loops], valve),
        ratio=np.array([int(s.ratio_key[1:]) - 1 for s in table.feed_loops], np.int64),
        cooling=places([table.reactor_temperature.drives, table.separator_temperature.drives], valve),
        static=places(list(_STATIC), valve),
        base=np.array(base),
    )
    memory = np.array([nominal.ratios["r1"], nominal.ratios["r4"], y[measurement["stripper_underflow"]], 0.0])
    return wiring, gains, memory
