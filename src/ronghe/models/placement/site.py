"""A site: its connections, the probe that measures the link to it, and the models that it serves."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from ronghe.bus.fleet import Link
from ronghe.errors import ConnectError, RongheError
from ronghe.models.placement.link import LATEST, LinkMeter
from ronghe.models.remote import Answer, Endpoint, Served, Tensors
from ronghe.plant.model import SiteSpec
from ronghe.text import Text

log = logging.getLogger(__name__)

_AT_ONCE: Final = 4  # calls under way to one site
_PROBE_BITS: Final = 5_000  # of one probe and its answer with all headers, as it goes over the wire
_PROBE_SHARE: Final = 0.005  # of the link at most


class Site:
    """Another computer that runs models. `start` begins to measure; what it knows is None until it has been measured."""

    def __init__(self, name: str, spec: SiteSpec, *, clock: Callable[[], int], every: float) -> None:
        """`every` s a probe is sent, less often where that would be more than 0.5 % of the link. Raises Unreachable for a bad address."""
        self.name, self.spec = name, spec
        self.title = spec.title or Text(name, name)
        self._clock, self._every = clock, every
        self._tls = ssl.create_default_context(cafile=str(spec.ca) if spec.ca else None) if spec.url.startswith("https") else None
        self._probe = self._endpoint()
        self._meter = LinkMeter(every)
        self._lock = threading.Lock()
        self._idle: list[Endpoint] = []
        self._busy: set[Endpoint] = set()
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix=f"site {name}")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._measure, name=f"link {name}", daemon=True)
        self.trouble: Text | None = None
        self.overdue = 0  # calls whose answer came too late, and has not come yet

    def start(self) -> None:
        """Starts to measure."""
        self._thread.start()

    def close(self) -> None:
        """Ends the connections, and waits for what is under way."""
        self._ended.set()
        with self._lock:
            everyone = [*self._idle, *self._busy, self._probe]
        for endpoint in everyone:
            if endpoint.socket is not None:
                with contextlib.suppress(OSError):
                    endpoint.socket.shutdown(socket.SHUT_RDWR)
        self._pool.shutdown(cancel_futures=True)
        if self._thread.is_alive():
            self._thread.join()
        for endpoint in everyone:
            endpoint.close()

    def link(self) -> Link | None:
        """As measured; None where that is too little, or too old."""
        with self._lock:
            return self._meter.state(self._clock())

    @property
    def up(self) -> bool:
        """Whether it answers now."""
        with self._lock:
            return self._meter.up(self._clock())

    def transfer(self, size: float) -> float | None:
        """ms of a payload, see `LinkMeter.transfer`."""
        with self._lock:
            return self._meter.transfer(self._clock(), size)

    def late(self, limit_ms: float) -> float:
        """Part of time, see `LinkMeter.late`."""
        with self._lock:
            return self._meter.late(self._clock(), limit_ms)

    def bps(self) -> float | None:
        """bit/s, see `LinkMeter.bps`."""
        with self._lock:
            return self._meter.bps(self._clock())

    def carried(self, answer: Answer, compute_ms: float, trip_ms: float) -> None:
        """Learns the bandwidth from a call."""
        with self._lock:
            size = answer.sent + answer.received
            self._meter.carried(self._clock(), size, answer.total_ms - compute_ms - trip_ms)

    def ask(self, question: Callable[[Endpoint], Any]) -> Any:
        """Asks on a connection that nobody else uses. Raises ConnectError."""
        with self._lock:
            endpoint = self._idle.pop() if self._idle else self._endpoint()
            self._busy.add(endpoint)
        try:
            answer = question(endpoint)
        finally:
            with self._lock:
                self._busy.discard(endpoint)
                if not self._ended.is_set():
                    self._idle.append(endpoint)
                else:
                    endpoint.close()
        return answer

    def submit(self, job: Callable[[], Any]) -> Future[Any]:
        """Does a job in a thread of the site's; gives its Future. Raises RuntimeError after the end."""
        return self._pool.submit(job)

    def await_late(self, call: Future[Any]) -> None:
        """An answer is overdue: until it comes, or fails, no other call is worth waiting for."""
        with self._lock:
            self.overdue += 1
        call.add_done_callback(self._came)

    def _came(self, _: Future[Any]) -> None:
        with self._lock:
            self.overdue -= 1

    def find(self, graph: str) -> Served | None:
        """The model with this graph (SHA-256 of its ONNX file) that is served there. Raises ConnectError."""
        return self.ask(lambda e: _served(e, graph))

    def infer(self, served: Served, inputs: Tensors, outputs: Sequence[str], within: float) -> Answer:
        """One call, given up when nothing comes for `within` s. Raises ConnectError."""

        def call(endpoint: Endpoint) -> Answer:
            endpoint.wait(within)
            return endpoint.infer(served.name, inputs, outputs, version=served.version)

        answer: Answer = self.ask(call)
        return answer

    def _endpoint(self) -> Endpoint:
        return Endpoint(self.spec.url, key=self.spec.api_key, timeout=LATEST / 1e3, tls=self._tls)

    def _measure(self) -> None:
        counted = 0, 0
        while not self._ended.is_set():
            began = time.perf_counter()
            with self._lock:
                self._meter.sent(self._clock())
            try:
                ms = self._probe.ping()
                with self._lock:
                    self._meter.back(self._clock(), ms)
                    before, counted = counted, _segments(self._probe.socket)
                    if counted[0] >= before[0]:  # else it is another connection
                        self._meter.resent(counted[0] - before[0], counted[1] - before[1])
                self._say(None)
            except RongheError as e:
                with self._lock:
                    self._meter.lost(self._clock())
                self._say(e.what)
            speed = self.bps()
            if speed is not None:
                self._meter.every = max(self._every, _PROBE_BITS / (_PROBE_SHARE * speed))
            self._ended.wait(max(0.0, self._meter.every - (time.perf_counter() - began)))

    def _say(self, trouble: Text | None) -> None:
        if (trouble is None) != (self.trouble is None) and not self._ended.is_set():
            log.warning("site %s: %s", self.name, trouble if trouble is not None else Text("answers", "有应答"))
        self.trouble = trouble


def _served(endpoint: Endpoint, graph: str) -> Served | None:
    for name, version in endpoint.models():
        with contextlib.suppress(ConnectError):  # one that has gone meanwhile, or is not for us
            if (model := endpoint.describe(name, version)).graph == graph:
                return model
    return None


def _segments(connection: Any) -> tuple[int, int]:
    """(segments of data sent on a TCP connection, those sent again) as the Linux kernel counts them (struct tcp_info); else (0, 0)."""
    if sys.platform != "linux" or connection is None:
        return 0, 0
    told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 160)
    if len(told) < 160:
        return 0, 0
    (again,), (segments,) = struct.unpack_from("I", told, 100), struct.unpack_from("I", told, 156)
    return segments, again
