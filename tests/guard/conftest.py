"""The pump station of these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.guard.station import Station


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Callable[..., Station]]:
    """Makes a station; `station(mode="approve", …)`."""
    made: list[Station] = []

    def make(**guard: Any) -> Station:
        made.append(Station(tmp_path / f"plant{len(made)}", **guard))
        return made[-1]

    yield make
    for one in made:
        one.ledger.close()
