"""`ronghe twin`: a set-point tried on the twin before the plant feels it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ronghe.errors import TwinError
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.guard.case import Check
    from ronghe.plant import Plant
    from ronghe.twin.inside import Described
    from ronghe.twin.trial import Trajectory


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Twins: try set-points on a model of the plant.", "孪生体：先在模型上试设定值。"))
def twin() -> None:
    """The group."""


@twin.command(
    name="try",
    help=_t(
        "Try set-points on the twin NAME of the plant folder PLANT, from what the node has recorded last, and show what would come. "
        "Nothing is written to the plant. The model is run. Exit code 1 where a guard would not let them through.",
        "在工厂文件夹 PLANT 的孪生体 NAME 上试设定值：从节点最近记录的数值出发，显示将会发生什么。"
        "不会写入设备。会运行模型代码。若守护不放行，退出码为 1。",
    ),
)
@click.argument("plant", type=click.Path(file_okay=False, path_type=Path))
@click.argument("name")
@click.option(
    "--set", "settings", multiple=True, metavar="TAG=VALUE", help=_t("what to try, in the tag's unit", "要试的设定值（测点单位）")
)
@click.option("--from", "given", multiple=True, metavar="TAG=VALUE", help=_t("instead of what was recorded last", "代替最近记录的数值"))
@click.option("--for", "length", default="10min", show_default=True, help=_t("how long, in the plant's time", "试多久（工厂时间）"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def try_(plant: Path, name: str, settings: tuple[str, ...], given: tuple[str, ...], length: str, as_json: bool) -> None:
    """Runs one trial."""
    from ronghe.guard.limits import check_guard
    from ronghe.plant import load
    from ronghe.signals.when import parse_duration
    from ronghe.twin.sandbox import Sandbox
    from ronghe.twin.trial import steps_of

    whole = load(plant, check_guard=check_guard, secrets=False)
    if name not in whole.twins:
        known = ", ".join(whole.twins) or "-"
        raise TwinError(
            Text(f"no twin {name!r}", f"没有孪生体 {name!r}"), where=str(plant), todo=Text(f"there is: {known}", f"现有：{known}")
        )
    wanted, instead = (dict(_assigned(s) for s in some) for some in (settings, given))
    box = Sandbox(whole.twins[name], whole)
    try:
        about = box.described(60.0)
        values = _values(plant, about, instead)
        shown = box.run(values, wanted, steps_of(parse_duration(length) / 1e9, about.every), 60.0)
    finally:
        box.close()
    verdicts = _verdicts(whole, name, shown, values, wanted, instead)
    if as_json:
        click.echo(msgspec.json.encode(_plain(name, shown, values, wanted, verdicts)).decode())
    else:
        _print(whole, shown, values, verdicts)
    sys.exit(0 if all(c.ok for c in verdicts.values()) else 1)


def _assigned(text: str) -> tuple[str, float]:
    tag, _, value = text.partition("=")
    try:
        return tag.strip(), float(value)
    except ValueError as e:
        raise TwinError(Text(f"{text!r} is not TAG=NUMBER", f"{text!r} 应为 测点=数值")) from e


def _recorded(plant: Path, tags: Iterable[str]) -> dict[str, float]:
    """The newest value of each tag whose newest value is good."""
    from ronghe.historian import Historian
    from ronghe.historian.place import store_of
    from ronghe.signals import TagIndex

    with Historian(store_of(plant), TagIndex(), readonly=True) as store:
        last = store.last(list(tags))
        last = last.take(last.good)
        return {store.index.names[t]: v for t, v in zip(last.tag.tolist(), last.value.tolist(), strict=True)}


def _values(plant: Path, about: Described, given: dict[str, float]) -> dict[str, float]:
    """The newest good value of everything that the twin starts from, but for what is given. Raises RongheError for what is not known."""
    wanted = [t for t in dict.fromkeys((*about.state, *about.inputs)) if t not in given]
    found = _recorded(plant, wanted) if wanted else {}
    missing = [t for t in wanted if t not in found]
    if missing:
        listed = ", ".join(missing)
        todo = Text(f"give it: --from {missing[0]}=VALUE", f"请给出：--from {missing[0]}=数值")
        raise TwinError(Text(f"no good value of {listed} was recorded", f"没有 {listed} 的有效记录"), where=str(plant), todo=todo)
    return {**found, **given}


def _verdicts(
    plant: Plant, name: str, shown: Trajectory, values: dict[str, float], wanted: dict[str, float], given: dict[str, float]
) -> dict[str, Check]:
    """What the guards of the tried set-points would say to this trial."""
    from ronghe.guard.condition import Seen
    from ronghe.guard.dryrun import judge
    from ronghe.guard.limits import compile_guard

    found = {}
    for tag in wanted:
        guard = plant.guards.get(tag)
        if guard is not None and guard.twin == name:
            limits = compile_guard(plant, guard)
            assert limits.dry_run is not None
            asked = {*limits.dry_run.keeps.tags, *(limits.interlock.tags if limits.interlock is not None else ())}
            beside = [t for t in asked if t not in values and t not in shown.tags]
            now = {**values, **(_recorded(Path(plant.folder), beside) if beside else {}), **given}
            units = {t: plant.unit_of(t) for t in asked if t in plant.tags}
            held = {**values, **wanted}
            found[tag] = judge(shown, limits.dry_run.keeps, limits.interlock, held, {t: Seen(v) for t, v in now.items()}, units)
    return found


def _plain(name: str, shown: Trajectory, values: dict[str, float], wanted: dict[str, float], verdicts: dict[str, Check]) -> dict[str, Any]:
    return {
        "twin": name,
        "from": values,
        "set": wanted,
        "times": [shown.at(k) for k in range(len(shown.values))],
        "shows": {tag: shown.values[:, i].tolist() for i, tag in enumerate(shown.tags)},
        "guards": verdicts,
    }


def _print(plant: Plant, shown: Trajectory, values: dict[str, float], verdicts: dict[str, Check]) -> None:
    from ronghe.guard.condition import quantity
    from ronghe.guard.dryrun import after

    for i, tag in enumerate(shown.tags):
        column, unit = shown.values[:, i], plant.unit_of(tag)
        low, high = int(column.argmin()), int(column.argmax())
        now = quantity(values[tag], unit) if tag in values else "?"
        end = quantity(float(column[-1]), unit)
        lowest, highest = quantity(float(column[low]), unit), quantity(float(column[high]), unit)
        click.echo(
            _t(
                f"{tag}: now {now}, lowest {lowest} after {after(shown.at(low))}, highest {highest} after {after(shown.at(high))}, "
                f"at the end {end}",
                f"{tag}：当前 {now}，{after(shown.at(low))} 后最低 {lowest}，{after(shown.at(high))} 后最高 {highest}，结束时 {end}",
            )
        )
    for tag, check in verdicts.items():
        click.echo(f"{'✓' if check.ok else '✗'} {tag}: {check.text}")
