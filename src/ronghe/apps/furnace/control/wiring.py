"""From the options to a model in the plant's words: tags, units, limits, and what the guards leave room for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ronghe.apps.advising import resolve
from ronghe.apps.furnace.control.controller import Tuning
from ronghe.apps.furnace.control.settings import Options
from ronghe.apps.furnace.control.symbolic import Floats
from ronghe.errors import AppError, RongheError
from ronghe.guard.limits import compile_guard
from ronghe.plant import Plant, units
from ronghe.plant.quantity import parse_range
from ronghe.signals.when import parse_duration
from ronghe.text import Text
from ronghe.twin.plants import Input, Process, State
from ronghe.twin.plants.named import find

_MOVES: Final = 0.5


@dataclass(frozen=True, slots=True)
class Wire:
    """One quantity of the model and its tag: model value = tag value × gain + offset."""

    name: str
    title: Text
    tag: str
    unit: str
    gain: float
    offset: float

    def inward(self, value: float) -> float:
        """From the tag's unit to the model's."""
        return value * self.gain + self.offset

    def outward(self, value: float) -> float:
        """And back."""
        return (value - self.offset) / self.gain


@dataclass(frozen=True, slots=True)
class Wiring:
    """Everything that the options say. `goals`: fixed targets in the model's units, or the tag that holds one."""

    process: Process
    parameters: Floats
    tuning: Tuning
    measured: tuple[Wire, ...]
    inputs: tuple[Wire, ...]
    goals: dict[str, float | str]
    every: int  # ns

    @property
    def tags(self) -> tuple[str, ...]:
        """Every tag that it reads."""
        held = [g for g in self.goals.values() if isinstance(g, str)]
        return tuple(dict.fromkeys([*(w.tag for w in (*self.measured, *self.inputs)), *held]))

    def wire(self, name: str) -> Wire:
        """The wire of a measured state or an input."""
        return next(w for w in (*self.measured, *self.inputs) if w.name == name)


def wire_up(name: str, plant: Plant, equipment: str, o: Options) -> Wiring:
    """Reads the options. Raises AppError (or TwinError for the model) for the first thing that does not fit."""
    where = f"apps.{name}"
    process = find(o.model, Path(plant.folder))
    measured = [s for s in process.states if s.noise is not None]
    seen: list[State | Input] = [*measured, *process.inputs]
    quantities = [*(s.name for s in process.states), *(i.name for i in process.inputs)]
    for key, table in (("tags", o.tags), ("target", o.target), ("weights", o.weights), ("moves", o.moves), ("limits", o.limits)):
        _known(table, quantities, f"{where}.{key}", process)
    wires = {q.name: _wire(q, plant, equipment, o.tags.get(q.name), f"{where}.tags") for q in seen}
    for i in process.inputs:
        if not plant.tags[wires[i.name].tag].writable:
            tag = wires[i.name].tag
            raise AppError(
                Text(f"{tag} cannot be written", f"{tag} 不可写"),
                where=f"{where}.tags",
                todo=Text("mark it writable in tags.csv and give it a guard", "请在 tags.csv 中标为可写，并配置守护"),
            )
    if not o.target:
        raise AppError(Text("nothing has a target", "未给出任何目标"), where=f"{where}.target")
    every = parse_duration(o.every)
    process, ramps = _guarded(_limited(process, o.limits, where), plant, wires, every, where)
    goals: dict[str, float | str] = {}
    for key, goal in o.target.items():
        if key not in wires:
            raise AppError(Text(f"{key} is not measured", f"{key} 不可测"), where=f"{where}.target")
        goals[key] = resolve(plant, equipment, goal, f"{where}.target") if isinstance(goal, str) else wires[key].inward(goal)
    parameters = process.parameter_values()
    names = [p.name for p in process.parameters]
    _known(o.parameters, names, f"{where}.parameters", process)
    for key, value in o.parameters.items():
        parameters[names.index(key)] = value
    deadline = parse_duration(o.deadline) / 1e9 if o.deadline else every / 5e9
    if every <= 0 or deadline <= 0:
        raise AppError(Text("every and deadline must be longer than nothing", "every 与 deadline 必须大于零"), where=where)
    tuning = Tuning(
        every=every / 1e9,
        horizon=o.horizon,
        targets={key: o.weights.get(key, 1.0) for key in goals},
        moves={i.name: o.moves.get(i.name, _MOVES) for i in process.inputs},
        ramps=ramps,
        sigmas=o.sigmas,
        ahead=min(3, o.horizon),
        deadline=deadline,
    )
    sensors, actuators = tuple(wires[s.name] for s in measured), tuple(wires[i.name] for i in process.inputs)
    return Wiring(process, parameters, tuning, sensors, actuators, goals, every)


