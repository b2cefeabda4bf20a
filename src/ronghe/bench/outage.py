"""`ronghe bench outage`: a day of 5,000 tags over a line that stalls, crawls and is cut, with the edge and the hub's leader killed.

Edge and centre are processes in network namespaces of their own (`ronghe.bench.net`), between them a link like a private 5G network. The
plant's time is compressed: each of its seconds is a batch of 5,000 samples, made one after the other as fast as the edge's recorder
acknowledges them. Only the phase in which the delay of live data is measured runs in real time. What must be at the centre is what the
recorder acknowledged, as the benchmark heard it over a pipe before the next batch; whoever counts shares no state with who sends.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Final

import msgspec
import numpy as np

from ronghe.bench.net import CUT, FAR, FIVE_G, Net
from ronghe.bench.outage_edge import BANDWIDTH, NODE, PLANT, TAGS, S, names, values
from ronghe.bus.outbox import Outbox
from ronghe.bus.wire import Encoder
from ronghe.cloud.fleet.authority import Authority
from ronghe.edge.joining import Membership, request_of, write
from ronghe.signals import Batch, TagIndex

_DARK: Final = 60  # s of the plant between a kill and the next start
_DEADLINE: Final = 7200.0  # s for anything; longer is a failure


def run(*, full: bool = False) -> dict[str, Any]:
    """24 h; short: some minutes of it. See docs/outage.md for what each figure means."""
    day = 86_400 if full else 900
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ronghe-outage-") as name, Net(("edge", "centre")) as net:
        folder = Path(name)
        result = _Day(net, folder, day).run(live=120 if full else 11)
        plain = _bytes_per_point(folder / "plain", rounded=True), _bytes_per_point(folder / "noise", rounded=False)
    return {
        "bench": "outage",
        "plant_hours": round(result.pop("seconds") / 3600, 2),
        "tags": TAGS,
        "bandwidth": BANDWIDTH,
        **result,
        "message_bytes_per_point": plain[0],
        "message_bytes_per_point_of_noise": plain[1],
        "seconds": round(time.perf_counter() - began, 1),
        "load_average": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
    }


class _Child:
    """A process that is told lines and answers lines; what an edge says that it has kept is noted by the way."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self._in = process, process.stdin
        self.kept = 0  # ns, newest
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, out: IO[bytes]) -> None:
        for line in out:
            told = json.loads(line)
            if "kept" in told:
                self.kept = told["kept"]
            else:
                self._answers.put(told)
        self._answers.put(None)

    def tell(self, **order: Any) -> None:
        self._in.write(json.dumps(order).encode() + b"\n")
        self._in.flush()

    def hear(self) -> dict[str, Any]:
        """The next answer. Raises RuntimeError when there is none."""
        told = self._answers.get(timeout=_DEADLINE)
        if told is None:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}")
        return told

    def ask(self, **order: Any) -> dict[str, Any]:
        self.tell(**order)
        return self.hear()

    def kill(self) -> int:
        """`kill -9`; gives what it had kept."""
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self._in.close()
        return self.kept

    def end(self) -> None:
        """Lets it come to its end."""
        self._in.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class _Day:
    """The plant's day: what is made when, and what is killed."""

    def __init__(self, net: Net, folder: Path, seconds: int) -> None:
        self._net, self._folder, self._seconds = net, folder, seconds
        self._now = time.time_ns() // S * S - 3 * 86_400 * S  # the plant's
        self._spans: list[list[int]] = []  # of which every second was acknowledged
        self._kills = 0
        authority = Authority.create(folder / "centre" / "ca", time.time_ns)
        self._centre = self._child("centre", "outage_centre", str(folder / "centre"), net.address("centre"))
        self._join(authority, self._centre.hear()["hub"])
        self._edge = self._start_edge()

    def run(self, *, live: int) -> dict[str, Any]:
        """The whole of it; `live` s in real time."""
        try:
            return self._run(live)
        finally:
            self._edge.end()
            self._centre.end()

    def _run(self, live: int) -> dict[str, Any]:
        share = self._seconds // 10
        self._net.set("edge", "centre", FIVE_G)
        self._make(2 * share)
        self._net.set("edge", "centre", FAR)
        self._make(share, midway=lambda: self._centre.ask(kill="leader"))
        self._net.set("edge", "centre", CUT)
        for _ in range(2):
            self._make(2 * share)
            self._make(share, kill=True)
        disk = self._disk()
        drain = self._drain(live)
        self._net.set("edge", "centre", CUT)
        self._make(share // 2)
        self._net.set("edge", "centre", FIVE_G)
        time.sleep(1.0)  # some is on its way, some acknowledged, some neither
        self._centre.ask(kill="leader")
        self._make(share // 2, kill=True)
        self._until_empty()
        seen, told = self._centre.ask(view=True), self._centre.ask(judge=self._spans)
        return {
            "seconds": self._seconds,
            "points": told["acknowledged"],
            "lost": told["lost"],
            "doubled": told["rows_twice"] + seen["twice"],
            "wrong": told["wrong"],
            "stored": told["stored"],
            "stored_again": seen["points"] - told["stored"],
            "edge_kills": self._kills,
            "leader_kills": 2,
            **disk,
            **drain,
        }

    def _make(self, seconds: int, *, kill: bool = False, midway: Callable[[], object] | None = None) -> None:
        """So many seconds of the plant; with `kill`, the edge dies in the middle of them and comes back after a while."""
        first = self._now
        self._edge.tell(**{"from": first, "seconds": seconds})
        if midway is not None or kill:
            while self._edge.kept < first + seconds // 2 * S:
                time.sleep(0.001)
        if midway is not None:
            midway()
        if kill:
            last = self._edge.kill()
            self._kills += 1
            self._edge = self._start_edge()
            self._now = first + (seconds + _DARK) * S
        else:
            self._edge.hear()
            last = self._now = first + seconds * S
            last -= S
        self._spans.append([first, last])

    def _disk(self) -> dict[str, Any]:
        time.sleep(2.5)  # its figures are of the last second
        state = self._edge.ask(state=True)["state"]
        points = (state["waiting"] - 2) * TAGS  # but for the tables of names
        return {
            "disk_bytes_per_point": round(state["files"] / points, 2),
            "disk_values": "process-like, 1 to 3 decimals; the outbox's files, whole",
            "waiting_points": points,
        }

    def _drain(self, live: int) -> dict[str, Any]:
        """The line is back: history drains, and a second each second comes in addition."""
        before = self._centre.ask(view=True)["points"]
        made = sum(last - first + S for first, last in self._spans) // S - before // TAGS
        self._edge.tell(live=live)
        self._net.set("edge", "centre", FIVE_G)
        back = time.time()
        while (seen := self._centre.ask(view=True))["points"] == before:
            time.sleep(0.05)
        began, history, delays = time.time(), 0, []
        while history < made and time.time() - began < live - 2:
            time.sleep(0.2)
            seen = self._centre.ask(view=True)
            history = (seen["points"] - before) // TAGS - len(seen["live"])
            delays = [delay for at, delay in seen["live"] if at > began]
        took = time.time() - began
        self._spans.append([self._edge.hear()["first"], self._edge.kept])
        return {
            "drain_x_realtime": round(history / took, 1),
            "drained_plant_s": history,
            "contact_after_s": round(began - back, 2),
            "live_delay_p50_s": round(float(np.percentile(delays, 50)), 3) if delays else None,
            "live_delay_p99_s": round(float(np.percentile(delays, 99)), 3) if delays else None,
            "live_seconds": len(delays),
        }

    def _until_empty(self) -> None:
        end = time.monotonic() + _DEADLINE
        while self._edge.ask(state=True)["state"].get("waiting") != 0:
            if time.monotonic() > end:
                raise RuntimeError("the outbox does not become empty")
            time.sleep(0.5)
        while self._centre.ask(left=True)["left"]:
            if time.monotonic() > end:
                raise RuntimeError("the intake does not take in what the hub has")
            time.sleep(0.5)

    def _start_edge(self) -> _Child:
        edge = self._child("edge", "outage_edge", str(self._folder / "edge"))
        edge.hear()
        return edge

    def _child(self, site: str, module: str, *args: str) -> _Child:
        command = [sys.executable, "-m", f"ronghe.bench.{module}", *args]
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        return _Child(self._net.popen(site, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env))

    def _join(self, authority: Authority, hub: str) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        home = self._folder / "edge" / "centre"
        home.mkdir(parents=True)
        key = ec.generate_private_key(ec.SECP256R1())
        write(home / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), secret=True)
        write(home / "node.pem", authority.issue(request_of(key, NODE), NODE).pem.encode())
        write(home / "ca.pem", authority.certificate.read_bytes())
        member = Membership(url="https://127.0.0.1:1", hub=hub, node=NODE, plant=PLANT)
        write(home / "centre.json", msgspec.json.encode(member))


def _bytes_per_point(folder: Path, *, rounded: bool) -> float:
    """Of messages as they wait, a minute of them."""
    index, ids = TagIndex(names()), np.arange(TAGS, dtype=np.int32)
    outbox = Outbox(folder / "outbox.sqlite", most=10**9, clock=time.time_ns)
    encoder = Encoder(PLANT, NODE, time.time_ns)
    start = time.time_ns() // S * S
    for i in range(60):
        batch = Batch.of(index, ids, start + i * S, values(start + i * S, rounded=rounded))
        outbox.put(encoder.messages(batch, str(i)))
    return round(outbox.waiting().bytes / 60 / TAGS, 2)
