"""The samples and the questions of `ronghe bench historian`, the same for every store."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.signals import quality as q

S = 1_000_000_000
START = 1_767_225_600 * S  # 2026-01-01T00:00:00Z
MINUTE = 60 * S
RUNS = 5  # of each question, after one that warms up


class Size(msgspec.Struct, frozen=True):
    """How many tags, and how many samples of each, one second apart."""

    tags: int
    samples: int

    @property
    def end(self) -> int:
        """Just after the last sample (ns)."""
        return START + self.samples * S

    def spread(self, n: int) -> list[int]:
        """`n` tags from all over the range."""
        n = min(n, self.tags)
        return [(2 * i + 1) * self.tags // (2 * n) for i in range(n)]


def tag_name(i: int) -> str:
    """Names of a plant's length and likeness."""
    return f"line{i // 500}/station{i // 20 % 25}/value{i % 20}"


def batches(size: Size) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.uint32]]]:
    """(time, value of each tag, quality of each tag): a level of each tag's own, a slow random walk and noise about it, resolved to 0.01 as
    a transmitter does; one sample in a thousand is Bad."""
    rng = np.random.default_rng(2026)
    level, spread = rng.uniform(10, 1000, size.tags), rng.uniform(0.05, 1.0, size.tags)
    walk = np.zeros(size.tags)
    for i in range(size.samples):
        walk += rng.normal(0, 0.1, size.tags)
        value = np.round(level + spread * (walk + rng.normal(0, 1, size.tags)), 2)
        quality = np.where(rng.random(size.tags) < 0.001, q.BAD_SENSOR_FAILURE, q.GOOD).astype(np.uint32)
        yield START + i * S, value, quality


class Store(Protocol):
    """One store under test. Each answer is given whole, in the client's memory; `sum` of it serves to compare the stores."""

    durability: str
    layout: str

    def __init__(self, folder: Path, size: Size) -> None: ...
    def append(self, time: int, value: NDArray[np.float64], quality: NDArray[np.uint32]) -> None:
        """Returns when the batch is durable."""

    def seal(self) -> None:
        """Whatever the store does to bring its data into their final form; counted as ingestion."""

    def compact(self) -> None:
        """What it can do further, in its own time; not counted as ingestion."""

    def reopen(self) -> None:
        """Lets go of what it holds in memory, as a restart would (the operating system's cache stays)."""

    def bytes(self) -> int:
        """On disk."""

    def last_all(self) -> float:
        """Sum of the newest value of every tag."""

    def raw(self, tag: int) -> float:
        """Sum of all values of a tag, in the order of time."""

    def aggregate(self, tags: list[int]) -> float:
        """Sum of the means of the Good values per minute of some tags."""

    def asof(self, tags: list[int]) -> float:
        """Sum of the Good values of some tags on a grid of 1 s, half a second after each sample, each the last one before."""

    def close(self) -> None: ...


def measure(store: Store, size: Size) -> dict[str, Any]:
    """Everything that is asked of one store; times in ms are the median of `RUNS` runs on warm caches."""
    waits = []
    for at, value, quality in batches(size):
        begin = time.perf_counter()
        store.append(at, value, quality)
        waits.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    store.seal()
    sealing = time.perf_counter() - begin
    out: dict[str, Any] = {
        "ingest_per_s": round(size.tags * size.samples / (sum(waits) + sealing)),
        "worst_append_ms": round(max(waits) * 1e3, 2),
    }
    before = _questions(store, size)[0]
    begin = time.perf_counter()
    store.compact()
    out["compact_s"] = round(time.perf_counter() - begin, 2)
    out["bytes_per_point"] = round(store.bytes() / (size.tags * size.samples), 3)
    store.reopen()
    after, cold, answers = _questions(store, size)
    described = {"durability": store.durability, "layout": store.layout}
    return {**out, **after, "cold": cold, "before_compaction": before, **described, "answers": answers}


def _questions(store: Store, size: Size) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """Of each question: the median time, the time of the first run, and the answer."""
    questions: dict[str, Callable[[], float]] = {
        "last_all_ms": store.last_all,
        "raw_ms": lambda: store.raw(size.spread(3)[1 % min(3, size.tags)]),
        "aggregate_ms": lambda: store.aggregate(size.spread(100)),
        "asof_ms": lambda: store.asof(size.spread(50)),
    }
    times, first, answers = {}, {}, {}
    for name, ask in questions.items():
        begin = time.perf_counter()
        answers[name.removesuffix("_ms")] = ask()
        first[name] = round((time.perf_counter() - begin) * 1e3, 3)
        taken = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            ask()
            taken.append(time.perf_counter() - begin)
        times[name] = round(statistics.median(taken) * 1e3, 3)
    return times, first, answers


def folder_bytes(folder: Path) -> int:
    """All files below a folder: their lengths, without what was only set aside (holes)."""
    return sum(min(s.st_size, s.st_blocks * 512) for s in (p.stat() for p in folder.rglob("*") if p.is_file()))


def times_of(size: Size) -> NDArray[np.int64]:
    """The grid of `asof`: one row a second, half a second after each sample."""
    return np.arange(START + S // 2, size.end, S, dtype=np.int64)
