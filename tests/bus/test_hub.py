from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.bus.contract import AT, drain, ids

from ronghe.bus import subjects
from ronghe.bus.contract import Message
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.cloud.fleet.authority import Authority
from ronghe.cloud.spec import HubSpec
from ronghe.errors import BusError, Rejected, Unreachable

PLANT = "acme/site/area"
Context = Callable[[str], ssl.SSLContext]


def message(node: str, n: int = 0, plant: str = PLANT) -> Message:
    return Message(subjects.subject(plant, node, subjects.SAMPLES), f"{node}-{n}", b"x", AT)


def context(authority: Authority, folder: Path, name: str) -> ssl.SSLContext:
    """As a node makes it: its own key, a certificate from the authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    cert, secret = folder / f"{name}.pem", folder / f"{name}.key"
    cert.write_text(authority.issue(request.public_bytes(serialization.Encoding.PEM).decode(), name).pem)
    form = serialization.PrivateFormat.PKCS8
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    tls = ssl.create_default_context(cafile=str(authority.certificate))
    tls.load_cert_chain(cert, secret)
    return tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "ca", time.time_ns)


@pytest.fixture
async def hub(tmp_path: Path, authority: Authority) -> AsyncIterator[Hub]:
    hub = Hub(tmp_path / "hub", HubSpec(port=0, most="100 MB"), ca=authority.certificate, server=authority.server("127.0.0.1"))
    await hub.start()
    yield hub
    await hub.stop()


async def test_a_node_sends_what_is_its_own_and_hears_nothing_else(hub: Hub, authority: Authority, tmp_path: Path) -> None:
    await hub.add_node("n1", PLANT)
    tls = context(authority, tmp_path, "n1")
    node = JetStream(hub.url, name="n1", tls=tls, patience=5.0)
    await node.append([message("n1")])
    late = subjects.late(message("n2").subject)
    other = message("n1", plant="acme/site/other")
    for foreign in (message("n2"), Message(late, "l", b"", AT), other, Message("$JS.API.STREAM.DELETE.RONGHE", "x", b"", AT)):
        with pytest.raises(Rejected) as e:
            await node.append([foreign])
        assert "节点" in e.value.in_("zh")
    await node.append([message("n1", 1)])
    assert node._connection is not None
    for foreign_subject in (f"{subjects.ROOT}.>", "_INBOX.>", subjects.inbox("centre") + ".>"):
        node._refused = None
        await node._connection.subscribe(foreign_subject)
        while node._refused is None:
            await asyncio.sleep(0.01)
    await node.close()

    spy = JetStream(hub.url, name="centre", tls=tls, patience=0.5)  # its name, but the certificate of n1
    with pytest.raises((Rejected, Unreachable)):
        await spy.append([message("n1", 2)])
    await spy.close()

    own = ssl.create_default_context(cafile=str(authority.certificate))
    own.load_cert_chain(*authority.own())
    centre = JetStream(hub.url, name="centre", tls=own)
    found = await drain(centre, "intake", f"{subjects.ROOT}.>")
    assert ids(found)[:2] == ["n1-0", "n1-1"]
    assert {subjects.origin(m.subject) for m in found} == {(PLANT, "n1", subjects.SAMPLES)}
    await centre.close()


async def test_nodes_come_and_go_while_others_stay_connected(hub: Hub, authority: Authority, tmp_path: Path) -> None:
    await hub.add_node("n1", PLANT)
    first = JetStream(hub.url, name="n1", tls=context(authority, tmp_path, "n1"), patience=5.0)
    await first.append([message("n1")])
    connection = first._connection

    late = context(authority, tmp_path, "n2")
    second = JetStream(hub.url, name="n2", tls=late, patience=0.2)
    with pytest.raises(Unreachable):
        await second.append([message("n2")])
    second.patience = 10.0
    await hub.add_node("n2", PLANT)
    await second.append([message("n2")])
    await hub.remove_node("n2")
    second.patience = 0.2

    async def send_on() -> None:
        for n in range(1, 100):
            await second.append([message("n2", n)])
            await asyncio.sleep(0.05)

    with pytest.raises((Unreachable, Rejected)):
        await send_on()
    await first.append([message("n1", 1)])
    assert first._connection is connection
    assert connection is not None
    assert connection.is_connected
    for bus in (first, second):
        await bus.close()

    other = Authority.create(tmp_path / "other", time.time_ns)
    stranger = JetStream(hub.url, name="n1", tls=context(other, tmp_path, "n1"), patience=0.2)
    with pytest.raises(Unreachable):
        await stranger.append([message("n1", 2)])
    plain = JetStream(hub.url.replace("tls:", "nats:"), name="n1", patience=0.2)
    with pytest.raises(Unreachable):
        await plain.append([message("n1", 2)])


async def test_a_server_that_died_is_started_again_with_all_that_it_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    hub = Hub(folder, HubSpec(port=0, most="100 MB"))
    await hub.start()
    bus = JetStream(hub.url, name="n1", patience=20.0)
    for n in range(20):
        await bus.append([message("n1", n)])
    os.kill(hub.view()[0]["pid"], signal.SIGKILL)
    await bus.append([message("n1", n) for n in range(15, 25)])
    assert sorted(ids(await drain(bus, "reader", "ronghe.>"))) == sorted(f"n1-{n}" for n in range(25))

    url, pid = hub.url, hub.view()[0]["pid"]
    for server in hub._servers:  # as if this process were killed: nobody watches, the server goes on
        assert server.watch is not None
        server.watch.cancel()
    again = Hub(folder, HubSpec(port=0, most="100 MB"))
    await again.start()
    assert again.url == url, "nodes know it"
    assert again.view()[0]["pid"] != pid
    await bus.append([message("n1", 30)])
    assert ids(await drain(bus, "reader", "ronghe.>")) == ["n1-30"]
    await bus.close()
    await again.stop()
    await hub.stop()


async def test_the_leader_of_three_is_killed_while_messages_come(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", HubSpec(port=0, servers=3, most="100 MB"))
    await hub.start()
    bus = JetStream(hub.url, name="n1", patience=30.0)
    told: list[str] = []
    enough = asyncio.Event()

    async def send() -> None:
        n = 0
        while not enough.is_set():
            some = [message("n1", n + i) for i in range(5)]
            await bus.append(some)
            told.extend(ids(some))
            n += 5

    sending = asyncio.create_task(send())
    watcher = JetStream(hub.url, name="watcher", in_hand=1.0)
    while len(told) < 50:
        await asyncio.sleep(0.05)
    await watcher.connect()
    assert watcher._connection is not None
    info = await watcher._connection.jsm().stream_info(subjects.STREAM)
    assert info.cluster is not None
    leader = next(s for s in hub.view() if s["name"] == info.cluster.leader)
    os.kill(leader["pid"], signal.SIGKILL)
    before = len(told)
    while len(told) < before + 100:
        await asyncio.sleep(0.05)
        assert not sending.done()
    enough.set()
    await sending
    found: dict[int, str] = {}  # by place in the stream: what is read again while the hub comes to itself is not there twice
    quiet = False
    while not quiet:
        with contextlib.suppress(Unreachable):
            some = await watcher.pull("reader", "ronghe.>", wait=0.7)
            found |= {m.seq: m.id for m in some}
            await watcher.ack("reader", some)
            quiet = not some and len(found) >= len(told)
    assert sorted(found.values()) == sorted(told), "nothing lost, nothing doubled"
    while not all(s["up"] for s in hub.view()):
        await asyncio.sleep(0.1)
    await bus.close()
    await watcher.close()
    await hub.stop()


async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="two servers"):
        await Hub(tmp_path / "hub", HubSpec(servers=2)).start()
    theirs = Hub(tmp_path / "hub", HubSpec(url="tls://nats.example:4222"))
    await theirs.start()
    assert theirs.url == "tls://nats.example:4222"
    assert theirs.view() == []
    await theirs.stop()
