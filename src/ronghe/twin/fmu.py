"""A twin that is a Functional Mock-up Unit: co-simulation by FMI 2.0 or 3.0 (Modelica Association), run by FMPy.

An FMU is code: a library that its maker compiled. It is run in a process of its own, which limits what a crash can take along, and not what
the code may do: use FMUs only of those whom you would let run a program on this computer.

Values are converted between a tag's unit and the one that the FMU's `UnitDefinitions` give its variable in SI base units; a variable
without one is taken to be in its tag's unit.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta

from ronghe.errors import MissingExtra, TwinError
from ronghe.plant import Plant
from ronghe.plant.problems import nearest
from ronghe.text import Text
from ronghe.twin.contract import Twin
from ronghe.twin.wiring import Wire, Wired, inward, outward, wire

_BASE: Final = {"kg": "kg", "m": "m", "s": "s", "A": "A", "K": "K", "mol": "mol", "cd": "cd", "rad": "rad"}
"""Base units of FMI → UCUM."""
_ACCESS: Final = {"Enumeration": {"2": "Integer", "3": "Int64"}}
_FATAL: Final = 4  # of FMI's status codes
_NUMBERS: Final = ("Real", "Integer", "Float", "Int", "UInt", "Boolean", "Enumeration")


class FmuOptions(Wired, frozen=True, kw_only=True):
    """A Functional Mock-up Unit (FMI 2.0 or 3.0, co-simulation). An FMU is code of its maker's; it is run in a process of its own."""

    file: Annotated[Path, Meta(description="the .fmu")]


