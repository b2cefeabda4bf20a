"""Where a model is to run: among the sites that meet its deadline the cheapest, without moving to and fro.

Predicted: p99 of compute + p99 of the round trip + payload / bandwidth; and where more than a hundred calls were seen lately, not less than
their own p99. A site meets a deadline with a margin left; or because only a small part of its calls is late and a run here, begun in time,
overtakes them: this part is paid for twice. To be moved to for its price a site must leave twice the margin, or be late half as often, and
have done so for some time, which doubles every time that it had to be left again soon. From a site that no longer meets it a model moves at
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from ronghe.text import Text

Kind = Literal["device", "edge", "workshop", "centre"]
NEAR: Final = ("device", "edge")
"""Kinds of site that go on without the rest of the plant."""
MARGIN: Final = 0.1
"""Part of a deadline that is kept free, for what was not measured: waking a thread, a busy processor."""
_LATE: Final = 0.3  # part of the calls that may have to be overtaken
_GAIN: Final = 0.1  # part of the cost that a move must save
_SOON: Final = 300_000_000_000  # ns; who must leave within it waits twice as long to return
_LONGEST: Final = 64  # times `settle`


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model at a site; ms, None where it is not known. `no` says why it cannot run there at all."""

    compute_ms: float | None = None  # p99
    trip_ms: float | None = None  # p99; 0 here
    transfer_ms: float | None = None
    observed_ms: float | None = None  # p99 of whole calls
    cost: float | None = None  # of a call, what is computed twice included
    late: float = 0.0  # part of the calls that would take too long, and are run here as well
    no: Text | None = None


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A site weighed against a deadline; `roomy` when it does so with twice the room that it needs."""

    site: str
    kind: Kind
    compute_ms: float | None
    link_ms: float | None
    p99_ms: float | None
    cost: float | None
    meets: bool
    roomy: bool
    why: Text


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A model changes its site. `time` in ns."""

    time: int
    model: str
    from_: str
    to: str
    why: Text


def weigh(site: str, kind: Kind, deadline_ms: float, m: Measured, here_ms: float | None = None) -> Option:
    """What is known of a site, against a deadline. `here_ms` is the p99 of a run here, which overtakes a late call."""
    limit = deadline_ms * (1 - MARGIN)
    link = None if m.trip_ms is None or m.transfer_ms is None else m.trip_ms + m.transfer_ms
    known = m.no is None and m.compute_ms is not None and link is not None
    p99 = max(m.compute_ms + link, m.observed_ms or 0.0) if known and m.compute_ms is not None and link is not None else None
    covered = p99 is not None and here_ms is not None and here_ms <= limit
    meets = p99 is not None and (p99 <= limit or (covered and m.late <= _LATE))
    return Option(
        site=site,
        kind=kind,
        compute_ms=m.compute_ms,
        link_ms=link,
        p99_ms=p99,
        cost=m.cost,
        meets=meets,
        roomy=p99 is not None and (p99 <= deadline_ms * (1 - 2 * MARGIN) or (covered and m.late <= _LATE / 2)),
        why=_why(m, link, p99, deadline_ms, here_ms if covered else None),
    )


def _why(m: Measured, link: float | None, p99: float | None, deadline: float, here: float | None) -> Text:
    if m.no is not None:
        return m.no
    if link is None:
        return Text("the link is not measured: it is not assumed to be good", "链路尚无测量值，不视为良好")
    if m.compute_ms is None or p99 is None:
        return Text("not run there yet", "尚未在该处试运行")
    sum_en = f"compute {m.compute_ms:.1f} ms" + (f" + round trip {m.trip_ms:.1f} ms + payload {m.transfer_ms:.1f} ms" if link else "")
    sum_zh = f"计算 {m.compute_ms:.1f} ms" + (f" + 往返 {m.trip_ms:.1f} ms + 传输 {m.transfer_ms:.1f} ms" if link else "")
    seen = p99 > m.compute_ms + link + 0.05
    if seen:
        sum_en, sum_zh = f"{p99:.1f} ms as calls were seen ({sum_en})", f"实测调用 {p99:.1f} ms（{sum_zh}）"
    total_en, total_zh = ("", "") if seen or not link else (f" = {p99:.1f} ms", f" = {p99:.1f} ms")
    left = deadline * (1 - MARGIN)
    en = f"p99 {sum_en}{total_en}, {'within' if p99 <= left else 'beyond'} {left:.1f} ms (deadline {deadline:g} ms less {MARGIN:.0%})"
    zh = f"p99：{sum_zh}{total_zh}，{'未超出' if p99 <= left else '超出'} {left:.1f} ms（时限 {deadline:g} ms 扣除 {MARGIN:.0%} 余量）"
    if here is not None and (m.late > 0.005 or p99 > left):
        en += f"; lately {m.late:.0%} of the calls are late and are overtaken by a run here ({here:.1f} ms)"
        zh += f"；近期 {m.late:.0%} 的调用会迟到，由本地运行（{here:.1f} ms）接替"
    return Text(en, zh)


