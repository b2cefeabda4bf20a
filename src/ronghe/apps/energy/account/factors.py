"""Emission factors by version: what a kilowatt-hour or a gigajoule emits, by which source, from when on (GHG Protocol: scopes 1 to 3, and
for electricity both ways of counting, by location and by market).

    [grid]
    location = "electricity-cn"             # the factor of bought electricity, by location …
    market = "green-contract"               # … and by market; where none is named, that by location counts (Scope 2 Guidance, table 6.3)

    [factor.green-contract]
    title = { en = "Wind power contract", zh = "风电合同" }
    scope = 2
    basis = "market"                        # scope 2 only
    per = "kW.h"                            # UCUM: kg CO2e per this
    version = [{ from = "2026-01-01", value = 0.0, low = 0.0, high = 0.0, source = "contract 17, guarantees of origin" }]

A version holds from its day (UTC) until the next; before the first there is none. `low`, `high`: 95 % limits where the source has them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from ronghe.errors import AppError, RongheError
from ronghe.plant import units
from ronghe.plant.locate import Lines
from ronghe.plant.problems import nearest
from ronghe.text import Text

Basis = Literal["location", "market"]
Times = NDArray[np.int64] | Sequence[int]
_TODO: Final = Text("see docs/energy-books.md for an example", "示例见 docs/energy-books.md")


class Version(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds from a day on."""

    start: date = msgspec.field(name="from")
    value: Annotated[float, Meta(ge=0)]
    source: Annotated[str, Meta(min_length=1)]
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not (self.low if self.low is not None else self.value) <= self.value <= (self.high if self.high is not None else self.value):
            raise ValueError(f"value {self.value:g} lies outside low..high")

    @property
    def begins(self) -> int:
        """ns since 1970 UTC."""
        return round(datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC).timestamp()) * 10**9


class Factor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """kg CO2e per unit of something."""

    title: Text
    scope: Literal[1, 2, 3]
    per: Annotated[str, Meta(min_length=1)]
    version: Annotated[tuple[Version, ...], Meta(min_length=1)]
    basis: Basis = "location"

    def __post_init__(self) -> None:
        if len({v.start for v in self.version}) < len(self.version):
            raise ValueError("two versions begin on one day")
        if self.basis == "market" and self.scope != 2:
            raise ValueError("only scope 2 is counted by market")
        try:
            units.parse(self.per)
        except RongheError as e:
            raise ValueError(f"per: {e.in_('en')}") from e


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    factor: Annotated[dict[str, Factor], Meta(min_length=1)]
    grid: dict[Basis, str] = {}


