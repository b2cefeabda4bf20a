"""The compiled part of the closed loop: the process's own C functions, integrated, with Ricker's equations between two samples.

The equations, their order and the samples are those of `tep_studio.control.controller.RickerMultiLoopController` (after Ricker, Journal of
Process Control 6(4), 1996), and a test holds both to the same numbers; its Python loop is some twenty times slower. The C functions (Downs
and Vogel's process as revised by Bathelt, Ricker and Jelali, IFAC-PapersOnLine 48(8), 2015) are called by address and make all the physics.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import MissingExtra
from ronghe.text import Text

try:
    from llvmlite import ir  # type: ignore[import-untyped]
    from numba import njit
    from numba.core import cgutils, types
    from numba.extending import intrinsic
    from tep_studio.simulation.native import ffi, lib
except ImportError as e:
    raise MissingExtra("tep", Text("the Tennessee Eastman process", "田纳西-伊斯曼过程仿真")) from e

Floats = NDArray[np.float64]

# Sizes, and indices of measurements (XMEAS, from 0), that the loop itself needs.
MEASURED, STATES, VALVES, DISTURBANCES = 41, 50, 12, 28
_PRESSURE, _REACTOR, _SEPARATOR, _STRIPPER, _PRODUCT, _FEED_A, _FEED_C = 6, 7, 11, 14, 16, 22, 24
_COST, _PRODUCT_G = 61, 94  # of the process monitors and of the concentration monitors: without noise or delay

# Rows of `gains`: Ricker's loops; the seven feeds follow a ratio.
PRODUCTION, REACTOR_LEVEL, PRESSURE, TEMPERATURE, SEPARATOR_LEVEL, SEPARATOR_TEMPERATURE, STRIPPER_LEVEL, FEEDS, YA, YAC, LOOPS = (
    *range(8),
    14,
    15,
    16,
)
KC, TI, TS, LOW, HIGH, OUTPUT, ERROR, LAST = range(8)  # columns: the first five are Ricker's, the others the loop's memory
R1, R4, RAMPED, RAMPED_AT = range(4)  # places of `memory`
(SP_REACTOR, SP_PRESSURE, SP_TEMPERATURE, SP_SEPARATOR, SP_STRIPPER, SP_PRODUCTION, SP_YA, SP_YAC, SP_STATIC) = range(9)
SET_POINTS: Final = 11  # those, and two more static valves: recycle, steam, agitator
BASE_FP, BASE_R2, BASE_R3, BASE_RATE, OVER_PRESSURE, OVER_PRESSURE_GAIN, OVER_LEVEL, OVER_LEVEL_GAIN, BASES = range(9)

WATCHED: Final = 6  # pressure, levels of reactor, separator and stripper, production, %G in the product
LOOK: Final = 10  # steps between two looks at the values without noise
_EPS: Final = 1e-9


def address(name: str) -> int:
    """Where a C function of the process is."""
    return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))


def _caller(result: Any, arguments: tuple[Any, ...]) -> Any:
    """A call from compiled code to a C function at an address; pointers are passed as numbers."""

    @intrinsic
    def call(_: Any, address: Any, given: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            kinds = [context.get_value_type(a) for a in arguments]
            function = ir.FunctionType(context.get_value_type(result), kinds).as_pointer()
            return builder.call(builder.inttoptr(values[0], function), cgutils.unpack_tuple(builder, values[1]))  # type: ignore[no-untyped-call]

        return result(types.uintp, types.Tuple(arguments)), generate  # type: ignore[no-untyped-call]

    return call


_P, _D, _I = types.uintp, types.float64, types.int32
_derive: Final = _caller(_I, (_P, _D, _P, _P))
_look: Final = _caller(_I, (_P, _D, _P, _P, _P, _P, _P, _P))
_put: Final = _caller(_I, (_P, _P, _P))  # of type void: what it leaves in the register is not used
_shutdown: Final = _caller(_D, (_P,))


class Native(NamedTuple):
    """Addresses of the C functions."""

    derivatives: int
    outputs: int
    inputs: int
    shutdown: int


NATIVE: Final = Native(*map(address, ("tep_derivatives", "tep_outputs", "tep_set_inputs", "tep_shutdown_code")))


class Wiring(NamedTuple):
    """Which measurement and valve each loop has. Indices are those of tep-studio's schema, from 0."""

    value: NDArray[np.int64]  # [14] the measurement of each loop with an output of its own
    valve: NDArray[np.int64]  # [7] the valve of each feed loop
    ratio: NDArray[np.int64]  # [7] which of r1..r7 it follows, from 0
    cooling: NDArray[np.int64]  # [2] the valves of reactor and separator cooling
    static: NDArray[np.int64]  # [3] recycle valve, steam valve, agitator
    base: Floats  # [BASES] what is neither gain nor set-point


