"""What kind of demand a series is: Syntetos, Boylan & Croston, On the categorization of demand patterns, JORS 56 (2005)."""

from __future__ import annotations

from typing import Literal

import msgspec
import numpy as np

from ronghe.apps.inventory.distributions import Floats

Kind = Literal["smooth", "intermittent", "erratic", "lumpy", "none"]
ADI = 1.32
CV2 = 0.49


class Pattern(msgspec.Struct, frozen=True):
    """`adi`: periods from one demand to the next, on average; `cv2`: squared coefficient of variation of the demands that are not zero."""

    kind: Kind
    adi: float | None
    cv2: float | None


def classify(y: Floats) -> Pattern:
    """Of a series per period, from its first demand on; "none" where there was no demand at all."""
    sizes = y[y > 0]
    if not len(sizes):
        return Pattern("none", None, None)
    adi = (len(y) - int(np.argmax(y > 0))) / len(sizes)
    cv2 = float(sizes.var() / sizes.mean() ** 2)
    if adi < ADI:
        return Pattern("smooth" if cv2 < CV2 else "erratic", adi, cv2)
    return Pattern("intermittent" if cv2 < CV2 else "lumpy", adi, cv2)
