"""Why a job is late, as causes whose shares add up to its lateness; and what would help, each tried before it is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from ronghe.apps.scheduling.explain.timeline import Kind, Piece, Shop, timeline
from ronghe.apps.scheduling.problem import Choice, Job, Off, Plan, Problem, Tick
from ronghe.apps.scheduling.repair import repair
from ronghe.apps.scheduling.search import improve
from ronghe.errors import AppError
from ronghe.text import Text

_TOLD: Final = 3  # causes named in the sentence
_TRIED: Final = 5  # fixes tried
_HELPS: Final = 0.2  # of the lateness, which a fix must take away to be told
_FIRST: Final = 1e3  # times its weight: before everything else


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause. `ticks` it took from the job; `share` is its part of the lateness, in ticks."""

    kind: Kind | str  # Piece's kinds, and "release"
    text: Text
    ticks: Tick
    share: float


@dataclass(frozen=True, slots=True)
class Fix:
    """A change of the facts that was tried: how late the job is then, and by how much the weighted tardiness of all orders changes."""

    text: Text
    late: Tick
    tardiness: float


@dataclass(frozen=True, slots=True)
class Why:
    """`text` in one sentence, `fix` the best of `fixes`, None where none helps."""

    job: str
    late: Tick
    causes: tuple[Cause, ...]
    fixes: tuple[Fix, ...]
    text: Text
    fix: Text | None


@dataclass(frozen=True, slots=True)
class _Words:
    """Ticks as people say them."""

    problem: Problem

    def span(self, ticks: float) -> Text:
        """A duration."""
        if not self.problem.start and self.problem.tick == 1.0:
            return Text(f"{ticks:.0f} ticks", f"{ticks:.0f} 个时间单位")
        minutes = ticks * self.problem.tick / 60
        return (
            Text(f"{minutes / 60:.1f} h", f"{minutes / 60:.1f} 小时")
            if minutes >= 90
            else Text(f"{minutes:.0f} min", f"{minutes:.0f} 分钟")
        )


def why_late(problem: Problem, plan: Plan, job: str, seconds: float = 0.0) -> Why:
    """Why `job` is late in `plan`, and what would help. Each fix is tried by repairing the plan for the changed facts, with `seconds`
    also by a search of that long; only what takes away a fifth of the lateness is told. AppError where there is no such job, or the plan
    lacks part of it."""
    shop = Shop.of(problem, plan)
    found = next((j for j in problem.jobs if j.name == job), None)
    end = shop.end(found) if found is not None else None
    if found is None or end is None:
        raise AppError(
            Text(f"there is no order {job} in the plan", f"计划中没有订单 {job}"),
            todo=Text("name an order whose operations are all planned", "请指定全部工序均已排入计划的订单"),
        )
    late = max(0, end - found.due) if found.due is not None else 0
    if not late:
        return Why(job, 0, (), (), Text(f"{job} is in time", f"订单 {job} 按期完成"), None)
    pieces = timeline(shop, found)
    words = _Words(problem)
    causes = _causes(words, found, pieces, end)
    fixes = _fixes(words, plan, shop, found, pieces, late, seconds)
    return Why(job, late, causes, fixes, _sentence(words, job, late, causes), fixes[0].text if fixes else None)


def _causes(words: _Words, job: Job, pieces: list[Piece], end: Tick) -> tuple[Cause, ...]:
    """Largest share first. Work and release count only as far as they alone are too long for the due date."""
    assert job.due is not None
    late, work = end - job.due, sum(p.end - p.start for p in pieces if p.kind == "work")
    begin = pieces[0].start if pieces else end
    base = begin + work - job.due  # lateness if nothing had ever waited; below 0 there was room
    waits: dict[tuple[str, str, str], Tick] = {}
    for p in pieces:
        if p.kind != "work":
            key = (p.kind, p.machine, p.other if p.kind != "material" else f"{p.other}\n{p.at}")
            waits[key] = waits.get(key, 0) + p.end - p.start
    lost = sum(waits.values())
    part = 1.0 if base >= 0 else late / lost
    causes = [Cause(kind, _cause(words, kind, machine, other, t), t, t * part) for (kind, machine, other), t in waits.items()]
    if base > 0:
        released = min(base, max(0, begin))
        if released:
            causes.append(Cause("release", Text("it was released late", "下达偏晚"), begin, float(released)))
        if base > released:
            said = words.span(work)
            causes.append(Cause("work", Text(f"its work alone takes {said.en}", f"仅加工就需 {said.zh}"), work, float(base - released)))
    return tuple(sorted(causes, key=lambda c: -c.share))


