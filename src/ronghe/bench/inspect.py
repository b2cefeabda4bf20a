"""`ronghe bench inspect`: our inspector beside published anomaly detectors, on the same pictures, processor and number of threads.

Each detector is fitted in one process and timed in another, which loads the model from a file, so that memory and time are those of
inspecting alone. CPU time is that of the whole process, user and system, from the bytes of the file to score and map.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ronghe.apps.quality.inspector.files import parts as part_files
from ronghe.bench.inspect_methods import METHODS
from ronghe.bench.inspect_process import OURS

_BUDGET: Final = 46.0  # s for everything without `full`; a detector that does not end in time is left out, and that is said


@dataclass(frozen=True, slots=True)
class Split:
    """Folders of pictures: good ones to learn from; good and defective ones to be told apart."""

    train: Path
    good: Path
    defective: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much is drawn for each of `seeds` products, and how long (s) each detector is timed with each number of threads."""

    seeds: int = 3
    train: int = 24
    good: int = 24
    defective: int = 40
    size: int = 256
    seconds: float = 0.7


FULL: Final = Amounts(train=60, good=60, defective=100, seconds=10.0)


def run(
    full: bool = False,
    *,
    split: Split | None = None,
    amounts: Amounts | None = None,
    only: Sequence[str] = (),
    threads: Sequence[int] = (1, 2),
) -> dict[str, Any]:
    """Every detector's numbers, ours under `ronghe`. With a `split` its pictures are used, otherwise parts are drawn (`amounts`).

    `only` are the detectors beside ours, all by default. Raises PictureError for folders without pictures.
    """
    began = time.monotonic()
    until = None if full else began + _BUDGET
    amounts = amounts or (FULL if full else Amounts())
    ours_first, *ours_after = OURS
    names = [
        ours_first,
        *(only or [n for n, m in METHODS.items() if full or not m.full]),
        *ours_after,
    ]  # the peers before our second choice
    with tempfile.TemporaryDirectory(prefix="ronghe-bench-inspect-") as folder:
        splits = [split] if split else _drawn(Path(folder), amounts)
        counts = _counts(splits[0])
        detectors: dict[str, Any] = {}
        for i in range(0, len(names), 2):  # two by two: where time runs out, what came first is whole
            detectors |= _measured(names[i : i + 2], splits, Path(folder), full, amounts.seconds, threads, until)
    ours = detectors[ours_first]
    return {
        "bench": "inspect",
        "networks": detectors,
        "ratios": {n: _compared(d, ours) for n, d in detectors.items() if d is not ours},
        "pictures": {"drawn": split is None, "splits": len(splits), **counts},
        "protocol": _PROTOCOL,
        "seconds": round(time.monotonic() - began, 1),
        "load_average": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }


def _drawn(folder: Path, amounts: Amounts) -> list[Split]:
    sizes = {"train": amounts.train, "good": amounts.good, "defective": amounts.defective, "size": amounts.size}
    places = [folder / f"product{seed}" for seed in range(amounts.seeds)]
    with ThreadPoolExecutor(2) as both:
        for done in both.map(lambda i: _child({"step": "draw", "folder": str(places[i]), "seed": i, **sizes}, None), range(amounts.seeds)):
            if done:
                raise RuntimeError(f"parts could not be drawn: {done['failed']}")
    return [Split(p / "train", p / "good", (p / "defective",)) for p in places]


def _counts(split: Split) -> dict[str, int]:
    """Pictures of one split."""
    good = {"train": len(part_files(split.train)), "good": len(part_files(split.good))}
    return {**good, "defective": sum(len(part_files(d)) for d in split.defective)}


