"""A centre folder and what of it cannot be used; metrics as the collectors of others read them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from tests.cloud.fleet.centres import PLANT, plant_folder

from ronghe.bus.fleet import Link, Report, RunningModel
from ronghe.cli.cloud import cloud
from ronghe.cloud import folder
from ronghe.cloud.centre import Centre, open_fleet
from ronghe.cloud.fleet.metrics import Exporter, Exposition
from ronghe.cloud.spec import MetricsSpec
from ronghe.edge.joining import join
from ronghe.errors import CloudError


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = CliRunner().invoke(cloud, ["new", str(tmp_path / "centre"), "--address", "centre.example"], catch_exceptions=False)
    assert made.exit_code == 0
    return tmp_path / "centre"


def test_a_new_centre_is_complete_and_its_root_is_nobody_elses(home: Path) -> None:
    assert folder.read(home).address == "centre.example"
    assert (home / ".ronghe" / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(CloudError, match="already"):
        folder.make(home, "centre.example", time.time_ns)


def test_every_wrong_line_of_cloud_toml_is_told(home: Path) -> None:
    (home / "cloud.toml").write_text('adress = "x"\n\n[hub]\nservers = 9\nport = "a"\n')
    with pytest.raises(CloudError) as told:
        folder.read(home)
    assert [line.strip().partition(": ")[0] for line in told.value.in_("en").splitlines()[1:]] == [f"cloud.toml:{n}" for n in (1, 4, 5)]
    assert "did you mean 'address'?" in told.value.in_("en")
    assert "是否想写 'address'" in told.value.in_("zh")
    (home / "cloud.toml").write_text("[hub\n")
    with pytest.raises(CloudError, match=r"cloud\.toml:1"):
        folder.read(home)
    with pytest.raises(CloudError, match="cloud new"):
        folder.read(home.parent)


async def test_who_is_removed_while_the_centre_rests_is_unknown_to_its_hub(home: Path, tmp_path: Path) -> None:
    (home / "cloud.toml").write_text("[fleet]\nport = 0\n[hub]\nport = 0\n[serving]\nport = 0\ngrpc = 0\n")
    known = home / ".ronghe" / "hub" / "nodes.json"
    centre = Centre(home)
    try:
        await centre.start()
        token = centre.fleet.invite("gone-1", PLANT, "test")
        await asyncio.to_thread(join, centre.url, token, plant_folder(tmp_path / "plant"), time.time_ns)
        while "gone-1" not in centre._at_hub:
            await asyncio.sleep(0.05)
    finally:
        await centre.stop()
    assert "gone-1" in known.read_text()
    fleet = open_fleet(home)
    fleet.remove("gone-1", "test", "stolen at night")
    fleet.close()
    centre = Centre(home)
    try:
        await centre.start()
        assert centre.failed == {}
        assert "gone-1" not in known.read_text()
    finally:
        await centre.stop()


async def test_a_part_that_fails_is_said_and_stops_nobody_else(home: Path) -> None:
    ports = "[fleet]\nport = 0\n[hub]\nservers = 2\nport = 0\n[serving]\nport = 0\ngrpc = 0\n"
    (home / "cloud.toml").write_text(ports + "[metrics]\nlisten = '127.0.0.1:x'\n")
    centre = Centre(home)
    try:
        await centre.start()
        assert set(centre.failed) == {"hub", "intake", "metrics"}
        assert centre.serving is not None
        assert centre.url.startswith("https://")
    finally:
        await centre.stop()
    with pytest.raises(CloudError, match="cannot be used"):
        centre.fleet.nodes()


class Collector(BaseHTTPRequestHandler):
    """Keeps what it is sent."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Content-Type"], body))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), Collector)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_opentelemetry_reads_the_numbers(home: Path, collector: HTTPServer) -> None:
    fleet = open_fleet(home)
    fleet.invite("press-1", "acme/north/press", "test")
    fleet.register.write("UPDATE node SET joined = 1")
    model = RunningModel(app="eye", name="cap", version="2", run_ms=4.0)
    numbers = {"ronghe_tags": 3.0, "not a name": 1.0}
    link = Link(rtt_ms=20.0, p99_ms=30.0, jitter_ms=1.0, loss=0.0)
    fleet.heard("press-1", Report(node="", plant="", at=0, version="1", started=0, metrics=numbers, link=link, models=(model,)))
    Exporter(Exposition(fleet, time.time_ns), MetricsSpec(otlp=f"http://127.0.0.1:{collector.server_port}")).send()
    fleet.close()
    [(path, kind, body)] = collector.got  # type: ignore[attr-defined]
    assert (path, kind) == ("/v1/metrics", "application/json")
    told = json_format.Parse(body, ExportMetricsServiceRequest())
    [scope] = told.resource_metrics[0].scope_metrics
    points = {m.name: m.gauge.data_points[0] for m in scope.metrics}
    assert points["ronghe_tags"].as_double == 3.0
    assert {a.key: a.value.string_value for a in points["ronghe_tags"].attributes} == {"node": "press-1", "plant": "acme/north/press"}
    assert points["ronghe_link_rtt_seconds"].as_double == 0.02
    assert abs(time.time_ns() - points["ronghe_tags"].time_unix_nano) < 60e9
    assert "not a name" not in points


async def test_a_collector_that_is_not_there_stops_nothing(home: Path) -> None:
    fleet = open_fleet(home)
    exporter = Exporter(Exposition(fleet, time.time_ns), MetricsSpec(otlp="http://127.0.0.1:1", every=0.01))
    await exporter.start()
    await asyncio.sleep(0.1)
    await exporter.stop()
    with pytest.raises(OSError, match="refused"):
        exporter.send()
    with pytest.raises(CloudError, match="http"):
        await Exporter(Exposition(fleet, time.time_ns), MetricsSpec(otlp="collector:4318")).start()
    fleet.close()
