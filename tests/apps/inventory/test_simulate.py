"""Simulation against exact results, and the service promised against draws that the policy has not seen."""

from __future__ import annotations

import numpy as np
import pytest

from ronghe.apps.inventory.choose import Draws, lead_times, reach, tune
from ronghe.apps.inventory.distributions import poisson
from ronghe.apps.inventory.simulate import Costs, Policy, simulate
from ronghe.apps.inventory.trial import NEAR, trials

rng = np.random.default_rng


def test_base_stock_is_what_theory_says() -> None:
    """Order up to S every period, lead time L: what is owed is (D over L + 1 − S)⁺; fill rate 1 − (n(S, L + 1) − n(S, L))/λ."""
    n, lead, rate, level = 400_000, 3, 4.0, 18
    out = simulate(Policy(point=level - 1, level=level), rng(0).poisson(rate, n).astype(float), np.full(n, float(lead)), Costs(holding=2))
    over, before = poisson(rate * (lead + 1)), poisson(rate * lead)
    for got, exact in (
        (out.owed, over.loss(level)),
        (out.stock, level - over.mean + over.loss(level)),
        (out.cost, 2 * (level - over.mean + over.loss(level))),
        (out.ready, over.cdf(level - 1)),
        (out.fill, 1 - (over.loss(level) - before.loss(level)) / rate),
    ):
        assert got.mean == pytest.approx(exact, abs=max(2.5 * got.half, 1e-4))
        assert got.half < 0.02 * exact + 0.01


def test_a_plan_by_hand() -> None:
    """5 a period, (s = 4, Q = 10), lead time 1: every second period an order, which finds nothing short."""
    n = 4000
    out = simulate(Policy(point=4, quantity=10), np.full(n, 5.0), np.ones(n), Costs(order=3))
    assert out.orders.mean == pytest.approx(0.5, abs=1e-3)
    assert out.cost.mean == pytest.approx(1.5, abs=3e-3)
    assert out.fill.mean + out.owed.mean / 5 <= 1 + 1e-9
    lots = simulate(Policy(point=4, quantity=10, lot=12, least=20), np.full(n, 5.0), np.ones(n), Costs())
    assert lots.orders.mean == pytest.approx(5 / 24, rel=0.01)  # 20 at least, in twelves


def test_lead_times_have_the_moments_asked_for() -> None:
    drawn = lead_times(5.5, 2.0, 200_000, rng(1))
    assert drawn.mean() == pytest.approx(5.5, abs=0.02)
    assert drawn.std() == pytest.approx(2.0, abs=0.1)
    assert (drawn == np.floor(drawn)).all()
    assert set(lead_times(3, 0, 10, rng(1))) == {3.0}


@pytest.mark.parametrize("measure", ["fill", "cycle", "ready"])
def test_each_measure_is_reached(measure) -> None:  # type: ignore[no-untyped-def]
    n = 60_000
    draws = Draws(np.maximum(rng(2).normal(100, 25, n), 0), lead_times(4, 1, n, rng(3)), False)
    policy = reach(0.9, Policy(point=0, level=800), draws, measure)
    assert policy.level - policy.point == pytest.approx(800)
    assert getattr(simulate(policy, draws.demand, draws.lead, Costs()), measure).mean == pytest.approx(0.9, abs=0.004)


def test_no_point_lower_gives_the_service() -> None:
    n = 60_000
    draws = Draws(rng(4).poisson(3, n).astype(float), np.full(n, 2.0), True)
    policy, outcome = tune(0.95, Policy(point=0, quantity=12), draws, Costs(holding=1, order=20))
    assert outcome.fill.mean >= 0.95
    lower = simulate(policy.moved(policy.point - 1), draws.demand, draws.lead, Costs())
    assert lower.fill.mean < 0.95


def test_the_service_promised_is_kept() -> None:
    """Chosen on some draws, measured on others. In whole units of an item that sells 0.3 a day there is not always a nearer choice."""
    done = trials(0, targets=(0.9, 0.97), chosen_on=100_000, measured_on=200_000)
    assert len(done) == 40
    for t in done:
        slack = 100 * t.outcome.fill.half
        assert t.off > -NEAR - slack, t
        assert abs(100 * (t.outcome.fill.mean - t.promised)) < NEAR + slack, t
        if t.demand != "slow":
            assert t.off < NEAR + slack, t
