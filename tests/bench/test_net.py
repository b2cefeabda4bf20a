"""The networks in miniature hold back, reorder, drop and end as they say. Bounds are what the link must at least take, never at most.

They need root, as the benchmarks do; without it they fail with the error that a user gets."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ronghe.bench.net import CUT, WIRED, Net, Way
from ronghe.errors import RongheError


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with Net() as made:
        yield made


@pytest.fixture
def pair(net: Net) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Datagrams from the edge to the centre."""
    net.set("edge", "centre", WIRED)
    with net.inside("centre"):
        centre = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    centre.bind((net.address("centre"), 0))
    centre.settimeout(10)
    with net.inside("edge"):
        edge = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    edge.connect(centre.getsockname())
    yield edge, centre
    edge.close()
    centre.close()


def took(pair: tuple[socket.socket, socket.socket], n: int) -> list[float]:
    """s that each of n datagrams and its answer took."""
    edge, centre = pair
    edge.settimeout(10)
    times = []
    for i in range(n):
        began = time.perf_counter()
        edge.send(bytes([i]))
        what, who = centre.recvfrom(10)
        centre.sendto(what, who)
        assert edge.recv(10) == bytes([i])
        times.append(time.perf_counter() - began)
    return times


def test_nothing_is_faster_than_its_delay(net: Net, pair: tuple[socket.socket, socket.socket]) -> None:
    net.set("edge", "centre", Way(delay=0.02, jitter=0.005))
    assert min(took(pair, 5)) >= 0.03


def test_a_stall_holds_everything_back(net: Net, pair: tuple[socket.socket, socket.socket]) -> None:
    net.set("edge", "centre", Way(stall_every=0.001, stall_for=0.2))
    time.sleep(0.05)  # the first has begun
    assert max(took(pair, 3)) >= 0.15


def test_jitter_lets_none_overtake_another(net: Net, pair: tuple[socket.socket, socket.socket]) -> None:
    net.set("edge", "centre", Way(delay=0.01, jitter=0.01))
    edge, centre = pair
    for i in range(200):
        edge.send(bytes([i]))
    assert [centre.recv(10)[0] for _ in range(200)] == list(range(200))


def test_what_is_sent_on_a_cut_link_never_arrives(net: Net, pair: tuple[socket.socket, socket.socket]) -> None:
    edge, centre = pair
    net.set("edge", "centre", Way(delay=0.2))
    edge.send(b"on its way")
    net.set("edge", "centre", CUT)
    edge.send(b"cut")
    time.sleep(0.3)
    net.set("edge", "centre", WIRED)
    edge.send(b"after")
    assert centre.recv(10) == b"after"


def test_no_more_goes_through_than_its_bandwidth(net: Net) -> None:
    net.set("workshop", "centre", Way(bandwidth=2e6))
    with net.inside("centre"):
        server = socket.create_server((net.address("centre"), 0))
    with net.inside("workshop"):
        client = socket.create_connection(server.getsockname(), 10)
    took, _ = server.accept()
    took.settimeout(10)
    began = time.perf_counter()
    client.sendall(bytes(100_000))
    client.close()
    came = 0
    while part := took.recv(65536):
        came += len(part)
    assert came == 100_000
    assert time.perf_counter() - began >= 0.3  # 0.4 s at 2 Mbit/s, less what the bucket holds in the beginning
    took.close()
    server.close()


def test_commands_run_at_their_site(net: Net) -> None:
    told = net.popen("workshop", ["ip", "-brief", "addr", "show", "lo"], stdout=subprocess.PIPE, text=True)
    assert f"{net.address('workshop')}/32" in told.communicate()[0]
    assert net.address("workshop") not in subprocess.run(["ip", "addr"], capture_output=True, text=True, check=True).stdout


def test_nothing_is_left_after_a_kill() -> None:
    script = "from ronghe.bench.net import Net; import time; net = Net(['a', 'b']); print(net._relay.pid, flush=True); time.sleep(60)"
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    relay = int(owner.stdout.readline())
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    end = time.monotonic() + 10
    while _lives(relay) and time.monotonic() < end:
        time.sleep(0.02)
    assert not _lives(relay)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(RongheError, match="need Linux and root → run it with sudo"):
        Net()
