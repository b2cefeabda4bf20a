"""The air between sites: a process that carries frames between pairs of network interfaces, late, in order, or not at all.

It makes the namespaces and holds them open, so that they end with it: nothing is left behind, whatever is killed. Lines of JSON on standard
input: `{"open": [site, other, interface of the site, of the other, ours towards the site, towards the other]}`, and `{"set": [site, other],
…}` with the fields of `Way`; answered by `{"done": true}`. When standard input ends, so does it.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import json
import os
import random
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

_CLONE_NEWNET: Final = 0x40000000
_SOL_PACKET, _PACKET_IGNORE_OUTGOING, _ETH_P_ALL = 263, 23, 3
_SIOCETHTOOL: Final = 0x8946
_SET_TX_CHECKSUM: Final = 0x17  # and with it segmentation: frames then leave an interface as they would a real one
_RECEIVE_BUFFER: Final = 4_000_000
_QUEUE: Final = 20_000  # frames on their way in one direction; beyond, a router drops them
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Air:
    """One link: two sockets on raw frames, and what happens to a frame between them."""

    def __init__(self, ends: tuple[socket.socket, socket.socket], rng: random.Random) -> None:
        self.ends, self._rng = ends, rng
        self.delay = self.jitter = self.loss = 0.0
        self.stall_every = self.stall_for = 0.0
        self.cut = False
        self._last = [0.0, 0.0]  # when the last frame of each direction arrives: none overtakes another
        self._stall_from, self._stall_to = float("inf"), 0.0
        self._flying = [0, 0]

    def set(self, now: float, **way: Any) -> None:
        """Takes over what a `Way` says."""
        self.delay, self.jitter, self.loss, self.cut = way["delay"], way["jitter"], way["loss"], way["cut"]
        self.stall_every, self.stall_for = way["stall_every"], way["stall_for"]
        self._stall_from = now + self._rng.expovariate(1 / self.stall_every) if self.stall_every else float("inf")
        self._stall_to = 0.0

    def arrival(self, now: float, direction: int) -> float | None:
        """When a frame that was sent now arrives; None: it does not."""
        if self.cut or self._flying[direction] >= _QUEUE or (self.loss and self._rng.random() < self.loss):
            return None
        if now >= self._stall_from:  # nothing moves from then until …
            self._stall_to = self._stall_from + self.stall_for
            self._stall_from = max(self._stall_to, now) + self._rng.expovariate(1 / self.stall_every)
        due = max(now, self._stall_to) + self.delay + self._rng.uniform(-self.jitter, self.jitter)
        self._last[direction] = due = max(due, self._last[direction], now)
        self._flying[direction] += 1
        return due

    def arrive(self, direction: int, frame: bytes) -> None:
        """Hands a frame to its interface; on a cut link it is gone."""
        self._flying[direction] -= 1
        if not self.cut:
            try:
                self.ends[1 - direction].send(frame)
            except OSError:  # an interface that is down, or whose queue is full, drops what it is given
                return


class Relay:
    """All links, in one loop."""

    def __init__(self, namespaces: dict[str, int], home: int, seed: int) -> None:
        self._namespaces, self._home = namespaces, home
        self._rng = random.Random(seed)  # noqa: S311 no secret
        self._airs: dict[frozenset[str], Air] = {}
        self._flying: list[tuple[float, int, Air, int, bytes]] = []
        self._sent = 0
        self._selector = selectors.DefaultSelector()

    def run(self) -> None:
        """Until standard input ends."""
        os.set_blocking(0, False)
        self._selector.register(0, selectors.EVENT_READ)
        told = b""
        while True:
            wait = max(self._flying[0][0] - time.monotonic(), 0.0) if self._flying else None
            for key, _ in self._selector.select(wait):
                if key.data is not None:
                    self._take(*key.data)
                    continue
                new = os.read(0, 65536)
                if not new:
                    return
                *lines, told = (told + new).split(b"\n")
                for line in lines:
                    self._do(json.loads(line))
            now = time.monotonic()
            while self._flying and self._flying[0][0] <= now:
                _, _, air, direction, frame = heapq.heappop(self._flying)
                air.arrive(direction, frame)

    def _take(self, air: Air, direction: int) -> None:
        for _ in range(64):  # then it is the others' turn
            try:
                frame = air.ends[direction].recv(65536)
            except OSError:
                return
            due = air.arrival(time.monotonic(), direction)
            if due is not None:
                self._sent += 1
                heapq.heappush(self._flying, (due, self._sent, air, direction, frame))

    def _do(self, order: dict[str, Any]) -> None:
        if "open" in order:
            site, other, device, of_other, *ours = order["open"]
            for name, interface in ((site, device), (other, of_other)):
                within(self._namespaces[name], self._home, partial(_no_offload, interface))
            ends = _raw(ours[0]), _raw(ours[1])
            air = self._airs[frozenset((site, other))] = Air(ends, self._rng)
            for direction, end in enumerate(ends):
                self._selector.register(end, selectors.EVENT_READ, (air, direction))
        else:
            self._airs[frozenset(order.pop("set"))].set(time.monotonic(), **order)
        _say({"done": True})


def within(namespace: int, home: int, do: Callable[[], None]) -> None:
    """Does something in a network namespace (an open file of it). Raises OSError."""
    enter(namespace)
    try:
        do()
    finally:
        enter(home)


def enter(namespace: int) -> None:
    """The calling thread is in this network namespace from now on. Raises OSError."""
    if _LIBC.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _new_namespace() -> int:
    if _LIBC.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _raw(interface: str) -> socket.socket:
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    end.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    end.bind((interface, _ETH_P_ALL))
    return end


def _no_offload(interface: str) -> None:
    value = ctypes.create_string_buffer(struct.pack("II", _SET_TX_CHECKSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, _SIOCETHTOOL, struct.pack("16sP", interface.encode(), ctypes.addressof(value)))


def _say(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main(seed: int, sites: list[str]) -> None:
    """Makes the namespaces, tells where they are, and carries."""
    try:
        namespaces = {site: _new_namespace() for site in sites}
        home = _new_namespace()
    except OSError as e:
        _say({"error": os.strerror(e.errno or 0)})
        return
    _say({"sites": {site: f"/proc/{os.getpid()}/fd/{fd}" for site, fd in namespaces.items()}, "home": f"/proc/{os.getpid()}/fd/{home}"})
    Relay(namespaces, home, seed).run()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
