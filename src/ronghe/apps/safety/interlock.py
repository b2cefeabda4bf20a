"""Interlock requests: the safe value of a set-point, asked of the guard as advice, again and again until it is in force.

A request only ever goes to the safe side. Going back (releasing the machine) is for a person, at the machine (ISO 13849-1, 5.2.2: manual
reset).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ronghe.apps.advising import resolve
from ronghe.errors import AppError
from ronghe.guard.advice import Advice, Evidence
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_OVER: Final = ("done", "refused", "failed", "rolled_back", "expired", "rejected")


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One interlock request: `{ set = "line1/press/permit", to = 0 }`."""

    set: Annotated[str, Meta(description="set-point tag; below the equipment or from the plant's root")]
    to: Annotated[float, Meta(description="its safe value, in its unit")]
    of: Annotated[tuple[str, ...], Meta(description="only for these zones or groups; empty: for all")] = ()
    within: Annotated[
        str, Meta(description="the safe value must be in force this long after the picture or sample; a finding tells if not")
    ] = "2s"
    expires: Annotated[str, Meta(description="one request is void after this time; while the condition stands, the next follows")] = "10s"
    again: Annotated[str, Meta(description="after a refusal or a failure the next try waits this long")] = "1s"


@dataclass(slots=True)
class _Asked:
    """The newest request of a set-point: its advice, the finding it is for, when it was made (ns), and what became of it."""

    advice: str
    finding: str
    at: int
    outcome: str = ""


class Interlocks:
    """The requests of one app, for whatever condition stands at the moment."""

    def __init__(self, app: str, plant: Plant, equipment: str, requests: Collection[Request], names: Collection[str]) -> None:
        """`names`: the zones or groups that there are. Raises AppError for a tag that is not there or not writable, or an unknown name."""
        where = f"apps.{app}.request"
        self._app, self._plant, self._requests = app, plant, tuple(requests)
        self.tags = tuple(resolve(plant, equipment, r.set, where) for r in requests)
        for request, tag in zip(self._requests, self.tags, strict=True):
            if not plant.tags[tag].writable:
                todo = Text("mark it writable in tags.csv and give it a guard", "请在 tags.csv 中标为可写，并配置守护")
                raise AppError(Text(f"{tag} cannot be written", f"{tag} 不可写"), where=where, todo=todo)
            for name in request.of:
                if name not in names:
                    known = ", ".join(names)
                    raise AppError(
                        Text(f"of names {name!r}, which is none of: {known}", f"of 中的 {name!r} 不存在，可用：{known}"), where=where
                    )
        self._within = [parse_duration(r.within) for r in requests]
        self._expires = [parse_duration(r.expires) for r in requests]
        self._again = [parse_duration(r.again) for r in requests]
        self._value: dict[str, tuple[int, float]] = {}  # by tag: when and what it was last known to be
        self._asked: dict[int, _Asked] = {}
        self._since: dict[str, int] = {}  # by finding: when it began to demand

    def look(self, window: Window) -> None:
        """Rows in: what the set-points are now."""
        for tag in self.tags:
            if len(window) and not math.isnan(v := float(window.value[-1, window.tags.index(tag)])):
                self._value[tag] = int(window.time[-1]), v

    def demand(self, finding: str, name: str, since: int, now: int, reason: Text, evidence: tuple[Evidence, ...] = ()) -> list[Advice]:
        """What is to be requested at `now` (ns), as a condition of the zone or group `name` (all, if empty) has stood since `since`."""
        self._since.setdefault(finding, since)
        out = []
        for i, request in enumerate(self._requests):
            if (request.of and name and name not in request.of) or self.in_force(i, now):
                continue
            asked = self._asked.get(i)
            if asked is not None and asked.at <= now < asked.at + (self._again if asked.outcome in _OVER else self._expires)[i]:
                continue  # a clock that was set back holds nothing up
            advice = Advice(
                id=f"{self._app}-{now}-{i}",
                app=self._app,
                tag=self.tags[i],
                value=request.to,
                time=now,
                expires=now + self._expires[i],
                reason=reason,
                evidence=evidence,
                finding=finding,
            )
            self._asked[i] = _Asked(advice.id, finding, now)
            out.append(advice)
        return out

    def in_force(self, i: int, now: int) -> bool:
        """Whether request i's safe value is known to be set; what is older than its `within` is not known."""
        at, value = self._value.get(self.tags[i], (-(2**62), math.nan))
        return now - at <= self._within[i] and math.isclose(value, self._requests[i].to, rel_tol=1e-6, abs_tol=1e-9)

    def overdue(self, finding: str, name: str, now: int) -> list[tuple[str, Text]]:
        """Set-points that should have their safe value by now and are not known to, and why."""
        since = self._since.get(finding)
        if since is None:
            return []
        out = []
        for i, request in enumerate(self._requests):
            if (request.of and name and name not in request.of) or now - since <= self._within[i] or self.in_force(i, now):
                continue
            asked = self._asked.get(i)
            out.append((self.tags[i], _WHY.get(asked.outcome if asked else "", _WHY[""])))
        return out

    def ended(self, finding: str) -> None:
        """The condition is over; the node withdraws what is still open of it."""
        self._since.pop(finding, None)
        for i in [i for i, a in self._asked.items() if a.finding == finding]:
            del self._asked[i]

    def feedback(self, advice: str, outcome: str) -> None:
        """What became of a request."""
        for asked in self._asked.values():
            if asked.advice == advice:
                asked.outcome = outcome


_WHY: Final = {
    "": Text("it is not known to be set", "尚未确认写入"),
    "advised": Text("its guard only shows advice", "守护模式为“仅建议”，不会写入"),
    "waiting": Text("it waits for a person's approval", "等待人工批准"),
    "refused": Text("the guard refused it", "守护已拒绝"),
    "writing": Text("it is being written", "正在写入"),
    "watching": Text("it was written, its effect is awaited", "已写入，等待生效"),
    "done": Text("it was written, yet the tag does not show it", "已写入，但测点未显示该值"),
    "failed": Text("the write failed", "写入失败"),
    "rolled_back": Text("it was rolled back", "已回退"),
    "expired": Text("it expired", "已过期"),
    "rejected": Text("a person rejected it", "已被人工驳回"),
}
