"""What a joined node records and what its ledger says is at the centre once, whatever is killed, full or away; and costs others nothing."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ronghe.bench import outage_edge
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.cloud.lake.intake import Intake
from ronghe.cloud.spec import HubSpec
from ronghe.edge.joining import Membership
from ronghe.edge.recorder import Recorder
from ronghe.edge.uplink import Uplink
from ronghe.errors import HistorianError
from ronghe.guard import Ledger
from ronghe.historian import Historian
from ronghe.plant import CentreSpec, Plant
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

S = 1_000_000_000
START = 1_790_000_000 * S
PLANT = "test/works/hall"


class Edge:
    """What a node has: historian, ledger, recorder and uplink, over one folder; the centre is at `url`, or where nobody is."""

    def __init__(self, folder: Path, url: str = "nats://127.0.0.1:1", *, centre: CentreSpec | None = None) -> None:
        home = folder / "centre"
        home.mkdir(parents=True, exist_ok=True)
        self.index = TagIndex()
        self.historian = Historian(folder / "historian", self.index)
        self.ledger = Ledger(folder / "ledger", clock=time.time_ns)
        plant = Plant(path=PLANT, name=Text("hall"), centre=centre or CentreSpec())
        member = Membership(url="https://127.0.0.1:1", hub=url, node="edge1", plant=PLANT)
        self.uplink = Uplink(
            plant, self.index, self.historian, self.ledger, home, member,
            boot=str(time.time_ns()), clock=time.time_ns, bus=lambda: JetStream(url, name="edge1", patience=0.5),
        )  # fmt: skip
        self.uplink.start()

    def batch(self, second: int, *tags: str) -> Batch:
        return Batch.of(self.index, tags or ("line1/a", "line1/b"), START + second * S, float(second))

    def close(self) -> None:
        self.uplink.close()
        self.historian.close()
        self.ledger.close()


@contextmanager
def centre(folder: Path, check: Callable[[Intake], bool]) -> Iterator[tuple[Hub, Callable[[], Intake]]]:
    """A hub, and a way to wait until its intake has what is looked for; the bound is for a broken one."""
    loop = asyncio.new_event_loop()
    hub = Hub(folder / "hub", HubSpec(port=0))
    loop.run_until_complete(hub.start())

    async def until() -> Intake:
        bus = JetStream(hub.url, name="centre")
        intake = Intake(bus, folder)
        await intake.start()
        async with asyncio.timeout(60):
            while not check(intake):
                await asyncio.sleep(0.05)
        await intake.stop()
        await bus.close()
        return intake

    try:
        yield hub, lambda: loop.run_until_complete(until())
    finally:
        loop.run_until_complete(hub.stop())
        loop.close()


def at_centre(folder: Path, plant: str = PLANT) -> Batch:
    """Every sample that the centre's historian of a plant has."""
    with Historian(folder / "plants" / plant / "historian", TagIndex(), readonly=True) as store:
        return store.raw(None, 0, 2**62)


def points(intake: Intake) -> int:
    return sum(n["points"] for n in intake.view())


