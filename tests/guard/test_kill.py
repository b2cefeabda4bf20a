"""kill -9 of a process in which a guard writes to a device: no advice is written twice, no case is forgotten."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ronghe.guard import Ledger

WORKER = """
import asyncio, os, sys, time
from pathlib import Path
from ronghe.guard import Advice, Guard, Ledger
from ronghe.signals import Batch, Latest, TagIndex
from ronghe.text import Text
from tests.guard.station import SPEED, make_plant

FAST = 5000  # the clock runs so much faster, or each restart would take its 50 s

async def work(folder, began, last):
    clock = lambda: began + (time.time_ns() - began) * FAST
    device = folder / "device"
    plant, index = make_plant(fresh="1h"), TagIndex()
    latest = Latest(index)
    def hear():
        held = [float(line) for line in device.read_text().split()] if device.exists() else []
        latest.update(Batch.of(index, [SPEED], clock(), held[-1] if held else 1000.0), clock())
    async def write(tag, value, still):
        fd = os.open(device, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, b"%r\\n" % value)
        os.close(fd)
        return 0
    ledger = Ledger(folder / "ledger", clock=clock)
    guard = Guard(plant, latest, ledger, write, clock=clock, folder=folder)
    os.write(1, b"up\\n")
    while not last or any(c.open for c in guard.cases()):
        hear()
        await guard.tick()
        if not last and not any(c.open for c in guard.cases()):
            n, now = len(guard.cases()), clock()
            hear()
            value, reason = round(600.25 + n / 100, 2), Text("so", "so")
            advice = Advice(id=f"a{n}", app="x", tag=SPEED, value=value, time=now, expires=now + 10**16, reason=reason)
            await guard.submit(advice)
    ledger.close()

for line in sys.stdin:
    folder, began, last = line.split()
    pid = os.fork()
    if not pid:
        try:
            asyncio.run(work(Path(folder), int(began), last == "last"))
        finally:
            os._exit(0)
    os.write(1, b"%d\\n" % pid)
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[str]]:
    """Starts a guard at work for each line "FOLDER BEGAN last|-"."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


def test_kill_9_writes_nothing_twice_and_forgets_nothing(worker: subprocess.Popen[str], tmp_path: Path) -> None:
    assert worker.stdin is not None
    assert worker.stdout is not None
    chance, began = random.Random(3), time.time_ns()
    for turn in range(40):
        last = turn == 39
        worker.stdin.write(f"{tmp_path} {began} {'last' if last else '-'}\n")
        worker.stdin.flush()
        first = {worker.stdout.readline().strip(), worker.stdout.readline().strip()}
        assert "up" in first
        (pid,) = first - {"up"}
        if not last:
            time.sleep(chance.uniform(0, 0.1))
            os.kill(int(pid), signal.SIGKILL)
        assert worker.stdout.readline().strip() == "dead"
        assert Ledger.verify(tmp_path / "ledger").ok
    written = [float(line) for line in (tmp_path / "device").read_text().split()]
    assert len(written) > 10
    assert len(set(written)) == len(written), "written twice"
    entries = list(Ledger.read(tmp_path / "ledger"))
    assert {e.body["written"] for e in entries if e.kind == "guard.write"} >= set(written), "written without an intent"
    states = {e.body["case"]: e.body["state"] for e in entries}
    assert set(states.values()) <= {"done", "failed", "refused"}
    values = {e.body["case"]: e.body["written"] for e in entries if e.kind == "guard.write"}
    assert all(values[case] in written for case, state in states.items() if state == "done")
    assert list(states.values()).count("done") > 10
