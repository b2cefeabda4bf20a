"""What the console's tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

if str(Path(__file__).parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent))

from pump_station import Station


@pytest.fixture(scope="session")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    """The pump station at work, for all tests of the session."""
    station = Station(tmp_path_factory.mktemp("pump"))
    station.start()
    yield station
    station.stop()
