"""The autonomy switch: which mode of a set-point is in force.

The `mode` of plant.toml is the most that is permitted, and where a set-point starts. People lower it, and raise it again up to that, while
the plant runs; the last word of the ledger counts, also after a restart. In force is the lower of both, at every check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, get_args

import msgspec

from ronghe.errors import GuardError
from ronghe.guard.ledger import Entry
from ronghe.guard.limits import Limits
from ronghe.plant.model import Mode
from ronghe.text import Text

KIND: Final = "mode"
"""The kind of its entries in the ledger."""
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
"""From the least to the most."""
NAMES: Final[dict[Mode, Text]] = {
    "advise": Text("advise", "仅建议"),
    "approve": Text("approve", "人工批准"),
    "auto": Text("auto", "自动"),
}


class Switched(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of the switch, as the ledger has it. `time` in ns; `was` is what was in force before."""

    tag: str
    mode: Mode
    was: Mode
    who: str
    why: str
    time: int = 0


class Modes:
    """The switch of every guarded set-point. Reading is safe from any thread; turned from the guard's loop only."""

    def __init__(self, limits: Mapping[str, Limits]) -> None:
        self._permitted: dict[str, Mode] = {tag: one.mode for tag, one in limits.items()}
        self.last: dict[str, Switched] = {}
        """The last turn of each, by tag."""
        self._held: dict[str, Mode] = {}  # lowered in this process, although the ledger could not be told

    def of(self, tag: str) -> Mode:
        """What is in force. Raises KeyError for a set-point without a guard."""
        found = [self._permitted[tag]]
        if tag in self.last:
            found.append(self.last[tag].mode)
        if tag in self._held:
            found.append(self._held[tag])
        return min(found, key=MODES.index)

    def permitted(self, tag: str) -> Mode:
        """The most that plant.toml permits. Raises KeyError for a set-point without a guard."""
        return self._permitted[tag]

    def now(self, limits: Limits) -> Limits:
        """A guard's limits with the mode that is in force."""
        mode = self.of(limits.tag)
        return limits if mode == limits.mode else dataclasses.replace(limits, mode=mode)

    def switch(self, tag: str, mode: str, who: str, why: str, append: Callable[[str, Any], Entry]) -> None:
        """Turns it: down at once, whatever the ledger says to it; up when the ledger holds it.

        Raises GuardError for a set-point without a guard, a word that is no mode, a mode above what is permitted, or no reason given;
        LedgerError when it cannot be recorded: then a lower mode is in force in this process only, and a higher one is not.
        """
        wanted = self._sound(tag, mode, why)
        was = self.of(tag)
        if MODES.index(wanted) < MODES.index(was):
            self._held[tag] = wanted
        turned = Switched(tag=tag, mode=wanted, was=was, who=who, why=why)
        entry = append(KIND, {k: v for k, v in msgspec.structs.asdict(turned).items() if k != "time"})
        self._held.pop(tag, None)
        self.take(entry)

    def take(self, entry: Entry) -> None:
        """A turn that the ledger holds. Raises msgspec.ValidationError for an entry that is none."""
        turned = msgspec.convert({**entry.body, "time": entry.time}, Switched)
        self.last[turned.tag] = turned

    def _sound(self, tag: str, mode: str, why: str) -> Mode:
        if tag not in self._permitted:
            raise GuardError(Text(f"{tag[:250]} has no guard", f"{tag[:250]} 未配置守护"), where=tag[:250])
        wanted = next((m for m in MODES if m == mode), None)
        if wanted is None:
            listed = ", ".join(MODES)
            raise GuardError(Text(f"{mode[:80]!r} is none of {listed}", f"{mode[:80]!r} 不是可用模式：{listed}"), where=tag)
        most = self._permitted[tag]
        if MODES.index(wanted) > MODES.index(most):
            raise GuardError(
                Text(f"{NAMES[wanted].en} is more than is permitted: {NAMES[most].en}", f"超出许可：最高为“{NAMES[most].zh}”"),
                where=tag,
                todo=Text(
                    f'to permit it, change mode in guards."{tag}" of plant.toml', f'如需放开，请修改 plant.toml 中 guards."{tag}" 的 mode'
                ),
            )
        if not why.strip():
            raise GuardError(Text("say why, for the record", "请填写原因，以便记录"), where=tag)
        return wanted