class Chooser:
    """Moves one model. `at` is where it is, `why` what for, `trouble` what people must be told."""

    def __init__(self, model: str, here: str, now: int, settle: float) -> None:
        """Every model begins `here`, where it needs no link. `settle` s a better site must have been better."""
        self.model, self.at, self.since = model, here, now
        self.why = Text("nothing else is measured yet", "其他位置尚无测量结果")
        self.trouble: Text | None = None
        self._here, self._settle = here, round(settle * 1e9)
        self._better: dict[str, int] = {}  # since when a site has been worth moving to
        self._wait: dict[str, int] = {}  # times `settle`
        self._left: dict[str, int] = {}

    def step(self, options: Mapping[str, Option], now: int) -> Move | None:
        """Decides. `options` by site; the one here is among them."""
        present = options.get(self.at)
        meeting = [o for o in options.values() if o.meets]
        self.trouble = None
        if present is None or not present.meets:
            return self._flee(options, [o for o in meeting if self._rested(o.site, now)], now)
        worth = {o.site: o for o in meeting if o.site != self.at and o.roomy and _cheaper(o, present)}
        self._better = {s: self._better.get(s, now) for s in worth}
        ready = [o for s, o in worth.items() if now - self._better[s] >= self._settle and self._rested(s, now)]
        if ready:
            best = min(ready, key=_price)
            return self._go(best, now, _saves(best, present), fled=False)
        watched = Text("; a cheaper site is being watched", "；正在观察成本更低的位置") if worth else Text("")
        self.why = Text(present.why.en + watched.en, present.why.zh + watched.zh)
        return None

    def _flee(self, options: Mapping[str, Option], meeting: list[Option], now: int) -> Move | None:
        present = options.get(self.at)
        if meeting:
            best = min(meeting, key=_price)
            lost = present.why if present is not None else Text(f"{self.at} is no more", f"{self.at} 已不存在")
            return self._go(
                best, now, Text(f"{self.at}: {lost.en}; {best.site}: {best.why.en}", f"{self.at}：{lost.zh}；{best.site}：{best.why.zh}")
            )
        near = [o for o in options.values() if o.kind in NEAR and o.p99_ms is not None]
        best = min(near, key=lambda o: (o.p99_ms or 0.0, o.site), default=options[self._here])
        if best.p99_ms is None:
            self.why = Text("it has not run here often enough to say", "本地运行次数不足，尚无法判断")
            return self._go(best, now, self.why) if best.site != self.at else None
        why = Text(
            f"no site meets the deadline; the nearest, {best.site}: {best.why.en}", f"无位置满足时限；就近 {best.site}：{best.why.zh}"
        )
        self.trouble = self.why = why
        return self._go(best, now, why) if best.site != self.at else None

    def _rested(self, site: str, now: int) -> bool:
        return site == self._here or site not in self._left or now - self._left[site] >= self._wait.get(site, 1) * self._settle

    def _go(self, to: Option, now: int, why: Text, *, fled: bool = True) -> Move:
        came, was = self.since, self.at
        if fled and was != self._here:
            self._left[was] = now
            self._wait[was] = min(2 * self._wait.get(was, 1), _LONGEST) if now - came < _SOON else 1
        self.at, self.since, self.why, self._better = to.site, now, why, {}
        return Move(time=now, model=self.model, from_=was, to=to.site, why=why)


def _price(o: Option) -> tuple[float, float, str]:
    return (o.cost if o.cost is not None else float("inf"), o.p99_ms or 0.0, o.site)


def _cheaper(o: Option, than: Option) -> bool:
    return o.cost is not None and than.cost is not None and o.cost < than.cost * (1 - _GAIN)


def _saves(best: Option, than: Option) -> Text:
    return Text(
        f"{best.site} meets the deadline and costs {best.cost:.3g} a call, {than.site} {than.cost:.3g}; {best.why.en}",
        f"{best.site} 满足时限，每次调用成本 {best.cost:.3g}，{than.site} 为 {than.cost:.3g}；{best.why.zh}",
    )
