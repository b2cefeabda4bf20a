"""Holds a plan to the facts: distances, times, loads, shifts and trips, computed anew from the stated stops.

It shares no code with what makes plans.
"""

from __future__ import annotations

from ronghe.apps.logistics.problem import Order, Plan, Problem, Route, Stop, Vehicle
from ronghe.text import Text


def check(problem: Problem, plan: Plan) -> list[Text]:
    """Every violation in words; [] where the plan holds. Orders named as unserved are no violation, those that are just missing are."""
    wrong: list[Text] = []
    orders = {o.name: o for o in problem.orders}
    vehicles = {v.name: v for v in problem.vehicles}
    done: dict[str, int] = {}
    used: set[str] = set()
    total = 0
    for route in plan.routes:
        vehicle = vehicles.get(route.vehicle)
        if vehicle is None:
            wrong.append(Text(f"there is no vehicle {route.vehicle!r}", f"没有车辆 {route.vehicle!r}"))
            continue
        if route.vehicle in used:
            wrong.append(Text(f"{route.vehicle} drives two routes", f"{route.vehicle} 有两条路线"))
        used.add(route.vehicle)
        unknown = [s for s in route.stops if s.do not in ("start", "reload", "end") and s.order not in orders]
        if unknown or len(route.stops) < 2:
            wrong.append(Text(f"{route.vehicle}: a stop without an order", f"{route.vehicle}：停靠点无对应订单"))
            continue
        for s in route.stops:
            if s.do in ("serve", "deliver"):
                done[s.order] = done.get(s.order, 0) + 1
        wrong += _times(problem, vehicle, route, orders) + _loads(problem, vehicle, route, orders) + _shape(problem, vehicle, route, orders)
        total += _cost(problem, vehicle, route, wrong)
    wrong += _coverage(problem, plan, done)
    total += sum(o.prize for o in problem.orders if o.prize is not None and o.name not in done)
    if abs(total / problem.money - plan.objective) > 1e-6 * max(1.0, abs(plan.objective)):
        stated = Text(
            f"the cost is {total / problem.money:g}, stated {plan.objective:g}",
            f"成本应为 {total / problem.money:g}，所报为 {plan.objective:g}",
        )
        wrong.append(stated)
    return wrong


def _coverage(problem: Problem, plan: Plan, done: dict[str, int]) -> list[Text]:
    said = {u.order for u in plan.unserved}
    wrong = []
    for o in problem.orders:
        n = done.get(o.name, 0)
        if n > 1:
            wrong.append(Text(f"order {o.name} is served {n} times", f"订单 {o.name} 被配送 {n} 次"))
        elif n == 0 and o.name not in said:
            wrong.append(Text(f"order {o.name} is forgotten", f"订单 {o.name} 被遗漏"))
        elif n and o.name in said:
            wrong.append(Text(f"order {o.name} is served and called unserved", f"订单 {o.name} 已配送却列为未配送"))
        elif n == 0 and o.prize is None and plan.status == "feasible":
            wrong.append(Text(f"order {o.name} must be served and is not", f"订单 {o.name} 必须配送，但未安排"))
    return wrong


