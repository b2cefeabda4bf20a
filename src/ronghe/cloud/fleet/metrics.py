"""What nodes and the centre measure of themselves, for other tools: Prometheus text (`GET /metrics`) and OTLP/HTTP in JSON.

Prometheus text exposition format 0.0.4; OpenTelemetry protocol 1.x, `ExportMetricsServiceRequest` in the JSON encoding of protobuf. Both
are a few lines over numbers that are at hand: no library earns its keep here, and tests read both by the originals' own parsers.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
import os
import re
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

import ronghe
from ronghe.cloud.fleet.fleet import Fleet
from ronghe.cloud.fleet.view import UP
from ronghe.cloud.spec import MetricsSpec
from ronghe.errors import CloudError
from ronghe.text import Text

log = logging.getLogger(__name__)

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PRIORITIES: Final = ("critical", "high", "medium", "low")
_LONGEST: Final = 8_192  # bytes of a request's head
_TIMEOUT: Final = 10.0  # s


class Point(msgspec.Struct, frozen=True):
    """One number. Everything is a gauge: what a node counts starts anew with it."""

    name: str
    labels: dict[str, str]
    value: float


class Exposition:
    """All numbers as they are now."""

    def __init__(self, fleet: Fleet, clock: Callable[[], int]) -> None:
        self._fleet, self._clock = fleet, clock
        self._started = clock()

    def points(self) -> Iterator[Point]:
        """Of all nodes that are in the fleet, as last heard, and of the centre."""
        now = self._clock()
        nodes = [n for n in self._fleet.nodes() if n.joined and not n.removed]
        reports = {node.name: (report, seen) for node, report, seen in self._fleet.reports()}
        yield Point("ronghe_centre_up_seconds", {}, (now - self._started) / 1e9)
        yield Point("ronghe_centre_nodes", {}, len(nodes))
        yield Point("ronghe_centre_process_cpu_seconds", {}, sum(os.times()[:2]))
        for node in nodes:
            labels = {"node": node.name, "plant": node.plant}
            report, seen = reports.get(node.name, (None, 0))
            yield Point("ronghe_node_up", labels, float(bool(seen) and now - seen <= UP))
            if report is None:
                continue
            yield Point("ronghe_node_seen_seconds", labels, (now - seen) / 1e9)
            yield Point("ronghe_node_changed_files", labels, len(report.changed))
            for priority in _PRIORITIES:
                yield Point("ronghe_alarms", {**labels, "priority": priority}, report.alarms.get(priority, 0))
            if report.link is not None:
                yield Point("ronghe_link_rtt_seconds", labels, report.link.rtt_ms / 1e3)
                yield Point("ronghe_link_jitter_seconds", labels, report.link.jitter_ms / 1e3)
                yield Point("ronghe_link_loss_ratio", labels, report.link.loss)
            for model in report.models:
                yield Point("ronghe_model_running", {**labels, "app": model.app, "model": model.name, "version": model.version}, 1.0)
                if model.run_ms is not None:
                    yield Point("ronghe_model_run_seconds", {**labels, "app": model.app, "quantile": "0.99"}, model.run_ms / 1e3)
            yield from (Point(name, labels, value) for name, value in report.metrics.items() if _NAME.fullmatch(name))

    def prometheus(self) -> str:
        """The text that Prometheus reads; the samples of one name stand together."""
        groups: dict[str, list[Point]] = {}
        for point in self.points():
            groups.setdefault(point.name, []).append(point)
        lines: list[str] = []
        for name, points in sorted(groups.items()):
            lines.append(f"# TYPE {name} gauge")
            lines += [f"{name}{_labels(p.labels)} {float(p.value)!r}" for p in points]
        return "\n".join(lines) + "\n"

    def otlp(self) -> dict[str, Any]:
        """An ExportMetricsServiceRequest; times are 64-bit integers and so, in JSON, texts."""
        at = str(self._clock())
        groups: dict[str, list[Point]] = {}
        for point in self.points():
            groups.setdefault(point.name, []).append(point)
        metrics = [
            {
                "name": name,
                "gauge": {"dataPoints": [{"attributes": _attributes(p.labels), "timeUnixNano": at, "asDouble": p.value} for p in points]},
            }
            for name, points in sorted(groups.items())
        ]
        scope = {"scope": {"name": "ronghe", "version": ronghe.__version__}, "metrics": metrics}
        return {"resourceMetrics": [{"resource": {"attributes": _attributes({"service.name": "ronghe-centre"})}, "scopeMetrics": [scope]}]}


class Exporter:
    """Serves `GET /metrics` and sends to a collector, as cloud.toml says."""

    def __init__(self, exposition: Exposition, spec: MetricsSpec) -> None:
        self._exposition, self._spec = exposition, spec
        self._server: asyncio.Server | None = None
        self._sending: asyncio.Task[None] | None = None
        self.url = ""

    async def start(self) -> None:
        """Raises CloudError for an address that is none or cannot be had."""
        if self._spec.otlp and urlsplit(self._spec.otlp).scheme not in ("http", "https"):
            raise CloudError(Text("expected http:// or https://", "应以 http:// 或 https:// 开头"), where="[metrics] otlp")
        if self._spec.listen:
            host, _, port = self._spec.listen.rpartition(":")
            try:
                self._server = await asyncio.start_server(self._serve, host.strip("[]") or "127.0.0.1", int(port), limit=_LONGEST)
            except (OSError, ValueError, OverflowError) as e:
                what = Text(f"cannot listen at {self._spec.listen}: {e}", f"无法监听 {self._spec.listen}：{e}")
                raise CloudError(what, where="[metrics] listen") from e
            self.url = f"http://{host or '127.0.0.1'}:{self._server.sockets[0].getsockname()[1]}/metrics"
        if self._spec.otlp:
            self._sending = asyncio.create_task(self._send_for_ever(), name="otlp")

    async def stop(self) -> None:
        """Safe to call twice."""
        if self._server is not None:
            self._server.close()
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    def send(self) -> None:
        """Sends once. Raises OSError, HTTPException, or CloudError for a collector that says no."""
        to = urlsplit(self._spec.otlp)
        kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
        link = kind(to.hostname or "", to.port, timeout=_TIMEOUT)
        try:
            body = msgspec.json.encode(self._exposition.otlp())
            link.request("POST", f"{to.path.rstrip('/')}/v1/metrics", body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            if answer.status >= 300:
                raise CloudError(Text(f"the collector answers {answer.status}", f"采集器应答 {answer.status}"), where=self._spec.otlp)
        finally:
            link.close()

    async def _send_for_ever(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self.send)
            except (OSError, http.client.HTTPException, CloudError) as e:
                log.warning("metrics are not sent to %s: %s", self._spec.otlp, e)
            await asyncio.sleep(self._spec.every)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: nobody but a scraper comes here."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _TIMEOUT)
            found = head.split(b" ")[:2] == [b"GET", b"/metrics"]
            body = (await asyncio.to_thread(self._exposition.prometheus)).encode() if found else b"see /metrics\n"
            status = "200 OK" if found else "404 Not Found"
            kind = "text/plain; version=0.0.4; charset=utf-8"
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
            )
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            log.debug("a scraper went away")
        finally:
            writer.close()


def _labels(labels: dict[str, str]) -> str:
    escape = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
    return "{" + ",".join(f'{k}="{v.translate(escape)}"' for k, v in labels.items()) + "}" if labels else ""


def _attributes(labels: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": k, "value": {"stringValue": v}} for k, v in labels.items()]
