"""Roll-outs: waves that open when nodes do well, and go back when one does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.models.conftest import NOW, Clock, Works

from ronghe.bus.fleet import Report, RunningModel
from ronghe.cloud.fleet.fleet import Node
from ronghe.cloud.rollout import Gate, Rollouts
from ronghe.errors import CloudError, ModelError
from ronghe.text import Text

MINUTE = 60_000_000_000
NODES = tuple(f"n{i:02d}" for i in range(20))


class Fleet:
    """Twenty nodes that do what is wanted of them and report it; one may be told to do otherwise."""

    def __init__(self, home: Path, works: Works, clock: Clock) -> None:
        self.home, self.works, self.clock = home, works, clock
        self.otherwise: dict[str, Callable[[RunningModel], RunningModel | None]] = {}
        self.runs = dict.fromkeys(NODES, "")
        self.again()
        self.turn()

    def nodes(self) -> list[Node]:
        return [Node(name=n, plant="a/b/c", joined=NOW, removed=0) for n in (*NODES, "zz")] + [
            Node(name="old", plant="", joined=1, removed=2)
        ]

    def again(self) -> None:
        """The centre starts anew."""
        self.rollouts = Rollouts(self, self.works.registry, self.home, clock=self.clock)

    def turn(self, minutes: float = 1.0) -> None:
        """Every node is told what is wanted, does it, and reports."""
        self.clock.now += round(minutes * MINUTE)
        for node in NODES:
            wanted = next((w.hash for w in self.rollouts.wanted_models(node)), self.runs[node])
            said: RunningModel | None = RunningModel(app="watch", hash=wanted, wanted=wanted)
            if node in self.otherwise and said is not None:
                said = self.otherwise[node](said)
            if said is None:
                continue
            self.runs[node] = said.hash
            self.rollouts.report(Report(node=node, plant="a/b/c", at=self.clock(), version="0", started=NOW, models=(said,)))

    def running(self, hash: str) -> int:
        return sum(h == hash for h in self.runs.values())

    @property
    def view(self) -> dict[str, Any]:
        return self.rollouts.view()[0]


@pytest.fixture
def fleet(tmp_path: Path, works: Works, clock: Clock) -> Fleet:
    return Fleet(tmp_path, works, clock)


GATE = Gate(minutes=3, patience=10)


def test_waves_open_when_all_of_the_one_before_have_done_well_through_a_restart_of_the_centre(fleet: Fleet, works: Works) -> None:
    release = works.release("1")
    fleet.rollouts.start(release.hash, "watch", gate=GATE, who="li", waves=(0.05, 0.25, 1.0))
    counts = []
    for _ in range(16):
        fleet.turn()
        fleet.again()
        counts.append(fleet.running(release.hash))
    assert counts == sorted(counts)
    assert sorted(set(counts)) == [1, 5, 20]
    assert min(counts.count(1), counts.count(5)) >= 3
    assert (fleet.view["state"], fleet.view["by"]) == ("done", "li")
    assert [(w["state"], len(w["nodes"])) for w in fleet.view["waves"]] == [("done", 1), ("done", 4), ("done", 15)]
    assert all(m["state"] == "running" for w in fleet.view["waves"] for m in w["nodes"])


@pytest.mark.parametrize("state", ["refused", "rolled_back"])
def test_one_that_does_not_do_well_takes_all_back(state: Any, fleet: Fleet, works: Works) -> None:
    one = works.release("1")
    fleet.rollouts.start(one.hash, "watch", waves=(1.0,), gate=Gate(minutes=0))
    fleet.turn()
    fleet.turn()
    assert fleet.view["state"] == "done"
    two = works.release("2")
    fleet.rollouts.start(two.hash, "watch", ["n0[0-4]", "n05"], waves=(0.5, 1.0), gate=GATE)
    fleet.turn()
    assert fleet.running(two.hash) == 3
    before = RunningModel(app="watch", hash=one.hash, state=state, wanted=two.hash, text=Text("blind", "失灵"))
    fleet.otherwise["n01"] = lambda said: before if said.wanted == two.hash else said
    fleet.turn()
    assert fleet.view["state"] == "rolled_back"
    assert fleet.view["why"].en == "n01: blind"
    fleet.again()
    wanted = fleet.rollouts.wanted_models("n00")[0]
    assert (wanted.hash, wanted.back) == (one.hash, True)
    fleet.turn()
    assert fleet.running(one.hash) == 20
    assert [m["state"] for m in fleet.view["waves"][0]["nodes"]] == ["back", state, "back"]
    assert [m["state"] for m in fleet.view["waves"][1]["nodes"]] == ["waiting"] * 3


def test_nodes_that_had_no_release_go_back_to_their_own(fleet: Fleet, works: Works) -> None:
    started = fleet.rollouts.start(works.release("1").hash, "watch", waves=(1.0,), gate=GATE)
    fleet.turn()
    fleet.rollouts.roll_back(started["id"], "li", "blind")
    assert {(w.hash, w.back) for n in NODES for w in fleet.rollouts.wanted_models(n)} == {("", True)}
    fleet.turn()
    assert fleet.running("") == 20
    assert {m["state"] for m in fleet.view["waves"][0]["nodes"]} == {"back"}


def test_a_withdrawn_release_goes_back_everywhere_but_where_a_newer_came(fleet: Fleet, works: Works) -> None:
    one, two, three = works.release("1"), works.release("2"), works.release("3")
    for release, nodes in ((one, ["n*"]), (two, ["n*"]), (three, ["n00"])):
        fleet.rollouts.start(release.hash, "watch", nodes, waves=(1.0,), gate=Gate(minutes=0))
        fleet.turn()
        fleet.turn()
    works.registry.withdraw(two.hash, "li", "blind to cavitation")
    fleet.turn()
    fleet.turn()
    assert (fleet.running(three.hash), fleet.running(two.hash), fleet.running(one.hash)) == (1, 0, 19)
    with pytest.raises(CloudError, match="withdrawn"):
        fleet.rollouts.start(two.hash, "watch")


def test_a_silent_node_pauses_and_a_person_lets_it_go_on(fleet: Fleet, works: Works) -> None:
    release = works.release("1")
    started = fleet.rollouts.start(release.hash, "watch", waves=(("n03", "n00"), 1.0), nodes=["n*"], gate=GATE)
    fleet.otherwise["n03"] = lambda said: None
    for _ in range(12):
        fleet.turn()
    assert (fleet.view["state"], fleet.running(release.hash)) == ("paused", 1)
    assert "n03" in fleet.view["why"].en
    fleet.rollouts.go_on(started["id"], "li", "the line is back")
    fleet.turn()
    assert fleet.view["state"] == "running"
    del fleet.otherwise["n03"]
    for _ in range(10):
        fleet.turn()
    assert (fleet.view["state"], fleet.running(release.hash)) == ("done", 20)


def test_paused_and_stopped_it_goes_no_further_and_what_fails_meanwhile_still_goes_back(fleet: Fleet, works: Works) -> None:
    one = fleet.rollouts.start(works.release("1").hash, "watch", waves=(0.1, 1.0), gate=GATE)
    fleet.turn()
    fleet.rollouts.pause(one["id"], "li", "shift change")
    for _ in range(6):
        fleet.turn()
    assert (fleet.view["state"], fleet.view["why"].en, fleet.running(one["hash"])) == ("paused", "shift change (li)", 2)
    with pytest.raises(CloudError, match="on its way"):
        fleet.rollouts.start(works.release("2").hash, "watch", ["n19"])
    fleet.otherwise["n00"] = lambda said: RunningModel(app="watch", hash="", state="rolled_back", wanted=one["hash"])
    fleet.turn()
    assert fleet.view["state"] == "rolled_back"
    fleet.otherwise.clear()
    fleet.turn()
    two = fleet.rollouts.start(works.release("2").hash, "watch", waves=(0.1, 1.0), gate=GATE)
    fleet.turn()
    fleet.rollouts.stop(two["id"], "li", "enough")
    for _ in range(6):
        fleet.turn()
    assert (fleet.view["state"], fleet.running(two["hash"])) == ("stopped", 2)
    with pytest.raises(CloudError, match="over"):
        fleet.rollouts.go_on(two["id"], "li")


def test_what_cannot_be_rolled_out_is_said(fleet: Fleet, works: Works) -> None:
    unsigned, release = works.registry.add(works.package("8")), works.release("9")
    with pytest.raises(ModelError, match="not signed"):
        fleet.rollouts.start(unsigned.hash, "watch")
    for says, call in {
        "no such node: n77": {"nodes": ["n77"]},
        "no node has said": {"app": "nobody"},
        "named twice: n00": {"waves": (("n00",), ("n00",))},
        "a share of 2": {"waves": (2.0,)},
        "the gate": {"gate": {"minuets": 3}},
    }.items():
        with pytest.raises(CloudError, match=says):
            fleet.rollouts.start(**{"hash": release.hash, "app": "watch", **call})
    with pytest.raises(CloudError, match="no such node: old"):
        fleet.rollouts.start(release.hash, "watch", ["old"])
