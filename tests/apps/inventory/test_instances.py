"""Published optima to four digits, and what cannot be solved says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ronghe.apps.inventory.formats.solved import Solved
from ronghe.apps.inventory.formats.stockpyl import solve, solve_one
from ronghe.errors import AppError


def node(index: int, before: list[int], after: list[int], **facts: Any) -> dict[str, Any]:
    return {"_index": index, "_predecessor_indices": before, "_successor_indices": after, "demand_source": {"type": None}} | facts


def normal(mean: float, sd: float) -> dict[str, Any]:
    return {"type": "N", "mean": mean, "standard_deviation": sd}


def line(costs: list[float], leads: list[float], stockout: float, demand: dict[str, Any]) -> dict[str, Any]:
    """A serial system, from the customer (stage 1) upstream."""
    n = len(costs)
    nodes = [
        node(i + 1, [i + 2] if i + 1 < n else [], [i] if i else [], echelon_holding_cost=costs[i], shipment_lead_time=leads[i])
        for i in range(n)
    ]
    nodes[0] |= {"stockout_cost": stockout, "demand_source": demand}
    return {"_nodes": nodes}


def site(index: int, before: list[int], after: list[int], holding: float, time: int, **facts: Any) -> dict[str, Any]:
    return node(index, before, after, local_holding_cost=holding, processing_time=time, demand_bound_constant=1) | facts


POISSON_16 = {"type": "P", "mean": 16}
# (facts, what is best, its cost); the book: Snyder & Shen, Fundamentals of Supply Chain Theory, 2nd ed.
KNOWN: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    # the book, example 3.1
    "eoq": ({"fixed_cost": 8, "holding_cost": 0.225, "demand_rate": 1300}, {"order_quantity": 304.05}, 68.41),
    # example 3.8
    "backorders": (
        {"fixed_cost": 8, "holding_cost": 0.225, "stockout_cost": 5, "demand_rate": 1300},
        {"order_quantity": 310.81, "stockout_fraction": 0.04306},
        66.92,
    ),
    # problem 3.22
    "epq": ({"fixed_cost": 4, "holding_cost": 0.08, "demand_rate": 80, "production_rate": 110}, {"order_quantity": 171.27}, 3.7368),
    # example 3.5
    "discounts": (
        {"fixed_cost": 8, "holding_cost_rate": 0.3, "demand_rate": 1300, "breakpoints": [0, 400, 800], "unit_costs": [0.75, 0.72, 0.68]},
        {"order_quantity": 800},
        978.6,
    ),
    # example 3.9
    "lots": (
        {"num_periods": 4, "holding_cost": 2, "fixed_cost": 500, "demand": [90, 120, 80, 70]},
        {"order_quantities": (210, 0, 150, 0)},
        1380,
    ),
    # stockpyl 1.0, documentation of jrp: SCMO example
    "joint": (
        {"shared_fixed_cost": 600, "individual_fixed_costs": [120, 840, 300], "holding_costs": [160, 20, 50], "demand_rates": [1, 1, 1]},
        {"base_cycle_time": 3.1032, "order_multiples": (1, 3, 1)},
        837.85,
    ),
    # example 4.1
    "newsvendor": (
        {"holding_cost": 0.18, "stockout_cost": 0.7, "demand_mean": 50, "demand_sd": 8},
        {"base_stock_level": 56.60},
        1.9976,
    ),
    # example 4.4
    "base_stock": (
        {"holding_cost": 0.18, "stockout_cost": 0.7, "demand_mean": 50, "demand_sd": 8, "lead_time": 4},
        {"base_stock_level": 264.77},
        4.4668,
    ),
    # problem 4.7(b)
    "newsvendor_pmf": (
        {
            "holding_cost": 5e5,
            "stockout_cost": 1e6,
            "demand_pmf": {"1": 0.25, "2": 0.05, "3": 0.1, "4": 0.2, "5": 0.15, "6": 0.1, "7": 0.1, "8": 0.05},
        },
        {"base_stock_level": 5},
        1_225_000,
    ),
    # problem 4.8(b)
    "newsvendor_lognormal": (
        {"holding_cost": 1, "stockout_cost": 0.1765, "mu": 6, "sigma": 0.3},
        {"base_stock_level": 295.63},
        29.4425,
    ),
    # example 4.7
    "min_max": (
        {"holding_cost": 1, "stockout_cost": 4, "fixed_cost": 5, "demand_mean": 6},
        {"reorder_point": 4, "order_up_to_level": 10},
        8.0341,
    ),
    # example 5.8
    "reorder_poisson": (
        {"holding_cost": 20, "stockout_cost": 150, "fixed_cost": 100, "demand_mean": 1.5, "lead_time": 2},
        {"reorder_point": 3, "order_quantity": 5},
        107.92,
    ),
    # example 5.1; stockpyl 1.0, r_q_cost at its loss-function approximation, which coincides with the optimum
    "reorder": (
        {"holding_cost": 0.225, "stockout_cost": 7.5, "fixed_cost": 8, "demand_mean": 1300, "demand_sd": 150, "lead_time": 1 / 12},
        {"reorder_point": 126.87, "order_quantity": 328.45},
        78.0711,
    ),
    # example 9.1
    "eoq_disruptions": (
        {"holding_cost": 0.225, "stockout_cost": 5, "fixed_cost": 8, "demand_rate": 1300, "disruption_rate": 1.5, "recovery_rate": 14},
        {"order_quantity": 772.81},
        173.95,
    ),
    # example 9.3
    "disruptions": (
        {"holding_cost": 0.25, "stockout_cost": 3, "demand": 2000, "disruption_prob": 0.04, "recovery_prob": 0.25},
        {"base_stock_level": 8000},
        2737.07,
    ),
    # examples 9.4, 9.5, 9.6
    "additive_yield": (
        {"holding_cost": 0.06, "fixed_cost": 18500, "demand_rate": 75000, "yield_mean": -15000, "yield_sd": 9000},
        {"order_quantity": 230_246},
        12_914.8,
    ),
    "multiplicative_yield": (
        {"holding_cost": 0.06, "fixed_cost": 18500, "demand_rate": 75000, "yield_mean": 5 / 6, "yield_sd": 0.14085904},
        {"order_quantity": 254_460},
        13_086.5,
    ),
    "newsvendor_yield": (
        {"holding_cost": 15e6, "stockout_cost": 75e6, "demand": 1.5, "yield_lo": -0.5, "yield_hi": 0.5},
        {"order_quantity": 1.8333},
        6_250_000,
    ),
    # Shang & Song (2003), table 1, rows 1 and 25; costs: stockpyl 1.0 with tails of 1e-11
    "shang_song_1": (line([0.25] * 4, [0.25] * 4, 9, POISSON_16), {"echelon": (8, 13, 18, 22)}, 12.6879),
    "shang_song_25": (line([0.25, 2.5, 2.5, 0.25], [0.25] * 4, 99, POISSON_16), {"echelon": (11, 14, 18, 26)}, 74.5636),
    # example 6.1: the levels of the book; its cost, 47.65, is that of a coarse grid: 6e7 draws give 47.661 ± 0.002
    "serial": (line([3, 2, 2], [1, 1, 2], 37.12, normal(5, 1)), {"echelon": (6.49, 12.02, 22.71)}, 47.6601),
    # example 6.3
    "guaranteed_line": (
        {
            "_nodes": [
                site(3, [], [2], 2, 1, external_inbound_cst=1),
                site(2, [3], [1], 4, 0),
                site(1, [2], [], 7, 1, external_outbound_cst=1) | {"demand_source": normal(0, 1)},
            ]
        },
        {"service_times": {"3": 0, "2": 0, "1": 1}},
        2.8284,
    ),
    # example 6.5
    "guaranteed_tree": (
        {
            "_nodes": [
                site(1, [], [3], 1, 2, external_inbound_cst=1),
                site(3, [1], [2, 4], 2, 1),
                site(2, [3], [], 3, 1, external_outbound_cst=0) | {"demand_source": normal(0, 1)},
                site(4, [3], [], 3, 1, external_outbound_cst=1) | {"demand_source": normal(0, 1)},
            ]
        },
        {"service_times": {"1": 0, "3": 0, "2": 0, "4": 1}},
        8.2779,
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_published_optimum(name: str) -> None:
    facts, decision, cost = KNOWN[name]
    got = solve_one(name, facts)
    assert got.kind == "optimal", got.reason
    assert got.ours == pytest.approx(cost, rel=5e-5)
    for key, value in decision.items():
        if key == "echelon":
            assert tuple(got.decision["echelon_base_stock_levels"].values()) == pytest.approx(value, rel=1e-3)
        else:
            assert got.decision[key] == pytest.approx(value, rel=1e-4)


def test_finite_horizon() -> None:
    """The book, problems 4.29 and 4.30: base-stock 23; (17, 42) far from the end. Costs: stockpyl 1.0.2, demand cut at 6 sd."""
    facts = {
        "num_periods": 10, "holding_cost": 1, "stockout_cost": 25, "terminal_holding_cost": 1, "terminal_stockout_cost": 25,
        "purchase_cost": 1, "fixed_cost": 0, "demand_mean": 18, "demand_sd": 3, "discount_factor": 0.98, "initial_inventory_level": 0,
    }  # fmt: skip
    free, fixed = solve_one("a", facts), solve_one("b", facts | {"fixed_cost": 40})
    assert set(free.decision["order_up_to_levels"]) == {23}
    assert fixed.decision["reorder_points"][0] == 17
    assert fixed.decision["order_up_to_levels"][0] == 42
    assert free.ours == pytest.approx(234.830615, rel=1e-7)
    assert fixed.ours == pytest.approx(519.423779, rel=1e-7)


def test_joint_replenishment_beats_the_heuristic_of_its_paper() -> None:
    """Silver (1976), numerical example."""
    facts = {
        "shared_fixed_cost": 10,
        "individual_fixed_costs": [1.87, 5.27, 7.94, 8.19, 8.87],
        "holding_costs": [0.2] * 5,
        "demand_rates": [1736, 656, 558, 170, 142],
    }
    got = solve_one("silver", facts)
    assert got.ours is not None
    assert got.ours < 218.30 < got.others["silver_1976"]["cost"]  # type: ignore[operator]


def test_assembly_is_the_serial_system_of_its_longest_path() -> None:
    """Two suppliers of equal lead time act as one whose echelon holding cost is the sum of both."""
    pair = [node(i, [], [1], local_holding_cost=1.0, shipment_lead_time=2, stockout_cost=0) for i in (2, 3)]
    end = node(1, [2, 3], [], local_holding_cost=5.0, shipment_lead_time=1, stockout_cost=20, demand_source=POISSON_16)
    together = solve_one("assembly", {"_nodes": [*pair, end]})
    serial = solve_one("serial", line([3.0, 2.0], [1, 2], 20, POISSON_16))
    assert together.ours == pytest.approx(serial.ours)


def test_a_file_of_instances(tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    bare = {"_nodes": [node(1, [], [2]), node(2, [1], [])]}
    instances = [
        {"name": "good", "data": KNOWN["eoq"][0], "type": "dict"},
        {"name": "bare", "data": bare, "type": "network"},
        {"name": "negative", "data": {"fixed_cost": -8, "holding_cost": 1, "demand_rate": 1}},
        {"name": "strange", "data": {"moons": 3}},
        {"name": "free", "data": {"fixed_cost": 8, "holding_cost": 0, "demand_rate": 1}},
    ]
    file.write_text(json.dumps({"_id": "", "instances": instances}))
    told: list[Solved] = []
    report = solve(file, iter([1.0, 3.5]).__next__, told.append)
    assert [s.name for s in told] == [i["name"] for i in instances]
    assert (report.solved, report.of, report.seconds) == (1, 5, 2.5)
    assert report.unsolved == ("bare", "negative", "strange", "free")
    for s in report.instances[1:]:
        assert s.reason is not None
        assert s.reason.zh
    assert "fixed_cost is -8" in str(report.instances[2].reason)


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe{", b"[1, 2]", b'{"instances": []}'])
def test_a_file_that_is_none(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(raw)
    with pytest.raises(AppError, match=r"bad\.json"):
        solve(file, lambda: 0.0)
    with pytest.raises(AppError, match="inventory plan"):
        solve(tmp_path, lambda: 0.0)
