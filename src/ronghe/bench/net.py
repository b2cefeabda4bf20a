"""Real machines in miniature: sites as network namespaces of the kernel, joined by links of a given bandwidth, delay and mood.

Every two sites are joined by veth pairs through a relay in user space (`ronghe.bench.relay`), which delays, holds back and drops whole
Ethernet frames; bandwidth is the kernel's token bucket (tbf) at both ends. netem would do a part of this where the kernel has it: it has no
stalls, and the same link should be the same on every machine. Addresses exist in these namespaces alone. They belong to the relay's
process and end with it, which ends with ours: nothing is left behind, also after kill -9.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from ronghe.bench.relay import enter
from ronghe.errors import RongheError
from ronghe.text import Text

SITES: Final = ("edge", "workshop", "centre")
_NET: Final = "10.90.0."
_PACKETS: Final = 50  # ms of packets that wait at the token bucket before it drops them


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """A link, the same in both directions. Frames keep their order, as they do in a radio link that acknowledges.

    `delay` ± `jitter` s each way (uniform); `bandwidth` in bit/s (0: the machine's own); `loss` 0..1. Once in `stall_every` s on average
    (exponential; 0: never) nothing moves for `stall_for` s, and then all at once. `cut`: nothing arrives, nobody is told.
    """

    delay: float = 0.0
    jitter: float = 0.0
    bandwidth: float = 0.0
    loss: float = 0.0
    stall_every: float = 0.0
    stall_for: float = 0.0
    cut: bool = False


WIRED: Final = Way(bandwidth=1e9)
FIVE_G: Final = Way(delay=0.010, jitter=0.003, bandwidth=100e6, stall_every=5.0, stall_for=0.3)
"""A private 5G network on a good day: 10 ms ± 3, handovers and fading as stalls of 0.3 s, 100 Mbit/s."""
FAR: Final = Way(delay=0.200, jitter=0.020, bandwidth=100e6, stall_every=5.0, stall_for=0.3)
CUT: Final = Way(cut=True)


class Net:
    """Sites and their links. Use it as a context manager; every link is `WIRED` until told otherwise. Not safe between threads."""

    def __init__(self, sites: Sequence[str] = SITES, *, seed: int = 1) -> None:
        """Needs root and Linux. Raises RongheError where it cannot be had."""
        if sys.platform != "linux" or os.geteuid() != 0:
            what = Text("networks of their own need Linux and root", "建立独立网络命名空间需要 Linux 与 root 权限")
            raise RongheError(what, todo=Text("run it with sudo", "请用 sudo 运行"))
        for tool in ("ip", "tc", "nsenter"):
            if shutil.which(tool) is None:
                todo = Text("install iproute2 and util-linux", "请安装 iproute2 与 util-linux")
                raise RongheError(Text(f"the command {tool} is missing", f"缺少命令 {tool}"), todo=todo)
        self.sites = tuple(sites)
        self._relay = subprocess.Popen(
            [sys.executable, "-m", "ronghe.bench.relay", str(seed), *sites], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            told = self._hear()
            self._at: dict[str, str] = {**told["sites"], "": told["home"]}
            self._join()
        except BaseException:
            self.close()
            raise

    def address(self, site: str) -> str:
        """The IPv4 address of a site, the same from every other."""
        return _NET + str(self.sites.index(site) + 1)

    def set(self, site: str, other: str, way: Way) -> None:
        """The link between two sites is so from now on."""
        for here, there in ((site, other), (other, site)):
            if way.bandwidth:
                burst = max(round(way.bandwidth / 8 * 0.002), 3200)  # bytes of 2 ms, at least two frames
                rate = f"tbf rate {way.bandwidth:.0f}bit burst {burst} latency {_PACKETS}ms"
                self._run(here, ["tc", "qdisc", "replace", "dev", _device(there), "root", *rate.split()])
            else:
                self._run(here, ["tc", "qdisc", "replace", "dev", _device(there), "root", "pfifo", "limit", "1000"])
        self._tell({"set": [site, other], **msgspec.to_builtins(way)})

    def popen(self, site: str, command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Starts a command at a site; the process is the command's own. `options` as of `subprocess.Popen`."""
        return subprocess.Popen(["nsenter", f"--net={self._at[site]}", *command], **options)

    @contextlib.contextmanager
    def inside(self, site: str) -> Iterator[None]:
        """Sockets that the calling thread makes within are at this site."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self._at[site], os.O_RDONLY | os.O_CLOEXEC)
        try:
            enter(there)
            try:
                yield
            finally:
                enter(home)
        finally:
            os.close(there)
            os.close(home)

    def close(self) -> None:
        """The sites are gone, with the sockets of whoever still runs there. Safe to call twice."""
        assert self._relay.stdin is not None
        assert self._relay.stdout is not None
        self._relay.stdin.close()
        try:
            self._relay.wait(10)
        except subprocess.TimeoutExpired:
            self._relay.kill()
            self._relay.wait()
        self._relay.stdout.close()

    def __enter__(self) -> Net:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _join(self) -> None:
        pairs = list(itertools.combinations(self.sites, 2))
        made = []
        for i, pair in enumerate(pairs):
            for site, other, ours in ((*pair, f"a{i}"), (*reversed(pair), f"b{i}")):
                made.append(f"link add name {ours} type veth peer name {_device(other)} netns {self._at[site]}")
                made.append(f"link set {ours} up")
        self._ip("", made)
        for site in self.sites:
            others = [s for s in self.sites if s != site]
            self._ip(
                site,
                [
                    "link set lo up",
                    f"addr add {self.address(site)}/32 dev lo",
                    *(f"link set {_device(other)} up" for other in others),
                    *(f"route add {self.address(other)}/32 dev {_device(other)} src {self.address(site)}" for other in others),
                ],
            )
        for i, (site, other) in enumerate(pairs):
            self._tell({"open": [site, other, _device(other), _device(site), f"a{i}", f"b{i}"]})
            self.set(site, other, WIRED)

    def _ip(self, site: str, lines: list[str]) -> None:
        self._run(site, ["ip", "-batch", "-"], "\n".join(lines))

    def _run(self, site: str, command: list[str], told: str = "") -> None:
        at = ["nsenter", f"--net={self._at[site]}", *command]
        done = subprocess.run(at, input=told, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr or done.stdout).strip()
            raise RongheError(Text(f"{command[0]} says: {why}", f"{command[0]} 报错：{why}"), where=" ".join(command))

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._relay.stdin is not None
        self._relay.stdin.write(json.dumps(order).encode() + b"\n")
        self._relay.stdin.flush()
        self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._relay.stdout is not None
        line = self._relay.stdout.readline()
        told: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        if "error" in told:
            why = told["error"]
            raise RongheError(Text(f"the networks cannot be made: {why}", f"无法建立网络命名空间：{why}"))
        return told


def _device(other: str) -> str:
    """The interface towards another site; the kernel takes 15 characters."""
    return f"to-{other}"[:15]
