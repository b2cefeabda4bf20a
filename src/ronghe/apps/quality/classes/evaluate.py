"""How well classes are told apart: on pictures that were not learned from, boxes of one picture never on both sides.

Protocol: the fixed split takes, of each class, the first pictures by name (numbers by value) for training and the rest for testing; the
random ones deal the same shares by seed. Copies of a picture stay together. Everything that is chosen is chosen on the training part.
Accuracy counts boxes, whatever `known` says; `review` and `accuracy_known` say what a person would be left with.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe import picture
from ronghe.apps.quality.classes.labels import Labelled, groups
from ronghe.apps.quality.classes.learn import DOUBT, Learned, learn
from ronghe.apps.quality.classes.look import NUMBERS, Look
from ronghe.errors import AppError
from ronghe.text import Text

SHARE: Final = 0.7
"""Of each class's pictures, to train on."""
SEEDS: Final = (0, 1, 2)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """Examples as numbers: descriptions float32 (n, d), the class of each, the number of its picture (copies have the same), the class that
    the picture shows most, how many pictures there are, and processor ms of each example."""

    seen: NDArray[np.float32]
    labels: NDArray[np.str_]
    group: NDArray[np.int64]
    main: NDArray[np.str_]
    pictures: int
    cpu_ms: NDArray[np.float64]


class ClassScores(msgspec.Struct, frozen=True, kw_only=True):
    """Of one class: how many tested, recall and precision."""

    tested: int
    recall: float
    precision: float


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """One split. `review`: share taken for unknown; `accuracy_known`: of the others; `accuracy_main`: of boxes whose class is the one that
    their picture shows most. In the others, people's labels are often in doubt."""

    trained: int
    tested: int
    accuracy: float
    balanced_accuracy: float
    accuracy_cross_validated: float
    review: float
    accuracy_known: float
    accuracy_main: float
    classes: dict[str, ClassScores]
    confusion: tuple[tuple[int, ...], ...]  # [true][said], classes as in `classes`
    width: float
    ridge: float


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A class that was left out of training: AUROC of strangeness between it and the other classes' test part, and the share of it, and of
    the others, that goes to review."""

    auroc: float
    review: float
    review_known: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `ronghe quality classify evaluate` prints. `accuracy` is of the fixed split."""

    accuracy: float
    fixed: Split
    seeds: tuple[Split, ...]
    accuracy_mean: float | None
    accuracy_spread: float | None  # standard deviation over seeds
    left_out: dict[str, LeftOut]
    pictures: int
    examples: int
    copies: int  # pictures that are a copy of another
    cpu_ms_p50: float  # an example, decoded picture to answer
    cpu_ms_p99: float


def describe(found: Sequence[Labelled], look: Look, *, cpu: Callable[[], int] = clock.process_time_ns) -> Described:
    """Describes every example. Raises PictureError for a picture that cannot be read: nothing is learned from half a set."""
    seen, spent = [np.zeros((0, NUMBERS), np.float32)], []
    for f in found:
        pixels = picture.read(f.path)
        for box in f.boxes:
            began = cpu()
            try:
                seen.append(look.describe(pixels, [box]))
            except AppError as e:
                raise AppError(e.what, where=str(f.path), todo=e.todo) from e
            spent.append((cpu() - began) / 1e6)
    number = groups(found)
    return Described(
        np.concatenate(seen),
        np.array([label for f in found for label in f.labels]),
        np.array([n for n, f in zip(number, found, strict=True) for _ in f.labels]),
        np.array([f.main for f in found for _ in f.labels]),
        len(found),
        np.array(spent),
    )


def fixed_split(d: Described, share: float = SHARE) -> Mask:
    """Which examples are for training: of each class, the first pictures."""
    return _split(d, share, lambda mine: mine)


def random_split(d: Described, seed: int, share: float = SHARE) -> Mask:
    """The same shares, dealt at random."""
    rng = np.random.default_rng(seed)
    return _split(d, share, rng.permutation)


