"""The linear programme: balances and limits hold, known optima are found, what may wait waits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.energy.programme import Ask, Plan, Programme
from ronghe.apps.energy.site import Battery, Buffer, Machine, Site

HOURS = np.array([0.25] * 4 + [1.0] * 8)
B = len(HOURS)
SITE = Site(
    batteries=(Battery("a", 100, 50, 0.81, 0.1, 0.9, 0.01), Battery("b", 40, 30, 1.0)),
    machines=(Machine("kiln", 60),),
    buffers=(Buffer("air", 20, 25, draw=3, leak=0.05, low=0.2, high=0.9),),
    export=15,
)
PROGRAMME = Programme(SITE, HOURS)


def ask(net: np.ndarray, price: np.ndarray, **other: object) -> Ask:
    given = {"sell": np.full(len(net), 0.1), "cap": 100.0, "demand": 40.0, "stored": np.array([50.0, 0.0]), "peak": net, **other}
    return Ask(net=net, price=price, **given)  # type: ignore[arg-type]


def kept(plan: Plan, net: np.ndarray) -> None:
    """What must hold of every plan, whatever it is for."""
    taken = plan.battery.sum(axis=0) + plan.machine.sum(axis=0) + plan.fill.sum(axis=0)
    spilled = plan.buy - plan.feed - net - taken
    assert (spilled > -1e-6).all()
    assert (spilled <= np.maximum(0, -net) + 1e-6).all()
    assert (plan.feed <= SITE.export + 1e-6).all()
    for b, power, stored in zip(SITE.batteries, plan.battery, plan.stored, strict=True):
        assert (np.abs(power) <= b.power + 1e-6).all()
        assert (stored >= b.low * b.capacity - 1e-6).all()
        assert (stored <= b.high * b.capacity + 1e-6).all()


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.floats(-40, 200), min_size=B, max_size=B),
    st.lists(st.floats(0.1, 2), min_size=B, max_size=B),
    st.floats(10, 90),
    st.floats(0, 60),
)
def test_every_plan_keeps_balance_and_limits(net: list[float], price: list[float], soc: float, energy: float) -> None:
    n, windows = np.array(net), (((energy, np.arange(B) >= 4),),)
    plan = PROGRAMME.solve(ask(n, np.array(price), stored=np.array([soc, 0.0]), windows=windows, levels=np.array([10.0])))
    assert plan.slack == pytest.approx(0, abs=1e-6)
    kept(plan, n)
    start = np.array([soc, 0.0])
    for b, power, stored, before in zip(SITE.batteries, plan.battery, plan.stored, start, strict=True):
        for p, e, h in zip(power, stored, HOURS, strict=True):
            before, expected = e, b.after(p, before, h)
            assert e <= expected + 1e-6  # never more than the powers give (charging and discharging at once only loses)
    assert (plan.machine[0] * HOURS).sum() >= energy - 1e-6
    assert not plan.machine[0, :4].any()
    level = 10.0
    for p, found, h in zip(plan.fill[0], plan.level[0], HOURS, strict=True):
        level = level * 0.95**h + (p - 3) * h
        assert found == pytest.approx(level, abs=1e-6)
        level = found


def test_buys_cheap_and_gives_dear_up_to_its_losses() -> None:
    site = Site(batteries=(Battery("a", 10, 10, 0.81),))
    programme = Programme(site, np.ones(2))
    net = np.full(2, 20.0)
    plan = programme.solve(Ask(net=net, peak=net, price=np.array([1.0, 1.5]), sell=np.zeros(2), cap=100, demand=0, stored=np.zeros(1)))
    assert plan.battery[0] == pytest.approx([10, -8.1])
    plan = programme.solve(Ask(net=net, peak=net, price=np.array([1.0, 1.2]), sell=np.zeros(2), cap=100, demand=0, stored=np.zeros(1)))
    assert plan.battery[0] == pytest.approx([0, 0])


def test_the_cap_costs_once_and_the_end_is_reached() -> None:
    programme = Programme(Site(batteries=(Battery("a", 10, 10, 1.0),)), np.ones(4))
    net = np.array([0.0, 30.0, 30.0, 0.0])
    plan = programme.solve(
        Ask(net=net, peak=net, price=np.ones(4), sell=np.zeros(4), cap=0.0, demand=100, stored=np.array([5.0]), end=(3, np.array([5.0])))
    )
    assert plan.above == pytest.approx(25)  # ten, filled up, over two hours
    assert plan.buy.max() == pytest.approx(25)
    assert plan.stored[0, 3] == pytest.approx(5)


def test_what_cannot_be_kept_is_said_and_not_an_error() -> None:
    programme = Programme(Site(machines=(Machine("kiln", 10),)), np.ones(3))
    net = np.zeros(3)
    windows = (((50.0, np.array([True, True, False])),),)
    plan = programme.solve(
        Ask(net=net, peak=net, price=np.ones(3), sell=np.zeros(3), cap=0.0, demand=0, stored=np.empty(0), windows=windows)
    )
    assert plan.machine[0] == pytest.approx([10, 10, 0])
    assert plan.slack == pytest.approx(30)


def test_a_machine_waits_for_the_cheap_hours_of_its_window_and_a_buffer_fills_before_the_dear_ones() -> None:
    site = Site(machines=(Machine("kiln", 10),), buffers=(Buffer("air", 20, 15, draw=5, low=0.1, high=0.9),))
    programme = Programme(site, np.ones(6))
    net, price = np.zeros(6), np.array([1, 0.3, 0.3, 1, 2, 2])
    windows = (((15.0, np.ones(6, np.bool_)),),)
    plan = programme.solve(
        Ask(
            net=net, peak=net, price=price, sell=np.zeros(6), cap=1e3, demand=0, stored=np.empty(0), windows=windows, levels=np.array([7.0])
        )
    )
    assert plan.machine[0, [0, 3, 4, 5]] == pytest.approx([0, 0, 0, 0])
    assert plan.level[0, 2] == pytest.approx(17)  # three hours' draw, and the least level
    assert plan.fill[0, 3:] == pytest.approx([0, 0, 0])
