"""Learns classes from descriptions: kernel ridge regression on one-of-k targets (Saunders et al. 1998), with its settings, the scale of its
probabilities and the limit of the unknown all found by cross-validation on the training part, whole pictures at a time.

Unknown: a description that lies apart from the training examples, or whose scores fit no class, is more likely something that was never
shown. Apart is relative: the distance from the nearest examples over the distances that those have from their own nearest (as in the local
outlier factor, Breunig et al. 2000), since some classes look more alike than others. This and the distance of the scores from the nearest
class, each in units of its spread under cross-validation, are added (strangeness); the limit is the conformal quantile (Vovk et al. 2005)
above which a chosen share of known defects lie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.text import Text

Floats = NDArray[np.float64]

WIDTHS: Final = (0.125, 0.25, 0.5)
"""Of the kernel exp(-width · mean squared difference of standardised numbers). Narrower ones are no better on pictures like those that were
shown, and worse on others."""
RIDGES: Final = (0.01, 0.03, 0.1)
FOLDS: Final = 5
NEAREST: Final = 5
"""Training examples that an example is compared with to see whether it lies apart."""
DOUBT: Final = 0.02
"""Share of known defects that may be taken for unknown."""
MOST: Final = 6000
"""Examples; the kernel is a square matrix of them."""
_TEMPERATURES: Final = np.geomspace(0.02, 1.0, 40)


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """labels       the classes, k
    mean, scale  float32 (d,): standardise a description
    rows         float32 (n, d): standardised training descriptions
    own          float64 (n,): how far each of them is from the nearest others
    weight       float64 (n, k), base float64 (k,): scores = kernel · weight + base
    width, ridge of the kernel regression
    temperature  probabilities = softmax(scores / temperature)
    spread       float64 (2,): of the two distances that make strangeness
    limit        strangeness above which a defect is unknown
    accuracy     under cross-validation, 0..1
    """

    labels: tuple[str, ...]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    rows: NDArray[np.float32]
    own: Floats
    weight: Floats
    base: Floats
    width: float
    ridge: float
    temperature: float
    spread: Floats
    limit: float
    accuracy: float

    def scores(self, described: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """(scores float64 (m, k), strangeness float64 (m,)) of descriptions float32 (m, d)."""
        far = _far((described - self.mean) / self.scale, self.rows)
        scores = np.exp(-self.width * far) @ self.weight + self.base
        return scores, (np.column_stack([_vertex(scores), _apart(far, self.own)]) / self.spread).sum(1)

    def probabilities(self, scores: Floats) -> Floats:
        """float64 (m, k), each row summing to 1."""
        return softmax(scores / self.temperature)


def learn(
    described: NDArray[np.float32], labels: Sequence[str], groups: Sequence[int], *, doubt: float = DOUBT, rng: np.random.Generator
) -> Learned:
    """Learns from descriptions float32 (n, d). Examples of one group (a picture) are never on both sides of a fold; `rng` deals the folds.

    Raises AppError when a class is shown by one group only, or there are more than MOST examples.
    """
    names = tuple(sorted({str(label) for label in labels}))
    index = np.array([names.index(label) for label in labels])
    group = np.asarray(groups)
    if len(index) > MOST:
        raise AppError(
            Text(f"{len(index)} examples are more than the {MOST} that one model takes", f"样本 {len(index)} 个，超过单个模型上限 {MOST}"),
            todo=Text("leave some pictures of the largest classes out", "请减少样本最多的类别的图像"),
        )
    fold = _folds(index, group, names, rng)
    mean, scale = described.mean(0), described.std(0) + np.float32(1e-6)
    rows = (described - mean) / scale
    far = _far(rows, rows)
    target = np.eye(len(names))[index]
    width, ridge, out = _choose(far, target, index, fold)
    apart = _out_of_fold(fold, lambda a, b: _apart(far[np.ix_(b, a)], _own(far[np.ix_(a, a)]))[:, None], 1)[:, 0]
    both = np.column_stack([_vertex(out), apart])
    spread = np.maximum(both.std(0), 1e-9)
    strange = (both / spread).sum(1)
    base = target.mean(0)
    weight = _solve(np.exp(-width * far), target - base, ridge)
    return Learned(
        labels=names,
        mean=mean,
        scale=scale,
        rows=rows,
        own=_own(far),
        weight=weight,
        base=base,
        width=width,
        ridge=ridge,
        temperature=_temperature(out, index),
        spread=spread,
        limit=_quantile(strange, doubt),
        accuracy=float((out.argmax(1) == index).mean()),
    )


def softmax(x: Floats) -> Floats:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def _far(a: NDArray[np.float32], b: NDArray[np.float32]) -> Floats:
    """float64 (a, b): mean squared differences."""
    squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * (a @ b.T)
    return np.maximum(squares, 0).astype(np.float64) / a.shape[1]


def _apart(far: Floats, own: Floats) -> Floats:
    """float64 (m,): mean distance from the nearest training examples over the mean that they have from their own nearest."""
    k = min(NEAREST, far.shape[1])
    nearest = np.argpartition(far, k - 1, axis=1)[:, :k]
    return np.asarray(np.sqrt(np.take_along_axis(far, nearest, axis=1)).mean(1) / np.maximum(own[nearest].mean(1), 1e-6))


def _own(far: Floats) -> Floats:
    """float64 (n,): mean distance of every example from the nearest others; `far` float64 (n, n)."""
    k = min(NEAREST, len(far) - 1)
    others = far + np.diag(np.full(len(far), np.inf))
    return np.asarray(np.sqrt(np.partition(others, k - 1, axis=1)[:, :k]).mean(1))


def _vertex(scores: Floats) -> Floats:
    corners = np.eye(scores.shape[1])
    return np.asarray(np.linalg.norm(scores[:, None] - corners, axis=2).min(1))


def _solve(kernel: Floats, target: Floats, ridge: float) -> Floats:
    return np.asarray(np.linalg.solve(kernel + ridge * np.eye(len(kernel)), target))


def _folds(index: NDArray[np.int64], group: NDArray[np.int64], names: Sequence[str], rng: np.random.Generator) -> NDArray[np.int64]:
    """The fold of each example: groups are dealt class by class, rarest class first, so that a rare class is spread over folds."""
    fold = np.full(len(index), -1)
    start = 0
    for c in np.argsort(np.bincount(index, minlength=len(names))):
        mine = np.unique(group[index == c])
        if len(mine) < 2:
            raise AppError(
                Text(f"the class {names[c]!r} is shown by one picture only", f"类别 {names[c]!r} 只有一张图像"),
                todo=Text("add at least one more, or leave the class out", "请再补充至少一张，或去掉该类别"),
            )
        for g in rng.permutation(mine):
            if fold[group == g][0] < 0:
                fold[group == g] = start % FOLDS
                start += 1
    return fold


def _choose(far: Floats, target: Floats, index: NDArray[np.int64], fold: NDArray[np.int64]) -> tuple[float, float, Floats]:
    """(width, ridge, scores out of fold) of the settings that are right most often; of equals the one with the smallest squared error."""
    best: tuple[float, float] | None = None
    chosen: tuple[float, float, Floats] | None = None
    for width in WIDTHS:
        kernel = np.exp(-width * far)
        for ridge in RIDGES:
            out = _out_of_fold(fold, partial(_predict, kernel, target, ridge), target.shape[1])
            merit = float((out.argmax(1) == index).mean()), -float(((out - target) ** 2).mean())
            if best is None or merit > best:
                best, chosen = merit, (width, ridge, out)
    assert chosen is not None
    return chosen


def _out_of_fold(fold: NDArray[np.int64], predict: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats], columns: int) -> Floats:
    out = np.zeros((len(fold), columns))
    for f in np.unique(fold):
        train, test = np.flatnonzero(fold != f), np.flatnonzero(fold == f)
        out[test] = predict(train, test)
    return out


def _predict(kernel: Floats, target: Floats, ridge: float, train: NDArray[np.int64], test: NDArray[np.int64]) -> Floats:
    base = target[train].mean(0)
    return np.asarray(kernel[np.ix_(test, train)] @ _solve(kernel[np.ix_(train, train)], target[train] - base, ridge) + base)


def _temperature(out: Floats, index: NDArray[np.int64]) -> float:
    """At which the out-of-fold probabilities of the true classes are most likely (Guo et al. 2017)."""
    at = np.arange(len(index))
    loss = [-np.log(np.maximum(softmax(out / t)[at, index], 1e-12)).mean() for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(loss))])


def _quantile(values: Floats, share: float) -> float:
    rank = min(int(np.ceil((len(values) + 1) * (1 - share))), len(values))
    return float(np.sort(values)[rank - 1])