class Factors:
    """Factors by name; `by_basis` are those of electricity from the grid."""

    def __init__(self, factors: dict[str, Factor], by_basis: dict[Basis, str]) -> None:
        """Raises ValueError where the grid's factor is not among them."""
        for basis, name in by_basis.items():
            if name not in factors:
                raise ValueError(f"grid: there is no factor {name!r} (did you mean {nearest(name, factors)!r}?)")
            if factors[name].scope != 2 or (basis == "location" and factors[name].basis == "market"):
                raise ValueError(f"grid: {name!r} is not counted by {basis}")
        self.factors, self.by_basis = factors, by_basis

    @classmethod
    def read(cls, path: Path) -> Factors:
        """A factor file. Raises AppError with file and line."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as e:
            raise AppError(Text(f"the factors cannot be read: {e}", f"无法读取排放因子文件：{e}"), where=str(path), todo=_TODO) from None
        return cls._parsed(text, str(path))

    @classmethod
    def shipped(cls) -> Factors:
        """The starter that comes with Ronghe: China's grid, IPCC's fuels. To be checked for one's region."""
        source = files("ronghe.apps.energy.account").joinpath("factors.toml")
        return cls._parsed(source.read_text(encoding="utf-8"), "factors.toml")

    @classmethod
    def _parsed(cls, text: str, where: str) -> Factors:
        try:
            whole = tomllib.loads(text) | {"factor": _tables(text)}
            file = msgspec.convert(whole, _File)
            return cls(file.factor, file.grid)
        except tomllib.TOMLDecodeError as e:
            found = re.search(r"line (\d+)", str(e))
            line, what = int(found[1]) if found else 1, f"not TOML: {e}"
        except ValueError as e:
            what, _, at = str(e).partition(" - at `")
            line = _line(text, what, at)
        raise AppError(
            Text(f"the factors are not usable: {what}", f"排放因子文件无法使用：{what}"), where=f"{where}:{line}", todo=_TODO
        ) from None

    def __getitem__(self, name: str) -> Factor:
        """Raises AppError for one that there is not."""
        if name not in self.factors:
            meant = nearest(name, self.factors)
            hint = Text(f"did you mean {meant!r}?", f"是否想写 {meant!r}？") if meant else _TODO
            raise AppError(Text(f"there is no emission factor {name!r}", f"没有排放因子 {name!r}"), todo=hint)
        return self.factors[name]

    def version(self, name: str, time: int) -> Version:
        """What holds at `time` (ns). Raises AppError where nothing does yet."""
        known = sorted((v for v in self[name].version), key=lambda v: v.start)
        held = [v for v in known if v.begins <= time]
        if not held:
            when = datetime.fromtimestamp(time / 1e9, UTC).date()
            raise AppError(
                Text(
                    f"{name} has no value for {when}: the first is from {known[0].start}",
                    f"{name} 没有 {when} 的值：最早为 {known[0].start}",
                ),
                todo=Text("add a version to your factors.toml", "请在 factors.toml 中增加相应版本"),
            )
        return held[-1]

    def at(self, name: str, times: Times) -> NDArray[np.float64]:
        """float64[n] kg CO2e per unit at each time (ns). Raises AppError where nothing holds yet."""
        t = np.asarray(times, np.int64)
        if not len(t):
            return np.zeros(0)
        self.version(name, int(t.min()))
        known = sorted(self[name].version, key=lambda v: v.start)
        which = np.searchsorted([v.begins for v in known], t, side="right") - 1
        found: NDArray[np.float64] = np.array([v.value for v in known])[which]
        return found

    def named(self, basis: Basis) -> str:
        """The factor of bought electricity. Raises AppError where none is stated."""
        name = self.by_basis.get(basis) or self.by_basis.get("location")
        if name is None:
            raise AppError(
                Text("no factor of the grid is stated", "未指定电网排放因子"), todo=Text("add a table [grid]", "请增加 [grid] 表")
            )
        return name

    def grid(self, times: Times, basis: Basis = "location") -> NDArray[np.float64]:
        """float64[n] kg CO2e per kWh of bought electricity at each time (ns). Raises AppError where nothing holds yet."""
        name = self.named(basis)
        gain, _ = units.factor("kW.h", self[name].per)
        return self.at(name, times) * gain


def _line(text: str, what: str, at: str) -> int:
    """The line of what a path such as `$.factor[...].version[1].value` is about; names of a dict are not told: they are looked for."""
    lines = Lines(text)
    if what.startswith("grid"):
        return lines.of("grid") or 1
    for name, factor in _tables(text).items():  # the first factor that does not fit by itself
        try:
            msgspec.convert(factor, Factor)
        except ValueError:
            key = re.search(r"\]\.([a-z]+)", at)
            return lines.of("factor", name, key[1] if key else "") or 1
    return 1


def _tables(text: str) -> dict[str, Any]:
    """The factors as they stand; a title in one language only is the same in both."""
    found = tomllib.loads(text).get("factor", {})
    for factor in found.values() if isinstance(found, dict) else ():
        if isinstance(factor, dict) and isinstance(factor.get("title"), str):
            factor["title"] = {"en": factor["title"], "zh": factor["title"]}
    return found if isinstance(found, dict) else {}