class Outputs(NamedTuple):
    """Where the C functions write: measurements, additional ones, disturbance, process and concentration monitors."""

    measured: Floats
    additional: Floats
    disturbance: Floats
    process: Floats
    concentration: Floats


@njit(cache=True, nogil=True)
def _pi(g: Floats, set_point: float, value: float, time: float) -> float:
    """One sample of a loop whose memory is its limited output."""
    if time - g[LAST] >= g[TS] - _EPS:
        error = set_point - value
        move = g[KC] * (error - g[ERROR] + (time - g[LAST]) / g[TI] * error)
        g[OUTPUT] = min(max(g[OUTPUT] + move, g[LOW]), g[HIGH])
        g[ERROR], g[LAST] = error, time
    return g[OUTPUT]


@njit(cache=True, nogil=True)
def _trim(g: Floats, set_point: float, value: float, time: float) -> float:
    """One sample of a velocity loop: its move alone, none between two samples."""
    if time - g[LAST] < g[TS] - _EPS:
        return 0.0
    error = set_point - value
    move = g[KC] * (error - g[ERROR] + (time - g[LAST]) / g[TI] * error)
    g[ERROR], g[LAST] = error, time
    return move


@njit(cache=True, nogil=True)
def control(wiring: Wiring, gains: Floats, memory: Floats, sp: Floats, y: Floats, time: float, valves: Floats) -> None:
    """Ricker's controller: `y` float64[41] measured → `valves` float64[12] in %, written in place as are gains and memory. Time in h."""
    base = wiring.base
    reach = base[BASE_RATE] * max(0.0, time - memory[RAMPED_AT])
    memory[RAMPED_AT] = time
    memory[RAMPED] += min(max(sp[SP_PRODUCTION] - memory[RAMPED], -reach), reach)
    fp = base[BASE_FP] + _pi(gains[PRODUCTION], memory[RAMPED], y[wiring.value[PRODUCTION]], time)
    fp += min(0.0, -base[OVER_PRESSURE_GAIN] * max(0.0, y[_PRESSURE] - base[OVER_PRESSURE]))
    total = y[_FEED_A] + y[_FEED_C]
    ya = _trim(gains[YA], sp[SP_YA], 100.0 * y[_FEED_A] / total if total != 0.0 else 0.0, time)
    yac = _trim(gains[YAC], sp[SP_YAC], total, time)
    memory[R1] += ya
    memory[R4] += yac - ya
    separator = _pi(gains[REACTOR_LEVEL], sp[SP_REACTOR], y[wiring.value[REACTOR_LEVEL]], time)
    r6 = _pi(gains[SEPARATOR_LEVEL], sp[SP_SEPARATOR], y[wiring.value[SEPARATOR_LEVEL]], time)
    r7 = _pi(gains[STRIPPER_LEVEL], sp[SP_STRIPPER], y[wiring.value[STRIPPER_LEVEL]], time)
    r5 = _pi(gains[PRESSURE], sp[SP_PRESSURE], y[wiring.value[PRESSURE]], time)
    valves[wiring.cooling[1]] = _pi(gains[SEPARATOR_TEMPERATURE], separator, y[wiring.value[SEPARATOR_TEMPERATURE]], time)
    valves[wiring.cooling[0]] = _pi(gains[TEMPERATURE], sp[SP_TEMPERATURE], y[wiring.value[TEMPERATURE]], time)
    ratios = (memory[R1], base[BASE_R2], base[BASE_R3], memory[R4], r5, r6, r7)
    for k in range(len(wiring.valve)):
        valves[wiring.valve[k]] = _pi(gains[FEEDS + k], ratios[wiring.ratio[k]] * fp, y[wiring.value[FEEDS + k]], time)
    for k in range(3):
        valves[wiring.static[k]] = sp[SP_STATIC + k]
    valves[wiring.static[0]] -= base[OVER_LEVEL_GAIN] * max(0.0, y[_REACTOR] - base[OVER_LEVEL])
    for k in range(len(valves)):
        valves[k] = min(max(valves[k], 0.0), 100.0)