def _cause(words: _Words, kind: str, machine: str, other: str, ticks: Tick) -> Text:
    t = words.span(ticks)
    if kind == "machine":
        return Text(f"it waits {t.en} for {machine} behind {other}", f"在 {machine} 前等待 {t.zh}（{other} 先加工）")
    if kind == "setup":
        return Text(f"{machine} is set up for {t.en}", f"{machine} 换型 {t.zh}")
    if kind == "material":
        name, source, at = other.split("\n")
        from_ = Text(f" from {source}", f"（来自 {source}）") if source else Text("")
        when = words.span(int(at))
        return Text(
            f"it waits {t.en} for {name}{from_.en}, which comes {when.en} after the start",
            f"等待物料 {name}{from_.zh} {t.zh}，排程起点后 {when.zh}到货",
        )
    if kind in ("pause", "stop"):
        why = f" ({other})" if other else ""
        if kind == "stop":
            return Text(f"{machine} stands for {t.en}{why}", f"{machine} 停机 {t.zh}{why}")
        return Text(f"{machine} or its people pause for {t.en}{why}", f"{machine} 或其人员停歇 {t.zh}{why}")
    if kind == "people":
        return Text(f"it waits {t.en} for {other}", f"等待人员 {other} {t.zh}")
    if kind == "now":
        return Text(f"it was planned only {t.en} after it was ready", f"具备条件 {t.zh}后才排产")
    return Text(f"the plan leaves {t.en} idle before it on {machine}", f"计划在 {machine} 上为其预留空闲 {t.zh}")


def _sentence(words: _Words, job: str, late: Tick, causes: tuple[Cause, ...]) -> Text:
    total = words.span(late)
    told = causes[:_TOLD]
    en = "; ".join(f"{c.text.en} ({c.share / late:.0%})" for c in told)
    zh = "；".join(f"{c.text.zh}（{c.share / late:.0%}）" for c in told)
    return Text(f"{job} is {total.en} late: {en}", f"订单 {job} 拖期 {total.zh}：{zh}")


# --- what would help --------------------------------------------------------------------------------------------------------------------


def _fixes(words: _Words, plan: Plan, shop: Shop, job: Job, pieces: list[Piece], late: Tick, seconds: float) -> tuple[Fix, ...]:
    problem = shop.problem
    before = _tardiness(problem, plan)
    found, said = [], set[str]()
    for text, changed in _ideas(words, shop, job, sorted(pieces, key=lambda p: p.start - p.end)):
        if text.en in said:
            continue
        if len(said) == _TRIED:
            break
        said.add(text.en)
        tried = repair(changed, _without(plan, job) if changed.jobs != problem.jobs else plan)
        if seconds > 0 and tried.assigned:
            tried = improve(changed, tried, seconds)
        end = Shop.of(changed, tried).end(next(j for j in changed.jobs if j.name == job.name))
        if end is None or job.due is None or late - max(0, end - job.due) < _HELPS * late:
            continue
        left = max(0, end - job.due)
        change = _tardiness(problem, tried) - before
        found.append(Fix(_told(words, text, left, change), left, change))
    return tuple(sorted(found, key=lambda f: (f.late, f.tardiness)))


def _told(words: _Words, text: Text, left: Tick, change: float) -> Text:
    then = words.span(left)
    en, zh = ("in time", "可按期完成") if left == 0 else (f"{then.en} late", f"拖期 {then.zh}")
    cost, more = Text(""), words.span(change)
    if change > 0:
        cost = Text(f", but others {more.en} (weighted) later", f"，但其他订单加权拖期增加 {more.zh}")
    return Text(f"{text.en}: then {en}{cost.en}", f"{text.zh}：则{zh}{cost.zh}")


