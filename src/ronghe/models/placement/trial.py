"""A model tried here and at other sites for some seconds, with numbers drawn at random: where it would go, and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import ModelError
from ronghe.models import Manifest, Package, Training, load
from ronghe.models.placement.placer import Pace, Placer
from ronghe.models.runtime import Session
from ronghe.plant.model import Placing, SiteSpec
from ronghe.text import Text

BRISK: Final = Pace(probe=0.1, decide=0.1, trial=1.0, settle=1.0)
"""A pace for a trial of seconds: what takes a node half a minute to believe takes a few seconds here."""


def graph_of(path: Path) -> bytes:
    """The ONNX graph in a file, or in a model package. Raises ModelError."""
    if path.suffix == ".onnx":
        try:
            return path.read_bytes()
        except OSError as e:
            raise ModelError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e
    onnx = load(path).onnx
    if onnx is None:
        raise ModelError(Text("the package holds no graph", "模型包中没有计算图"), where=str(path))
    return onnx


def alone(path: Path, *, created: int) -> Package:
    """A package of kind "onnx" of a package's graph, or of an ONNX file: what a site serves for an app to use. Raises ModelError."""
    onnx, name, version, training, ronghe = graph_of(path), path.stem, "1", Training(sha256="", rows=0), ""
    if path.suffix != ".onnx":
        m = load(path).manifest
        name, version, training, ronghe = f"{m.name}-graph", m.version, m.training, m.ronghe
    manifest = Manifest(name=name, version=version, kind="onnx", created=created, ronghe=ronghe, inputs=(), outputs=(), training=training)
    return Package(manifest, onnx=onnx)


def inputs(session: Session, shapes: Mapping[str, Sequence[int]], rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Inputs at random. A size that may vary is 1 where it is the first, else as `shapes` say. Raises ModelError where they do not."""
    feed: dict[str, NDArray[Any]] = {}
    for name, element, shape in session.takes:
        given = tuple(shapes.get(name, tuple(1 if i == 0 and d == -1 else d for i, d in enumerate(shape))))
        if len(given) != len(shape) or any(d < 1 or s not in (-1, d) for d, s in zip(given, shape, strict=False)):
            wanted = ",".join("?" if d == -1 else str(d) for d in shape)
            raise ModelError(
                Text(f"the input {name!r} has the shape {wanted}", f"输入 {name!r} 的形状为 {wanted}"),
                todo=Text(f"give --shape {name}={wanted} with a number for each ?", f"请给出 --shape {name}={wanted}，并将 ? 换成数字"),
            )
        kind = np.dtype(element)
        feed[name] = rng.normal(size=given).astype(kind) if kind.kind == "f" else rng.integers(0, 2, given).astype(kind)
    return feed


def attempt(
    onnx: bytes,
    sites: Mapping[str, SiteSpec],
    deadline: str,
    seconds: float,
    *,
    rate: float = 10.0,
    shapes: Mapping[str, Sequence[int]] | None = None,
    clock: Callable[[], int] = time.time_ns,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Runs it `rate` times a second. Gives the view of a `Placer`, and `p99_ms` and `worst_ms` of the runs as they were answered.

    Raises ModelError, and RongheError for a deadline that is none.
    """
    feed = inputs(Session(onnx), shapes or {}, rng)
    placer = Placer(sites, clock=clock, pace=BRISK)
    took = []
    try:
        session = placer.session(onnx, app="trial", place=Placing(deadline=deadline))
        placer.start()
        began = time.perf_counter()
        while (now := time.perf_counter()) - began < seconds:
            session.run(**feed)
            took.append((time.perf_counter() - now) * 1e3)
            time.sleep(max(0.0, 1 / rate - (time.perf_counter() - now)))
        placer.step()
        view = placer.view()
    finally:
        placer.close()
    return {**view, "p99_ms": float(np.percentile(took, 99)), "worst_ms": max(took)}
