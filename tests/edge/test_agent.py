"""The agent of a joined node at a real centre: what is wanted is done, what is done is told, and nothing listens at the node."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from tests.cloud.fleet.centres import PLANT, Running, plant_folder, running

from ronghe.cli.edge import run_until
from ronghe.edge import agent
from ronghe.edge.configuration import Configuration
from ronghe.edge.joining import HOME, membership
from ronghe.errors import CloudError, HistorianError
from ronghe.historian import Historian
from ronghe.plant.version import pack, survey
from ronghe.signals import TagIndex


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("centre") / "centre", whole=False) as found:
        yield found


@pytest.fixture
async def plant(at: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> AsyncIterator[Path]:
    """A joined plant folder, its node at work in this loop as by `ronghe up --no-console`."""
    monkeypatch.setattr(agent, "EVERY", 0.2)
    monkeypatch.setattr(agent, "SETTLES", 1.0)
    monkeypatch.setattr(agent, "_FIRST", 0.05)
    folder = await asyncio.to_thread(at.joined, tmp_path / "plant", name(request))
    ended = asyncio.Event()
    node = asyncio.create_task(run_until(ended, folder, "", None))
    yield folder
    ended.set()
    await node


def name(request: pytest.FixtureRequest) -> str:
    return f"node-{abs(hash(request.node.name)) % 10**8}"


@pytest.fixture
def node(request: pytest.FixtureRequest) -> str:
    return name(request)


async def seen(at: Running, node: str, what: Any, why: str) -> dict[str, Any]:
    """The node as the centre sees it, once `what` is true of it."""
    end = time.monotonic() + 20
    while True:
        view = next(n for n in at.centre.fleet.view()["nodes"] if n["name"] == node)
        if view["seen"] and what(view):
            return dict(view)
        assert time.monotonic() < end, f"waited in vain for {why}: {view}"
        await asyncio.sleep(0.05)


async def answered(at: Running, node: str, what: str, **options: Any) -> Any:
    id = at.centre.fleet.order(node, what, options, "test")
    end = time.monotonic() + 20
    while (answer := at.centre.fleet.answer(id)) is None:
        assert time.monotonic() < end, f"no answer to {what}"
        await asyncio.sleep(0.05)
    return answer


async def test_the_centre_sees_and_asks_a_node_at_which_nothing_listens(at: Running, tmp_path: Path, node: str) -> None:
    plant = await asyncio.to_thread(at.joined, tmp_path / "plant", node)
    process = subprocess.Popen([sys.executable, "-m", "ronghe", "up", str(plant), "--no-console"], stdout=subprocess.DEVNULL)
    try:
        view = await seen(at, node, lambda v: v["link"], "a report")
        assert view["state"] == "up"
        assert view["metrics"]["tags"] == 1
        assert view["metrics"]["rss_mb"] > 20
        assert view["outbox"]["messages"] >= 0
        running = survey(plant).hash
        assert view["configuration"] == {"wanted": None, "running": running, "drift": False, "changed": [], "text": None}
        while (await answered(at, node, "drivers"))["replay"]["state"] != "up":
            await asyncio.sleep(0.1)
        assert "MainThread" in (await answered(at, node, "threads"))["threads"]
        assert (await answered(at, node, "disk"))["free"] > 0
        assert (await answered(at, node, "metrics"))["ronghe_tags"] == 1
        assert await answered(at, node, "apps") == {}
        assert len(await answered(at, node, "logs", lines="5")) <= 5
        assert [c for c in psutil.Process(process.pid).net_connections("inet") if c.status == "LISTEN"] == []
    finally:
        process.terminate()
        assert process.wait(20) == 0


async def test_what_somebody_changes_by_hand_is_shown(at: Running, plant: Path, node: str) -> None:
    await seen(at, node, lambda v: not v["configuration"]["drift"], "a report")
    with (plant / "tags.csv").open("a") as file:
        file.write("line/other,pressure,replay,pressure,1s\n")
    view = await seen(at, node, lambda v: v["configuration"]["drift"], "the drift")
    assert view["configuration"]["changed"] == ["tags.csv"]
    assert view["configuration"]["text"] is None


async def test_a_configuration_is_switched_and_one_that_breaks_something_is_taken_back(
    at: Running, plant: Path, node: str, tmp_path: Path
) -> None:
    fleet = at.centre.fleet
    (plant / "note.txt").write_text("of the shift")
    good = plant_folder(tmp_path / "good")
    (good / "tags.csv").write_text((good / "tags.csv").read_text() + "line/second,pressure,replay,pressure,1s\n")
    hash = fleet.add_folder(good, "test")
    await seen(at, node, lambda v: v["metrics"]["points_per_s"], "the node at work")
    fleet.want_configuration(node, hash, "test")
    view = await seen(at, node, lambda v: v["configuration"]["running"] == hash and v["metrics"]["tags"] == 2, "the switch")
    assert not view["configuration"]["drift"]
    assert (plant / "note.txt").read_text() == "of the shift"
    kept = Configuration(plant, plant / HOME, time.time_ns)
    assert kept.running.hash == hash
    await confirmed(plant)
    bad = fleet.add_folder(plant_folder(tmp_path / "bad", recording="missing.csv"), "test")
    fleet.want_configuration(node, bad, "test")
    view = await seen(at, node, lambda v: v["configuration"]["text"], "the refusal")
    assert view["configuration"]["text"]["en"] == "no longer at work: connection/replay"
    assert view["configuration"]["drift"]
    assert survey(plant).hash != bad
    assert (plant / "plant.toml").read_bytes() == (good / "plant.toml").read_bytes()
    await seen(at, node, lambda v: v["configuration"]["running"] == hash and v["metrics"]["points_per_s"], "the old one at work")


async def until(what: Callable[[], Any], why: str) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end, f"waited in vain for {why}"
        await asyncio.sleep(0.05)


async def confirmed(plant: Path) -> None:
    end = time.monotonic() + 20
    while Configuration(plant, plant / HOME, time.time_ns).trial is not None:
        assert time.monotonic() < end, "still on trial"
        await asyncio.sleep(0.05)


async def test_a_configuration_that_this_node_cannot_have_is_refused_before_anything_is_touched(
    at: Running, plant: Path, node: str, tmp_path: Path
) -> None:
    version = plant_folder(tmp_path / "secret")
    with (version / "plant.toml").open("a") as file:
        file.write(
            '\n[connections.plc]\ndriver = "opcua"\nurl = "opc.tcp://127.0.0.1:1"\nuser = "u"\npassword = { env = "NOT_SET_HERE" }\n'
        )
    before = survey(plant).hash
    hash = at.centre.fleet.add_folder(version, "test")  # the centre cannot know the node's secrets
    at.centre.fleet.want_configuration(node, hash, "test")
    view = await seen(at, node, lambda v: v["configuration"]["text"], "the refusal")
    assert "NOT_SET_HERE" in view["configuration"]["text"]["zh"]
    assert view["configuration"]["running"] == before == survey(plant).hash


async def test_it_renews_its_certificate_and_is_known_by_the_new_one(
    at: Running, tmp_path: Path, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serials() -> set[str]:
        return {r["serial"] for r in at.centre.fleet.register.rows("SELECT serial FROM certificate WHERE node = ?", node)}

    monkeypatch.setattr(agent, "EVERY", 0.2)
    plant = await asyncio.to_thread(at.joined, tmp_path / "plant", node)
    first, old, member = serials(), (plant / HOME / "node.pem").read_text(), membership(plant / HOME)
    assert member is not None
    assert member.renew > time.time_ns()
    due = msgspec.structs.replace(member, renew=time.time_ns())
    (plant / HOME / "centre.json").write_bytes(msgspec.json.encode(due))
    ended = asyncio.Event()
    running_node = asyncio.create_task(run_until(ended, plant, "", None))
    await until(lambda: (plant / HOME / "node.pem").read_text() != old, "another certificate")
    assert len(serials() - first) == 1
    with at.centre.fleet.register.change("test.forget"):
        at.centre.fleet.register.write("DELETE FROM certificate WHERE serial = ?", next(iter(first)))
    since = at.centre.fleet.clock() // 1_000_000
    await seen(at, node, lambda v: v["seen"] > since, "a report by the new certificate")
    ended.set()
    await running_node
    renewed = membership(plant / HOME)
    assert renewed is not None
    assert renewed.renew > time.time_ns()


async def test_without_its_centre_it_goes_on_and_it_comes_back_by_itself(
    at: Running, tmp_path: Path, node: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "_FIRST", 0.05)
    monkeypatch.setattr(agent, "_LONGEST_PAUSE", 0.2)
    plant = await asyncio.to_thread(at.joined, tmp_path / "plant", node)
    member = membership(plant / HOME)
    assert member is not None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away = msgspec.structs.replace(member, url=f"https://127.0.0.1:{port}")
    (plant / HOME / "centre.json").write_bytes(msgspec.json.encode(away))
    ended = asyncio.Event()
    at_work = asyncio.create_task(run_until(ended, plant, "", None))
    await until(lambda: stored(plant), "samples in its historian")
    assert next(n for n in at.centre.fleet.view()["nodes"] if n["name"] == node)["seen"] is None
    assert not at_work.done()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", int(at.centre.url.rpartition(":")[2]))
        await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)

    way = await asyncio.start_server(forward, "127.0.0.1", port)
    await seen(at, node, lambda v: v["state"] == "up", "a report once the way is there")
    ended.set()
    await at_work
    way.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def stored(plant: Path) -> bool:
    try:
        with Historian(plant / ".ronghe" / "historian", TagIndex(), readonly=True) as found:
            return len(found.last(["line/pressure"])) > 0
    except HistorianError:
        return False


def test_killed_at_any_step_of_a_switch_the_folder_is_what_it_was(tmp_path: Path) -> None:
    other = plant_folder(tmp_path / "other")
    (other / "tags.csv").write_text((other / "tags.csv").read_text() + "line/second,pressure,replay,pressure,1s\n")
    (other / "more.csv").write_text("new\n")
    version = survey(other)
    pack(other, version, tmp_path / "other.zip")
    plants = [plant_folder(tmp_path / f"plant{n}") for n in range(12)]
    before = survey(plants[0])
    for plant in plants:
        (plant / HOME).mkdir(parents=True)
        Configuration(plant, plant / HOME, time.time_ns).take(version.hash, tmp_path / "other.zip")
    script = Path(__file__).with_name("killed_switch.py")
    done = subprocess.run([sys.executable, script, version.hash, *plants], capture_output=True, text=True, check=True)
    names = {int(n) for n in done.stdout.split()}
    assert len(names) == 1, done
    assert 2 < names.pop() < len(plants)  # so that every step had its turn
    assert survey(plants[-1]) == version
    assert len({survey(plant).hash for plant in plants}) > 2  # some died in between
    for plant in plants:
        kept = Configuration(plant, plant / HOME, time.time_ns)
        kept.start()
        assert survey(plant) == before
        assert kept.refused == ("", None)
    kept.place(version.hash, ())
    again = Configuration(plants[-1], plants[-1] / HOME, time.time_ns)
    again.start()
    assert survey(plants[-1]) == before
    assert again.refused[0] == version.hash  # twice is enough


def test_what_came_is_what_was_wanted_or_nothing(tmp_path: Path) -> None:
    plant, other = plant_folder(tmp_path / "plant"), plant_folder(tmp_path / "other", plant="acme/other/shop")
    home = plant / HOME
    kept = Configuration(plant, home, time.time_ns)
    home.mkdir(parents=True)
    version = survey(other)
    pack(other, version, tmp_path / "zip")
    data = bytearray((tmp_path / "zip").read_bytes())
    with pytest.raises(CloudError, match="another version"):
        kept.take("0" * 64, tmp_path / "zip")
    kept.take(version.hash, tmp_path / "zip")
    with pytest.raises(CloudError, match="acme/other/shop"):
        kept.check(version.hash, PLANT)
    data[60] ^= 0xFF
    (tmp_path / "zip").write_bytes(data)
    with pytest.raises(CloudError):
        kept.take(version.hash, tmp_path / "zip")