def test_killed_again_and_again_nothing_acknowledged_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    home = tmp_path / "edge" / "centre"
    home.mkdir(parents=True)
    start, kept = time.time_ns() // S * S - 7200 * S, []
    with centre(tmp_path, lambda i: points(i) >= 5000 * len(kept)) as (hub, taken_in):
        member = Membership(url="https://127.0.0.1:1", hub=hub.url, node=outage_edge.NODE, plant=outage_edge.PLANT)
        (home / "centre.json").write_text(json.dumps({f: getattr(member, f) for f in member.__struct_fields__}))
        for run in range(2):
            edge = subprocess.Popen(
                [sys.executable, "-m", "ronghe.bench.outage_edge", str(tmp_path / "edge"), "--plain"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            assert edge.stdin is not None
            assert edge.stdout is not None
            assert json.loads(edge.stdout.readline()) == {"ready": True}
            edge.stdin.write(json.dumps({"from": start + run * 1000 * S, "seconds": 900}).encode() + b"\n")
            edge.stdin.flush()
            told = [edge.stdout.readline() for _ in range(5 + 3 * run)]
            edge.kill()
            kept += [json.loads(line)["kept"] for line in (*told, *edge.stdout.read().splitlines())]
            edge.wait()
            edge.stdin.close()
            edge.stdout.close()
        with Historian(tmp_path / "edge" / "historian", TagIndex(outage_edge.names()), readonly=True) as store:
            here = store.raw(None, 0, 2**62)
        last = subprocess.Popen(
            [sys.executable, "-m", "ronghe.bench.outage_edge", str(tmp_path / "edge"), "--plain"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            intake = taken_in()
        finally:
            last.communicate()
    there = at_centre(tmp_path, outage_edge.PLANT)
    seconds, counts = np.unique(there.time, return_counts=True)
    assert set(kept) <= set(seconds.tolist())
    assert set(here.time.tolist()) <= set(seconds.tolist())
    assert (counts == outage_edge.TAGS).all()
    assert points(intake) == len(there)  # what came was stored once: no message came twice
    place = {tag: i for i, tag in enumerate(outage_edge.names())}
    for second in kept[::7]:
        rows = there.take(there.time == second)
        order = [place[rows.index.names[i]] for i in rows.tag]
        assert (rows.value == outage_edge.values(second)[order]).all()


def test_what_the_outbox_does_not_take_is_sent_from_the_historian(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "edge", centre=CentreSpec(most="10 B"))
    for second in range(3):
        edge.uplink.append(edge.batch(second))
    said = edge.uplink.look(time.time_ns())
    assert said is not None
    assert (said[0], "outbox is full" in said[1].en, "发件箱已满" in said[1].in_("zh")) == ("medium", True, True)
    assert len(edge.historian.raw(None, 0, 2**62)) == 6
    edge.close()
    with centre(tmp_path, lambda i: points(i) >= 8) as (hub, taken_in):
        edge = Edge(tmp_path / "edge", hub.url)
        edge.uplink.append(edge.batch(1000))
        assert edge.uplink.look(time.time_ns()) is None
        intake = taken_in()
        edge.close()
    assert sorted(set((at_centre(tmp_path).time // S - START // S).tolist())) == [0, 1, 2, 1000]
    assert points(intake) == 8


def test_a_batch_that_the_historian_refuses_at_first_is_in_the_outbox_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edge = Edge(tmp_path)
    append, refusals = edge.historian.append, [HistorianError("full"), HistorianError("full")]

    def refuse(batch: Batch) -> None:
        if refusals:
            raise refusals.pop()
        append(batch)

    monkeypatch.setattr(edge.historian, "append", refuse)
    recorder = Recorder(edge.uplink.append, retry=0.01)
    recorder.start()
    recorder.put(edge.batch(0))
    while recorder.recorded < 2:
        time.sleep(0.01)
    recorder.close()
    assert refusals == []
    assert edge.uplink.outbox is not None
    assert edge.uplink.outbox.waiting().messages == 2  # the names of the tags, and the samples
    edge.close()


def test_a_joined_recorder_gathers_and_stops_at_once(tmp_path: Path) -> None:
    appended: list[int] = []
    index = TagIndex()
    recorder = Recorder(lambda batch: appended.append(len(batch)), gather=30.0)
    recorder.start()
    for second in range(10):
        recorder.put(Batch.of(index, ["a"], START + second * S, 0.0))
    recorder.close()
    assert sum(appended) == 10
    assert len(appended) <= 2


def test_only_chosen_tags_go_and_the_ledger_byte_for_byte(tmp_path: Path) -> None:
    edge = Edge(tmp_path / "edge", centre=CentreSpec(send=("line1/a",)))
    for n in range(3):
        edge.ledger.append("guard.write", {"n": n, "why": "夹紧"})
    edge.uplink.append(edge.batch(0))
    edge.uplink.append(edge.batch(1, "line2/c"))  # nothing of it goes
    edge.close()
    whole = lambda i: points(i) == 1 and sum(n["lines"] for n in i.view()) == 4  # noqa: E731
    with centre(tmp_path, whole) as (hub, taken_in):
        edge = Edge(tmp_path / "edge", hub.url, centre=CentreSpec(send=("line1/a",)))
        edge.ledger.append("guard.write", {"n": 3})
        intake = taken_in()
        edge.close()
        edge = Edge(tmp_path / "edge", hub.url)  # and again: nothing is sent anew
        edge.close()
    assert at_centre(tmp_path).value.tolist() == [0.0]
    sent = (tmp_path / "plants" / PLANT / "ledger" / "edge1.jsonl").read_bytes()
    assert sent == (tmp_path / "edge" / "ledger" / "ledger.jsonl").read_bytes()
    assert sum(n["lines"] for n in intake.view()) == 4


def test_a_centre_that_is_away_is_an_alarm_of_low_priority_after_a_while(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.uplink.append(edge.batch(0))
    end = time.monotonic() + 30
    while (edge.uplink.state is None or edge.uplink.state.down is None) and time.monotonic() < end:
        time.sleep(0.05)
    now = time.time_ns()
    assert edge.uplink.look(now) is None
    said = edge.uplink.look(now + 3 * 3600 * S)
    assert said is not None
    assert said[0] == "low"
    assert "no contact with the centre for 3 h" in said[1].en
    assert "与中心失联已 3 小时" in said[1].in_("zh")
    edge.close()


def test_a_plant_that_never_joined_imports_nothing_of_it(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys; from pathlib import Path; from ronghe.edge.node import Node; from ronghe.plant import Plant;"
        "from ronghe.text import Text; node = Node(Plant(path='a/b/c', name=Text('c')), folder=Path(sys.argv[1]));"
        "asyncio.run(node.start()); print([m for m in sys.modules if m.split('.')[0] in "
        "('nats', 'sqlite3', 'deltalake', 'grpc', 'ray', 'daft') "
        "or m.startswith(('ronghe.edge.uplink', 'ronghe.bus.outbox', 'ronghe.cloud'))])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
