"""A jacketed stirred tank with the van de Vusse reaction A → B → C, 2A → D (cyclopentadiene to cyclopentenol).

Equations, parameters and the operating point of Chen, Kremling and Allgöwer (1995: "Nonlinear predictive control of a benchmark CSTR",
Proc. 3rd European Control Conference, 3247-3252) and Klatt and Engell (1998: "Gain-scheduling trajectory control of a continuous stirred
tank reactor", Comput. Chem. Eng. 22, 491-502). At its best yield the gain from flow to product changes sign.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from ronghe.text import Text
from ronghe.twin.plants.process import Input, Parameter, Process, State

_E12: Final = 9758.3  # K, E/R of A → B and B → C
_E3: Final = 8560.0  # K, of 2A → D
_RHO: Final = 0.9342  # kg/l
_CP: Final = 3.01  # kJ/(kg K)
_AREA: Final = 0.215  # m²
_VOLUME: Final = 10.0  # l
_JACKET: Final = 5.0 * 2.0  # kg · kJ/(kg K)


def _rates(x: Sequence[Any], u: Sequence[Any], p: Sequence[Any]) -> Sequence[Any]:
    ca, cb, t, tk = x
    flow, heat = u
    k10, k20, k30, kw, h1, h2, h3, ca0, tin = p
    k1 = k10 * np.exp(-_E12 / (t + 273.15))
    k2 = k20 * np.exp(-_E12 / (t + 273.15))
    k3 = k30 * np.exp(-_E3 / (t + 273.15))
    made = k1 * ca * h1 + k2 * cb * h2 + k3 * ca * ca * h3  # kJ/(l h)
    through = kw * _AREA * (tk - t)  # kJ/h
    return (
        (flow * (ca0 - ca) - k1 * ca - k3 * ca * ca) / 3600,
        (-flow * cb + k1 * ca - k2 * cb) / 3600,
        (flow * (tin - t) - made / (_RHO * _CP) + through / (_RHO * _CP * _VOLUME)) / 3600,
        (heat - through) / _JACKET / 3600,
    )


def cstr(*, hottest: float = 120.0, noise: float = 1.0) -> Process:
    """With an upper limit on the reactor's temperature (°C). `noise` scales the deviations of the sensors: 0.001 mol/l, 0.05 K, 0.05 K.

    Educt has no sensor. The temperature of the feed is a parameter that every controller believes to be as published.
    """
    states = (
        State("ca", Text("educt", "反应物浓度"), "mol/l", 2.14, 1.0, 0.0, math.inf, None),
        State("cb", Text("product", "产物浓度"), "mol/l", 1.09, 0.2, 0.0, math.inf, 0.001 * noise),
        State("t", Text("reactor temperature", "反应器温度"), "Cel", 114.2, 10.0, 50.0, hottest, 0.05 * noise),
        State("tk", Text("jacket temperature", "夹套温度"), "Cel", 112.9, 10.0, 50.0, 140.0, 0.05 * noise),
    )
    inputs = (
        Input("flow", Text("feed over volume", "进料空速"), "1/h", 14.19, 3.0, 35.0),
        Input("heat", Text("jacket duty", "夹套热负荷"), "kJ/h", -1113.5, -9000.0, 0.0),
    )
    parameters = (
        Parameter("k10", 1.287e12, "1/h", 0.2),
        Parameter("k20", 1.287e12, "1/h", 0.2),
        Parameter("k30", 9.043e9, "l/(mol.h)", 0.2),
        Parameter("kw", 4032.0, "kJ/(h.m2.K)", 0.2),
        Parameter("dh_ab", 4.2, "kJ/mol"),
        Parameter("dh_bc", -11.0, "kJ/mol"),
        Parameter("dh_ad", -41.85, "kJ/mol", 0.2),
        Parameter("ca0", 5.1, "mol/l"),
        Parameter("tin", 104.9, "Cel"),
    )
    title = Text("Stirred-tank reactor", "连续搅拌釜反应器")
    source = "Klatt and Engell (1998), Comput. Chem. Eng. 22; Chen, Kremling and Allgoewer (1995), ECC"
    return Process("cstr", title, states, inputs, parameters, _rates, stiff=9.0, source=source)
