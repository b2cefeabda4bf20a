"""What `ronghe bench inspect` runs in a process of its own: `python -m ronghe.bench.inspect_process TASK`, TASK and answer are JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.inspector.bank import RAW
from ronghe.apps.quality.inspector.descriptors import network
from ronghe.apps.quality.inspector.files import parts as part_files
from ronghe.apps.quality.inspector.learn import Options, learn
from ronghe.apps.quality.inspector.measures import auroc
from ronghe.apps.quality.inspector.packing import pack, unpack
from ronghe.bench import parts
from ronghe.bench.inspect_methods import METHODS, Detector, Fitted, fit
from ronghe.models import graph, load, save
from ronghe.models.runtime import Session
from ronghe.picture import decode, read
from ronghe.picture.libraries import opencv

OURS: Final = {"ronghe": "fast", "ronghe_fine": "fine"}
"""Our inspector, with its two choices of detail."""

_LEAST: Final = 3  # pictures that are timed even when they take longer than their seconds; one with more threads than one
_MOST: Final = 400

Pixels = NDArray[np.uint8]
Score = Callable[[Pixels], float]


def drawn(folder: str, seed: int, train: int, good: int, defective: int, size: int) -> dict[str, Any]:
    """Draws the parts of one product."""
    parts.write(Path(folder), seed, train=train, good=good, defective=defective, size=size)
    return {}


def fitted(name: str, splits: Sequence[dict[str, Any]], model: str, full: bool) -> dict[str, Any]:
    """Learns from each split and tells its pictures apart; leaves the first split's model in a file."""
    trained = name in OURS or METHODS[name].trained
    learned, aurocs = list[Fitted](), list[float]()
    for seed, split in enumerate(splits if trained else splits[:1]):
        path = Path(model if seed == 0 else f"{model}{seed}")
        learned.append(learned_from(name, [read(p) for p in part_files(Path(split["train"]))], path, seed, full))
        if trained:
            score = opened(name, path, 1)
            good = [score(read(p)) for p in part_files(Path(split["good"]))]
            defective = [score(read(p)) for folder in split["defective"] for p in part_files(Path(folder))]
            aurocs.append(auroc(np.array(good), np.array(defective)))
    taken = [f.fit_s for f in learned if f.fit_s is not None]
    return {
        "auroc": round(float(np.mean(aurocs)), 4) if aurocs else None,
        "auroc_spread": round(max(aurocs) - min(aurocs), 4) if aurocs else None,
        "auroc_each": [round(a, 4) for a in aurocs],
        "fit_s": round(float(np.mean(taken)), 3) if taken else None,
        "fit_scaled": learned[0].scaled,
        "parameters": learned[0].parameters,
        "weights": "ImageNet, EfficientNet-Lite0" if trained else "random: time only",
        "published_auroc": None if name in OURS else METHODS[name].published or None,
        "size": learned[0].size,
    }


def learned_from(name: str, pictures: Sequence[Pixels], model: Path, seed: int, full: bool) -> Fitted:
    """Learns, and leaves the model in a file."""
    if name not in OURS:
        found = fit(METHODS[name], pictures, seed=seed, full=full)
        model.write_bytes(found.onnx)
        return found
    began = time.process_time()
    inspector = learn(pictures, options=Options(seed=seed, detail=OURS[name]))
    spent = time.process_time() - began
    save(model, pack(inspector, name="bench", created=0))
    height, width = inspector.sight.working(pictures[0]).shape[1:3]
    return Fitted(inspector.onnx, graph.parameters(network(inspector.sight)), spent, size=max(height, width))


def timed(name: str, folders: Sequence[str], model: str, seconds: float, threads: Sequence[int]) -> dict[str, Any]:
    """Time of one picture, for each number of threads, and memory. The pictures of all folders come in one random order."""
    paths = [p for folder in folders for p in part_files(Path(folder))]
    files = [paths[i].read_bytes() for i in np.random.default_rng(0).permutation(len(paths))]
    result: dict[str, Any] = {}
    for count in threads:
        opencv().setNumThreads(count)
        cpu, wall = _times(opened(name, Path(model), count), files, seconds, _LEAST if count == 1 else 1)
        found = {f"cpu_ms_p{q}": round(float(np.percentile(cpu, q)), 3) for q in (50, 99)}
        found |= {"wall_ms_p50": round(float(np.median(wall)), 3), "images_timed": len(cpu)}
        result |= {**found, "memory_mb": _peak_mb()} if count == 1 else {"two_threads": found}
    return result


def opened(name: str, model: Path, threads: int) -> Score:
    """What judges pixels, from a model file."""
    if name not in OURS:
        return Detector(model.read_bytes(), METHODS[name].size, threads=threads).score
    inspector = unpack(load(model))
    if threads > 1:
        inspector = replace(inspector, session=Session(inspector.onnx, threads=threads, outputs=(RAW,)))
    return lambda pixels: inspector.judge(pixels).raw


def _times(score: Score, files: Sequence[bytes], seconds: float, least: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """CPU and wall time (ms) of each picture, the first left out."""
    cpu, wall = list[float](), list[float]()
    until = float("inf")
    while len(cpu) <= least or (time.perf_counter() < until and len(cpu) <= _MOST):
        data = files[len(cpu) % len(files)]
        began, spent = time.perf_counter(), time.process_time()
        score(decode(data))
        cpu.append((time.process_time() - spent) * 1e3)
        wall.append((time.perf_counter() - began) * 1e3)
        if len(cpu) == 1:
            until = time.perf_counter() + seconds
    return np.array(cpu[1:]), np.array(wall[1:])


def _peak_mb() -> float:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return round(int(status["VmHWM"].split()[0]) / 1024, 1)


_STEPS: Final[dict[str, Callable[..., dict[str, Any]]]] = {"draw": drawn, "fit": fitted, "time": timed}

if __name__ == "__main__":
    task: dict[str, Any] = json.loads(sys.argv[1])
    print(json.dumps(_STEPS[task.pop("step")](**task)))