def _times(problem: Problem, vehicle: Vehicle, route: Route, orders: dict[str, Order]) -> list[Text]:
    """Travel, windows and release of each stop; the shift."""
    wrong: list[Text] = []
    index = {p.name: i for i, p in enumerate(problem.places)}
    duration = problem.roads[vehicle.roads].duration
    who = vehicle.name
    previous: Stop | None = None
    for k, s in enumerate(route.stops):
        if not s.arrive <= s.start <= s.depart:
            wrong.append(Text(f"{who} at {s.place}: times out of order", f"{who} 在 {s.place}：时间顺序错误"))
        if previous is not None:
            needed = int(duration[index[previous.place], index[s.place]])
            if s.arrive - previous.depart < needed:
                wrong.append(
                    Text(
                        f"{who} cannot be at {s.place} at {s.arrive}: {needed} ticks from {previous.place}",
                        f"{who} 无法在 {s.arrive} 到达 {s.place}：从 {previous.place} 出发需 {needed}",
                    )
                )
        previous = s
        early, late, work = _window(problem, s, orders, route.stops[k + 1 :])
        if s.start < early or s.start > late:
            wrong.append(
                Text(
                    f"{who} at {s.place}: starts at {s.start}, allowed {early}..{late}",
                    f"{who} 在 {s.place}：{s.start} 开始，允许 {early}..{late}",
                )
            )
        if s.depart - s.start < work:
            wrong.append(Text(f"{who} at {s.place}: the work takes {work}", f"{who} 在 {s.place}：作业需 {work}"))
    begun, ended = route.stops[0].start, route.stops[-1].depart
    if begun < vehicle.earliest or ended > vehicle.latest:
        wrong.append(Text(f"{who}: outside its shift", f"{who}：超出班次时间"))
    if ended - begun > vehicle.max_duration:
        wrong.append(
            Text(
                f"{who}: on the road for {ended - begun}, at most {vehicle.max_duration}",
                f"{who}：在途 {ended - begun}，上限 {vehicle.max_duration}",
            )
        )
    if route.duration != ended - begun:
        wrong.append(
            Text(
                f"{who}: duration is {ended - begun}, stated {route.duration}", f"{who}：时长应为 {ended - begun}，所报为 {route.duration}"
            )
        )
    return wrong


def _window(problem: Problem, s: Stop, orders: dict[str, Order], rest: tuple[Stop, ...]) -> tuple[int, int, int]:
    """Earliest start, latest start and work of a stop; at a depot also the releases of the trip that begins there."""
    if s.do == "collect":
        o = orders[s.order]
        return o.origin_earliest, o.origin_latest, o.origin_service
    if s.do in ("serve", "deliver"):
        o = orders[s.order]
        return o.earliest, o.latest, o.service
    depot = [d for d in problem.depots if d.place == s.place]
    early, late, loading = (depot[0].opens, depot[0].closes, depot[0].loading) if depot else (0, s.start, 0)
    if s.do == "end":
        return early, late, 0
    for r in rest:
        if r.do in ("reload", "end"):
            break
        early = max(early, orders[r.order].release)
    return early, late, loading


def _loads(problem: Problem, vehicle: Vehicle, route: Route, orders: dict[str, Order]) -> list[Text]:
    """What is aboard after every stop: as stated, and never more than fits."""
    wrong: list[Text] = []
    for d, dimension in enumerate(problem.dimensions):
        room = vehicle.capacity[d] if d < len(vehicle.capacity) else None
        kept = 0
        for i, s in enumerate(route.stops):
            if s.do in ("start", "reload"):
                kept = _part(vehicle.aboard, d) if s.do == "start" else 0
                for r in route.stops[i + 1 :]:
                    if r.do in ("reload", "end"):
                        break
                    kept += _part(orders[r.order].delivery, d) if r.do == "serve" else 0
            elif s.do == "collect":
                kept += _part(orders[s.order].delivery, d)
            elif s.do == "deliver":
                kept -= _part(orders[s.order].delivery, d)
            elif s.do == "serve":
                kept += _part(orders[s.order].pickup, d) - _part(orders[s.order].delivery, d)
            else:
                kept = 0
            if _part(s.load, d) != kept:
                wrong.append(
                    Text(
                        f"{vehicle.name} at {s.place}: {kept} {dimension} aboard, stated {_part(s.load, d)}",
                        f"{vehicle.name} 在 {s.place}：载量 {kept}，所报 {_part(s.load, d)}",
                    )
                )
            if room is not None and kept > room:
                wrong.append(
                    Text(
                        f"{vehicle.name} at {s.place}: {kept} {dimension} aboard, room for {room}",
                        f"{vehicle.name} 在 {s.place}：载量 {kept} 超过容量 {room}",
                    )
                )
    return wrong


