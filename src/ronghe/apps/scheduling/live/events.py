"""What people ask for and what happens, as new facts: moves by hand, breakdowns, rush orders, late material, quality stops, maintenance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ronghe.apps.scheduling import check, present
from ronghe.apps.scheduling.live.board import State, begun
from ronghe.apps.scheduling.problem import Assigned, Choice, Fixed, Job, Off, Operation, Plan, Problem, Tick
from ronghe.errors import AppError
from ronghe.plant.problems import nearest
from ronghe.text import Text

if TYPE_CHECKING:
    from types import ModuleType

Title = Callable[[str], Text]


@dataclass(frozen=True, slots=True)
class Changed:
    """New facts, and what made them so in words."""

    problem: Problem
    text: Text


def _repair() -> ModuleType:
    """Imported when something happens: it takes a second, and a node is not to wait for it when it starts."""
    from ronghe.apps.scheduling import repair

    return repair


def tick_at(problem: Problem, ns: int) -> Tick:
    """The tick of a time in ns."""
    return math.floor((ns - problem.start) / (problem.tick * 1e9))


def moved_names(old: Plan | None, new: Plan | None) -> Iterator[str]:
    """Operations that lie elsewhere."""
    if old is not None and new is not None:
        yield from (m.operation for m in _repair().moved(old, new))


# --- machines -------------------------------------------------------------------------------------------------------------------------


def breakdown(state: State, machine: str, start: Tick, end: Tick, now: Tick, title: Title, why: Text) -> Changed:
    """A machine stands from `start`, and is taken to until `end`. What was to begin there meanwhile has not."""
    start, end = max(start, 0), max(end, start + 1)
    plan = state.plan or Plan(assigned=(), objective=0.0)
    standing = {**state.standing, machine: min(start, state.standing.get(machine, start))}
    there = tuple(a for a in plan.assigned if a.setup_start < standing.get(a.machine, a.setup_start + 1))
    plan = msgspec.structs.replace(plan, assigned=there)
    fixed = tuple(f for f in state.problem.fixed if f.machine != machine or f.start < start)
    problem = begun(msgspec.structs.replace(state.problem, fixed=fixed), plan, now)
    name, h = title(machine), present.Times(problem).hours(end - now)
    text = Text(f"{name.en} stands ({why.en}); taken to last {h:.1f} h", f"{name.in_('zh')}停机（{why.in_('zh')}），预计 {h:.1f} 小时")
    return Changed(_repair().breakdown(problem, plan, machine, start, end), text)


def works_again(state: State, machine: str, now: Tick, title: Title) -> Changed:
    """A machine works again: what was still to come of its stop is over."""
    problem = _at(state, now)
    until = state.standing[machine]

    def shorter(offs: Iterable[Off]) -> Iterator[Off]:
        for o in offs:
            if not (o.stop and o.end == until and o.end > now):
                yield o
            elif o.start < now:
                yield msgspec.structs.replace(o, end=now)

    machines = tuple(msgspec.structs.replace(m, off=tuple(shorter(m.off))) if m.name == machine else m for m in problem.machines)
    name = title(machine)
    return Changed(msgspec.structs.replace(problem, machines=machines), Text(f"{name.en} works again", f"{name.in_('zh')}恢复运行"))


def _plan(state: State) -> Plan:
    if state.plan is None:
        raise AppError(Text("there is no plan yet", "尚无排程"), todo=Text("try again in a moment", "请稍后重试"))
    return state.plan


def _at(state: State, now: Tick) -> Problem:
    return begun(state.problem, state.plan, now, state.standing)


# --- what is asked --------------------------------------------------------------------------------------------------------------------


def asked(state: State, body: dict[str, Any], now: Tick, title: Title) -> Changed:
    """The facts with a question's event and moves. Raises AppError for what cannot be understood."""
    event, moves = body.get("event"), body.get("moves") or []
    problem, said = _at(state, now), list[Text]()
    if event is not None:
        if not isinstance(event, dict):
            raise AppError(Text("event must be an object", "event 必须是对象"))
        change = _Event(problem, _plan(state), event, now, title).changed()
        problem = change.problem
        said.append(change.text)
    if not isinstance(moves, list):
        raise AppError(Text("moves must be a list", "moves 必须是列表"))
    for move in moves:
        change = _move(problem, state, move)
        problem = change.problem
        said.append(change.text)
    if not said:
        raise AppError(Text("neither a move nor an event", "既没有移动也没有事件"))
    return Changed(problem, Text("; ".join(s.en for s in said), "；".join(s.in_("zh") for s in said)))


