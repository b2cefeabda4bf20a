"""Four tanks and two pumps (Johansson, K. H., 2000: "The quadruple-tank process", IEEE Trans. Control Syst. Technol. 8(3), 456-465).

Each pump feeds one lower tank and, crosswise, the upper tank that drains into the other lower tank. How the valves split the flow moves a
transmission zero: with γ1 + γ2 < 1 it lies in the right half-plane, and levels first go the wrong way. Parameters, operating points, pump
range and the height of the tanks (20 cm) are those of the paper, levels in cm and pumps in V.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import numpy as np

from ronghe.text import Text
from ronghe.twin.plants.process import Input, Parameter, Process, State

_AREAS: Final = (28.0, 32.0, 28.0, 32.0)  # cm²
_OUTLETS: Final = (0.071, 0.057, 0.071, 0.057)  # cm²
_G: Final = 981.0  # cm/s²
_SOURCE: Final = "Johansson (2000), IEEE Trans. Control Syst. Technol. 8(3), tables I and II"

_POINTS: Final = {
    "minimum": ((12.4, 12.7, 1.8, 1.4), (3.00, 3.00), (3.33, 3.35), (0.70, 0.60)),
    "nonminimum": ((12.6, 13.0, 4.8, 4.9), (3.15, 3.15), (3.14, 3.29), (0.43, 0.34)),
}


def _rates(x: Sequence[Any], u: Sequence[Any], p: Sequence[Any]) -> Sequence[Any]:
    h1, h2, h3, h4 = x
    v1, v2 = u
    a1, a2, a3, a4, k1, k2, g1, g2, leak = p
    out1, out2, out3, out4 = (a * np.sqrt(2 * _G * np.maximum(h, 1e-3)) for a, h in ((a1, h1), (a2, h2), (a3, h3), (a4, h4)))
    s1, s2, s3, s4 = _AREAS
    return (
        (out3 - out1 + g1 * k1 * v1) / s1,
        (out4 - out2 + g2 * k2 * v2 - leak) / s2,
        ((1 - g2) * k2 * v2 - out3) / s3,
        ((1 - g1) * k1 * v1 - out4) / s4,
    )


def tanks(phase: Literal["minimum", "nonminimum"] = "minimum", *, upper: float = 20.0, noise: float = 0.02) -> Process:
    """At one of the two operating points. `upper` (cm) is the height of the upper tanks, `noise` (cm) the deviation of a level sensor.

    A level sensor on each tank, as Alvarado et al. (2011, J. Process Control 21(5), 800-815) have them: what must not run over is measured.
    `leak` (cm³/s) of tank 2 is 0 and known to no controller.
    """
    levels, volts, gains, splits = _POINTS[phase]
    states = tuple(
        State(f"h{i}", Text(f"level {i}", f"液位 {i}"), "cm", h, 5.0, 0.2, 20.0 if i < 3 else upper, noise) for i, h in enumerate(levels, 1)
    )
    inputs = tuple(Input(f"v{i}", Text(f"pump {i}", f"泵 {i}"), "V", v, 0.0, 10.0) for i, v in enumerate(volts, 1))
    parameters = (
        *(Parameter(f"a{i}", a, "cm2", 0.2) for i, a in enumerate(_OUTLETS, 1)),
        *(Parameter(f"k{i}", k, "cm3/(V.s)", 0.2) for i, k in enumerate(gains, 1)),
        *(Parameter(f"g{i}", g, "", 0.2) for i, g in enumerate(splits, 1)),
        Parameter("leak", 0.0, "cm3/s"),
    )
    title = Text("Four tanks", "四容水箱")
    return Process(f"tanks-{phase}", title, states, inputs, parameters, _rates, stiff=5.0, source=_SOURCE)
