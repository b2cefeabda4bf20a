"""A store in a temporary folder, small enough that sealing and merging happen after few samples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ronghe.historian import Historian
from ronghe.signals import TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S  # 2026-01-01T00:00:00Z
NOW = T0 + 30 * 86_400 * S


@pytest.fixture
def index() -> TagIndex:
    return TagIndex()


@pytest.fixture
def store(tmp_path: Path, index: TagIndex) -> Iterator[Historian]:
    with Historian(tmp_path / "store", index, clock=lambda: NOW, head_rows=50) as found:
        yield found
