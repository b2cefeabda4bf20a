"""Teaching an inspector from good pictures alone: no training loop, no defect seen.

1. Descriptors of every picture, in every look.
2. Folds over items: banks of the rest measure the items of a fold, which gives held-out maps and a score of every item.
3. From the maps, the unit of each look and what is usual at each place of the frame (`level`); from the scores, the limit (`promise`); the
   banks, from all pictures.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.inspector import limits as validity
from ronghe.apps.quality.inspector.bank import Bank, gather, unit
from ronghe.apps.quality.inspector.descriptors import Look, Pixels, Sight, looks, network
from ronghe.apps.quality.inspector.fusion import nodes, together
from ronghe.apps.quality.inspector.inspector import Inspector, Thresholds, build, score, whole
from ronghe.apps.quality.inspector.level import relative, usual
from ronghe.apps.quality.inspector.promise import Promise, conformal
from ronghe.errors import AppError
from ronghe.models import graph
from ronghe.models.runtime import Session
from ronghe.text import Text

FALSE_REJECT: Final = 0.01
REVIEW: Final = 0.05
FEWEST: Final = 5
_FOLDS: Final = 5
_MARGIN: Final = 4.0  # the reject limit lies where a quarter of the promised rate is expected; what that lets by is reviewed, not passed
_BANK: Final = 2500
# Working pixels along the side of a square of the picture's area. Up to 256 px a picture has 5 ms of one core, and half of it is better
# spent on more good places to compare with than on more pixels. Larger ones are given for their detail: up to 512 px they are looked at
# closer and closer to pixel by pixel.
_FAST: Final = (256, 112)
_FINE: Final = (512, 512)
DETAILS: Final = ("fast", "fine")
_AT_ONCE: Final = 2  # threads of one teaching; NumPy and onnxruntime let each other run

Given = TypeVar("Given")
Made = TypeVar("Made")

Floats = NDArray[np.float32]
Seen = tuple[Floats, ...]
"""Of one picture, one array a look."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What may be chosen. `review`: share of good pictures that are not passed at once (go to a person or are rejected)."""

    false_reject: float = FALSE_REJECT
    review: float = REVIEW
    seed: int = 0
    bank: int = _BANK
    scale: float = 0.0  # working pixels for a pixel of the picture; 0: from the pictures' size and `detail`
    detail: str = "fast"  # "fine" looks at small pictures, too, at their own size (at least 256 px): six times the time


def learn(
    images: Sequence[Pixels],
    *,
    items: Sequence[str] | None = None,
    false_reject: float = FALSE_REJECT,
    review: float = REVIEW,
    seed: int = 0,
    options: Options | None = None,
) -> Inspector:
    """Learns from good pictures, uint8[h, w] gray or [h, w, 3] RGB of one or several sizes.

    `items` names the item that each picture shows, where an item has several: folds and the promise go by item, an item's score is its
    highest. How many good pictures go to a person is a matter of work, and goes by picture. Raises AppError for too few items.
    """
    chosen = options or Options(false_reject=false_reject, review=review, seed=seed)
    named = list(items) if items is not None else [str(i) for i in range(len(images))]
    if len(set(named)) < FEWEST:
        raise AppError(
            Text(f"{len(set(named))} good items are too few to learn from", f"良品数量 {len(set(named))} 太少，无法学习"),
            todo=Text(f"give at least {FEWEST}, better 20 to 300", f"至少 {FEWEST} 件，最好 20 至 300 件"),
        )
    rng = np.random.default_rng(chosen.seed)
    sight = sight_for(images, chosen)
    small = at_once(sight.working, images)
    seen = Session(network(sight))
    described = at_once(lambda s: tuple(d[0] for d in seen.run(s)), small)
    parts = folds(named, _FOLDS, rng)
    maps = _held_out(described, sight.looks, parts, chosen.bank, rng)
    scores = _scores(maps, parts)
    held_out = highest(scores, named)
    promise, passing = conformal(held_out, chosen.false_reject, margin=_MARGIN), conformal(scores, chosen.review)
    units = _units(maps)
    banks = tuple(msgspec.structs.replace(b, unit=u) for b, u in zip(_gather(described, chosen.bank, rng), units, strict=True))
    level = usual(_joined(maps, units))
    return build(
        sight=sight,
        banks=banks,
        level=level,
        thresholds=Thresholds(reject=promise.limit, pass_below=min(passing.limit, promise.limit)),
        promise=promise,
        limits=validity.of([validity.measure(p, s) for p, s in zip(images, small, strict=True)]),
        onnx=whole(sight, banks, level),
        training={
            "images": len(images),
            "items": len(set(named)),
            "sha256": digest(images),
            "review": passing.rate,
            "seed": chosen.seed,
            "held_out": held_out.tolist(),
        },
        metrics=_metrics(held_out, promise),
    )