def _move(problem: Problem, state: State, move: Any) -> Changed:
    """An operation put somewhere by hand stays there: it is fixed."""
    name = move.get("operation") if isinstance(move, dict) else None
    known = {o.name: o for j in problem.jobs for o in j.operations}
    if name not in known:
        raise AppError(Text(f"there is no operation {str(name)[:80]!r}", f"没有工序 {str(name)[:80]!r}"))
    before = next((f for f in problem.fixed if f.operation == name), None)
    if before is not None and before.start < problem.now:
        raise AppError(Text(f"{name} has begun already", f"{name} 已开工，不能移动"))
    others = tuple(f for f in problem.fixed if f.operation != name)
    if move.get("free") is True:
        return Changed(msgspec.structs.replace(problem, fixed=others), Text(f"{name} may be moved again", f"{name} 已解除固定"))
    now = next((a for a in _plan(state).assigned if a.operation == name), None)
    machine = str(move.get("machine") or (now.machine if now is not None else ""))
    if all(c.machine != machine for c in known[name].choices):
        can = ", ".join(c.machine for c in known[name].choices)
        raise AppError(Text(f"{machine} cannot do {name}; {can} can", f"{machine} 不能加工 {name}；可用：{can}"))
    start = _tick(problem, move, "start") if move.get("start") is not None else (now.start if now is not None else problem.now)
    fixed = Fixed(operation=name, machine=machine, start=start)
    return Changed(msgspec.structs.replace(problem, fixed=(*others, fixed)), Text(f"{name} was put on {machine}", f"{name} 移至 {machine}"))


def repaired(problem: Problem, old: Plan) -> Plan:
    """The old plan repaired for new facts, at once. Where there is no such plan: the old one with what is fixed put where it was put, for
    the checker to say what stands against it."""
    plan = _repair().repair(problem, old)
    return plan if plan.assigned else _placed(problem, old)


def _placed(problem: Problem, old: Plan) -> Plan:
    fixed = {f.operation: f for f in problem.fixed}
    lasts = {(o.name, c.machine): c.duration for j in problem.jobs for o in j.operations for c in o.choices}

    def one(a: Assigned) -> Assigned:
        f = fixed.get(a.operation)
        if f is None or (f.machine, f.start) == (a.machine, a.start):
            return a
        end = f.end if f.end is not None else f.start + lasts.get((a.operation, f.machine), a.end - a.start)
        return Assigned(operation=a.operation, machine=f.machine, setup_start=f.start, start=f.start, end=end)

    return msgspec.structs.replace(old, assigned=tuple(one(a) for a in old.assigned), lower_bound=None, by="by hand")


def objections(problem: Problem, plan: Plan, body: dict[str, Any]) -> list[dict[str, Any]]:
    """What stands against a plan, each with the operation it is about ("" where it is about none)."""
    moved = [m.get("operation") for m in body.get("moves") or [] if isinstance(m, dict)]
    names = sorted((o.name for j in problem.jobs for o in j.operations), key=len, reverse=True)
    found = []
    for text in check.check(problem, plan):
        about = next((n for n in [*moved, *names] if n and n in text.en), "")
        found.append({"operation": about, "text": present.text(text)})
    return found


def _number(body: dict[str, Any], key: str, default: float | None = None) -> float:
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AppError(Text(f"{key} must be a number", f"{key} 必须是数字"))
    return float(value)


def _tick(problem: Problem, body: dict[str, Any], key: str) -> Tick:
    return present.Times(problem).tick(_number(body, key))


