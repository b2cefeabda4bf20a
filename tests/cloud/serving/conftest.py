"""Small models whose answers are known, and a server of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ronghe.cloud.serving import Serving, Tenants
from ronghe.cloud.spec import ServingSpec
from ronghe.models import Manifest, Package, Training, graph, save

WEIGHT = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def package(name: str, onnx: bytes, *, version: str = "1", created: int = 1, kind: str = "onnx") -> Package:
    """A package of a graph."""
    manifest = Manifest(
        name=name, version=version, kind=kind, created=created, ronghe="0", inputs=(), outputs=(), training=Training(sha256="", rows=0)
    )
    return Package(manifest, {}, onnx)


def product(weight: np.ndarray = WEIGHT) -> bytes:
    """x float32[n, k] → y = x · weight: every row by itself."""
    k, m = weight.shape
    return graph.model(
        [graph.node("MatMul", ["x", "w"], ["y"])],
        [graph.tensor("w", weight)],
        [graph.value("x", "float32", ["n", k])],
        [graph.value("y", "float32", ["n", m])],
    )


def centred() -> bytes:
    """x float32[n, 4] → x less the mean of its rows: no row by itself."""
    return graph.model(
        [graph.node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), graph.node("Sub", ["x", "m"], ["y"])],
        [],
        [graph.value("x", "float32", ["n", 4])],
        [graph.value("y", "float32", ["n", 4])],
    )


def echo(element: str) -> bytes:
    """x → y of any type, two dimensions."""
    return graph.model(
        [graph.node("Identity", ["x"], ["y"])], [], [graph.value("x", element, ["n", "k"])], [graph.value("y", element, ["n", "k"])]
    )


@contextmanager
def served(folder: Path, tenants: Tenants | None, spec: ServingSpec | None = None) -> Iterator[Serving]:
    """A server on free ports while the block runs."""
    serving = Serving(folder, tenants, spec or ServingSpec(port=0, grpc=0, threads=2))
    asyncio.run(serving.start())
    try:
        yield serving
    finally:
        asyncio.run(serving.stop())


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of packages."""
    folder = tmp_path_factory.mktemp("models")
    save(folder / "product1.model", package("product", product(), created=1))
    save(folder / "product2.model", package("product", product(2 * WEIGHT), version="2", created=2))
    save(folder / "centred.model", package("centred", centred()))
    for element in ("float16", "uint8", "int64", "bool"):
        save(folder / f"{element}.model", package(element, echo(element)))
    return folder


@pytest.fixture(scope="session")
def open_server(models: Path) -> Iterator[Serving]:
    """Without keys."""
    with served(models, None) as serving:
        yield serving