def _split(d: Described, share: float, order: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> Mask:
    _, first = np.unique(d.group, return_index=True)
    train: set[int] = set()
    for label in np.unique(d.main):
        mine = order(np.array([d.group[i] for i in np.sort(first) if d.main[i] == label]))
        train.update(int(g) for g in mine[: max(1, round(share * len(mine)))])
    return np.array([int(g) in train for g in d.group])


def fit(d: Described, train: Mask, *, doubt: float = DOUBT, seed: int = 0) -> Learned:
    """Learns from the examples that are for training."""
    return learn(d.seen[train], list(d.labels[train]), list(d.group[train]), doubt=doubt, rng=np.random.default_rng(seed))


def score(learned: Learned, d: Described, test: Mask, trained: int) -> Split:
    """Of the examples that are for testing. Raises AppError when there are none, or one of a class that was not learned."""
    if not test.any():
        raise AppError(Text("no picture is left to test on", "没有剩余图像可供测试"), todo=Text("label more pictures", "请标注更多图像"))
    unknown = sorted(set(d.labels[test]) - set(learned.labels))
    if unknown:
        raise AppError(
            Text(f"the class {unknown[0]!r} was not learned", f"类别 {unknown[0]!r} 未经训练"),
            todo=Text("train with pictures of it", "请加入该类别的图像进行训练"),
        )
    scores, strange = learned.scores(d.seen[test])
    said, true = scores.argmax(1), np.array([learned.labels.index(x) for x in d.labels[test]])
    k = len(learned.labels)
    confusion = np.bincount(true * k + said, minlength=k * k).reshape(k, k)
    right, known, main = said == true, strange <= learned.limit, d.labels[test] == d.main[test]
    recall = confusion.diagonal() / np.maximum(confusion.sum(1), 1)
    precision = confusion.diagonal() / np.maximum(confusion.sum(0), 1)
    there = confusion.sum(1)
    return Split(
        trained=trained,
        tested=len(true),
        accuracy=round(float(right.mean()), 4),
        balanced_accuracy=round(float(recall[there > 0].mean()), 4),
        accuracy_cross_validated=round(learned.accuracy, 4),
        review=round(float(1 - known.mean()), 4),
        accuracy_known=round(float(right[known].mean()), 4) if known.any() else 0.0,
        accuracy_main=round(float(right[main].mean()), 4) if main.any() else 0.0,
        classes={
            label: ClassScores(tested=int(there[i]), recall=round(float(recall[i]), 4), precision=round(float(precision[i]), 4))
            for i, label in enumerate(learned.labels)
        },
        confusion=tuple(tuple(int(x) for x in row) for row in confusion),
        width=learned.width,
        ridge=learned.ridge,
    )


def evaluate(d: Described, *, share: float = SHARE, seeds: Sequence[int] = SEEDS, leave_out: bool = False, doubt: float = DOUBT) -> Report:
    """The fixed split, the random ones, and, when asked, what happens to a class that was never shown."""
    train = fixed_split(d, share)
    fixed = score(fit(d, train, doubt=doubt), d, ~train, int(train.sum()))
    dealt = []
    for seed in seeds:
        part = random_split(d, seed, share)
        dealt.append(score(fit(d, part, doubt=doubt, seed=seed), d, ~part, int(part.sum())))
    accuracy = [s.accuracy for s in dealt]
    return Report(
        accuracy=fixed.accuracy,
        fixed=fixed,
        seeds=tuple(dealt),
        accuracy_mean=round(float(np.mean(accuracy)), 4) if accuracy else None,
        accuracy_spread=round(float(np.std(accuracy)), 4) if accuracy else None,
        left_out={str(label): _left_out(d, train, str(label), doubt) for label in np.unique(d.labels)} if leave_out else {},
        pictures=d.pictures,
        examples=len(d.labels),
        copies=d.pictures - len(np.unique(d.group)),
        cpu_ms_p50=round(float(np.percentile(d.cpu_ms, 50)), 2),
        cpu_ms_p99=round(float(np.percentile(d.cpu_ms, 99)), 2),
    )


def _left_out(d: Described, train: Mask, label: str, doubt: float) -> LeftOut:
    learned = fit(d, train & (d.labels != label), doubt=doubt)
    _, strange = learned.scores(d.seen)
    known, new = strange[~train & (d.labels != label)], strange[d.labels == label]
    rank = np.argsort(np.argsort(np.concatenate([known, new])))[len(known) :]
    auroc = (rank.sum() - len(new) * (len(new) - 1) / 2) / max(len(known) * len(new), 1)
    return LeftOut(
        auroc=round(float(auroc), 4),
        review=round(float((new > learned.limit).mean()), 4),
        review_known=round(float((known > learned.limit).mean()), 4),
    )