@njit(cache=True, nogil=True)
def look(outputs: int, handle: int, time: float, x: Floats, o: Outputs) -> None:
    """Has the process measure itself."""
    o1, o2, o3 = o.measured.ctypes.data, o.additional.ctypes.data, o.disturbance.ctypes.data
    _look(outputs, (handle, time, x.ctypes.data, o1, o2, o3, o.process.ctypes.data, o.concentration.ctypes.data))


@njit(cache=True, nogil=True)
def advance(
    native: Native,
    handles: NDArray[np.uint64],
    wiring: Wiring,
    gains: Floats,
    memory: Floats,
    sp: Floats,
    idv: Floats,
    x: Floats,
    valves: Floats,
    slope: Floats,
    seen: Outputs,
    true: Outputs,
    time: float,
    h: float,
    steps: int,
    bands: Floats,
    row: Floats,
    facts: Floats,
) -> float:
    """Runs the closed loop for `steps` of `h` hours and gives the time reached; it stops at a shutdown of the process. Euler's method with
    the controller's own sample, as in Ricker's reference ("Ts_base: base sampling time, also integration period").

    `row` float64[41]: means of what was measured. `facts` float64[2 + 3 * WATCHED]: mean cost without noise, shutdown code, and of each
    watched value without noise its least, its greatest, and how many looks found it outside its `bands` float64[WATCHED, 2].
    handles[0] is the process, handles[1] an eye without noise that looks at its states.
    """
    row[:] = 0.0
    facts[:] = 0.0
    for i in range(WATCHED):
        facts[2 + 3 * i], facts[3 + 3 * i] = np.inf, -np.inf
    begin = time
    looks = 0
    for n in range(steps):
        control(wiring, gains, memory, sp, seen.measured, time, valves)
        _put(native.inputs, (handles[0], valves.ctypes.data, idv.ctypes.data))
        _derive(native.derivatives, (handles[0], time, x.ctypes.data, slope.ctypes.data))
        x += h * slope
        time = begin + (n + 1) * h
        look(native.outputs, handles[0], time, x, seen)
        row += seen.measured
        facts[0] += seen.process[_COST]
        facts[1] = _shutdown(native.shutdown, (handles[0],))
        if n % LOOK == 0:
            look(native.outputs, handles[1], time, x, true)
            y = true.measured
            values = (y[_PRESSURE], y[_REACTOR], y[_SEPARATOR], y[_STRIPPER], y[_PRODUCT], 100.0 * seen.concentration[_PRODUCT_G])
            looks += 1
            for i in range(WATCHED):
                v = values[i]
                facts[2 + 3 * i], facts[3 + 3 * i] = min(facts[2 + 3 * i], v), max(facts[3 + 3 * i], v)
                facts[4 + 3 * i] += v < bands[i, 0] or v > bands[i, 1]
        if facts[1] != 0.0:
            steps = n + 1
            break
    row /= steps
    facts[0] /= steps
    for i in range(WATCHED):
        facts[4 + 3 * i] *= 1.0 / looks
    return time
