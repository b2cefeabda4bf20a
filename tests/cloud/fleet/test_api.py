"""Nodes and whoever is none, at a real centre over real TLS."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import time
import urllib.request
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families
from tests.cloud.fleet.centres import PLANT, Running, plant_folder, until

from ronghe.bus import wire
from ronghe.bus.contract import Message
from ronghe.bus.fleet import Wanted
from ronghe.bus.invitation import Invitation
from ronghe.bus.jetstream import JetStream
from ronghe.bus.subjects import SAMPLES, subject
from ronghe.cli.fleet import fleet as fleet_command
from ronghe.cli.join import join as join_command
from ronghe.cloud.fleet.authority import Authority
from ronghe.edge.centrelink import Refused
from ronghe.edge.joining import HOME, context, join, membership
from ronghe.errors import CloudError, RongheError, Unreachable
from ronghe.guard import Ledger
from ronghe.signals import Batch, TagIndex


def report(node: str) -> bytes:
    return json.dumps({"node": node, "plant": PLANT, "at": 1, "version": "1", "started": 1, "metrics": {"ronghe_tags": 3}}).encode()


def test_a_whole_centre_starts_with_all_its_parts(at: Running) -> None:
    assert at.centre.failed == {}
    assert all(p is not None for p in (at.centre.hub, at.centre.intake, at.centre.lake, at.centre.serving, at.centre.rollouts))


def test_the_printed_command_joins_once(at: Running, tmp_path: Path) -> None:
    plant = plant_folder(tmp_path / "plant")
    run = CliRunner()
    invited = run.invoke(fleet_command, ["invite", "cli-1", "--plant", PLANT, "--centre", str(at.centre.folder)], catch_exceptions=False)
    command = invited.output.strip().replace("FOLDER", str(plant)).split()
    assert command[:2] == ["ronghe", "join"]
    assert run.invoke(join_command, command[2:], catch_exceptions=False).exit_code == 0
    home = plant / HOME
    assert (home / "key.pem").stat().st_mode & 0o777 == 0o600
    member = membership(home)
    assert member is not None
    assert (member.node, member.plant, member.hub) == ("cli-1", PLANT, at.centre.hub.url)
    again = run.invoke(join_command, command[2:])
    assert isinstance(again.exception, CloudError)
    assert "used" in str(again.exception)
    listed = run.invoke(fleet_command, ["list", "--centre", str(at.centre.folder)], env={"RONGHE_LANG": "zh"}, catch_exceptions=False)
    assert "cli-1" in listed.output
    assert "迟报" in listed.output


def test_another_centre_in_between_is_told_by_the_token(at: Running, tmp_path: Path) -> None:
    other = Authority.create(tmp_path / "ca", time.time_ns)
    token = Invitation(other.fingerprint, Invitation.new(other.fingerprint).secret).token
    with pytest.raises(CloudError, match="not the centre that the token names"):
        join(at.centre.url, token, plant_folder(tmp_path / "plant"), time.time_ns)
    assert not (tmp_path / "plant" / HOME / "key.pem").exists()


def test_nobody_but_nodes_is_served(at: Running, tmp_path: Path) -> None:
    anyone = ssl.create_default_context(cafile=str(at.centre.authority.certificate))
    for path in ("/fleet/wanted", "/fleet/ping", "/fleet/packages/" + "0" * 64, "/fleet/folders/" + "0" * 64):
        with pytest.raises(Refused, match="not in the fleet"):
            at.link_by(anyone).ask("GET", path)
    with pytest.raises(Refused, match="nothing is here"):
        at.link_by(anyone).ask("GET", "/")
    foreign = Authority.create(tmp_path / "ca", time.time_ns)
    anyone.load_cert_chain(*foreign.own())
    with pytest.raises(Unreachable):
        at.link_by(anyone).ask("GET", "/fleet/ping")
    own = ssl.create_default_context(cafile=str(at.centre.authority.certificate))
    own.load_cert_chain(*at.centre.authority.own())  # of our authority, but no node
    with pytest.raises(Refused, match="not in the fleet"):
        at.link_by(own).ask("GET", "/fleet/ping")


def test_plain_and_old_tls_are_not_answered(at: Running) -> None:
    port = int(at.centre.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.sendall(b"GET /fleet/ca HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain.recv(100)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", port), 5) as sock, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(sock)


def test_a_node_gets_what_is_its_own_and_files_go_on_where_they_broke_off(at: Running, tmp_path: Path) -> None:
    fleet = at.centre.fleet
    one, two = at.link(at.joined(tmp_path / "one", "own-1")), at.link(at.joined(tmp_path / "two", "own-2"))
    hash = fleet.add_folder(plant_folder(tmp_path / "version"), "test")
    fleet.want_configuration("own-1", hash, "test")
    whole = b"".join(one.stream(f"/fleet/folders/{hash}", 0))
    assert whole == fleet.folder(PLANT, hash).read_bytes()
    assert b"".join(one.stream(f"/fleet/folders/{hash}", 100)) == whole[100:]
    assert b"".join(one.stream(f"/fleet/folders/{hash}", len(whole))) == b""
    with pytest.raises(Refused):
        list(two.stream(f"/fleet/folders/{hash}", 0))
    with pytest.raises(Refused):
        one.ask("GET", f"/fleet/packages/{hash}")
    with pytest.raises(Refused):
        one.ask("GET", "/fleet/folders/..%2f..%2fca%2fca.key")


def test_news_come_while_the_question_is_held_and_reports_are_taken(at: Running, tmp_path: Path) -> None:
    link = at.link(at.joined(tmp_path / "node", "news-1"))
    first = msgspec.json.decode(link.ask("GET", "/fleet/wanted?since=0").body, type=Wanted)
    assert link.ask("GET", f"/fleet/wanted?since={first.revision}&wait=0").status == 204
    loop = asyncio.new_event_loop()
    try:
        held = loop.run_in_executor(None, lambda: link.ask("GET", f"/fleet/wanted?since={first.revision}&wait=20", held=20))
        id = at.centre.fleet.order("news-1", "ping", {}, "test")
        answer = loop.run_until_complete(held)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
    assert [o["id"] for o in json.loads(answer.body)["orders"]] == [id]
    link.ask("POST", "/fleet/report", report("somebody else"))
    assert at.centre.fleet.view()["nodes"][[n.name for n in at.centre.fleet.nodes()].index("news-1")]["state"] == "up"
    with pytest.raises(Refused) as no:
        link.ask("POST", "/fleet/report", b"{")
    assert no.value.status == 400
    with pytest.raises((Refused, Unreachable)):
        link.ask("POST", "/fleet/report", b" " * 3_000_000)


def test_a_removed_node_is_refused_at_once_by_https_and_by_the_hub(at: Running, tmp_path: Path) -> None:
    plant = at.joined(tmp_path / "node", "gone-1")
    link = at.link(plant)
    until(lambda: "gone-1" in at.centre._at_hub, "the hub to know it")

    async def send() -> None:
        now = time.time_ns()
        batch = Batch.of(TagIndex(), ["line/pressure"], now, [4.0])
        bus = JetStream(at.centre.hub.url, name="gone-1", tls=context(plant / HOME), patience=2.0)
        try:
            await bus.append([Message(subject(PLANT, "gone-1", SAMPLES), f"m-{now}", wire.encode(batch), now)])
        finally:
            await bus.close()

    asyncio.run(send())
    link.ask("GET", "/fleet/ping")
    at.centre.fleet.remove("gone-1", "test", "stolen")
    with pytest.raises(Refused) as no:
        link.ask("GET", "/fleet/ping")
    assert no.value.status == 403
    until(lambda: "gone-1" not in at.centre._at_hub, "the hub to know it")
    with pytest.raises(RongheError):
        asyncio.run(send())
    events = until(lambda: [e for e in Ledger.read(at.centre.home / "ledger") if e.kind == "fleet.remove"], "its entry in the ledger")
    assert events[-1].body["why"] == "stolen"


def test_who_asks_too_often_waits(at: Running, tmp_path: Path) -> None:
    link = at.link(at.joined(tmp_path / "node", "fast-1"))

    def often() -> None:
        for _ in range(200):
            link.ask("GET", "/fleet/ping")

    with pytest.raises(Refused) as no:
        often()
    assert no.value.status == 429


def test_prometheus_reads_the_numbers_of_every_node(at: Running, tmp_path: Path) -> None:
    at.link(at.joined(tmp_path / "node", "told-1")).ask("POST", "/fleet/report", report("told-1"))
    with urllib.request.urlopen(at.centre.metrics_url) as answer:  # as a scraper does
        families = {f.name: f for f in text_string_to_metric_families(answer.read().decode())}
    tags = {s.labels["node"]: s for s in families["ronghe_tags"].samples}
    assert (tags["told-1"].value, tags["told-1"].labels["plant"]) == (3.0, PLANT)
    assert families["ronghe_node_up"].type == "gauge"
    assert families["ronghe_centre_nodes"].samples[0].value >= 1
