"""What a guard permits, in the unit of its set-point: a `GuardSpec` of plant.toml, read and bound to the plant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ronghe.errors import GuardError, Problem, RongheError
from ronghe.guard.condition import Condition, parse
from ronghe.guard.effect import SAMPLES, Watch, parse_watch
from ronghe.plant import units
from ronghe.plant.checks import PLANT, computed_by
from ronghe.plant.locate import Lines
from ronghe.plant.model import GuardSpec, Mode, Plant, ValueType, Worth
from ronghe.plant.problems import Problems
from ronghe.plant.quantity import parse_range, parse_rate
from ronghe.signals.when import parse_duration
from ronghe.text import Text

LEAST_CYCLES: Final = 4
"""Whole load cycles in a window: fewer means say next to nothing of how much they differ by chance."""


@dataclass(frozen=True, slots=True)
class Valuation:
    """A `Worth` of plant.toml with its times in ns."""

    tag: str
    unit: str
    lower_is_better: bool
    before: int
    settle: int
    after: int
    cycle: int  # ns; 0: none
    price: float
    currency: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """On which twin a value is tried before it is written, for how long (ns), and what must hold at every step."""

    twin: str
    length: int
    keeps: Condition


@dataclass(frozen=True, slots=True)
class Limits:
    """One guard, ready to check against. Values in `unit`, times in ns."""

    tag: str
    unit: str
    type: ValueType
    mode: Mode
    approvals: int
    low: float
    high: float
    fresh: int
    hold: int
    tolerance: float  # a read-back within this of the written value is the written value
    rate: tuple[float, int] | None = None  # largest sum of changes within a time
    interlock: Condition | None = None
    watch: Watch | None = None
    worth: Valuation | None = None
    dry_run: DryRun | None = None


def compile_guard(plant: Plant, spec: GuardSpec) -> Limits:
    """Reads one guard. Raises GuardError with the first thing that is wrong."""
    limits, wrong = _compile(plant, spec)
    if limits is None or wrong:
        name, error = wrong[0]
        raise GuardError(error.what, where=f'guards."{spec.tag}".{name}', todo=error.todo)
    return limits


def check_guard(spec: GuardSpec, plant: Plant) -> list[tuple[str, RongheError]]:
    """What is wrong with one guard, by key of its table: for `ronghe.plant.folder.examine`."""
    return _compile(plant, spec)[1]


def check_guards(plant: Plant) -> list[Problem]:
    """Everything that is wrong with the guards of a plant, with the lines of its plant.toml."""
    try:
        lines = Lines((Path(plant.folder) / PLANT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        lines = Lines("")
    found = Problems()
    for spec in plant.guards.values():
        for key, e in check_guard(spec, plant):
            found.raised(PLANT, lines.of("guards", spec.tag, key), e, key)
    return found.sorted()


def _compile(plant: Plant, spec: GuardSpec) -> tuple[Limits | None, list[tuple[str, RongheError]]]:
    """The limits, or None, and everything that is wrong, by field."""
    wrong: list[tuple[str, RongheError]] = []

    def read(name: str, reader: Callable[[], Any]) -> Any:
        try:
            return reader()
        except RongheError as e:
            wrong.append((name, e))
            return None

    read("tag", lambda: _writable(plant, spec.tag))
    if wrong:
        return None, wrong
    prop, tag = plant.property_of(spec.tag), plant.tags[spec.tag]
    envelope = read("envelope", lambda: _envelope(spec.envelope, prop.unit))
    rate = read("rate", lambda: _rate(spec.rate, prop.unit)) if spec.rate else None
    interlock = read("interlock", lambda: parse(spec.interlock, plant)) if spec.interlock else None
    watch = read("watch", lambda: _watch(spec.watch, plant)) if spec.watch else None
    fresh = read("fresh", lambda: _positive(spec.fresh))
    hold = read("hold", lambda: parse_duration(spec.hold))
    given = spec.worth
    worth = read("worth", lambda: _valuation(given, plant)) if given is not None else None
    dry_run = None
    if spec.twin:
        read("twin", lambda: _twin(plant, spec))
        length = read("trial", lambda: _positive(spec.trial))
        keeps = read("keeps", lambda: parse(spec.keeps, plant)) if spec.keeps else None
        dry_run = DryRun(spec.twin, length, keeps) if length and keeps else None
    elif spec.keeps:
        read("keeps", lambda: _no_twin(plant))
    if wrong:
        return None, wrong
    low, high = envelope
    gain, _ = units.factor(tag.unit or prop.unit, prop.unit)
    # A float32 in the device keeps 7 digits; a scaled integer rounds to half a step.
    step = abs(tag.scale * gain) / 2 if tag.scale != 1.0 or prop.type == "int" else 0.0
    limits = Limits(
        tag=spec.tag,
        unit=prop.unit,
        type=prop.type,
        mode=spec.mode,
        approvals=spec.approvals,
        low=low,
        high=high,
        fresh=fresh,
        hold=hold,
        tolerance=max(step * (1 + 1e-9), 1e-6 * max(abs(low), abs(high))),
        rate=rate,
        interlock=interlock,
        watch=watch,
        worth=worth,
        dry_run=dry_run,
    )
    return limits, []


def _writable(plant: Plant, tag: str) -> None:
    spec = plant.tags.get(tag)
    if spec is None:
        raise GuardError(Text(f"no tag {tag}", f"没有测点 {tag}"), todo=Text("see tags.csv", "请查 tags.csv"))
    if plant.property_of(tag).type == "text":
        raise GuardError(Text(f"{tag} is a text: only numbers can be guarded", f"{tag} 是文本，只有数值可受守护"))
    if not spec.connection:
        raise GuardError(Text(f"{tag} has no connection to write to", f"{tag} 没有可写入的连接"))
    if not spec.writable:
        todo = Text("set writable = true in its line of tags.csv", "请在 tags.csv 该行将 writable 设为 true")
        raise GuardError(Text(f"{tag} is not writable", f"{tag} 不可写"), todo=todo)


def _envelope(text: str, unit: str) -> tuple[float, float]:
    low, high, written = parse_range(text)
    gain, offset = _factor(written, unit, text)
    return low * gain + offset, high * gain + offset


def _rate(text: str, unit: str) -> tuple[float, int]:
    change, written, window = parse_rate(text)
    gain, _ = _factor(written, unit, text)
    return change * gain, window


def _factor(written: str, unit: str, text: str) -> tuple[float, float]:
    if not written and unit not in ("", "1"):
        raise GuardError(
            Text(f"{text!r} has no unit", f"{text!r} 没有单位"), todo=Text(f"the set-point is in {unit}", f"该设定值的单位是 {unit}")
        )
    return units.factor(written, unit)


def _watch(text: str, plant: Plant) -> Watch:
    watch = parse_watch(text, plant)
    every = max((plant.tags[t].every for t in watch.tags if t in plant.tags), default=0.0)
    if watch.within < (SAMPLES + 1) * every * 1e9:
        raise GuardError(
            Text(
                f"{watch.within / 1e9:g} s is too short to see an effect sampled every {every:g} s",
                f"时限 {watch.within / 1e9:g} s 过短：测点每 {every:g} s 采样一次",
            ),
            todo=Text(f"{SAMPLES} samples must show it: give it more time", f"效果须由 {SAMPLES} 个采样证实，请放宽时限"),
        )
    return watch


def _twin(plant: Plant, spec: GuardSpec) -> None:
    if spec.twin not in plant.twins:
        near = ", ".join(plant.twins)
        raise GuardError(
            Text(f"no [twins.{spec.twin[:80]}]", f"没有 [twins.{spec.twin[:80]}]"),
            todo=Text(f"there is: {near}", f"现有：{near}") if near else "",
        )
    if not spec.keeps:
        todo = Text('e.g. keeps = "line1/f1/temperature < 1250 Cel"', '例如 keeps = "line1/f1/temperature < 1250 Cel"')
        raise GuardError(Text("keeps is missing: what must hold on the twin", "缺少 keeps：须说明孪生体上必须满足的条件"), todo=todo)


def _no_twin(plant: Plant) -> None:
    known = ", ".join(plant.twins)
    todo = (
        Text(f"name a twin: {known}", f"请用 twin 指定：{known}") if known else Text("add a [twins.NAME] table", "请添加 [twins.NAME] 表")
    )
    raise GuardError(Text("there is no twin that could keep it", "未指定 twin，无法试算"), todo=todo)


def _positive(text: str) -> int:
    ns = parse_duration(text)
    if ns <= 0:
        raise GuardError(Text(f"{text!r} must be more than 0", f"{text!r} 必须大于 0"))
    return ns


def _cycle(worth: Worth) -> int:
    """The load cycle in ns, 0 for none. Raises GuardError when a window does not hold enough of them."""
    if not worth.cycle:
        return 0
    cycle = _positive(worth.cycle)
    if min(_positive(worth.before), _positive(worth.after)) < LEAST_CYCLES * cycle:
        raise GuardError(
            Text(
                f"before and after must each hold {LEAST_CYCLES} cycles of {worth.cycle}",
                f"before 与 after 各须至少包含 {LEAST_CYCLES} 个 {worth.cycle} 的循环",
            )
        )
    return cycle


def _valuation(worth: Worth, plant: Plant) -> Valuation:
    computed = computed_by(worth.tag) in plant.apps
    if not computed and (worth.tag not in plant.tags or plant.property_of(worth.tag).type == "text"):
        raise GuardError(Text(f"no tag with a number: {worth.tag}", f"没有数值测点：{worth.tag}"))
    return Valuation(
        tag=worth.tag,
        unit="" if computed else plant.unit_of(worth.tag),
        lower_is_better=worth.better == "lower",
        before=_positive(worth.before),
        settle=parse_duration(worth.settle),
        after=_positive(worth.after),
        cycle=_cycle(worth),
        price=worth.price,
        currency=worth.currency,
    )