def _measured(
    names: Sequence[str], splits: Sequence[Split], folder: Path, full: bool, seconds: float, threads: Sequence[int], until: float | None
) -> dict[str, dict[str, Any]]:
    """Fits detectors at the same time, each with one thread, and then times one after the other, so that nothing else of ours runs."""
    shown = [{"train": str(s.train), "good": str(s.good), "defective": [str(d) for d in s.defective]} for s in splits]
    with ThreadPoolExecutor(len(names)) as together:
        task: dict[str, Any] = {"step": "fit", "splits": shown, "full": full}
        fitted = together.map(lambda n: _child({**task, "name": n, "model": str(folder / n)}, until), names)
        found = dict(zip(names, fitted, strict=True))
    tested = [shown[0]["good"], *shown[0]["defective"]]
    for name in names:
        if found[name].keys().isdisjoint(("failed", "left_out")):
            task = {"step": "time", "name": name, "folders": tested, "model": str(folder / name)}
            found[name] |= _child({**task, "seconds": seconds, "threads": list(threads)}, until)
    return found


def _child(task: dict[str, Any], until: float | None) -> dict[str, Any]:
    """What a process says; `left_out` when it does not end in time, `failed` when it ends with an error."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "ronghe.bench.inspect_process", json.dumps(task)],
            capture_output=True,
            text=True,
            timeout=None if until is None else max(until - time.monotonic(), 0.0),
            check=False,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return {"left_out": "it did not end within the 50 s of this run; see --full"}
    if done.returncode:
        return {"failed": done.stderr.strip()[-500:]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _compared(peer: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """How many times our CPU time, fit time, memory and parameters the peer needs; and by how much our AUROC is above its own."""
    if not {"cpu_ms_p50"} <= peer.keys() & ours.keys():
        return {}
    ratios: dict[str, Any] = {
        f"{short}_ratio": round(peer[key] / ours[key], 2) if peer[key] and ours[key] else None
        for short, key in (("cpu", "cpu_ms_p50"), ("memory", "memory_mb"), ("fit", "fit_s"), ("parameters", "parameters"))
    }
    known = peer["auroc"] is not None and ours["auroc"] is not None
    return {**ratios, "auroc_gap": round(ours["auroc"] - peer["auroc"], 4) if known else None}


_PROTOCOL: Final = {
    "auroc": "of pictures, mean over the splits (`auroc_each`; `auroc_spread`: largest less smallest); null where the weights are random",
    "weights": "no registry package that ships ImageNet weights of ResNet-18, Wide ResNet-50-2 or EfficientAD's teacher was found, so "
    "these networks run at their published sizes with random weights: their times hold, their answers mean nothing. The worth of "
    "PatchCore's method is measured on the backbone that we use too (patchcore_lite0_1: 1 % of patches kept, _10: 10 %). EfficientAD "
    "trains its student for 70,000 steps, which needs a GPU: fit_s is null",
    "published_auroc": "mean over the 15 categories of MVTec AD, as anomalib's documentation gives it; not the pictures of this run",
    "drawn": "a printed and drilled plate with grain, changing pose, light, focus and noise, JPEG; one product a split; a fifth of the "
    "defective parts each with a scratch, spot, crack, missing print, contamination. No real parts: give folders of your own",
    "cpu_ms": "CPU time (user and system, all threads) of one picture from the bytes of its file: decoding, scaling, network, search, map, "
    "score, boxes; one thread; `images_timed` test pictures in random order, after a first that is not counted (p99 of few: the largest). "
    "`two_threads`: the same with two; `wall_ms_p50`: time on the clock, which other work on the machine lengthens",
    "fit_s": "CPU seconds to learn from the pictures of one split, decoding left out; `fit_scaled`: the features of 6 pictures were "
    "measured and the rest reckoned from them (never with --full)",
    "memory_mb": "peak resident memory of the process that inspects (Python and libraries included), with one thread",
    "parameters": "numbers in the network up to the last feature that is used; banks and Gaussians are not counted",
    "size": "side (px) that a picture is scaled to before the network; published: PatchCore and PaDiM 224, EfficientAD 256",
    "runtime": "onnxruntime on the CPU, float32, each peer as one graph with an exact nearest-neighbour search inside; ours as it ships, "
    "`ronghe_fine` with detail fine",
    "ratios": "what the peer needs divided by what ours needs; auroc_gap: ours less the peer's",
}