def _part(amounts: tuple[int, ...], d: int) -> int:
    return amounts[d] if d < len(amounts) else 0


def _shape(problem: Problem, vehicle: Vehicle, route: Route, orders: dict[str, Order]) -> list[Text]:
    """Start, end and trips; orders at their places, on a vehicle that may; what is delivered was collected on the same trip."""
    who, stops = vehicle.name, route.stops
    wrong: list[Text] = []
    if (stops[0].do, stops[0].place, stops[-1].do, stops[-1].place) != ("start", vehicle.start, "end", vehicle.end):
        wrong.append(
            Text(f"{who} does not go from {vehicle.start} to {vehicle.end}", f"{who} 未从 {vehicle.start} 出发并回到 {vehicle.end}")
        )
    if 1 + sum(s.do == "reload" for s in stops) > vehicle.max_trips:
        wrong.append(Text(f"{who}: more than {vehicle.max_trips} trips", f"{who}：超过 {vehicle.max_trips} 趟"))
    aboard: set[str] = set()
    for s in stops[1:-1]:
        if s.do == "reload":
            if s.place not in vehicle.reloads:
                wrong.append(Text(f"{who} may not load at {s.place}", f"{who} 不可在 {s.place} 装货"))
            if aboard:
                wrong.append(
                    Text(f"{who}: {sorted(aboard)} collected and not delivered on its trip", f"{who}：{sorted(aboard)} 取货后未在同趟送达")
                )
            aboard.clear()
            continue
        if s.do in ("start", "end"):
            wrong.append(Text(f"{who}: {s.do} in the middle", f"{who}：{s.do} 出现在途中"))
            continue
        o = orders[s.order]
        if o.only and who not in o.only:
            wrong.append(Text(f"{who} may not serve {o.name}", f"{who} 不可配送 {o.name}"))
        if s.place != (o.origin if s.do == "collect" else o.place) or (s.do == "serve") == bool(o.origin):
            wrong.append(
                Text(f"{who}: {s.do} of {o.name} at {s.place} is not what it asks for", f"{who}：{o.name} 在 {s.place} 的作业与订单不符")
            )
        if s.do == "collect":
            aboard.add(o.name)
        elif s.do == "deliver":
            if o.name not in aboard:
                wrong.append(Text(f"{who} delivers {o.name} before it has it", f"{who} 未取货即送 {o.name}"))
            aboard.discard(o.name)
    if aboard:
        wrong.append(Text(f"{who}: {sorted(aboard)} collected and not delivered", f"{who}：{sorted(aboard)} 取货后未送达"))
    return wrong


def _cost(problem: Problem, vehicle: Vehicle, route: Route, wrong: list[Text]) -> int:
    index = {p.name: i for i, p in enumerate(problem.places)}
    matrix = problem.roads[vehicle.roads].distance
    distance = sum(int(matrix[index[a.place], index[b.place]]) for a, b in zip(route.stops, route.stops[1:], strict=False))
    who = vehicle.name
    if distance != route.distance:
        wrong.append(
            Text(f"{who}: distance is {distance}, stated {route.distance}", f"{who}：里程应为 {distance}，所报为 {route.distance}")
        )
    if distance > vehicle.max_distance:
        wrong.append(
            Text(f"{who}: drives {distance}, at most {vehicle.max_distance}", f"{who}：里程 {distance}，上限 {vehicle.max_distance}")
        )
    cost = vehicle.fixed + vehicle.per_distance * distance + vehicle.per_tick * (route.stops[-1].depart - route.stops[0].start)
    if cost != route.cost:
        wrong.append(Text(f"{who}: cost is {cost}, stated {route.cost}", f"{who}：成本应为 {cost}，所报为 {route.cost}"))
    return cost
