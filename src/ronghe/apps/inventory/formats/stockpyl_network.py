"""The instances of several stages: which system a network is, and who solves it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from ronghe.apps.inventory.distributions import Lattice, Normal, pmf, uniform
from ronghe.apps.inventory.formats.solved import Solved
from ronghe.apps.inventory.network import assembly, distribution, guaranteed, serial
from ronghe.apps.inventory.policy.newsvendor import newsvendor
from ronghe.text import Text

Node = Mapping[str, Any]


def solve(name: str, data: Mapping[str, Any]) -> Solved:
    """The answer, or the reason why there is none."""
    nodes: dict[int, Node] = {n["_index"]: n for n in data["_nodes"]}
    if any(n.get("processing_time") is not None for n in nodes.values()):
        return _guaranteed(name, nodes)
    if all(_holding(n) is None for n in nodes.values()):
        reason = Text("it names no cost: there is nothing to optimise", "未给出任何成本，没有可优化的目标")
        return Solved(name=name, problem="network", kind="unsolved", reason=reason)
    ends = [i for i, n in nodes.items() if not n["_successor_indices"]]
    if any(len(n["_successor_indices"]) > 1 for n in nodes.values()):
        return _distribution(name, nodes)
    if len(nodes) == 1:
        return _single(name, nodes[ends[0]])
    if any(len(n["_predecessor_indices"]) > 1 for n in nodes.values()):
        return _assembly(name, nodes, ends[0])
    return _serial(name, nodes, ends[0])


def _holding(n: Node) -> float | None:
    own = n.get("local_holding_cost")
    return own if own is not None else n.get("echelon_holding_cost")


def _source(n: Node) -> serial.Source:
    d = n["demand_source"]
    if d["type"] == "P":
        return serial.Source(poisson=d["mean"])
    if d["type"] == "UD":
        return serial.Source(uniform(d["lo"], d["hi"]))
    if d["type"] == "CD":
        return serial.Source(pmf(dict(zip(d["demand_list"], d["probabilities"], strict=True))))
    if d["type"] != "N":
        raise ValueError(f"demand of type {d['type']}")
    normal = Normal(d["mean"], d["standard_deviation"])
    return serial.Source(_whole(normal) if d.get("round_to_int") else normal)


def _whole(demand: Normal) -> Lattice:
    """Rounded to whole numbers, and not below zero."""
    rounded = demand.on_lattice(1.0)
    if rounded.low >= 0:
        return rounded
    p = rounded.p[-rounded.low :].copy()
    p[0] += rounded.p[: -rounded.low].sum()
    return Lattice(0, p)


def _single(name: str, n: Node) -> Solved:
    demand = _source(n).over(n["shipment_lead_time"]) if n["demand_source"]["type"] != "N" else Normal(
        n["demand_source"]["mean"], n["demand_source"]["standard_deviation"]
    ).over(n["shipment_lead_time"])  # fmt: skip
    found = newsvendor(n["local_holding_cost"], n["stockout_cost"], demand)
    return Solved(name=name, problem="newsvendor", kind="optimal", ours=found.cost, decision={"base_stock_level": found.level})


def _serial(name: str, nodes: Mapping[int, Node], end: int) -> Solved:
    order = [end]
    while before := nodes[order[-1]]["_predecessor_indices"]:
        order.append(before[0])
    echelon: list[float] = [h for i in order if (h := nodes[i].get("echelon_holding_cost")) is not None]
    if len(echelon) < len(order):
        local = [*(nodes[i]["local_holding_cost"] for i in order), 0.0]
        echelon = [a - b for a, b in itertools.pairwise(local)]
    stages = [serial.Stage(h, nodes[i]["shipment_lead_time"]) for h, i in zip(echelon, order, strict=True)]
    stockout, source = nodes[end]["stockout_cost"], _source(nodes[end])
    found = serial.optimal(stages, stockout, source)
    kept = dict(zip(order, found.levels, strict=True))
    others: dict[str, dict[str, float | None]] = {}
    note = None
    if min(echelon) > 0:
        others["shang_song_2003"] = {f"level_{i}": s for i, s in zip(order, serial.shang_song(stages, stockout, source), strict=True)}
    else:
        note = Text(
            "holding costs fall towards the customer: nothing is kept upstream (level null)",
            "持有成本越靠近客户越低：上游不留库存（水平为 null）",
        )
    return Solved(name=name, problem="serial", kind="optimal", ours=found.cost, decision=_levels(kept), others=others, reason=note)


def _levels(kept: Mapping[int, float]) -> dict[str, Any]:
    return {"echelon_base_stock_levels": {str(i): s if math.isfinite(s) else None for i, s in kept.items()}}


def _assembly(name: str, nodes: Mapping[int, Node], end: int) -> Solved:
    parts = {i: assembly.Part(n["local_holding_cost"], n["shipment_lead_time"], tuple(n["_predecessor_indices"])) for i, n in nodes.items()}
    found = assembly.solve(parts, end, nodes[end]["stockout_cost"], _source(nodes[end]))
    return Solved(name=name, problem="assembly", kind="optimal", ours=found.cost, decision=_levels(found.levels))


def _distribution(name: str, nodes: Mapping[int, Node]) -> Solved:
    if any(n["demand_source"]["type"] not in (None, "N") or n["shipment_lead_time"] % 1 for n in nodes.values()):
        reason = Text("a distribution system is solved for normal demand and whole lead times", "配送型系统仅支持正态需求与整数提前期")
        return Solved(name=name, problem="distribution", kind="unsolved", reason=reason)
    sites = {
        i: distribution.Site(
            holding=n["local_holding_cost"],
            lead=int(n["shipment_lead_time"]),
            before=next(iter(n["_predecessor_indices"]), None),
            stockout=n.get("stockout_cost") or 0.0,
            mean=n["demand_source"].get("mean") or 0.0,
            sd=n["demand_source"].get("standard_deviation") or 0.0,
        )
        for i, n in nodes.items()
    }
    found = distribution.solve(sites)
    decision = {"base_stock_levels": {str(i): s for i, s in found.levels.items()}}
    note = Text(
        f"good levels, not proven best; cost simulated, ± {found.half:.3g}", f"近似最优水平，未证明最优；成本为仿真值，± {found.half:.3g}"
    )
    others: dict[str, dict[str, float | None]] = {"two_moments": {"cost": found.estimate}}
    return Solved(name=name, problem="distribution", kind="heuristic", ours=found.cost, decision=decision, others=others, reason=note)


def _guaranteed(name: str, nodes: Mapping[int, Node]) -> Solved:
    sites = {
        i: guaranteed.Site(
            holding=n["local_holding_cost"],
            time=n["processing_time"],
            bound=n["demand_bound_constant"],
            sd=n["demand_source"].get("standard_deviation") or 0.0,
            before=tuple(n["_predecessor_indices"]),
            inbound=n.get("external_inbound_cst") or 0,
            outbound=n.get("external_outbound_cst") if not n["_successor_indices"] else None,
        )
        for i, n in nodes.items()
    }
    found = guaranteed.optimal(sites)
    decision = {
        "service_times": {str(i): s for i, s in found.service.items()},
        "safety_stock": {str(i): s for i, s in found.stock.items()},
    }
    return Solved(name=name, problem="guaranteed_service", kind="optimal", ours=found.cost, decision=decision)
