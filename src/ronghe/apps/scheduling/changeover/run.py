"""One changeover under way: its steps, as the guard's change and the people who confirm take it through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from ronghe.apps.scheduling.changeover.recipe import Recipe
from ronghe.guard import ChangeCase, Check
from ronghe.text import Text

StepState = Literal["waiting", "doing", "done", "failed", "rolled_back"]
StepKind = Literal["confirm", "ready", "approve", "parameters", "proof"]

PARAMETERS: Final = "parameters"
APPROVE: Final = "approve"
_WRITE: Final = Text("Parameters written and read back", "参数写入并回读")
_APPROVAL: Final = Text("Approved", "批准")
_OVER: Final = frozenset({"done", "failed", "rolled_back"})


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step. Times in ns, 0: not yet."""

    name: str
    kind: StepKind
    title: Text
    state: StepState = "waiting"
    began: int = 0
    ended: int = 0
    text: Text | None = None
    by: str = ""

    def at(self, state: StepState, now: int, text: Text | None = None, by: str = "", *, since: int = 0) -> Step:
        """The step in this state from `now` on; what has not changed keeps its times."""
        began = self.began or (0 if state == "waiting" else since or now)
        ended = 0 if state not in _OVER else self.ended if self.state == state else now
        return msgspec.structs.replace(self, state=state, began=began, ended=ended, text=text, by=by or self.by)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One changeover. `id` is that of its change. Times in ns."""

    id: str
    recipe: str
    title: Text
    product: str
    version: str
    who: str
    began: int
    expires: int
    state: str = "asked"  # then a `ronghe.guard.ChangeState`
    steps: tuple[Step, ...] = ()
    ended: int = 0
    outcome: Text | None = None

    @property
    def confirmed(self) -> bool:
        """Whether people have confirmed all that they are to confirm."""
        return all(s.state == "done" for s in self.steps if s.kind == "confirm")

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.ended - self.began) / 1e9

    def step(self, name: str) -> Step | None:
        """A step by its name."""
        return next((s for s in self.steps if s.name == name), None)

    def put(self, step: Step) -> Run:
        """The run with this step in place of the one of its name."""
        return msgspec.structs.replace(self, steps=tuple(step if s.name == step.name else s for s in self.steps))


def begin(recipe: Recipe, id: str, who: str, now: int, expires: int) -> Run:
    """A changeover that was asked for."""
    steps = [
        Step(name=n, kind="confirm", title=c.title or Text(n), state="doing", began=now, text=c.who) for n, c in recipe.confirm.items()
    ]
    steps += [Step(name=n, kind="ready", title=c.title or Text(n), state="doing", began=now) for n, c in recipe.ready.items()]
    steps.append(Step(name=PARAMETERS, kind="parameters", title=_WRITE))
    steps += [Step(name=n, kind="proof", title=c.title or Text(n)) for n, c in recipe.proof.items()]
    return Run(
        id=id,
        recipe=recipe.name,
        title=recipe.title,
        product=recipe.product,
        version=recipe.version,
        who=who,
        began=now,
        expires=expires,
        steps=tuple(steps),
    )


def advance(run: Run, case: ChangeCase, now: int) -> Run:
    """The run as its change now stands."""
    if case.needs and run.step(APPROVE) is None:
        at = next(i for i, s in enumerate(run.steps) if s.kind == "parameters")
        steps = (*run.steps[:at], Step(name=APPROVE, kind="approve", title=_APPROVAL), *run.steps[at:])
        run = msgspec.structs.replace(run, steps=steps)
    begun = next((s.time for s in case.history if s.kind == "intent"), 0)
    whole = next((s.time for s in case.history if s.kind == "written"), 0)
    steps = (
        *(s for s in run.steps if s.kind == "confirm"),
        *_conditions(
            [s for s in run.steps if s.kind == "ready"], case.awaited if case.state == "waiting" else (), bool(begun), run.began, now
        ),
        *(_approval(s, case, run.began, now) for s in run.steps if s.kind == "approve"),
        *(_parameters(s, case, begun, whole, now) for s in run.steps if s.kind == "parameters"),
        *_conditions([s for s in run.steps if s.kind == "proof"], case.awaited if whole else (), case.state == "done", whole, now),
    )
    run = msgspec.structs.replace(run, state=case.state, steps=steps)
    if case.why is not None or (not case.open and case.state != "done"):
        run = _failed(run, case.why or case.history[-1].text, now, back=begun > 0)
    if case.open:
        return run
    run = msgspec.structs.replace(run, ended=case.history[-1].time)
    return msgspec.structs.replace(run, outcome=_outcome(run, case))


def _conditions(steps: Sequence[Step], awaited: Sequence[Check], met: bool, since: int, now: int) -> list[Step]:
    """Steps that are conditions, as the guard sees them; all are met when what they stand before has begun."""
    if met:
        return [s if s.state == "done" else s.at("done", now, s.text, since=since) for s in steps]
    # What people confirm is a condition of its own, the last.
    told = [s.at("done" if c.ok else "doing", now, c.text, since=since) for s, c in zip(steps, awaited, strict=False)]
    return [*told, *steps[len(told) :]]


def _approval(step: Step, case: ChangeCase, since: int, now: int) -> Step:
    have, needs = len(case.approvals), case.needs
    text = Text(f"{have} of {needs} people", f"{have}/{needs} 人")
    state: StepState = "done" if have >= needs else "doing"
    return step.at(state, now, text, ", ".join(case.approvals), since=since)


def _parameters(step: Step, case: ChangeCase, begun: int, whole: int, now: int) -> Step:
    n = len(case.puts)
    if not begun:
        return step
    if case.state == "writing":
        done = sum(p.state in ("written", "kept") for p in case.puts)
        last = case.history[-1].text
        text = Text(f"{done} of {n}; {last.en}", f"{done}/{n}；{last.in_('zh')}")
        return step.at("doing", now, text, since=begun)
    if case.state in ("proving", "done"):
        written = msgspec.structs.replace(step, began=step.began or begun)
        return msgspec.structs.replace(written.at("done", whole, Text(f"{n} of {n}", f"{n}/{n}")), ended=whole)
    back = sum(p.state in ("restored", "waiting", "kept") for p in case.puts)
    lost = ", ".join(p.tag for p in case.puts if p.state == "lost")
    if lost:
        return step.at("failed", now, Text(f"not as before: {lost}", f"未恢复：{lost}"), since=begun)
    text = Text(f"{back} of {n} as before", f"{back}/{n} 已恢复原状")
    return step.at("doing" if case.open else "rolled_back", now, text, since=begun)


def _failed(run: Run, why: Text, now: int, *, back: bool) -> Run:
    """The step that it failed at, and why."""
    if any(s.state == "failed" for s in run.steps):
        return run
    at = next((s for s in run.steps if s.kind != "parameters" and s.state == "doing" and (s.kind == "proof" or not back)), None)
    if at is None and not back:
        at = run.step(PARAMETERS)
    return run.put(at.at("failed", now, why)) if at is not None else run


def _outcome(run: Run, case: ChangeCase) -> Text:
    why, seconds = case.why or case.history[-1].text, f"{run.seconds:.1f} s"
    if case.state == "done":
        return Text(f"changed over in {seconds}", f"换线完成，用时 {seconds}")
    if case.state == "rolled_back":
        return Text(f"rolled back, all is as before: {why.en}", f"已回退，全部恢复原状：{why.in_('zh')}")
    if case.state == "failed":
        last = case.history[-1].text
        return Text(f"not changed over, and {last.en}", f"换线未完成：{last.in_('zh')}")
    return Text(f"not changed over: {why.en}", f"未换线：{why.in_('zh')}")
