"""Benchmarks with fixed splits: the same pictures for the same seed everywhere, so that figures can be compared.

mvtec_bottle    train/good → learned from; test/good against every other folder of test. The seed moves only the learner.
magnetic_tile   MT_Free, grouped by the tile's number in the name: half of the tiles learned from (300 pictures at most), the other half
                good; every other folder defective.
kolektorsdd     items kosNN: of half of them the good pictures are learned from, of the other half all pictures are judged. A picture
                is defective where its mask NAME_label.png is not empty. Every item has a defective picture, so pictures are counted,
                not items; no item is in both halves, and the promise is made by item. Two pictures are judged at a time, so that each
                takes longer than it would alone.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ronghe import picture
from ronghe.apps.quality.inspector import files
from ronghe.apps.quality.inspector.evaluate import Report, Sample, evaluate
from ronghe.apps.quality.inspector.learn import Options, learn
from ronghe.errors import AppError
from ronghe.text import Text

_MOST: Final = 300


@dataclass(frozen=True, slots=True)
class Split:
    """What is learned from, and what is judged, by how many threads: one where the time of a picture is what one wants to know."""

    train: list[Sample]
    good: list[Sample]
    defective: dict[str, list[Sample]]
    threads: int = 1


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Over the seeds: mean, standard deviation (n - 1), least and most."""

    mean: float
    spread: float
    low: float
    high: float


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One seed."""

    seed: int
    learned_from: int
    items: int
    fit_s: float
    fit_cpu_s: float
    report: Report


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """What `ronghe quality protocol` prints."""

    name: str
    figures: dict[str, Spread]
    runs: tuple[Run, ...]
    protocol: str


def run(name: str, folder: Path, *, seeds: Sequence[int] = (0, 1, 2), detail: str = "fast") -> Protocol:
    """Learns and judges once a seed. Raises AppError for a name or folder that it does not know."""
    if name not in SPLITS:
        raise AppError(
            Text(f"there is no protocol {name!r}", f"没有评测规程 {name!r}"),
            todo=Text(f"use one of {', '.join(SPLITS)}", f"可用：{'、'.join(SPLITS)}"),
        )
    runs = tuple(_once(SPLITS[name](folder, np.random.default_rng(seed)), Options(seed=seed, detail=detail)) for seed in seeds)
    figures = {}
    for figure in (
        "image_auroc",
        "pixel_auroc",
        "pro",
        "false_reject",
        "promised_false_reject",
        "escape",
        "review_good",
        "cpu_ms_p50",
        "cpu_ms_p99",
    ):
        values = [getattr(r.report, figure) for r in runs]
        if None not in values:
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
            figures[figure] = Spread(mean=float(np.mean(values)), spread=spread, low=min(values), high=max(values))
    return Protocol(name=name, figures=figures, runs=runs, protocol=str(__doc__).strip())


def _once(split: Split, options: Options) -> Run:
    images = [picture.read(s.path) for s in split.train]
    began, cpu = time.monotonic(), time.process_time()
    inspector = learn(images, items=[s.item for s in split.train], options=options)
    fit_s, fit_cpu_s = time.monotonic() - began, time.process_time() - cpu
    return Run(
        seed=options.seed,
        learned_from=len(images),
        items=inspector.promise.items,
        fit_s=round(fit_s, 1),
        fit_cpu_s=round(fit_cpu_s, 1),
        report=evaluate(inspector, split.good, split.defective, threads=split.threads),
    )


def _bottle(top: Path, rng: np.random.Generator) -> Split:
    bad = {p.name: _samples(p, top) for p in sorted(_folder(top / "test").iterdir()) if p.is_dir() and p.name != "good"}
    return Split(_samples(_folder(top / "train/good"), top), _samples(_folder(top / "test/good"), top), bad)


def _tile(top: Path, rng: np.random.Generator) -> Split:
    free = [Sample(path=s.path, item=_number(s.path)) for s in _samples(_folder(top / "MT_Free"), top)]
    first = _half([s.item for s in free], rng)
    train = [s for s in free if s.item in first]
    kept = sorted(rng.permutation(len(train))[:_MOST])
    # the promise is by tile, the test counts pictures, as published figures do
    good = [Sample(path=s.path, item=str(s.path)) for s in free if s.item not in first]
    bad = {p.name: _samples(p, top) for p in sorted(top.iterdir()) if p.is_dir() and p.name != "MT_Free"}
    return Split([train[i] for i in kept], good, bad)


def _kolektor(top: Path, rng: np.random.Generator) -> Split:
    every = _samples(top, top)
    first = _half([s.path.parent.name for s in every], rng)
    train: list[Sample] = []
    good: list[Sample] = []
    bad: list[Sample] = []
    for s in every:
        defective = s.mask is not None and bool(picture.read(s.mask).max())
        if s.path.parent.name not in first:
            (bad if defective else good).append(s)
        elif not defective:
            train.append(Sample(path=s.path, item=s.path.parent.name))
    return Split(train, good, {"crack": bad}, threads=2)


SPLITS: Final[dict[str, Callable[[Path, np.random.Generator], Split]]] = {
    "mvtec_bottle": _bottle,
    "magnetic_tile": _tile,
    "kolektorsdd": _kolektor,
}


def _samples(folder: Path, top: Path) -> list[Sample]:
    return [Sample(path=p, item=str(p), mask=files.mask_path(p, top, None)) for p in files.parts(folder)]


def _half(items: Sequence[str], rng: np.random.Generator) -> set[str]:
    names = sorted(set(items))
    return {names[i] for i in rng.permutation(len(names))[: (len(names) + 1) // 2]}


def _number(path: Path) -> str:
    found = re.search(r"num_(\d+)", path.name)
    return found.group(1) if found else path.stem


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise AppError(Text("the data set has no such folder", "数据集缺少该文件夹"), where=str(path))
    return path
