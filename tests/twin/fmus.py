"""FMUs for the tests, built by PythonFMU (FMI 2.0) and PythonFMU3 (FMI 3.0): their libraries are others' work and know nothing of ours."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

VESSEL = '''
from math import exp

from {package} import {kind}Causality, {kind}Initial, {kind}Slave, {kind}Variability, Boolean, {real}, {whole}


class Vessel{n}(Fmi{n}Slave):
    """A vessel that is heated: exact over each step."""

    author = "tests"

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.time = 0.0
        self.power = 0.0
        self.temperature = 293.15
        self.loss = 2.0
        self.on = True
        self.steps = 0
        discrete = {kind}Variability.discrete
        {time}
        self.register_variable({real}("power", causality={kind}Causality.input, variability={kind}Variability.continuous))
        self.register_variable(
            {real}("temperature", causality={kind}Causality.output, variability={kind}Variability.continuous, initial={kind}Initial.exact)
        )
        self.register_variable({real}("loss", causality={kind}Causality.parameter, variability={kind}Variability.tunable))
        self.register_variable(Boolean("on", causality={kind}Causality.input, variability=discrete))
        self.register_variable({whole}("steps", causality={kind}Causality.output, variability=discrete))

    def do_step(self, time, step):
        if self.power > 1e7:
            raise ValueError("beyond all bounds")
        if self.power > 1e6:
            return False
        target = 293.15 + (self.power / self.loss if self.on else 0.0)
        self.temperature = target + (self.temperature - target) * exp(-step * self.loss / 1000.0)
        self.steps += 1
        return True
'''
UNITS = """<UnitDefinitions>
		<Unit name="kW"><BaseUnit kg="1" m="2" s="-3" factor="1000"/></Unit>
		<Unit name="degC"><BaseUnit K="1" offset="273.15"/></Unit>
	</UnitDefinitions>
	<LogCategories>"""


def vessel(folder: Path, version: int) -> Path:
    """The vessel as an FMU of FMI 2 or 3."""
    words = {
        2: {"package": "pythonfmu", "real": "Real", "whole": "Integer", "time": "pass"},
        3: {
            "package": "pythonfmu3",
            "real": "Float64",
            "whole": "Int32",
            "time": 'self.register_variable(Float64("time", causality=Fmi3Causality.independent, variability=Fmi3Variability.continuous))',
        },
    }[version]
    source = folder / f"vessel{version}.py"
    source.write_text(VESSEL.format(n=version, kind=f"Fmi{version}", **words), encoding="utf-8")
    subprocess.run([sys.executable, "-m", words["package"], "build", "-f", source, "-d", folder], check=True, capture_output=True)
    return folder / f"Vessel{version}.fmu"


def edited(fmu: Path, to: str, *replaced: tuple[str, str], without: str = "\0", library: bytes = b"") -> Path:
    """A copy with other text in its model description, without the files whose name holds something, and perhaps with another library."""
    copy = fmu.with_name(to)
    with zipfile.ZipFile(fmu) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "modelDescription.xml":
                text = data.decode("utf-8")
                for before, after in replaced:
                    assert before in text, before
                    text = text.replace(before, after)
                data = text.encode("utf-8")
            if library and name.endswith(".so"):
                data = library
            if without not in name:
                new.writestr(name, data)
    return copy


def with_units(fmu: Path) -> Path:
    """A copy whose power is in kW, declared by a type, and whose temperature is in °C."""
    return edited(
        fmu,
        "units.fmu",
        (
            "<LogCategories>",
            UNITS.replace(
                "<LogCategories>",
                '<TypeDefinitions><SimpleType name="Power"><Real unit="kW"/></SimpleType></TypeDefinitions>\n\t<LogCategories>',
            ),
        ),
        ('<Real start="0"/>', '<Real start="0" declaredType="Power"/>'),
        ('<Real start="293.15"/>', '<Real start="293.15" unit="degC"/>'),
    )
