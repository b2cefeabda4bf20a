"""A changeover on devices that are not ours, by a node that is killed in the middle of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.conftest import Up
from tests.edge.test_up import last

from ronghe.bench.changeover_devices import NEW, NEXT, OLD, PIECE, Devices, write_plant
from ronghe.guard import Ledger
from ronghe.signals import quality as q


@pytest.fixture
def devices(tmp_path: Path) -> Iterator[Devices]:
    """A node-opcua press and a modbus-serial feeder."""
    made = Devices(tmp_path)
    yield made
    made.stop()


def closed(up: Up, n: int) -> str:
    """The state in which the n-th change ended; "" before."""
    ends = [e["body"]["state"] for e in up.ledger("change.") if e["body"]["state"] in ("done", "rolled_back", "refused", "failed")]
    return ends[n - 1] if len(ends) >= n else ""


def kill(up: Up) -> Up:
    """kill -9, and a new process on what it left."""
    os.kill(up.process.pid, signal.SIGKILL)
    up.process.wait()
    return Up(up.folder)


def order(up: Up, devices: Devices, number: int) -> None:
    """The next order is for this product: the changeover follows."""
    devices.feeder(f"set holding {NEXT} {number}")


def test_killed_while_it_writes_all_is_as_before_and_killed_after_it_is_proven(tmp_path: Path, devices: Devices) -> None:
    asyncio.run(devices.reset(OLD))
    devices.feeder(f"set holding {NEXT} 1")
    up = Up(write_plant(tmp_path / "plant", devices.opcua, devices.modbus, confirm=False, within="30s"))
    try:
        followed = tmp_path / "plant" / ".ronghe" / "apps" / "changeover" / "changeover.json"
        up.until(lambda: followed.exists() and '"followed":1' in followed.read_text(), "the app to see the present product")
        up.until(lambda: all(last(up, tag)[1] == q.GOOD for tag in OLD), "every set-point to be known")
        devices.feeder("behave die")  # it takes the third set-point, says nothing, and is gone
        order(up, devices, 2)
        up.until(lambda: len(up.ledger("change.send")) == 3, "the third set-point to be sent")
        up = kill(up)
        assert asyncio.run(devices.hold()) != OLD, "half changed, with nobody to see it"
        devices.feeder("behave well")
        assert up.until(lambda: closed(up, 1), "the end of the change") == "rolled_back"
        assert asyncio.run(devices.hold()) == OLD

        order(up, devices, 1)
        up.until(lambda: '"followed":1' in followed.read_text(), "the order to be taken back")
        order(up, devices, 2)
        up.until(lambda: up.ledger("change.written"), "all to be written")
        up = kill(up)
        devices.feeder(f"set coil {PIECE} 1")
        assert up.until(lambda: closed(up, 2), "the end of the second change") == "done"
        assert asyncio.run(devices.hold()) == NEW
        up.until(lambda: '"current":"a-200"' in followed.read_text(), "the app to have followed it")
    finally:
        up.stop()
    assert Ledger.verify(up.folder / ".ronghe" / "ledger").ok