def _tardiness(problem: Problem, plan: Plan) -> float:
    shop = Shop.of(problem, plan)
    ends = ((j, shop.end(j)) for j in problem.jobs if j.due is not None)
    return sum(j.weight * max(0, end - (j.due or 0)) for j, end in ends if end is not None)


def _without(plan: Plan, job: Job) -> Plan:
    """Its operations are to be put anew."""
    names = {o.name for o in job.operations}
    return msgspec.structs.replace(plan, assigned=tuple(a for a in plan.assigned if a.operation not in names))


def _ideas(words: _Words, shop: Shop, job: Job, pieces: list[Piece]) -> Iterator[tuple[Text, Problem]]:
    """Changed facts for the longest pieces first."""
    problem = shop.problem
    replace = msgspec.structs.replace
    for p in pieces:
        if p.kind == "machine":
            first = replace(job, weight=max(job.weight, 1.0) * _FIRST)
            jobs = tuple(first if j.name == job.name else j for j in problem.jobs)
            yield Text(f"{job.name} goes before {p.other}", f"让 {job.name} 先于 {p.other} 加工"), replace(problem, jobs=jobs)
            yield from _elsewhere(shop, p)
        elif p.kind == "material":
            name, source = p.other.split("\n")
            earlier = max(problem.now, p.start)
            arrivals = tuple(replace(x, at=min(x.at, earlier)) if x.material == name and x.at == p.at else x for x in problem.arrivals)
            t = words.span(p.at - earlier)
            from_ = Text(f" from {source}", f"（{source}）") if source else Text("")
            yield (
                Text(f"{name}{from_.en} comes {t.en} earlier", f"物料 {name}{from_.zh} 提前 {t.zh}到货"),
                replace(problem, arrivals=arrivals),
            )
        elif p.kind == "pause" and p.end > problem.now:
            t = words.span(p.end - p.start)
            yield Text(f"{p.machine} works {t.en} overtime", f"{p.machine} 加班 {t.zh}"), _overtime(shop, p)
        elif p.kind == "people":
            pools = tuple(replace(x, size=x.size + 1) if x.name == p.other else x for x in problem.pools)
            yield Text(f"one more of {p.other}", f"{p.other} 增加一人"), replace(problem, pools=pools)


def _elsewhere(shop: Shop, p: Piece) -> Iterator[tuple[Text, Problem]]:
    """The operation could also be done on the machine that has least to do of those that do others of its family."""
    operation, job = shop.operation[p.operation]
    can = {c.machine for c in operation.choices}
    alike = {c.machine for o, _ in shop.operation.values() if o.family == operation.family for c in o.choices} - can
    if not alike:
        return
    machine = min(alike, key=lambda m: (sum(a.end - a.setup_start for a in shop.on.get(m, ())), m))
    more = msgspec.structs.replace(operation, choices=(*operation.choices, Choice(machine, max(c.duration for c in operation.choices))))
    changed = msgspec.structs.replace(job, operations=tuple(more if o.name == operation.name else o for o in job.operations))
    jobs = tuple(changed if j.name == job.name else j for j in shop.problem.jobs)
    yield (
        Text(f"{operation.name} may also go to {machine}", f"工序 {operation.name} 也可在 {machine} 上加工"),
        msgspec.structs.replace(shop.problem, jobs=jobs),
    )


def _overtime(shop: Shop, p: Piece) -> Problem:
    """Machine and people of the operation work through the pause."""
    replace = msgspec.structs.replace
    people = shop.operation[p.operation][0].people

    def cut(offs: tuple[Off, ...]) -> tuple[Off, ...]:
        kept = []
        for o in offs:
            if o.stop or o.end <= p.start or o.start >= p.end:
                kept.append(o)
                continue
            kept += [x for x in (replace(o, end=p.start), replace(o, start=p.end)) if x.end > x.start]
        return tuple(kept)

    machines = tuple(replace(m, off=cut(m.off)) if m.name == p.machine else m for m in shop.problem.machines)
    pools = tuple(replace(x, off=cut(x.off)) if people.get(x.name) else x for x in shop.problem.pools)
    return replace(shop.problem, machines=machines, pools=pools)
