"""Where passing ends and rejecting begins, and both error rates for every place they might be moved to.

A part passes up to `passing`, is rejected over `reject`, and a person sees what lies between. From good parts alone the limits are the
model's own promise. Labelled defective parts only ever lower `passing`: to the k-th lowest of their n scores, with the largest k for which
the bound on escapes, Beta(k, n − k + 1) (Wilks, "Determination of sample sizes for setting tolerance limits", 1941), is what was asked for;
to the lowest where n is too small for that. But never so low that more than the share `review` of good parts would go to a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.chances import binomial_above
from ronghe.apps.quality.inspector.promise import upper_bound


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """In units of the score, whose 1 is the model's own reject limit."""

    passing: float
    reject: float = 1.0


@dataclass(frozen=True, slots=True)
class Point:
    """The error rates if `threshold` alone decided; `review` is the share of good parts then sent to a person."""

    threshold: float
    false_reject: float
    escape: float
    review: float


def choose(
    good: Sequence[float], defective: Sequence[float], passing: float, *, escape: float, review: float, confidence: float
) -> Thresholds:
    """From held-out scores of good parts, scores of labelled defective ones, and the model's own `passing`."""
    low = passing
    if len(defective):
        d = np.sort(np.asarray(defective))
        n = len(d)
        k = 1  # the bound is at most `escape` where so few escapes would be as unlikely as said if the share were that
        while k < n and 1 - binomial_above(k, n, escape) <= 1 - confidence:
            k += 1
        low = min(passing, float(np.nextafter(d[k - 1], -np.inf)))
    if len(good):
        low = max(low, min(passing, float(np.quantile(np.asarray(good), 1 - review, method="higher"))))
    return Thresholds(passing=min(low, 1.0))


def escape_bound(defective: Sequence[float], passing: float, confidence: float) -> float | None:
    """Upper bound on the share of defective parts that pass; None without labelled ones."""
    if not len(defective):
        return None
    return upper_bound(int((np.asarray(defective) <= passing).sum()), len(defective), confidence)


def false_reject(good: Sequence[float], reject: float) -> float | None:
    """The chance that a good part is rejected (conformal: one more than were, of one more than there were); None without held-out ones."""
    if not len(good):
        return None
    return (int((np.asarray(good) > reject).sum()) + 1) / (len(good) + 1)


def curve(good: Sequence[float], defective: Sequence[float], reject: float, points: int = 80) -> list[Point]:
    """Both error rates over the range of thresholds that matter."""
    g, d = np.sort(np.asarray(good, np.float64)), np.sort(np.asarray(defective, np.float64))
    both = np.concatenate([g, d])
    if not len(both):
        return []
    at = np.linspace(0.0, max(1.5, float(min(both.max(), 3.0))), points)
    over, passed = _share(g, at, above=True), _share(d, at, above=False)
    rejected = float((g > reject).mean()) if len(g) else 0.0
    return [Point(float(t), float(f), float(e), float(max(f - rejected, 0.0))) for t, f, e in zip(at, over, passed, strict=True)]


def _share(sorted_scores: NDArray[np.float64], at: NDArray[np.float64], *, above: bool) -> NDArray[np.float64]:
    n = len(sorted_scores)
    if not n:
        return np.zeros(len(at))
    below = np.searchsorted(sorted_scores, at, side="right") / n
    return np.asarray(1 - below if above else below)
