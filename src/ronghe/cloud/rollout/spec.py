"""A roll-out as it is kept and told: which nodes in which wave, what must hold, and how far it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ronghe.errors import CloudError
from ronghe.text import Text

MemberState = Literal["waiting", "wanted", "fetching", "checking", "running", "refused", "rolled_back", "failed", "back"]


class Gate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold before the next wave: every node of this one runs the release, and has done so without a word for `minutes`.

    A node that has not been heard of for `patience` minutes pauses the roll-out: a person decides.
    """

    minutes: Annotated[float, Meta(ge=0)] = 30.0
    patience: Annotated[float, Meta(gt=0)] = 60.0

    @property
    def text(self) -> Text:
        """For people."""
        return Text(
            f"all run it, and have done well for {self.minutes:g} min; paused when one is silent for {self.patience:g} min",
            f"全部运行且正常满 {self.minutes:g} 分钟；有节点失联 {self.patience:g} 分钟则暂停",
        )


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A node in a wave. `since` (ns) is when it came into this state; `before` is the hash of what it ran, empty: its own."""

    node: str
    state: MemberState = "waiting"
    text: Text | None = None
    since: int = 0
    before: str = ""


class Wave(msgspec.Struct, frozen=True, kw_only=True):
    """`share` of the nodes that have it when this wave is done, 0..1."""

    share: float
    nodes: tuple[Member, ...]
    state: Literal["waiting", "running", "done", "failed"] = "waiting"


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One roll-out. `started` in ns since 1970 UTC."""

    id: str
    name: str
    version: str
    hash: str
    app: str
    started: int
    by: str
    waves: tuple[Wave, ...]
    gate: Gate
    slowest_ms: float | None = None
    state: Literal["running", "paused", "done", "stopped", "rolled_back"] = "running"
    why: Text | None = None

    @property
    def open(self) -> bool:
        """Whether it still goes somewhere."""
        return self.state in ("running", "paused")

    def view(self) -> dict[str, Any]:
        """JSON; times in ms."""
        waves = [
            {
                "share": w.share,
                "nodes": [{"node": m.node, "state": m.state, "text": m.text} for m in w.nodes],
                "state": w.state,
                "gate": self.gate.text,
            }
            for w in self.waves
        ]
        told = {f: getattr(self, f) for f in ("id", "name", "version", "hash", "app", "by", "state", "why", "slowest_ms")}
        return {**told, "started": self.started // 10**6, "waves": waves}


def waves_of(nodes: Sequence[str], waves: Sequence[float | Sequence[str]]) -> tuple[Wave, ...]:
    """Waves by growing shares of the nodes, in their order (at least one more node each), or by names. Raises CloudError."""
    made: list[Wave] = []
    taken: list[str] = []
    for wave in waves:
        if isinstance(wave, float | int):
            if not 0 < wave <= 1:
                raise CloudError(Text(f"a share of {wave:g}: it must be above 0 and at most 1", f"比例 {wave:g} 无效：应大于 0 且不超过 1"))
            left = [n for n in nodes if n not in taken]
            more = left[: max(math.ceil(wave * len(nodes) - 1e-9) - len(taken), 1)]
        else:
            more = list(wave)
        strange = sorted({n for n in more if n not in nodes or n in taken or more.count(n) > 1})
        if strange:
            names = ", ".join(strange)
            raise CloudError(Text(f"unknown, or named twice: {names}", f"未知或重复的节点：{names}"))
        taken += more
        if more:
            made.append(Wave(share=len(taken) / len(nodes), nodes=tuple(Member(node=n) for n in more)))
    if not made:
        raise CloudError(Text("no waves are given", "未指定批次"), todo=Text("e.g. 0.05, 0.25, 1", "例如 0.05、0.25、1"))
    return tuple(made)