def at_once(make: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """What `make` makes of each, in order, in two threads of the caller's priority. What is made does not depend on it."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(make, given))


def scale_for(images: Sequence[Pixels], detail: str = "fast") -> float:
    """Working pixels for a pixel of the picture."""
    side = _side(images)
    least = _FAST[1] if detail == "fast" else _FAST[0]
    return float(np.interp(side, (_FAST[0], _FINE[0]), (least, _FINE[1]))) / side


def sight_for(images: Sequence[Pixels], options: Options) -> Sight:
    """How pictures are looked at: where there is no hurry, through the last blocks of the network too."""
    hurry = options.scale == 0 and options.detail == "fast" and _side(images) <= _FAST[0]
    layers = ("stride8", "stride16") if hurry else ("stride16b", "stride16", "stride32")
    return Sight(scale=options.scale or scale_for(images, options.detail), looks=looks(*layers))


def _side(images: Sequence[Pixels]) -> float:
    return float(np.median([np.sqrt(p.shape[0] * p.shape[1]) for p in images]))


def digest(images: Sequence[Pixels]) -> str:
    """SHA-256 of the pixels and shapes, in order."""
    whole = hashlib.sha256()
    for p in images:
        whole.update(repr(p.shape).encode())
        whole.update(np.ascontiguousarray(p).tobytes())
    return whole.hexdigest()


def folds(items: Sequence[str], n: int, rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Which pictures each fold holds out, bool[pictures]; all pictures of an item in one."""
    names = sorted(set(items))
    part = dict(zip([names[i] for i in rng.permutation(len(names))], np.arange(len(names)) % n, strict=True))
    of = np.array([part[i] for i in items])
    return [of == k for k in range(min(n, len(names)))]


def highest(scores: NDArray[np.float64], items: Sequence[str]) -> NDArray[np.float64]:
    """The highest score of each item."""
    best: dict[str, float] = {}
    for item, s in zip(items, scores, strict=True):
        best[item] = max(best.get(item, -np.inf), float(s))
    return np.array(list(best.values()))


def _held_out(
    described: Sequence[Seen], seen: Sequence[Look], parts: Sequence[NDArray[np.bool_]], size: int, rng: np.random.Generator
) -> list[Seen]:
    """The distance maps of every picture, one a look, by banks that did not see its item."""
    maps: list[Seen] = [()] * len(described)
    for out in parts:
        alone = _gather([d for d, o in zip(described, out, strict=True) if not o], size, rng)
        sessions = [scorer(bank, look) for bank, look in zip(alone, seen, strict=True)]
        held = [d for d, o in zip(described, out, strict=True) if o]
        found = at_once(partial(_measured, sessions), held)
        for i, one in zip(np.flatnonzero(out).tolist(), found, strict=True):
            maps[i] = one
    return maps


def _measured(sessions: Sequence[Session], described: Seen) -> Seen:
    return tuple(s.run(d[None])[0] for s, d in zip(sessions, described, strict=True))


def _scores(maps: Sequence[Seen], parts: Sequence[NDArray[np.bool_]]) -> NDArray[np.float64]:
    """Scores of pictures, each by units and a level that did not see its fold."""
    scores = np.empty(len(maps))
    for out in parts:
        rest = [m for m, o in zip(maps, out, strict=True) if not o]
        units = _units(rest)
        level = usual(_joined(rest, units))
        for i in np.flatnonzero(out).tolist():
            scores[i] = score(relative(_joined([maps[i]], units)[0], level))
    return scores


def scorer(bank: Bank, look: Look) -> Session:
    """A session from the descriptors of one look to distances: a part of an inspector's graph."""
    near, constants = nodes([bank], [look], "distance")
    given = graph.value(look.name, "float32", [1, bank.places.shape[1], "h", "w"])
    return Session(graph.model(near, constants, [given], [graph.value("distance", "float32", ["rows", "columns"])]))


def _gather(described: Sequence[Seen], size: int, rng: np.random.Generator) -> list[Bank]:
    dice = rng.spawn(len(described[0]))
    return at_once(lambda k: gather([d[k] for d in described], size, dice[k]), range(len(dice)))


def _units(maps: Sequence[Seen]) -> list[float]:
    return [unit(one) for one in zip(*maps, strict=True)]


def _joined(maps: Sequence[Seen], units: Sequence[float]) -> list[Floats]:
    return [together([m / u for m, u in zip(one, units, strict=True)]) for one in maps]


def _metrics(held_out: NDArray[np.float64], promise: Promise) -> dict[str, float]:
    median = float(np.median(held_out))
    return {"median_good": median / promise.limit, "promised_false_reject": promise.rate, "false_reject_bound": promise.bound}
