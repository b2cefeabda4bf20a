from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.connect.opcua.servers import Keeper, NodeServer


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The servers' certificates: made once, since making keys is slow."""
    return tmp_path_factory.mktemp("pki")


@pytest.fixture(scope="session")
def press(pki: Path) -> Iterator[NodeServer]:
    """A node-opcua server with a press on it, open to all."""
    server = NodeServer(pki, policies=["None", "Basic256Sha256"])
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def keeper() -> Iterator[Keeper]:
    server = Keeper()
    server.start()
    yield server
    server.stop()


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This client's certificates, fresh for each test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "ronghe" / "opcua"
