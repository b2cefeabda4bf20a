"""A placed session against a real server over a link that stalls: the same numbers, and nobody waits for a link that is silent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from tests.models.placement.conftest import Line, network, wait

from ronghe.errors import ModelError
from ronghe.models.placement.session import PlacedSession, difference
from ronghe.models.placement.site import Site
from ronghe.models.remote import Served
from ronghe.models.runtime import Session
from ronghe.plant.model import SiteSpec

X = np.random.default_rng(1).normal(size=(3, 24)).astype(np.float32)


@pytest.fixture
def site(line: Line) -> Iterator[Site]:
    site = Site("shop", SiteSpec(kind="workshop", url=line.url), clock=time.time_ns, every=0.05)
    site.start()
    yield site
    site.close()


def placed(site: Site, onnx: bytes, outputs: tuple[str, ...] = (), deadline_ms: float = 5000.0) -> PlacedSession:
    """A session that has been tried at the site and is sent there."""
    session = PlacedSession(onnx, outputs=outputs, app="a", deadline_ms=deadline_ms, sites=[site])
    session.run(X)
    session.attempt(session.remotes["shop"])
    session.plan(0.0)
    session.remote = session.remotes["shop"]
    return session


@pytest.mark.parametrize("outputs", [(), ("z",), ("z", "y")])
def test_the_numbers_are_those_of_a_run_here(site: Site, outputs: tuple[str, ...]) -> None:
    session, here = placed(site, network(), outputs), Session(network(), outputs=outputs)
    for got, wanted in zip(session.run(X), here.run(X), strict=True):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(session.run(x=X)[0], here.run(X)[0])
    assert (session.tally.calls, session.tally.remote) == (3, 2)
    with pytest.raises(ModelError, match="does not take this input"):
        session.run(X[:, :7])


def test_from_many_threads_at_once(site: Site) -> None:
    session, here = placed(site, network()), Session(network())
    wrong: list[int] = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=(2, 24)).astype(np.float32)
        wrong.extend(seed for _ in range(10) if not np.array_equal(session.run(x)[0], here.run(x)[0]))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
    assert session.tally.calls == 81
    assert session.tally.remote > 1


def test_a_stalled_link_is_overtaken_and_then_left_alone(site: Site, line: Line) -> None:
    session = placed(site, network(), deadline_ms=600.0)
    for _ in range(8):
        session.here({"x": X})
    session.plan(0.0)
    assert 0 < session.patience_ms < 540.0
    line.stalled = True
    for _ in range(5):
        np.testing.assert_array_equal(session.run(X)[0], Session(network()).run(X)[0])
    assert (session.tally.overtaken, session.tally.held) == (1, 4)
    line.stalled = False
    wait(lambda: site.overdue == 0)
    session.patience_ms = 5000.0
    session.run(X)
    assert session.tally.remote == 1


def test_a_link_that_is_cut_costs_nothing_but_the_try(site: Site, line: Line) -> None:
    session = placed(site, network())
    line.close()
    np.testing.assert_array_equal(session.run(X)[0], Session(network()).run(X)[0])
    assert session.tally.failed == 1
    wait(lambda: not site.up)
    measured = session.remotes["shop"].measured(100.0, 1.0)
    assert measured.no is not None
    assert "the link is down: no answer" in measured.no.en


def test_another_graph_is_not_found_and_other_numbers_are_refused(site: Site) -> None:
    session = placed(site, network(bias=2.0))
    remote = session.remotes["shop"]
    assert remote.served is None
    assert not remote.free
    session.run(X)
    assert session.tally.held == 1
    remote.served = Served("biased", "1", "a server that is wrong about what it serves")
    session.attempt(remote)
    assert remote.refused
    assert remote.no is not None
    assert remote.no.en.startswith("refused: its 'y' is not what is computed here")
    assert not remote.free


def test_difference() -> None:
    a = np.array([0.0, 10.0, np.nan, np.inf], np.float32)
    assert difference(a, a.copy()) == 0.0
    assert difference(a, a + np.float32(0.001)) == pytest.approx(1e-4, rel=0.1)
    assert difference(a, a.astype(np.float64)) is None
    assert difference(a, a[:3]) is None
    assert difference(a, np.nan_to_num(a, nan=0.0)) is None
    assert difference(np.array([1, 2]), np.array([1, 3])) == pytest.approx(1 / 3)
    assert difference(np.zeros(0), np.zeros(0)) == 0.0
