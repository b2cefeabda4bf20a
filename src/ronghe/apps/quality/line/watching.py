"""What is watched from part to part, beyond the part itself: rates, the level of scores, the pictures, gaps in their numbers.

Each change of a condition is a `Change`; the app makes findings of them. What was learned of usual rates outlives the process.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.arl import ewma_limit
from ronghe.apps.quality.line import saying
from ronghe.apps.quality.line.drift import UNITS, DriftWatch, Floats, Kind, Usual, measure, restored, small
from ronghe.apps.quality.line.drift import usual as usual_of
from ronghe.apps.quality.line.rates import RateWatch, State
from ronghe.apps.quality.line.records import Part
from ronghe.apps.quality.line.settings import Options
from ronghe.text import Text

log = logging.getLogger(__name__)

_UNREADABLE: Final = 0.005  # what a healthy camera may give
_GAP_OVER: Final = 100  # parts in a row without a gap
_PARTS_TO_BLAME: Final = 20  # rejects in a row: before, a defect explains how a picture looks; from then on rather the picture the rejects
_WEIGHT: Final = 0.1
_NO_LEVEL: Final = math.log(1e-3)  # mean of ln(score): below, most parts have 0, as those that are like a template
_SAVE: Final = 64  # parts
_FIRST_PASSED: Final = 50  # pictures from which the usual look is learned

Shown = tuple[str, float, float, str]
"""Signal, its value, what is usual, unit."""


class Change(msgspec.Struct, frozen=True):
    """A condition that began (`active`) or ended. `key` is its stable name below the equipment; `when` what rules call it."""

    key: str
    when: str
    active: bool
    text: Text
    action: Text = Text("")
    score: float = 0.0
    shown: Shown | None = None


class Level(msgspec.Struct, kw_only=True):
    """EWMA of ln(score) of passed parts against the first ones (Welford's sums while they are learned)."""

    parts: int = 0
    mean: float = 0.0
    squares: float = 0.0
    ewma: float = 0.0  # in standard deviations
    risen: bool = False


class Kept(msgspec.Struct, kw_only=True):
    """What is remembered across restarts, of one model with its thresholds."""

    of: str = ""
    rates: dict[str, State] = {}
    level: Level = msgspec.field(default_factory=Level)
    look: Usual | None = None  # of the first passed pictures, where the model does not say how good ones look
    first: list[tuple[tuple[float, ...], tuple[int, int]]] = []  # their measures and sizes
    reference: bytes = b""


class Watching:
    """Follows parts. `of` names the model and its thresholds: of another one nothing learned holds."""

    def __init__(self, path: Path, of: str, usual: Usual | None, options: Options, place: Text) -> None:
        self._path, self._options, self._place = path, options, place
        self._kept = self._load(of)
        self._rates = {k: self._rate(k, s) for k, s in self._kept.rates.items()}
        for kind in ("reject", "unreadable"):
            self._rates.setdefault(kind, self._rate(kind))
        look = usual or self._kept.look
        self.drift = DriftWatch(look, options.false_alarm) if look is not None else None
        self._last = 0  # number of the last picture
        self.missed = 0
        self._missed_now, self._without_gap = 0, 0
        self._rejects = 0  # in a row
        self._limit = ewma_limit(_WEIGHT, 2 * round(1 / options.false_alarm, 6)) * math.sqrt(_WEIGHT / (2 - _WEIGHT))

    def _load(self, of: str) -> Kept:
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except FileNotFoundError:
            return Kept(of=of)
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", self._path, e)
            return Kept(of=of)
        return kept if kept.of == of else Kept(of=of)

    def save(self) -> None:
        """Keeps what was learned."""
        self._kept.rates = {k: w.state for k, w in self._rates.items()}
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(self._kept))
            part.replace(self._path)
        except OSError as e:  # a full disk must not stop the line
            log.warning("%s is not written: %s", self._path, e)

    def _rate(self, kind: str, state: State | None = None) -> RateWatch:
        known = {"reject": self._options.usual, "unreadable": _UNREADABLE}.get(kind, 0.0)
        return RateWatch(usual=known, base=self._options.base, false_alarm=self._options.false_alarm, state=state)

    # --- parts ------------------------------------------------------------------------------------------------------------------

    def part(self, part: Part, measured: Floats | None) -> list[Change]:
        """One more part, and the measures of its picture where they can be compared."""
        changes = self._numbers(part.number) if self._options.every_part else []
        kinds = part.kinds
        for kind in kinds:
            if kind not in self._rates:
                self._rates[kind] = self._since_the_first(kind)
        for name, watch in self._rates.items():
            happened = {"reject": part.verdict == "reject", "unreadable": part.verdict == "unreadable"}.get(name, name in kinds)
            if (change := watch.step(happened, part.time)) is not None:
                changes.append(self._rate_change(name, watch, change == "rise"))
        if part.verdict == "pass" and part.score is not None:
            changes += self._level(part.score)
        self._rejects = self._rejects + 1 if part.verdict == "reject" else 0
        if measured is not None and self.drift is not None and not 0 < self._rejects < _PARTS_TO_BLAME:
            changes += [self._drift_change(k, active, self.drift) for k, active in self.drift.step(measured)]
        if self._rates["unreadable"].state.parts % _SAVE == 0:
            self.save()
        return changes

    def measure(self, pixels: NDArray[np.uint8]) -> Floats:
        """The measures of a picture."""
        if self.drift is not None:
            return measure(pixels, self.drift.reference)
        return measure(pixels, restored(self._kept.reference) if self._kept.reference else None)

    def learn_look(self, measured: Floats, pixels: NDArray[np.uint8]) -> None:
        """A package that was made elsewhere does not say how its pictures look here: the first passed parts do."""
        kept = self._kept
        kept.reference = kept.reference or small(pixels).tobytes()
        kept.first.append((tuple(measured.tolist()), (pixels.shape[1], pixels.shape[0])))
        if len(kept.first) >= min(_FIRST_PASSED, self._options.base):
            values, sizes = [np.array(m) for m, _ in kept.first], [s for _, s in kept.first]
            kept.look, kept.first = usual_of(values, sizes, restored(kept.reference)), []
            self.drift = DriftWatch(kept.look, self._options.false_alarm)

    def _since_the_first(self, kind: str) -> RateWatch:
        """A class that was never seen before: so far it happened to none of the parts."""
        watch, seen = self._rate(kind), self._rates["unreadable"].state.parts
        for _ in range(min(seen, self._options.base)):
            watch.step(False, 0)
        return watch

    def _rate_change(self, kind: str, watch: RateWatch, active: bool) -> Change:
        key = f"{kind}_rate"
        if not active:
            return Change(key, kind, False, saying.usual_again(kind, self._place))
        rise = watch.rise()
        signal = "reject_rate" if kind == "reject" else "unreadable_rate" if kind == "unreadable" else f"rate_{kind}"
        shown = signal, rise.rate, rise.usual, ""
        return Change(
            key, kind, True, saying.risen(kind, rise, self._place), saying.look_after(kind), rise.rate / max(rise.usual, 1e-9), shown
        )

    def _level(self, score: float) -> list[Change]:
        level, x = self._kept.level, math.log(max(score, 1e-6))
        level.parts += 1
        if level.parts <= self._options.base:
            off = x - level.mean
            level.mean += off / level.parts
            level.squares += off * (x - level.mean)
            return []
        if level.mean < _NO_LEVEL:
            return []
        spread = max(math.sqrt(level.squares / (self._options.base - 1)), 0.01)
        level.ewma += _WEIGHT * (min(max((x - level.mean) / spread, -6.0), 6.0) - level.ewma)
        limit = self._limit + 1.645 / math.sqrt(self._options.base)
        if not level.risen and level.ewma > limit:
            level.risen = True
            now, usual = math.exp(level.mean + level.ewma * spread), math.exp(level.mean)
            text, shown = saying.higher(now, usual, self._place), ("score", now, usual, "")
            return [Change("score_level", "score", True, text, saying.look_after("score"), level.ewma / limit, shown)]
        if level.risen and level.ewma < 0.5 * limit:
            level.risen = False
            return [Change("score_level", "score", False, saying.level_again(self._place))]
        return []

    def _drift_change(self, kind: Kind, active: bool, drift: DriftWatch) -> Change:
        key = f"{kind}_drift"
        if not active:
            return Change(key, kind, False, saying.settled(kind, self._place))
        now, usual = drift.told(kind)
        return Change(
            key,
            kind,
            True,
            saying.drifts(kind, now, usual, self._place),
            saying.mend(kind),
            drift.sizes()[kind],
            (kind, now, usual, "%" if UNITS[kind].startswith("%") else ""),
        )

    def _numbers(self, number: int) -> list[Change]:
        last, self._last = self._last, number
        gap = number - last - 1 if last and number > last else 0
        if gap > 0:
            self.missed += gap
            self._missed_now, self._without_gap = self._missed_now + gap, 0
            if self._missed_now == gap:
                return [Change("not_inspected", "missed", True, saying.missed(gap, self._place), score=float(gap))]
            return []
        self._without_gap += 1
        if self._missed_now and self._without_gap >= _GAP_OVER:
            self._missed_now = 0
            return [Change("not_inspected", "missed", False, saying.none_missed(self._place))]
        return []

    # --- what stands ------------------------------------------------------------------------------------------------------------

    def standing(self) -> list[str]:
        """Keys of the conditions that stand by what was remembered."""
        keys = [f"{k}_rate" for k, w in self._rates.items() if w.state.risen]
        return [*keys, *(["score_level"] if self._kept.level.risen else [])]
