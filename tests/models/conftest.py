"""A works that trains, signs and releases models, and a source that nodes fetch them from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ronghe.bus.fleet import WantedModel
from ronghe.models import Manifest, Output, Package, Training, save
from ronghe.models.keys import KeyFolder
from ronghe.models.registry import Registry, Release

DAY = 86_400_000_000_000
NOW = 1_800_000_000_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


class Works:
    """Keys, a registry, and whatever of packages is asked for. `key` signs, unless another is named."""

    def __init__(self, folder: Path, clock: Callable[[], int]) -> None:
        self.folder, self.clock, self.key = folder, clock, "first"
        self.keys = KeyFolder(folder / "keys")
        self.keys.new("first", clock())
        self.registry = Registry(folder / "registry", clock=clock)
        self.registry.ring.pin(self.keys.named("first").key)

    def package(self, version: str, name: str = "pump", size: int = 4000, settings: dict[str, Any] | None = None) -> Path:
        manifest = Manifest(
            name=name,
            version=version,
            kind="test/1",
            created=NOW,
            ronghe="0",
            inputs=(),
            outputs=(Output(name="score"),),
            training=Training(sha256="ab" * 32, rows=1),
            settings=settings or {},
        )
        path = self.folder / f"{name}-{version}.model"
        save(path, Package(manifest, {"numbers": np.random.default_rng(int(version)).random(size // 8)}))
        return path

    def release(
        self,
        version: str,
        name: str = "pump",
        *,
        key: str = "",
        size: int = 4000,
        until: int = 0,
        final: bool = False,
        settings: dict[str, Any] | None = None,
    ) -> Release:
        added = self.registry.add(self.package(version, name, size, settings))
        private = self.keys.private(key or self.key)
        return self.registry.sign(added.hash, private, until=until, final=final, keys=self.keys.ring.statements)

    def wanted(self, version: str, app: str = "watch", **options: object) -> WantedModel:
        """Released, and as a node is told."""
        return self.registry.wanted(self.release(version, **options).hash, app)  # type: ignore[arg-type]

    def read(self, file: str, start: int) -> Iterator[bytes]:
        """As a source."""
        data = self.registry.file(file).read_bytes()[start:]
        for i in range(0, len(data), 1000):
            yield data[i : i + 1000]


def changed(wanted: WantedModel, **changes: object) -> WantedModel:
    return msgspec.structs.replace(wanted, **changes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def works(tmp_path: Path, clock: Clock) -> Works:
    folder = tmp_path / "works"
    folder.mkdir()
    return Works(folder, clock)