class _Event:
    """One event asked for by a person."""

    def __init__(self, problem: Problem, plan: Plan, body: dict[str, Any], now: Tick, title: Title) -> None:
        self._problem, self._plan, self._body, self._now, self._title = problem, plan, body, now, title

    def changed(self) -> Changed:
        """The new facts."""
        kinds: dict[str, Callable[[], Changed]] = {
            "breakdown": lambda: self._stands(_repair().breakdown, "stands", "停机"),
            "maintenance": lambda: self._stands(_repair().maintenance, "is maintained", "停机维护"),
            "quality_stop": lambda: self._stands(_repair().quality_stop, "is stopped for quality", "因质量停线"),
            "rush": self._rush,
            "late_material": self._late,
        }
        kind = str(self._body.get("kind"))
        if kind not in kinds:
            raise AppError(
                Text(f"an event is one of {', '.join(kinds)}, not {kind[:40]!r}", f"事件类型应为 {'、'.join(kinds)}，而不是 {kind[:40]!r}")
            )
        return kinds[kind]()

    def _named(self, key: str, known: list[str], what: Text) -> str:
        name = str(self._body.get(key) or "")
        if name not in known:
            meant = nearest(name, known)
            hint = Text(f"did you mean {meant!r}?", f"是否想写 {meant!r}？") if meant else Text("")
            raise AppError(Text(f"there is no {what.en} {name[:80]!r}", f"没有{what.in_('zh')} {name[:80]!r}"), todo=hint)
        return name

    def _stands(self, change: Callable[..., Problem], en: str, zh: str) -> Changed:
        machine = self._named("machine", [m.name for m in self._problem.machines], Text("machine", "机器"))
        start = _tick(self._problem, self._body, "from") if self._body.get("from") is not None else self._now
        end = _tick(self._problem, self._body, "to")
        if end <= start:
            raise AppError(Text("its end is not after its start", "结束不晚于开始"))
        name, h = self._title(machine), present.Times(self._problem).hours(end - start)
        problem = change(self._problem, self._plan, machine, start, end)
        return Changed(problem, Text(f"{name.en} {en} for {h:.1f} h", f"{name.in_('zh')}{zh} {h:.1f} 小时"))

    def _rush(self) -> Changed:
        said = self._body.get("job")
        if not isinstance(said, dict):
            raise AppError(Text("a rush order needs a job", "插单需要 job"))
        jobs = {j.name: j for j in self._problem.jobs}
        like, name = jobs.get(str(said.get("like"))), str(said.get("name") or "").strip()
        if like is None:
            raise AppError(Text(f"there is no order {said.get('like')!r}", f"没有订单 {said.get('like')!r}"))
        if not name or name in jobs:
            raise AppError(Text(f"an order cannot be called {name!r}: it is empty or taken", f"订单名 {name!r} 为空或已被使用"))
        quantity, weight = _number(said, "quantity", like.quantity), _number(said, "weight", like.weight)
        if quantity <= 0 or weight < 0:
            raise AppError(Text("quantity must be above 0 and weight at least 0", "数量须大于 0，权重不小于 0"))
        due = _tick(self._problem, said, "due") if said.get("due") is not None else like.due
        job = copied(like, name, quantity, due, weight, self._now)
        job = msgspec.structs.replace(job, product=str(said.get("product") or like.product))
        problem = _repair().rush(self._problem, job)
        return Changed(problem, Text(f"rush order {name} ({quantity:g} {job.product})", f"插单 {name}（{job.product} {quantity:g} 件）"))

    def _late(self) -> Changed:
        later = [a.material for a in self._problem.arrivals if a.at > self._now]
        material = self._named("material", later, Text("delivery to come of", "待到货物料"))
        at = _tick(self._problem, self._body, "at")
        problem = _repair().late_material(self._problem, material, at)
        return Changed(problem, Text(f"{material} comes late", f"{material} 到货延迟"))


def copied(like: Job, name: str, quantity: float, due: Tick | None, weight: float, release: Tick) -> Job:
    """An order made as another one. Its durations go with its quantity: what of them is fixed and what a piece is not known any more."""
    share = quantity / like.quantity

    def renamed(operation: str) -> str:
        return f"{name}/{operation.removeprefix(f'{like.name}/')}"

    operations = tuple(
        Operation(
            name=renamed(o.name),
            choices=tuple(Choice(c.machine, max(1, math.ceil(c.duration * share)) if c.duration else 0) for c in o.choices),
            family=o.family,
            pauses=o.pauses,
            people=o.people,
            uses={m: q * share for m, q in o.uses.items()},
            after=tuple(renamed(a) for a in o.after) if o.after is not None else None,
        )
        for o in like.operations
    )
    return Job(name=name, operations=operations, release=release, due=due, weight=weight, product=like.product, quantity=quantity)
