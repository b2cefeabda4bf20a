"""Policies against brute force and independent formulae."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.inventory.distributions import Lattice, LogNormal, Normal, pmf, poisson, uniform
from ronghe.apps.inventory.lots import dynamic, joint
from ronghe.apps.inventory.network import distribution, guaranteed, serial
from ronghe.apps.inventory.policy import eoq, min_max, newsvendor, reorder


@pytest.mark.parametrize("demand", [Normal(50, 8), LogNormal(3, 0.6)])
def test_losses_are_the_integrals_they_stand_for(demand: Normal | LogNormal) -> None:
    """E[(D − x)⁺] is the area above the distribution function."""
    for x in (demand.mean - demand.sd, demand.mean, demand.mean + 2 * demand.sd):
        grid = np.linspace(x, demand.mean + 40 * demand.sd, 200_001)
        above = np.array([1 - demand.cdf(v) for v in grid])
        assert demand.loss(x) == pytest.approx(np.trapezoid(above, grid), rel=1e-5)
        if isinstance(demand, Normal):
            losses = np.array([demand.loss(v) for v in grid[::20]])
            assert demand.second_loss(x) == pytest.approx(np.trapezoid(losses, grid[::20]), rel=1e-4)


def test_a_lattice_is_its_sums() -> None:
    die = uniform(1, 6)
    assert die.over(3).p == pytest.approx(np.convolve(np.convolve(die.p, die.p), die.p))
    many = poisson(0.7).over(90)
    exact = poisson(63.0)
    assert many.mean == pytest.approx(63)
    assert [many.cdf(x) for x in (50, 63, 80)] == pytest.approx([exact.cdf(x) for x in (50, 63, 80)], abs=1e-9)
    assert exact.quantile(exact.cdf(60)) == 60
    assert pmf({3: 1, 1: 3}).mean == pytest.approx(1.5)


costs = st.floats(0.1, 20)


@settings(deadline=None, max_examples=25)
@given(h=costs, p=costs, low=st.integers(0, 4), weights=st.lists(st.integers(1, 9), min_size=1, max_size=8))
def test_no_other_newsvendor_level_is_cheaper(h: float, p: float, low: int, weights: list[int]) -> None:
    demand = pmf({low + i: w for i, w in enumerate(weights)})
    best = newsvendor.newsvendor(h, p, demand)
    for level in range(low + len(weights) + 1):
        assert best.cost <= newsvendor.expected(level, h, p, demand) + 1e-9


@settings(deadline=None, max_examples=15)
@given(h=st.floats(0.5, 3), p=st.floats(1, 20), k=st.floats(0.5, 30), rate=st.floats(0.5, 6))
def test_no_other_s_S_policy_is_cheaper(h: float, p: float, k: float, rate: float) -> None:  # noqa: N802
    """Costs of every policy near, from the stationary distribution of its Markov chain, which shares nothing with the algorithm."""
    demand = poisson(rate)
    best = min_max.exact(h, p, k, demand)
    assert best.cost == pytest.approx(_chain(h, p, k, demand, int(best.point), int(best.level)), rel=1e-6)
    for s, top in itertools.product(range(int(best.point) - 3, int(best.point) + 4), range(int(best.level) - 3, int(best.level) + 5)):
        if top > s:
            assert best.cost <= _chain(h, p, k, demand, s, top) + 1e-6


def _chain(h: float, p: float, k: float, demand: Lattice, s: int, top: int) -> float:
    """Mean cost per period: positions after ordering are s + 1 … S."""
    chance = np.concatenate([np.zeros(demand.low), demand.p])
    n = top - s
    step = np.zeros((n, n))
    order = np.zeros(n)
    for i in range(n):
        for d, c in enumerate(chance):
            after = i - d
            if after >= 0:
                step[i, after] += c
            else:
                step[i, n - 1] += c
                order[i] += c
    a = np.vstack([step.T - np.eye(n), np.ones(n)])
    stationary = np.linalg.lstsq(a, np.append(np.zeros(n), 1.0), rcond=None)[0]
    g = np.array([newsvendor.expected(s + 1 + i, h, p, demand) for i in range(n)])
    return float(stationary @ (g + k * order))


def test_r_Q_is_the_best_of_a_grid() -> None:  # noqa: N802
    s = reorder.Setting(holding=0.225, stockout=7.5, fixed=8, rate=1300, lead=Normal(1300 / 12, 150 / math.sqrt(12)))
    best = reorder.exact(s)
    for r, q in itertools.product(np.linspace(0.8, 1.2, 9) * best.point, np.linspace(0.8, 1.2, 9) * best.quantity):
        assert best.cost <= reorder.cost(s, r, q) + 1e-9
    g = [newsvendor.expected(x, s.holding, s.stockout, s.lead) for x in np.linspace(best.point, best.point + best.quantity, 20_001)]
    assert best.cost == pytest.approx(s.fixed * s.rate / best.quantity + float(np.mean(g)), rel=1e-4)
    for rule in (reorder.eoq_backorders, reorder.eoq_safety_stock, reorder.loss_function):
        assert best.cost <= rule(s).cost + 1e-9


@settings(deadline=None, max_examples=40)
@given(
    demand=st.lists(st.integers(0, 60), min_size=1, max_size=7),
    fixed=st.floats(0, 200),
    holding=st.floats(0.1, 5),
    prices=st.lists(st.floats(0, 4), min_size=7, max_size=7),
)
def test_wagner_whitin_is_the_best_of_all_plans(demand: list[int], fixed: float, holding: float, prices: list[float]) -> None:
    n = len(demand)
    got = dynamic.wagner_whitin(demand, [fixed] * n, [holding] * n, prices[:n])
    cheapest = min(_cost(demand, fixed, holding, prices, when) for when in itertools.product((0, 1), repeat=n) if when[0])
    assert got.cost == pytest.approx(cheapest, abs=1e-6)
    assert sum(got.orders) == sum(demand)
    assert (
        dynamic.silver_meal(demand, fixed, holding).cost >= dynamic.wagner_whitin(demand, [fixed] * n, [holding] * n, [0] * n).cost - 1e-6
    )


def _cost(demand: list[int], fixed: float, holding: float, prices: list[float], when: tuple[int, ...]) -> float:
    """Of ordering where `when` says so, each time up to the next; an empty order is not placed."""
    total = 0.0
    starts = [t for t, w in enumerate(when) if w] + [len(demand)]
    for a, b in itertools.pairwise(starts):
        lot = sum(demand[a:b])
        total += (fixed if lot else 0) + prices[a] * lot + sum(holding * (t - a) * demand[t] for t in range(a, b))
    return total


def test_joint_replenishment_is_the_best_of_all_multiples() -> None:
    items = joint.Items(shared=10, own=[1.87, 5.27, 7.94], holding=[0.2] * 3, rate=[1736, 656, 170])

    def cost(every: tuple[int, ...]) -> float:
        fixed = items.shared + sum(a / k for a, k in zip(items.own, every, strict=True))
        return math.sqrt(2 * fixed * sum(h * d * k for h, d, k in zip(items.holding, items.rate, every, strict=True)))

    assert joint.optimal(items).cost == pytest.approx(min(map(cost, itertools.product(range(1, 9), repeat=3))))


def test_incremental_discounts_are_the_best_of_a_grid() -> None:
    breaks, prices = [0, 400, 800], [0.75, 0.72, 0.68]
    best = eoq.incremental(8, 0.3, 1300, breaks, prices)

    def cost(q: float) -> float:
        lot = sum(c * (min(q, high) - low) for low, high, c in zip(breaks, [400, 800, math.inf], prices, strict=True) if q > low)
        return lot / q * 1300 + 8 * 1300 / q + 0.3 * lot / q * q / 2

    assert best.cost == pytest.approx(min(cost(q) for q in np.arange(50, 3000, 0.5)), rel=1e-6)


@settings(deadline=None, max_examples=12)
@given(
    holding=st.lists(st.floats(0.2, 3), min_size=2, max_size=3),
    leads=st.lists(st.integers(1, 2), min_size=3, max_size=3),
    stockout=st.floats(2, 40),
    mean=st.floats(0.5, 3),
)
def test_serial_optimum_by_enumeration(holding: list[float], leads: list[int], stockout: float, mean: float) -> None:
    """Every combination of levels near, each by the distribution of what reaches a stage."""
    stages = [serial.Stage(h, lead) for h, lead in zip(holding, leads, strict=False)]
    source = serial.Source(poisson=mean)
    best = serial.optimal(stages, stockout, source)
    levels = [int(s) for s in best.levels]
    assert best.cost == pytest.approx(_serial_cost(stages, stockout, mean, levels), rel=1e-7)
    for change in itertools.product((-1, 0, 1), repeat=len(levels)):
        other = [s + c for s, c in zip(levels, change, strict=True)]
        assert best.cost <= _serial_cost(stages, stockout, mean, other) + 1e-7


def _serial_cost(stages: list[serial.Stage], stockout: float, mean: float, levels: list[int]) -> float:
    """From upstream: the chances of each echelon position, then of the echelon stock a lead time later."""
    position = {levels[-1]: 1.0}
    cost = 0.0
    for j in reversed(range(len(stages))):
        demand = poisson(mean * stages[j].lead)
        stock: dict[int, float] = {}
        for x, a in position.items():
            for d, b in zip(demand.values, demand.p, strict=True):
                stock[x - int(d)] = stock.get(x - int(d), 0.0) + a * float(b)
        cost += stages[j].echelon_holding * sum(x * c for x, c in stock.items())
        if j:
            position = {}
            for x, c in stock.items():
                position[min(x, levels[j - 1])] = position.get(min(x, levels[j - 1]), 0.0) + c
        else:
            cost += (stockout + sum(s.echelon_holding for s in stages)) * sum(-x * c for x, c in stock.items() if x < 0)
    return cost


TREE = {
    1: guaranteed.Site(holding=3, time=1, bound=1, sd=1, before=(3,), outbound=0),
    2: guaranteed.Site(holding=3, time=2, bound=1, sd=2, before=(3,), outbound=1),
    3: guaranteed.Site(holding=2, time=1, bound=1, before=(4, 5)),
    4: guaranteed.Site(holding=1, time=2, bound=1, inbound=1),
    5: guaranteed.Site(holding=0.2, time=3, bound=1),
}


def test_guaranteed_service_is_the_best_of_all_service_times() -> None:
    spread = {1: 1.0, 2: 2.0, 3: math.sqrt(5), 4: math.sqrt(5), 5: math.sqrt(5)}
    least = math.inf
    for s in itertools.product(range(1), range(2), range(6), range(4), range(4)):
        service = dict(zip(TREE, s, strict=True))
        cost = 0.0
        for i, site in TREE.items():
            net = max([site.inbound, *(service[b] for b in site.before)]) + site.time - service[i]
            cost += math.inf if net < 0 else site.holding * spread[i] * math.sqrt(net)
        least = min(least, cost)
    got = guaranteed.optimal(TREE)
    assert got.cost == pytest.approx(least)
    assert sum(TREE[i].holding * x for i, x in got.stock.items()) == pytest.approx(least)
    with pytest.raises(ValueError, match="no tree"):
        guaranteed.optimal(TREE | {4: guaranteed.Site(holding=1, time=2, bound=1, before=(5,))})


def test_a_distribution_system_that_is_a_line_is_nearly_as_good_as_the_optimum() -> None:
    """The serial optimum of the book's example 6.1, its own levels simulated, and the levels found by two moments."""
    sites = {
        3: distribution.Site(holding=2, lead=2),
        2: distribution.Site(holding=4, lead=1, before=3),
        1: distribution.Site(holding=7, lead=1, before=2, stockout=37.12, mean=5, sd=1),
    }
    best = serial.optimal([serial.Stage(3, 1), serial.Stage(2, 1), serial.Stage(2, 2)], 37.12, serial.Source(Normal(5, 1)))
    one, two, three = best.levels
    cost, half = distribution.System(sites).simulate({1: one, 2: two - one, 3: three - two}, seed=1)
    assert cost == pytest.approx(best.cost, abs=1.5 * half)
    found = distribution.solve(sites)
    assert best.cost - 2 * found.half < found.cost < 1.02 * best.cost


def test_a_tree_shares_what_is_short() -> None:
    """A warehouse and two shops: at the levels found no other of the warehouse's is clearly better."""
    shop = {"holding": 1.0, "lead": 1, "before": 0, "stockout": 20.0, "mean": 8.0, "sd": math.sqrt(8)}
    sites = {0: distribution.Site(holding=0.5, lead=2), 1: distribution.Site(**shop), 2: distribution.Site(**shop)}  # type: ignore[arg-type]
    found = distribution.solve(sites)
    assert found.levels[1] == pytest.approx(found.levels[2])
    for change in (-6, 6):
        cost, half = distribution.System(sites).simulate(found.levels | {0: found.levels[0] + change}, seed=0)
        assert cost > found.cost - 0.01 * found.cost - half