class Fmu(Twin):
    """An FMU as a twin. Every trial has an instance, and a library, of its own."""

    uses = "fmu"
    Options: ClassVar[type[msgspec.Struct]] = FmuOptions

    def __init__(self, name: str, plant: Plant, options: FmuOptions, folder: Path) -> None:
        try:
            import fmpy
        except ImportError as e:
            raise MissingExtra("furnace", Text("the twin of an FMU", "FMU 孪生体")) from e
        self._where = where = f"twins.{name}"
        self._extracted = self._instance = None
        self._about = self._read(fmpy, options.file)
        self._version = self._about.fmiVersion[:1]
        variables = {v.name: v for v in self._about.modelVariables}
        for group in ("inputs", "state", "outputs"):
            for variable in getattr(options, group).values():
                self._check(variable, variables, group)
        for variable in options.parameters:
            self._check(variable, variables, "parameters")
        self._variables, self._parameters = variables, dict(options.parameters)
        self._inputs, self._state, self._outputs = (
            self._wires(plant, group, getattr(options, group)) for group in ("inputs", "state", "outputs")
        )
        self.inputs, self.state, self.outputs = tuple(options.inputs), tuple(options.state), tuple(options.outputs)
        self.every = options.seconds
        self._extracted = fmpy.extract(options.file)
        self._time = 0.0
        try:
            self._instance = self._instantiate()
        except Exception as e:  # of FMPy, without a type of its own: the library, or what it needs, is not there
            raise TwinError(Text(f"{options.file.name} does not load: {e}", f"{options.file.name} 无法加载：{e}"), where=where) from e
        self._end(broken=True)  # before it is initialised there is nothing to terminate

    def start(self, values: Mapping[str, float]) -> None:
        self._end()
        self._instance, self._time = self._instantiate(), 0.0
        given = {**self._parameters, **inward(self._state, values), **inward(self._inputs, values)}
        self._call(lambda fmu: self._begin(fmu, given))

    def step(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        self._call(lambda fmu: self._advance(fmu, inward(self._inputs, inputs)))
        self._time += self.every
        return outward(self._outputs, self._call(self._get))

    def close(self) -> None:
        self._end()
        if self._extracted is not None:
            shutil.rmtree(self._extracted, ignore_errors=True)

    # --- what is read before ---------------------------------------------------------------------------------------------------------

    def _read(self, fmpy: Any, file: Path) -> Any:
        """The model description of an FMU that can be run here. Raises TwinError."""
        try:
            about = fmpy.read_model_description(file, validate=False)
            platforms = fmpy.supported_platforms(file)
        except FileNotFoundError as e:
            raise TwinError(Text(f"no such file: {file}", f"没有该文件：{file}"), where=self._where) from e
        except Exception as e:  # a zip, an XML: each raises its own
            raise TwinError(Text(f"{file.name} is no sound FMU: {e}", f"{file.name} 不是有效的 FMU：{e}"), where=self._where) from e
        if about.fmiVersion[:1] not in ("2", "3") or about.coSimulation is None:
            raise TwinError(
                Text(
                    f"{file.name} is FMI {about.fmiVersion} without co-simulation", f"{file.name} 为 FMI {about.fmiVersion}，不支持联合仿真"
                )
                if about.coSimulation is None
                else Text(f"{file.name} is FMI {about.fmiVersion}", f"{file.name} 为 FMI {about.fmiVersion}"),
                where=self._where,
                todo=Text("export it for co-simulation, FMI 2.0 or 3.0", "请按 FMI 2.0 或 3.0 的联合仿真导出"),
            )
        if fmpy.platform not in platforms:
            listed = ", ".join(platforms) or "-"
            what = (
                f"{file.name} has no binary for {fmpy.platform}; it has {listed}",
                f"{file.name} 没有 {fmpy.platform} 的二进制文件；仅有 {listed}",
            )
            raise TwinError(Text(*what), where=self._where)
        return about

    def _check(self, name: str, variables: Mapping[str, Any], group: str) -> None:
        """That a variable is there, is one number, and can be set where it must be."""
        variable, where = variables.get(name), f"{self._where}.{group}"
        if variable is None:
            near = nearest(name, variables)
            todo = Text(f"did you mean {near}?", f"是否想写 {near}？") if near else Text("")
            raise TwinError(Text(f"the FMU has no variable {name!r}", f"FMU 没有变量 {name!r}"), where=where, todo=todo)
        if not variable.type.startswith(_NUMBERS) or variable.dimensions:
            raise TwinError(Text(f"{name} is no single number ({variable.type})", f"{name} 不是单个数值（{variable.type}）"), where=where)
        settable = variable.causality in ("input", "parameter") or variable.initial in ("exact", "approx")
        if group != "outputs" and (variable.variability == "constant" or not settable):
            raise TwinError(
                Text(f"{name} cannot be set as the model starts", f"{name} 不能在模型启动时设定"),
                where=where,
                todo=Text("map an input, a parameter, or a variable with a start value", "请映射输入、参数或带起始值的变量"),
            )

    def _wires(self, plant: Plant, group: str, names: Mapping[str, str]) -> tuple[Wire, ...]:
        """Wires to SI base units, and from there by the factor and offset of the FMU's own definition."""
        units = {u.name: u.baseUnit for u in self._about.unitDefinitions if u.baseUnit is not None}
        base = {name: units.get(_unit(self._variables[name])) for name in names.values()}

        def unit_of(name: str) -> str | None:
            unit = base[name]
            return None if unit is None else _ucum(unit)

        return tuple(_scaled(w, base[w.name]) for w in wire(plant, f"{self._where}.{group}", names, unit_of))

    # --- what is called --------------------------------------------------------------------------------------------------------------

    def _instantiate(self) -> Any:
        from fmpy.fmi2 import FMU2Slave
        from fmpy.fmi3 import FMU3Slave

        kind = FMU2Slave if self._version == "2" else FMU3Slave
        made = kind(
            guid=self._about.guid,
            unzipDirectory=str(self._extracted),
            modelIdentifier=self._about.coSimulation.modelIdentifier,
            instanceName="twin",
        )
        made.instantiate()
        return made

    def _begin(self, fmu: Any, given: Mapping[str, float]) -> None:
        if self._version == "2":
            fmu.setupExperiment(startTime=0.0)
        self._set(fmu, given)
        fmu.enterInitializationMode()
        self._set(fmu, {w.name: given[w.name] for w in self._inputs})
        fmu.exitInitializationMode()

    def _advance(self, fmu: Any, inputs: Mapping[str, float]) -> None:
        self._set(fmu, inputs)
        done = fmu.doStep(currentCommunicationPoint=self._time, communicationStepSize=self.every)
        if done is not None and done[1]:  # FMI 3.0 says it with its answer
            raise TwinError(Text("the FMU ended the simulation", "FMU 终止了仿真"), where=self._where)

    def _set(self, fmu: Any, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            variable = self._variables[name]
            kind = self._kind(variable)
            whole = value if kind.startswith(("Real", "Float")) else round(value)
            getattr(fmu, f"set{kind}")([variable.valueReference], [bool(whole) if kind == "Boolean" else whole])

    def _get(self, fmu: Any) -> dict[str, float]:
        found = {}
        for w in self._outputs:
            variable = self._variables[w.name]
            found[w.name] = float(getattr(fmu, f"get{self._kind(variable)}")([variable.valueReference])[0])
        return found

    def _kind(self, variable: Any) -> str:
        return str(_ACCESS.get(variable.type, {}).get(self._version, variable.type))

    def _call(self, what: Any) -> Any:
        from fmpy.fmi1 import FMICallException

        try:
            return what(self._instance)
        except FMICallException as e:
            self.spoilt = e.status >= _FATAL
            self._end(broken=True)
            raise TwinError(
                Text(f"the FMU failed at {self._time:g} s: {e}", f"FMU 在 {self._time:g} s 出错：{e}"), where=self._where
            ) from e

    def _end(self, *, broken: bool = False) -> None:
        """Lets go of the instance. One that failed is not asked to terminate first; after a fatal error nothing may be called any more
        (FMI 2.0.4, 2.1.3; FMI 3.0, 2.2.3)."""
        instance, self._instance = self._instance, None
        if instance is not None and not self.spoilt:
            if not broken:
                instance.terminate()
            instance.freeInstance()


def _unit(variable: Any) -> str | None:
    """The name of a variable's unit: its own, or that of its declared type."""
    declared = variable.declaredType
    return variable.unit or (declared.unit if declared is not None else None)


def _ucum(unit: Any) -> str:
    """FMI's exponents of base units as a UCUM code."""
    parts = [f"{ucum}{power if power != 1 else ''}" for name, ucum in _BASE.items() if (power := getattr(unit, name))]
    return ".".join(parts)


def _scaled(w: Wire, unit: Any) -> Wire:
    """base = variable × factor + offset (FMI 2.0, 2.2.2), so variable = (tag × gain + offset − unit's offset) / factor."""
    if unit is None:
        return w
    return Wire(w.tag, w.name, w.gain / unit.factor, (w.offset - unit.offset) / unit.factor)