def _known(table: Mapping[str, object], known: Sequence[str], where: str, process: Process) -> None:
    for key in table:
        if key not in known:
            listed = ", ".join(known)
            raise AppError(
                Text(f"{process.name} has no {key!r}", f"{process.name} 没有 {key!r}"),
                where=where,
                todo=Text(f"it has: {listed}", f"可用：{listed}"),
            )


def _wire(q: State | Input, plant: Plant, equipment: str, tag: str | None, where: str) -> Wire:
    if tag is None:
        raise AppError(
            Text(f"{q.name} ({q.title.en}) has no tag", f"{q.name}（{q.title.zh}）没有对应测点"),
            where=where,
            todo=Text(f'add {q.name} = "TAG"', f'请写 {q.name} = "测点"'),
        )
    found = resolve(plant, equipment, tag, where)
    unit = plant.unit_of(found)
    try:
        gain, offset = units.factor(unit, q.unit)
    except RongheError as e:
        raise AppError(Text(f"{found}: {e.what.en}", f"{found}：{e.what.zh}"), where=where) from e
    return Wire(q.name, q.title, found, unit, gain, offset)


def _limited(process: Process, limits: Mapping[str, str], where: str) -> Process:
    states = list(process.states)
    for i, s in enumerate(states):
        if s.name in limits:
            low, high, unit = parse_range(limits[s.name])
            gain, offset = units.factor(unit, s.unit)
            states[i] = replace(s, low=low * gain + offset, high=high * gain + offset)
    for key in limits:
        if key not in [s.name for s in states]:
            todo = Text("the range of an input is its guard's envelope", "输入量的范围由守护的 envelope 给出")
            raise AppError(Text(f"{key} is not a state", f"{key} 不是状态量"), where=f"{where}.limits", todo=todo)
    return replace(process, states=tuple(states))


def _guarded(process: Process, plant: Plant, wires: Mapping[str, Wire], every: int, where: str) -> tuple[Process, dict[str, float]]:
    """With ranges and ramps that the guards permit: what is bound to be refused is not planned."""
    inputs, ramps = [], {}
    for i in process.inputs:
        wire = wires[i.name]
        if wire.tag in plant.guards:
            guard = compile_guard(plant, plant.guards[wire.tag])
            low, high = sorted((wire.inward(guard.low), wire.inward(guard.high)))
            i = replace(i, low=max(i.low, low), high=min(i.high, high))
            if not i.low < i.high:
                raise AppError(
                    Text(
                        f"the envelope of {wire.tag} and the model's range have nothing in common",
                        f"{wire.tag} 的允许范围与模型范围没有交集",
                    ),
                    where=f"{where}.tags",
                )
            if guard.rate is not None:
                most, window = guard.rate
                # The guard adds up the changes within its window, and steps come a little early or late.
                ramps[i.name] = abs(most * wire.gain) / (1 + int(1.2 * window / every)) * (1 - 1e-6)
        inputs.append(i)
    return replace(process, inputs=tuple(inputs)), ramps


def row_values(wires: tuple[Wire, ...], values: Mapping[str, float]) -> Floats:
    """What the tags of `wires` show, in the model's units; NaN where not good."""
    return np.array([w.inward(values[w.tag]) for w in wires])
