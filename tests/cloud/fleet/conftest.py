from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cloud.fleet.centres import Running, running


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("centre") / "centre") as found:
        yield found


@pytest.fixture
def at(whole: Running) -> Iterator[Running]:
    """A whole centre; every test brings its own nodes."""
    yield whole
    for link in whole.links:
        link.close()
    whole.links.clear()
