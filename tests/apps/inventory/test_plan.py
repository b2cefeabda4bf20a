"""What to order now: states, the numbers behind them, and whatever people may write into their files."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.inventory import present
from ronghe.apps.inventory.formats.items import DAY, Book, Item
from ronghe.apps.inventory.plan import plan_item, possible, restand
from ronghe.apps.inventory.simulate import Costs, simulate

rng = np.random.default_rng
NOW = 1_700_000_000


def book(item: Item, y: np.ndarray, period: int = DAY) -> Book:
    return Book((item,), {item.item: y.astype(float)}, NOW // period * period - len(y) * period, period)


def bolt(**facts: float) -> Item:
    return Item(item="bolt", unit="pcs", **{"lead_time": 5.0, "order_cost": 5.0, "cost": 20.0, **facts})


Y = rng(0).poisson(10, 200)


def test_states_follow_the_position() -> None:
    plan = plan_item(bolt(on_hand=1000), book(bolt(), Y))
    point, level = plan.reorder_at, plan.order_up_to
    assert point is not None
    assert level is not None
    assert 60 <= point < 90, "six days of ten, and some safety"
    for on_hand, state in ((level, "ok"), (point + 1, "ok"), (point, "order"), (39, "short"), (0, "short"), (5 * level, "excess")):
        now = restand(plan, book(bolt(), Y), float(on_hand))
        assert now.state == state, on_hand
        assert now.order == (level - on_hand if on_hand <= point else 0)
        assert now.text.zh
    coming = plan_item(bolt(on_hand=20, on_order=200), book(bolt(), Y))
    assert (coming.state, coming.order) == ("ok" if coming.position <= coming.order_up_to + 500 else "excess", 0)  # type: ignore[operator]
    lots = plan_item(bolt(on_hand=10, lot=25, moq=60), book(bolt(), Y))
    assert lots.order % 25 == 0
    assert lots.order >= 60


def test_the_season_ahead_moves_the_reorder_point() -> None:
    """Demand on two days of seven: whether they lie within the lead time decides what is needed now."""
    y = np.tile([0, 0, 0, 0, 0, 60.0, 60.0], 30) + np.abs(rng(1).normal(0, 1, 210))
    item = bolt(lead_time=2)
    quiet, busy = plan_item(item, book(item, y)), plan_item(item, book(item, y[:-2]))
    assert busy.reorder_at > quiet.reorder_at + 60  # type: ignore[operator]


def test_demand_that_has_changed_or_ended_is_said() -> None:
    y = np.concatenate([rng(2).poisson(10, 180), rng(3).poisson(30, 20)])
    assert "above the forecast" in str(plan_item(bolt(), book(bolt(), y)).drift)
    steady = plan_item(bolt(), book(bolt(), Y), NOW)
    assert steady.drift is None
    assert steady.old is None
    assert "ends 30 days ago" in str(plan_item(bolt(), book(bolt(), Y), NOW // DAY * DAY + 30 * DAY).old)


def test_service_shown_is_that_of_the_policy_shown() -> None:
    plan = plan_item(bolt(), book(bolt(), Y))
    assert plan.policy is not None
    assert plan.service is not None
    assert plan.tested is not None
    assert plan.rate is not None
    demand = possible(Y.astype(float), plan.tested, plan.rate, 200_000, rng(9))
    fresh = simulate(plan.policy, demand, np.full(len(demand), 5.0), Costs())
    assert fresh.fill.mean == pytest.approx(plan.service.mean, abs=0.006)
    assert plan.service.mean > 0.945


facts = st.fixed_dictionaries(
    {
        "lead_time": st.sampled_from([0.0, 0.2, 7.0, 400.0]),
        "lead_time_sd": st.sampled_from([0.0, 5.0]),
        "cost": st.sampled_from([0.0, 3.0, 1e5]),
        "order_cost": st.sampled_from([0.0, 40.0]),
        "service": st.sampled_from([0.5, 0.95, 0.9999]),
        "on_hand": st.sampled_from([0.0, 3.0, 1e7]),
        "moq": st.sampled_from([0.0, 50.0]),
        "lot": st.sampled_from([0.0, 0.25, 7.0]),
    }
)
series = st.sampled_from(
    [np.full(20, 5.0), np.eye(1, 30, 29)[0], np.where(np.arange(60) % 25 == 0, 1e6, 0.0), rng(4).lognormal(0, 3, 17), np.zeros(40), Y[:9]]
)


@settings(deadline=None, max_examples=15)
@given(facts=facts, y=series, period=st.sampled_from([DAY, 7 * DAY]))
def test_whatever_is_written_is_planned(facts: dict[str, float], y: np.ndarray, period: int) -> None:
    item = Item(item="物料 1/2", **facts)
    made = book(item, y, period)
    plan = plan_item(item, made, NOW)
    assert b"NaN" not in msgspec.json.encode(present.detail(plan, made, NOW))
    for value in (plan.reorder_at, plan.order_up_to, plan.days_of_cover, plan.order):
        assert value is None or math.isfinite(value)
    assert plan.state != "order" or plan.order > 0
    assert plan.text.zh
