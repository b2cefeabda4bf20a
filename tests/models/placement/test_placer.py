"""Models placed by what is measured, over a real link: to the workshop, back when it is slow, back when it is cut; and why."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import numpy as np
import pytest
from tests.models.placement.conftest import Line, network, wait

from ronghe.models import runtime
from ronghe.models.placement import HERE, Pace, PlacedSession, Placer
from ronghe.plant.model import Placing, SiteSpec

X = np.ones((1, 24), np.float32)
PACE = Pace(probe=0.02, decide=0.02, trial=0.3, settle=0.2)
PLACE = Placing(deadline="1500ms")


@pytest.fixture
def placer(line: Line, tmp_path: Path) -> Iterator[Placer]:
    sites = {"shop": SiteSpec(kind="workshop", url=line.url, cost=0.0), "odd": SiteSpec(kind="edge", url="ftp://nowhere")}
    placer = Placer(sites, clock=time.time_ns, pace=PACE, file=tmp_path / "placement.json")
    placer.start()
    yield placer
    placer.close()


def at(placer: Placer, site: str) -> bool:
    (model,) = placer.view()["models"]
    return bool(model["site"] == site)


def test_goes_where_it_is_cheapest_and_comes_back(placer: Placer, line: Line, tmp_path: Path) -> None:
    session = placer.session(network(), app="press", place=PLACE)

    def runs_at(site: str) -> bool:
        session.run(X)
        return at(placer, site)

    wait(lambda: runs_at("shop"))
    before = session.tally.remote + session.tally.overtaken
    session.run(X)
    assert session.tally.remote + session.tally.overtaken > before
    line.delay = 0.8
    wait(lambda: runs_at(HERE))
    line.delay = 0.0
    wait(lambda: runs_at("shop"), 40.0)
    line.close()
    wait(lambda: runs_at(HERE))
    wait(lambda: not placer.view()["sites"][1]["up"])
    placer.step()
    view = json.loads(json.dumps(placer.view()))
    assert [(m["from"], m["to"]) for m in view["moves"]] == [("shop", HERE), (HERE, "shop")] * 2
    assert all(m["model"] == "plain" and m["why"]["zh"] for m in view["moves"])
    here, shop = view["sites"]
    assert (here["site"], here["kind"], here["rtt_ms"], here["up"]) == (HERE, "edge", None, True)
    assert (shop["site"], shop["kind"], shop["up"]) == ("shop", "workshop", False)
    (model,) = view["models"]
    assert (model["app"], model["deadline_ms"], model["site"]) == ("press", 1500.0, HERE)
    assert [o["site"] for o in model["options"]] == [HERE, "shop"]
    assert "the link is down" in model["options"][1]["why"]["en"]
    assert "deadline 1500 ms" in model["why"]["en"]
    assert len(placer.take_moves()) == 4
    assert placer.take_moves() == []
    wait(lambda: len(json.loads((tmp_path / "placement.json").read_bytes())["moves"]) == 4)


def test_what_people_must_know(placer: Placer) -> None:
    session = placer.session(network(), app="press", place=Placing(deadline="1ms", sites=()))
    for _ in range(10):
        session.here({"x": X})
        session._times.add(time.time_ns(), 5.0)
    placer.step()
    troubles = placer.troubles()
    assert "no site meets the deadline; the nearest, here: p99 compute" in str(troubles["press"])
    assert "site odd cannot be used" in str(troubles["odd"])


def test_safety_stays_near_unless_it_is_permitted(placer: Placer) -> None:
    assert list(placer.session(network(), app="a", place=PLACE).remotes) == ["shop"]
    assert list(placer.session(network(), app="a", place=PLACE, safety=True).remotes) == []
    permitted = Placing(deadline="1s", sites=("shop",))
    assert list(placer.session(network(), app="a", place=permitted, safety=True).remotes) == ["shop"]
    assert list(placer.session(network(), app="a", place=Placing(deadline="1s", sites=())).remotes) == []


def test_only_sessions_of_its_apps_and_only_while_somebody_holds_them(placer: Placer) -> None:
    assert type(runtime.session(network())) is runtime.Session
    made: list[runtime.Session] = []
    with placer.placing("press", PLACE):
        context = copy_context()
        thread = threading.Thread(target=lambda: made.append(runtime.session(network())))
        thread.start()
        thread.join()
    context.run(lambda: made.append(runtime.session(network(), outputs=("z",))))
    assert type(made[0]) is runtime.Session
    assert isinstance(made[1], PlacedSession)
    assert made[1].outputs == ("z",)
    assert len(placer.view()["models"]) == 1
    made.clear()
    gc.collect()
    wait(lambda: placer.view()["models"] == [])
