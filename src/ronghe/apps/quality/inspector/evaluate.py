"""Scores an inspector on parts that are known to be good and parts that are known to be defective.

Protocol: every picture is read and judged alone, as on the line. `false_reject` is the share of good items with verdict reject, `escape` of
defective items with verdict pass; parts with verdict review are neither and are counted apart. An item with several pictures has the worst
verdict and the highest score of them. AUROC is by item. CPU time is the judging thread's, of reading, decoding and judging one picture
(an inspector has one thread).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ronghe import picture
from ronghe.apps.quality.charts.chances import binomial_above
from ronghe.apps.quality.inspector import files
from ronghe.apps.quality.inspector.inspector import Inspector, Judgement, Verdict
from ronghe.apps.quality.inspector.measures import PixelCounts, auroc
from ronghe.apps.quality.inspector.promise import CONFIDENCE, upper_bound
from ronghe.errors import PictureError

_Found = tuple[Judgement, float] | PictureError
_ORDER: Final[tuple[Verdict, ...]] = ("pass", "review", "reject")


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of a part whose state is known. `mask` is the file that says where its defect is."""

    path: Path
    item: str
    mask: Path | None = None


class Class(msgspec.Struct, frozen=True, kw_only=True):
    """One class of defects."""

    items: int
    image_auroc: float
    escape: float
    review: float


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What `ronghe quality evaluate` prints. Rates are shares of items; `*_bound` are upper bounds with confidence 0.95."""

    image_auroc: float
    false_reject: float
    promised_false_reject: float
    promise_kept: bool  # the number of good items rejected is not more than the promise lets one expect, at confidence 0.95
    escape: float
    escape_bound: float
    review_good: float
    review_defective: float
    cpu_ms_p50: float
    cpu_ms_p99: float
    good: int
    defective: int
    pictures: int
    classes: dict[str, Class]
    protocol: str
    pixel_auroc: float | None = None
    pro: float | None = None
    masks: int = 0
    unreadable: tuple[str, ...] = ()


@dataclass
class _Seen:
    """Items judged so far: highest score and worst verdict of each."""

    score: dict[str, float] = field(default_factory=dict)
    verdict: dict[str, int] = field(default_factory=dict)

    def add(self, item: str, score: float, verdict: Verdict) -> None:
        self.score[item] = max(score, self.score.get(item, -np.inf))
        self.verdict[item] = max(_ORDER.index(verdict), self.verdict.get(item, 0))

    def share(self, verdict: Verdict) -> float:
        return sum(v == _ORDER.index(verdict) for v in self.verdict.values()) / max(len(self.verdict), 1)


def samples(folders: Sequence[Path], *, by_folder: bool = False, pattern: str = "", masks: Path | None = None) -> dict[str, list[Sample]]:
    """The pictures of each folder; a folder of sub-folders that hold the pictures is one class a sub-folder."""
    out: dict[str, list[Sample]] = {}
    for top in folders:
        found = files.parts(top)
        names = files.items(found, top, by_folder=by_folder, pattern=pattern)
        for path, item in zip(found, names, strict=True):
            inside = path.relative_to(top).parts if path != top else (path.name,)
            label = inside[0] if len(inside) > 1 and not by_folder else top.name
            out.setdefault(label, []).append(Sample(path=path, item=item, mask=files.mask_path(path, top, masks)))
    return out


def evaluate(
    inspector: Inspector, good: Sequence[Sample], defective: Mapping[str, Sequence[Sample]], *, protocol: str = "", threads: int = 1
) -> Report:
    """Judges every sample. Pictures that cannot be read are listed, and are in no rate. More threads than one are done sooner, and each
    picture costs more, for they share caches."""
    pixels, spent, unreadable = PixelCounts(), list[float](), list[str]()
    judge = partial(_one, inspector)
    with ThreadPoolExecutor(threads) as pool:
        each = pool.map if threads > 1 else map  # alone, so that nothing else is measured
        seen = {"": _judge(each(judge, good), good, True, pixels, spent, unreadable)}
        for label, parts in defective.items():
            seen[label] = _judge(each(judge, parts), parts, False, pixels, spent, unreadable)
    return _report(inspector, seen.pop(""), seen, pixels, spent, unreadable, protocol)


def _one(inspector: Inspector, part: Sample) -> _Found:
    """What is said of a picture, and the milliseconds that it took."""
    began = time.thread_time()
    try:
        said = inspector.judge(picture.read(part.path))
    except PictureError as e:
        return e
    return said, 1000 * (time.thread_time() - began)


def _judge(
    judged: Iterable[_Found], parts: Sequence[Sample], good: bool, pixels: PixelCounts, spent: list[float], unreadable: list[str]
) -> _Seen:
    seen = _Seen()
    for part, found in zip(parts, judged, strict=True):
        if isinstance(found, PictureError):
            unreadable.append(str(found))
            continue
        said, milliseconds = found
        spent.append(milliseconds)
        seen.add(part.item, said.score, said.verdict)
        if good:
            pixels.add(said.heat, np.zeros(said.heat.shape, bool))
        elif part.mask is not None:
            pixels.add(said.heat, files.mask(part.mask, said.heat.shape))
    return seen


def _report(
    inspector: Inspector,
    good: _Seen,
    classes: dict[str, _Seen],
    pixels: PixelCounts,
    spent: list[float],
    unreadable: list[str],
    protocol: str,
) -> Report:
    all_bad = _Seen()
    for label, seen in classes.items():
        for item, score in seen.score.items():
            all_bad.add(f"{label}/{item}", score, _ORDER[seen.verdict[item]])
    fine = np.array(list(good.score.values()))
    n, rejected = len(good.score), round(good.share("reject") * len(good.score))
    m, passed = len(all_bad.score), round(all_bad.share("pass") * len(all_bad.score))
    return Report(
        image_auroc=_auroc(fine, all_bad),
        false_reject=good.share("reject"),
        promised_false_reject=inspector.promise.rate,
        promise_kept=_kept(rejected, n, inspector.promise.rate),
        escape=all_bad.share("pass"),
        escape_bound=upper_bound(passed, m),
        review_good=good.share("review"),
        review_defective=all_bad.share("review"),
        cpu_ms_p50=round(float(np.percentile(spent, 50)), 3) if spent else 0.0,
        cpu_ms_p99=round(float(np.percentile(spent, 99)), 3) if spent else 0.0,
        good=n,
        defective=m,
        pictures=len(spent),
        classes={
            label: Class(items=len(s.score), image_auroc=_auroc(fine, s), escape=s.share("pass"), review=s.share("review"))
            for label, s in classes.items()
        },
        protocol=protocol or "every picture read and judged alone; false_reject: good items rejected; escape: defective items passed",
        pixel_auroc=pixels.auroc() if pixels.masks else None,
        pro=pixels.pro() if pixels.masks else None,
        masks=pixels.masks,
        unreadable=tuple(unreadable),
    )


def _auroc(good: np.ndarray[tuple[int], np.dtype[np.float64]], seen: _Seen) -> float:
    return auroc(good, np.array(list(seen.score.values())))


def _kept(rejected: int, n: int, promised: float) -> bool:
    """Whether as many as `rejected` of n has chance of at least 0.05 where the promise holds."""
    return rejected == 0 or binomial_above(rejected - 1, n, promised) >= 1 - CONFIDENCE
