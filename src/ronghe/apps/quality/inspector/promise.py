"""What may be promised from held-out good items, and from labelled defective ones.

False reject. Items are exchangeable: a good item to come is as likely as any of the n held-out good ones to score highest. So the k-th
largest of n held-out scores, as a limit, rejects a good item with chance k / (n + 1) (conformal prediction: Vovk, Gammerman & Shafer
2005; Angelopoulos & Bates 2021). Less than 1 / (n + 1) cannot be promised from n items, whatever the method. The chance is over items
learned from and items to come; given those learned from, the rate of this very limit is Beta(k, n + 1 - k) distributed (Vovk 2012), which
bounds it with a confidence. Scores are held out by folds, each by a model that did not see the item (cross-conformal prediction, Vovk
2015): the model that is used has seen more good items than any of them, and so scores good ones no higher.

Escape. Of n labelled defective items x were passed: the exact upper bound on the rate (Clopper & Pearson 1934).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.chances import beta_cdf

CONFIDENCE: Final = 0.95
_TAIL: Final = 0.2


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """A limit and what it promises: a good item scores over `limit` with chance `rate` at most, where `asked` was asked for.

    With `confidence`, the rate of this very limit is at most `bound`. From `items` good items nothing below 1 / (items + 1) is attainable.
    """

    limit: float
    rate: float
    asked: float
    bound: float
    items: int
    confidence: float = CONFIDENCE

    @property
    def attained(self) -> bool:
        """Whether as little as was asked for is promised."""
        return self.rate <= self.asked + 1e-12


def conformal(scores: NDArray[np.float64], asked: float, *, margin: float = 1.0) -> Promise:
    """The lowest limit among held-out scores [n] that keeps the promise; the highest score where it cannot be kept.

    With a `margin` above 1 the limit is raised to where, by the exponential tail of the highest fifth (Balkema & de Haan 1974; Pickands
    1975), a good item is beyond it with chance asked / margin: the promise does not rest on that, and is kept with room.
    """
    n = len(scores)
    k = max(1, math.floor(asked * (n + 1) + 1e-9))
    limit = float(np.sort(scores)[-min(k, n)])
    if margin > 1:
        limit = max(limit, _beyond(np.sort(scores), asked / margin))
    return Promise(limit=limit, rate=max(asked, k / (n + 1)), asked=asked, bound=upper_bound(k - 1, n), items=n)


def _beyond(scores: NDArray[np.float64], chance: float) -> float:
    tail = scores[-max(2, math.ceil(_TAIL * len(scores))) :]
    return float(tail[0] + (tail[1:] - tail[0]).mean() * math.log(max(_TAIL / chance, 1.0)))


def upper_bound(x: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Clopper-Pearson: the largest rate at which x or fewer of n still have chance 1 - confidence. 1 where n is 0."""
    if x >= n:
        return 1.0
    low, high = x / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if beta_cdf(middle, x + 1, n - x) < confidence else (low, middle)
    return high


def lower_bound(x: int, n: int, confidence: float = CONFIDENCE) -> float:
    """Clopper-Pearson from below. 0 where n is 0."""
    return 1 - upper_bound(n - x, n, confidence) if n else 0.0
