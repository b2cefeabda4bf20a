"""The instances of one stage: which method answers which facts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from ronghe.apps.inventory.distributions import Demand, LogNormal, Normal, pmf, poisson
from ronghe.apps.inventory.formats.solved import Solved
from ronghe.apps.inventory.lots import dynamic, joint
from ronghe.apps.inventory.policy import eoq, horizon, min_max, newsvendor, reorder
from ronghe.text import Text

_LATTICE = 128  # steps in a standard deviation where a normal demand is put on a lattice
Data = Mapping[str, Any]


def solve(name: str, d: Data) -> Solved:
    """The answer of the first method whose facts are all there and that leaves none unused."""
    given = {k for k, v in d.items() if v is not None}
    for facts, method in _METHODS:
        if facts == given:
            return method(name, d)
    listed = ", ".join(sorted(given))
    return Solved(
        name=name, problem="", kind="unsolved", reason=Text(f"no method for these facts: {listed}", f"没有适用于这些数据的方法：{listed}")
    )


def _quantity(name: str, problem: str, found: eoq.Quantity, **more: Any) -> Solved:
    decision = {"order_quantity": found.quantity} | ({"stockout_fraction": found.short} if found.short else {}) | more
    return Solved(name=name, problem=problem, kind="optimal", ours=found.cost, decision=decision)


def _eoq(name: str, d: Data) -> Solved:
    return _quantity(name, "eoq", eoq.eoq(d["fixed_cost"], d["holding_cost"], d["demand_rate"]))


def _backorders(name: str, d: Data) -> Solved:
    return _quantity(name, "eoq_backorders", eoq.backorders(d["fixed_cost"], d["holding_cost"], d["stockout_cost"], d["demand_rate"]))


def _production(name: str, d: Data) -> Solved:
    if d["production_rate"] <= d["demand_rate"]:
        raise ValueError("what is produced is less than what is asked for")
    return _quantity(name, "epq", eoq.production(d["fixed_cost"], d["holding_cost"], d["demand_rate"], d["production_rate"]))


def _discounts(name: str, d: Data) -> Solved:
    arguments = d["fixed_cost"], d["holding_cost_rate"], d["demand_rate"], d["breakpoints"], d["unit_costs"]
    best, other = eoq.all_units(*arguments), eoq.incremental(*arguments)
    answer = _quantity(name, "eoq_all_units_discounts", best)
    return _with(answer, {"incremental_discounts": {"order_quantity": other.quantity, "cost": other.cost}})


def _with(answer: Solved, others: dict[str, dict[str, float | None]]) -> Solved:
    return Solved(
        name=answer.name,
        problem=answer.problem,
        kind=answer.kind,
        ours=answer.ours,
        decision=answer.decision,
        others=others,
        reason=answer.reason,
    )


def _failing(name: str, d: Data) -> Solved:
    found = eoq.disruptions(
        d["fixed_cost"], d["holding_cost"], d["stockout_cost"], d["demand_rate"], d["disruption_rate"], d["recovery_rate"]
    )
    return _quantity(name, "eoq_disruptions", found)


def _yield(name: str, d: Data) -> Solved:
    """A mean that is a part (0 … 1] multiplies what was ordered; any other is added to it."""
    times = 0 < d["yield_mean"] <= 1
    method = eoq.multiplicative_yield if times else eoq.additive_yield
    found = method(d["fixed_cost"], d["holding_cost"], d["demand_rate"], d["yield_mean"], d["yield_sd"])
    return _quantity(name, "eoq_multiplicative_yield" if times else "eoq_additive_yield", found)


def _lots(name: str, d: Data) -> Solved:
    n = int(d["num_periods"])
    demand, fixed, holding, purchase = (
        v if isinstance(v, list) else [v] * n for v in (d["demand"], d["fixed_cost"], d["holding_cost"], d.get("purchase_cost", 0.0))
    )
    best = dynamic.wagner_whitin(demand, fixed, holding, purchase)
    answer = Solved(name=name, problem="wagner_whitin", kind="optimal", ours=best.cost, decision={"order_quantities": best.orders})
    if isinstance(d["fixed_cost"], list) or isinstance(d["holding_cost"], list) or "purchase_cost" in d:
        return answer
    return _with(answer, {"silver_meal": {"cost": dynamic.silver_meal(demand, fixed[0], holding[0]).cost}})


def _joint(name: str, d: Data) -> Solved:
    items = joint.Items(d["shared_fixed_cost"], d["individual_fixed_costs"], d["holding_costs"], d["demand_rates"])
    best, simple = joint.optimal(items), joint.silver(items)
    decision = {"base_cycle_time": best.cycle, "order_multiples": best.every, "order_quantities": best.quantities}
    answer = Solved(name=name, problem="joint_replenishment", kind="optimal", ours=best.cost, decision=decision)
    return _with(answer, {"silver_1976": {"base_cycle_time": simple.cycle, "cost": simple.cost}})


def _demand(d: Data) -> Demand:
    if "demand_pmf" in d:
        return pmf({int(k): float(v) for k, v in d["demand_pmf"].items()})
    if "sigma" in d:
        return LogNormal(d["mu"], d["sigma"])
    return Normal(d["demand_mean"], d["demand_sd"]) if "demand_sd" in d else poisson(d["demand_mean"])


def _newsvendor(name: str, d: Data) -> Solved:
    demand = _demand(d)
    if "lead_time" in d and isinstance(demand, Normal):
        demand = demand.over(d["lead_time"] + 1)  # a review period and the lead time after it
    found = newsvendor.newsvendor(d["holding_cost"], d["stockout_cost"], demand)
    problem = "base_stock" if "lead_time" in d else "newsvendor"
    return Solved(name=name, problem=problem, kind="optimal", ours=found.cost, decision={"base_stock_level": found.level})


def _explicit(name: str, d: Data) -> Solved:
    found = newsvendor.explicit(d["revenue"], d["purchase_cost"], d["salvage_value"], _demand(d))
    decision = {"base_stock_level": found.level}
    return Solved(name=name, problem="newsvendor_explicit", kind="optimal", ours=found.cost, measure="profit", decision=decision)


def _failing_base_stock(name: str, d: Data) -> Solved:
    found = newsvendor.disruptions(d["holding_cost"], d["stockout_cost"], d["demand"], d["disruption_prob"], d["recovery_prob"])
    return Solved(name=name, problem="base_stock_disruptions", kind="optimal", ours=found.cost, decision={"base_stock_level": found.level})


def _uncertain_yield(name: str, d: Data) -> Solved:
    found = newsvendor.additive_yield(d["holding_cost"], d["stockout_cost"], d["demand"], d["yield_lo"], d["yield_hi"])
    return Solved(name=name, problem="newsvendor_additive_yield", kind="optimal", ours=found.cost, decision={"order_quantity": found.level})


def _min_max(name: str, d: Data) -> Solved:
    h, p, k = d["holding_cost"], d["stockout_cost"], d["fixed_cost"]
    demand = _demand(d)
    note = None
    others: dict[str, dict[str, float | None]] = {}
    if isinstance(demand, Normal):
        lattice = demand.on_lattice(demand.sd / _LATTICE)
        rule = min_max.power(h, p, k, demand, demand)
        cost = min_max.cost_of(h, p, k, lattice, rule.point, rule.level)
        others["power_approximation"] = {"reorder_point": rule.point, "order_up_to_level": rule.level, "cost": cost}
        note = Text(f"exact on a lattice of {_LATTICE} steps in a standard deviation", f"在每个标准差 {_LATTICE} 格的离散网格上精确求解")
    else:
        lattice = poisson(d["demand_mean"])
    best = min_max.exact(h, p, k, lattice)
    decision = {"reorder_point": best.point, "order_up_to_level": best.level}
    return Solved(name=name, problem="s_S", kind="optimal", ours=best.cost, decision=decision, others=others, reason=note)


def _reorder(name: str, d: Data) -> Solved:
    h, p, k, rate, lead = d["holding_cost"], d["stockout_cost"], d["fixed_cost"], d["demand_mean"], d["lead_time"]
    if "demand_sd" not in d:
        best = reorder.exact_discrete(h, p, k, rate, poisson(rate * lead))
        decision = {"reorder_point": best.point, "order_quantity": best.quantity}
        return Solved(name=name, problem="r_Q", kind="optimal", ours=best.cost, decision=decision)
    s = reorder.Setting(h, p, k, rate, Normal(rate * lead, d["demand_sd"] * math.sqrt(lead)))
    best = reorder.exact(s)
    methods: dict[str, Callable[[reorder.Setting], reorder.Reorder]] = {
        "eil_approximation": reorder.eil,
        "eoqb_approximation": reorder.eoq_backorders,
        "eoqss_approximation": reorder.eoq_safety_stock,
        "loss_function_approximation": reorder.loss_function,
    }
    others: dict[str, dict[str, float | None]] = {}
    for title, method in methods.items():
        r = method(s)
        others[title] = {"reorder_point": r.point, "order_quantity": r.quantity, "cost": r.cost}
        if method is reorder.eil:
            others[title]["exact_cost"] = reorder.cost(s, r.point, r.quantity)
    decision = {"reorder_point": best.point, "order_quantity": best.quantity}
    return Solved(name=name, problem="r_Q", kind="optimal", ours=best.cost, decision=decision, others=others)


def _horizon(name: str, d: Data) -> Solved:
    found = horizon.solve(
        horizon.Facts(
            periods=int(d["num_periods"]),
            holding=d["holding_cost"],
            stockout=d["stockout_cost"],
            terminal_holding=d["terminal_holding_cost"],
            terminal_stockout=d["terminal_stockout_cost"],
            purchase=d["purchase_cost"],
            fixed=d["fixed_cost"],
            discount=d["discount_factor"],
            initial=int(d["initial_inventory_level"]),
            demand=Normal(d["demand_mean"], d["demand_sd"]),
        )
    )
    decision = {"reorder_points": found.points, "order_up_to_levels": found.levels}
    note = Text("stock and demand on whole numbers", "库存与需求取整数")
    return Solved(name=name, problem="finite_horizon", kind="optimal", ours=found.cost, decision=decision, reason=note)


_COSTS = frozenset({"holding_cost", "stockout_cost"})
_ORDER = frozenset({"holding_cost", "fixed_cost", "demand_rate"})
_LOT = frozenset({"num_periods", "holding_cost", "fixed_cost", "demand"})
_MEAN = frozenset({"demand_mean"})
_SPREAD = frozenset({"demand_mean", "demand_sd"})
_TERMS = frozenset({"num_periods", "terminal_holding_cost", "terminal_stockout_cost", "purchase_cost", "fixed_cost", "discount_factor"})
_METHODS: tuple[tuple[frozenset[str], Callable[[str, Data], Solved]], ...] = (
    (_ORDER, _eoq),
    (_ORDER | {"stockout_cost"}, _backorders),
    (_ORDER | {"production_rate"}, _production),
    (frozenset({"fixed_cost", "holding_cost_rate", "demand_rate", "breakpoints", "unit_costs"}), _discounts),
    (_ORDER | {"stockout_cost", "disruption_rate", "recovery_rate"}, _failing),
    (_ORDER | {"yield_mean", "yield_sd"}, _yield),
    (_LOT, _lots),
    (_LOT | {"purchase_cost"}, _lots),
    (frozenset({"shared_fixed_cost", "individual_fixed_costs", "holding_costs", "demand_rates"}), _joint),
    (_COSTS | _SPREAD, _newsvendor),
    (_COSTS | _MEAN, _newsvendor),
    (_COSTS | {"demand_pmf"}, _newsvendor),
    (_COSTS | {"mu", "sigma"}, _newsvendor),
    (_COSTS | _SPREAD | {"lead_time"}, _newsvendor),
    (frozenset({"revenue", "purchase_cost", "salvage_value"}) | _SPREAD, _explicit),
    (_COSTS | {"demand", "disruption_prob", "recovery_prob"}, _failing_base_stock),
    (_COSTS | {"demand", "yield_lo", "yield_hi"}, _uncertain_yield),
    (_COSTS | {"fixed_cost"} | _MEAN, _min_max),
    (_COSTS | {"fixed_cost"} | _SPREAD, _min_max),
    (_COSTS | {"fixed_cost", "lead_time"} | _MEAN, _reorder),
    (_COSTS | {"fixed_cost", "lead_time"} | _SPREAD, _reorder),
    (_COSTS | _TERMS | _SPREAD | {"initial_inventory_level"}, _horizon),
)
