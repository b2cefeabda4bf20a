"""/api/autonomy: which set-points run by themselves, what they did, what that saved; and the switch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

import msgspec
from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from ronghe.console.desk import Call, desk_of, needs, person
from ronghe.console.roles import Role
from ronghe.edge.node import Node
from ronghe.guard import Case, ChangeCase, Interval, Saving
from ronghe.guard.saving import ASSUMED, Method
from ronghe.guard.savings import Account
from ronghe.plant.model import Mode
from ronghe.signals import quality as q
from ronghe.text import Text

_NIGHT: Final = 12 * 3_600_000  # ms
_MS: Final = 1_000_000  # ns


class Night(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """What became of the advice of a span (ms): how many set-points were written, refused, written back, or only shown."""

    from_: int
    to: int
    written: int = 0
    refused: int = 0
    rolled_back: int = 0
    advised: int = 0


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """How the newest advice for a set-point stands; `time` in ms."""

    time: int
    state: str
    text: Text


class GuardView(msgspec.Struct, frozen=True, kw_only=True):
    """One set-point: the mode that is in force, the most that plant.toml permits, who turned the switch last, when (ms) and why."""

    tag: str
    title: Text
    unit: str
    permitted: Mode
    mode: Mode
    value: float | None
    by: str | None
    why: str | None
    since: int | None
    apps: list[str]
    last: Latest | None
    night: Night


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """One period of a saving; times in ms."""

    start: int
    end: int
    money: Interval | None
    energy: Interval | None
    carbon: Interval | None


class SavingView(msgspec.Struct, frozen=True, kw_only=True):
    """All that was saved under one key: money in `currency`, energy in kWh, carbon in kg CO2e, over `days` in all."""

    key: str
    name: Text
    app: str
    equipment: str
    method: Method
    baseline: Text
    currency: str
    days: float
    money: Interval | None
    energy: Interval | None
    carbon: Interval | None
    last: Period


class Autonomy(msgspec.Struct, frozen=True, kw_only=True):
    """The whole page. `total` is money by currency, `kwh` and `kg` what there was of either; `assumed`: what sums take for granted."""

    guards: list[GuardView]
    savings: list[SavingView]
    total: dict[str, Interval]
    kwh: Interval | None
    kg: Interval | None
    assumed: Text


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Which set-point, to which mode, and why."""

    tag: str
    mode: str
    why: str


@get("/api/autonomy", opt=needs(Role.VIEWER), sync_to_thread=False)
def autonomy(
    request: Call,
    start: Annotated[int | None, QueryParameter(name="from", description="of the night, ms; 12 h before its end if not given")] = None,
    end: Annotated[int | None, QueryParameter(name="to", description="of the night, ms; now if not given")] = None,
) -> Autonomy:
    """Every guarded set-point with its switch, and every saving."""
    node = desk_of(request).node
    to = node.clock() // _MS if end is None else end
    night = (to - _NIGHT if start is None else start, to)
    whole = node.guard.savings.total()
    return Autonomy(
        guards=_guards(node, list(node.plant.guards), night),
        savings=[_saving(key, account) for key, account in sorted(node.guard.savings.accounts.items())],
        total=whole.money,
        kwh=whole.energy,
        kg=whole.carbon,
        assumed=ASSUMED,
    )


@post("/api/autonomy/switch", opt=needs(Role.ENGINEER), status_code=200, sync_to_thread=False)
def switch(request: Call, data: JSONBody[Turn]) -> GuardView:
    """Turns the switch of one set-point under the person's name; gives how it then stands."""
    node = desk_of(request).node
    node.guard.switch(data.tag, data.mode, person(request).name, data.why)
    now = node.clock() // _MS
    return _guards(node, [data.tag], (now - _NIGHT, now))[0]


def _guards(node: Node, tags: Sequence[str], night: tuple[int, int]) -> list[GuardView]:
    cases: dict[str, list[Case]] = {}
    for case in node.guard.cases():
        cases.setdefault(case.advice.tag, []).append(case)
    changes: dict[str, list[ChangeCase]] = {}
    for change in node.guard.changes():
        for setting in change.change.settings:
            changes.setdefault(setting.tag, []).append(change)
    return [_guard(node, tag, cases.get(tag, []), changes.get(tag, []), night) for tag in tags]


def _guard(node: Node, tag: str, cases: Sequence[Case], changes: Sequence[ChangeCase], night: tuple[int, int]) -> GuardView:
    """One set-point with its cases and changes, newest first."""
    modes, turned = node.guard.modes, node.guard.modes.last.get(tag)
    value, code, _ = node.latest.get(tag, node.clock())
    counts = dict.fromkeys(("written", "refused", "rolled_back", "advised"), 0)
    for time, what in (*_of_cases(cases), *_of_changes(changes, tag)):
        if night[0] <= time // _MS < night[1]:
            counts[what] += 1
    steps: list[tuple[int, str, Text]] = [(c.history[-1].time, c.state, c.history[-1].text) for c in cases[:1]]
    steps += [(c.history[-1].time, c.state, c.history[-1].text) for c in changes[:1]]
    last = max(steps, key=lambda s: s[0], default=None)
    return GuardView(
        tag=tag,
        title=node.plant.property_of(tag).name(),
        unit=node.plant.unit_of(tag),
        permitted=modes.permitted(tag),
        mode=modes.of(tag),
        value=value if q.severity(code) == "good" else None,
        by=turned.who if turned is not None else None,
        why=turned.why if turned is not None else None,
        since=turned.time // _MS if turned is not None else None,
        apps=sorted({c.advice.app for c in cases} | {c.change.app for c in changes}),
        last=Latest(time=last[0] // _MS, state=last[1], text=last[2]) if last is not None else None,
        night=Night(from_=night[0], to=night[1], **counts),
    )


def _of_cases(cases: Sequence[Case]) -> Iterator[tuple[int, str]]:
    """(when, what) was done; each once."""
    for case in cases:
        if case.written is not None:
            yield case.written_at, "written"
        for state in ("refused", "rolled_back"):
            if case.state == state:
                yield case.history[-1].time, state
        if case.history[0].state == "advised":
            yield case.history[0].time, "advised"


def _of_changes(changes: Sequence[ChangeCase], tag: str) -> Iterator[tuple[int, str]]:
    for change in changes:
        if change.state == "refused":
            yield change.history[-1].time, "refused"
        put = next((p for p in change.puts if p.tag == tag), None)
        sent = next((s.time for s in change.history if s.kind == "send" and s.tag == tag), None)
        if put is not None and sent is not None and put.state != "waiting":  # waiting again: the device said a clear no
            yield sent, "written"
            if put.state == "restored":
                yield put.time, "rolled_back"


def _saving(key: str, account: Account) -> SavingView:
    last: Saving = account.last
    shared: dict[str, Any] = {n: getattr(last, n) for n in ("name", "app", "equipment", "method", "baseline")}
    return SavingView(
        key=key,
        currency=account.currency,
        days=account.days,
        money=account.money,
        energy=account.energy,
        carbon=account.carbon,
        last=Period(start=last.start // _MS, end=last.end // _MS, money=last.money, energy=last.energy, carbon=last.carbon),
        **shared,
    )


HANDLERS = [autonomy, switch]
