"""What an hour of the Tennessee Eastman process costs, from what is measured.

Downs & Vogel, "A plant-wide industrial process control problem", Computers & Chemical Engineering 17(3) (1993) 245-255, table 9 and
section "Process operating costs": reactants and product lost in the purge and reactants lost in the product, in $/kgmol times kgmol/h, and
compression and steam. 1 kscmh is 44.79 kgmol/h, 1 m3 of product 9.21 kgmol. Base case: 170.6 $/h.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

PURGE: Final = {28: 2.206, 30: 6.177, 31: 22.06, 32: 14.56, 33: 17.89, 34: 30.44, 35: 22.94}
"""$/kgmol of A, C, D, E, F, G, H in the purge, by index of the measured mol % (XMEAS 29.., from 0); B is worth nothing."""
PRODUCT: Final = {36: 22.06, 37: 14.56, 38: 17.89}
"""$/kgmol of D, E, F in the product."""

_PURGE_FLOW, _PRODUCT_FLOW, _STEAM, _COMPRESSOR = 9, 16, 18, 19


def terms(measured: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """$/h lost in the purge and in the product, for compression and for steam, from the 41 measurements (flows in kscmh and m3/h, mol %,
    kW, kg/h), at one time or as means."""
    y = measured
    purge = 44.79 * y[_PURGE_FLOW] * sum(p * y[i] / 100 for i, p in PURGE.items())
    product = 9.21 * y[_PRODUCT_FLOW] * sum(p * y[i] / 100 for i, p in PRODUCT.items())
    return float(purge), float(product), float(0.0536 * y[_COMPRESSOR]), float(0.0318 * y[_STEAM])


def hourly(measured: NDArray[np.float64]) -> float:
    """Their sum."""
    return sum(terms(measured))
