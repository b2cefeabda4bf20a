"""The changeover benchmark measures what it says: drawn shops are what the protocol states, the peer's model is the same problem."""

from __future__ import annotations

import pytest

from ronghe.apps.scheduling.check import check
from ronghe.apps.scheduling.dispatch import first
from ronghe.apps.scheduling.search import improve
from ronghe.apps.scheduling.sound import sound
from ronghe.bench import changeover_cpsat
from ronghe.bench.changeover import Extent, disturbed, schedules
from ronghe.bench.changeover_jobs import draw


def test_a_drawn_shop_is_as_stated_and_follows_from_its_seed() -> None:
    problem = draw(400)
    assert sound(problem) == []
    assert problem == draw(400)
    assert problem != draw(401)
    assert (len(problem.jobs), len(problem.machines)) == (60, 12)
    assert {len(j.operations) for j in problem.jobs} == {5}
    assert {len(o.choices) for j in problem.jobs for o in j.operations} == {1, 2, 3, 4}
    for j in problem.jobs:
        assert j.due is not None
        assert j.due >= j.release + sum(min(c.duration for c in o.choices) for o in j.operations)


@pytest.mark.parametrize("seed", [400, 401])
def test_the_peer_and_the_search_agree_on_small_disturbed_shops(seed: int) -> None:
    """Both find the optimum: CP-SAT proves it. A model that said anything else than the checker would show here."""
    whole = draw(seed, 4, 2, 3, tau=0.9)
    plan = first(whole)
    facts = disturbed(whole, plan, plan.makespan // 4, seed)
    start = first(facts)
    ours = improve(facts, start, 0.3)
    theirs = changeover_cpsat.solve(facts, start, 20.0, workers=2)
    assert check(facts, theirs) == []
    assert theirs.by == "CP-SAT"
    assert ours.objective == theirs.objective > 0


def test_the_schedules_are_measured() -> None:
    found = schedules(False, Extent(seeds=1, long=1, better=0.2, peer=1.0, large=1))
    worth = found["tardiness_h"]
    assert set(worth) == {"before, ATC", "before, ATCS", "before, 1 s", "repaired", "ATC", "ATCS", "1 s", "start", "long", "CP-SAT"}
    assert worth["1 s"] <= worth["repaired"]
    assert found["tardiness_1s_to_atcs"] == pytest.approx(worth["1 s"] / worth["ATCS"])
    assert found["feasible_ms"] >= found["feasible_ms_p50"] > 0
    assert "Shortened" in found["schedules_protocol"]
