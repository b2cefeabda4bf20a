"""Checks the guards of a plant folder as far as they can be without their conditions, which are the affair of `ronghe.guard`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ronghe.errors import RongheError
from ronghe.plant import units
from ronghe.plant.checks import PLANT, computed_by, is_unit
from ronghe.plant.model import GuardSpec, Property, Tag
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.quantity import parse_range, parse_rate
from ronghe.signals.when import parse_duration


@dataclass(frozen=True, slots=True)
class GuardCheck:
    """Checks one guard: its target can be written, its limits have the target's kind of unit, its tags exist, its times are times."""

    guard: GuardSpec
    tags: dict[str, Tag]
    dictionary: dict[str, Property]
    apps: Collection[str]  # by name
    twins: Collection[str]  # by name
    line: Callable[..., int]
    problems: Problems

    def all(self) -> None:
        """Every check; what is wrong is among the problems."""
        g = self.guard
        self._reads(parse_duration, g.fresh, "fresh")
        self._reads(parse_duration, g.hold, "hold")
        if g.worth is not None:
            for key in ("before", "settle", "after"):
                self._reads(parse_duration, getattr(g.worth, key), "worth", key)
            if computed_by(g.worth.tag) not in self.apps:
                self._known(g.worth.tag, "worth", "tag")
        self._reads(parse_duration, g.trial, "trial")
        if g.twin and g.twin not in self.twins:
            what = f"twin: no [twins.{g.twin[:80]}] in plant.toml", f"twin：plant.toml 中没有 [twins.{g.twin[:80]}]"
            self._say(*what, "twin", meant=nearest(g.twin, self.twins))
        if self._known(g.tag):
            tag = self.tags[g.tag]
            self._writable(tag)
            prop = self.dictionary.get(tag.property)
            if prop is not None and prop.type not in ("text", "image") and is_unit(prop.unit):  # else told with the dictionary
                self._envelope(prop)
                if g.rate:
                    self._reads(lambda text: units.factor(parse_rate(text)[1], prop.unit), g.rate, "rate")

    def _say(self, en: str, zh: str, *key: str, meant: str = "") -> None:
        self.problems.error(PLANT, self.line("guards", self.guard.tag, *key), en, zh, meant)

    def _reads(self, parse: Callable[[str], Any], text: str, *key: str) -> Any:
        try:
            return parse(text)
        except RongheError as e:
            self.problems.raised(PLANT, self.line("guards", self.guard.tag, *key), e, key[-1])
            return None

    def _known(self, tag: str, *key: str) -> bool:
        if tag not in self.tags:
            what = key[0] if key else "guards"
            self._say(f"{what}: no tag {tag[:80]!r}", f"{what}：没有测点 {tag[:80]!r}", *key, meant=nearest(tag, self.tags))
        return tag in self.tags

    def _writable(self, tag: Tag) -> None:
        prop = self.dictionary.get(tag.property)
        if not tag.writable:
            self._say(
                f"{tag.tag} is not writable in tags.csv, so a guard has nothing to let through",
                f"{tag.tag} 在 tags.csv 中不可写（writable），守护无法放行",
            )
        elif not tag.connection:
            self._say(f"{tag.tag} has no connection, so it cannot be written", f"{tag.tag} 没有连接，无法写入")
        if prop is not None and prop.type in ("text", "image"):
            self._say(f"{tag.tag} is of type {prop.type}: the guard writes numbers only", f"{tag.tag} 为 {prop.type} 类型：守护只写数值")

    def _envelope(self, prop: Property) -> None:
        def read(text: str) -> tuple[float, float]:
            low, high, unit = parse_range(text)
            gain, offset = units.factor(unit, prop.unit)
            return low * gain + offset, high * gain + offset

        limits = self._reads(read, self.guard.envelope, "envelope")
        if limits is None:
            return
        if (prop.low is not None and limits[0] < prop.low) or (prop.high is not None and limits[1] > prop.high):
            low = "-∞" if prop.low is None else f"{prop.low:g}"
            high = "∞" if prop.high is None else f"{prop.high:g}"
            text = f"{low}..{high} {prop.unit}".strip()
            self._say(
                f"envelope: goes beyond the range of {prop.property}, {text}", f"envelope：超出 {prop.property} 的量程 {text}", "envelope"
            )
