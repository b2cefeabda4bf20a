"""Reads a plant folder whole: plant.toml, tags.csv and dictionary.csv, with every problem found at once."""

from __future__ import annotations

import logging
import re
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from ronghe import plugins
from ronghe.errors import PlantError, Problem, RongheError
from ronghe.plant import checks
from ronghe.plant.checks import DICTIONARY, PLANT, TAGS
from ronghe.plant.fields import read_fields
from ronghe.plant.limits import GuardCheck
from ronghe.plant.locate import Lines
from ronghe.plant.model import (
    AppSpec,
    CentreSpec,
    Connection,
    Equipment,
    GuardSpec,
    HistorianSpec,
    Lapse,
    Placing,
    Plant,
    Property,
    SiteSpec,
    Tag,
    TwinSpec,
)
from ronghe.plant.options import Find, OptionReader
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.table import read_table
from ronghe.plant.textfile import read_text
from ronghe.text import Text

CheckGuard = Callable[[GuardSpec, Plant], Iterable[tuple[str, RongheError]]]
"""What is wrong with the conditions of a guard: (key of the guard's table, error) each."""

_log: Final = logging.getLogger(__name__)
_DRIVERS: Final = "ronghe.drivers"
_APPS: Final = "ronghe.apps"
_TWINS: Final = "ronghe.twins"
_OF_APPS: Final = ("uses", "equipment", "lapse", "place")  # keys that the table of any app may have
_Own = TypeVar("_Own", bound=msgspec.Struct)


def load(
    folder: Path | str,
    *,
    drivers: Find | None = None,
    apps: Find | None = None,
    check_guard: CheckGuard | None = None,
    secrets: bool = True,
) -> Plant:
    """Reads and checks a plant folder. Raises PlantError with every problem found; warnings are logged.

    `drivers` and `apps` give the type of a name and default to what is installed. Options of type `pathlib.Path` are resolved below the
    folder; `{ env = "NAME" }` in options is replaced from the environment. `check_guard` checks the conditions of a guard, whose language
    is not known here. With `secrets=False` a missing environment variable is only a warning: for checking a folder elsewhere than at home.
    """
    plant, problems = examine(folder, drivers=drivers, apps=apps, check_guard=check_guard, secrets=secrets)
    if plant is None:
        raise PlantError(problems, where=str(folder))
    for problem in problems:
        _log.warning("%s", problem.in_("en"))
    return plant


def examine(
    folder: Path | str,
    *,
    drivers: Find | None = None,
    apps: Find | None = None,
    check_guard: CheckGuard | None = None,
    secrets: bool = True,
) -> tuple[Plant | None, list[Problem]]:
    """As `load`, but never raises PlantError: the plant, or None where anything is an error, and all problems and warnings."""
    home = Path(folder)
    problems = Problems()
    if not home.is_dir():
        if home.is_file():
            problems.error(
                str(folder), 0, "is a file; name the plant folder that it lies in", "是文件；请给出其所在的工厂文件夹", str(home.parent)
            )
        else:
            problems.error(str(folder), 0, "no such folder", "没有该文件夹")
        return None, problems.found
    home = home.resolve()
    document = _read_toml(home / PLANT, problems)
    properties = read_table(home / DICTIONARY, Property, problems)
    rows = read_table(home / TAGS, Tag, problems)
    dictionary = checks.check_dictionary(properties, problems)
    if document is None:
        checks.check_tags(rows, dictionary, _Anything(), {}, problems)
        return None, problems.sorted()
    reader = _Reader(document.tables, document.lines, home, problems, secrets)
    path, name = reader.plant()
    connections, types = reader.connections(drivers)
    tags = checks.check_tags(rows, dictionary, document.table("connections"), types, problems)
    checks.check_use(connections, tags, document.lines.of, problems)
    plant = Plant(
        path=path,
        name=name,
        folder=str(home),
        dictionary=dictionary,
        tags=tags,
        connections=connections,
        apps=reader.apps(apps, tags),
        sites=reader.sites(),
        twins=reader.twins(),
        guards=reader.guards(tags, dictionary, document),
        equipment=reader.equipment(tags),
        historian=reader.historian(),
        centre=reader.centre(tags, document),
    )
    if check_guard is not None and not problems.errors(TAGS, DICTIONARY):
        told = {p.line for p in problems.found if p.file == PLANT}
        for guard in plant.guards.values():
            for key, e in check_guard(guard, plant):
                line = document.lines.of("guards", guard.tag, key)
                if line not in told:
                    problems.raised(PLANT, line, e, key)
    return (None if problems.errors() else plant), problems.sorted()


class _Anything(dict[str, Any]):
    """Holds every name: stands for the connections while plant.toml cannot be read, so that no tag is blamed for it."""

    def __contains__(self, name: object) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class _Document:
    tables: dict[str, Any]
    lines: Lines

    def table(self, name: str) -> dict[str, Any]:
        found = self.tables.get(name, {})
        return found if isinstance(found, dict) else {}


def _read_toml(path: Path, problems: Problems) -> _Document | None:
    text = read_text(path, problems)
    if text is None:
        return None
    try:
        return _Document(tomllib.loads(text), Lines(text))
    except tomllib.TOMLDecodeError as e:
        _explain_toml(str(e), text, problems)
    except RecursionError:
        problems.error(PLANT, 0, "lists and tables are nested too deep", "列表或表嵌套过深")
    except ValueError as e:  # a number of thousands of digits, a date that is none
        problems.error(PLANT, 0, f"not valid TOML: {e}", f"TOML 语法错误：{e}")
    return None


def _explain_toml(message: str, text: str, problems: Problems) -> None:
    at = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    line = int(at[1]) if at else text.count("\n") + 1
    written = text.split("\n")[line - 1] if line <= text.count("\n") + 1 else ""
    message = message[: at.start()] if at else re.sub(r" \(at end of document\)$", "", message)
    en, zh = "", ""
    if wide := re.search(r"[“”‘’＝，［］｛｝]", written):
        en, zh = f" ({wide[0]!r} is a full-width sign; TOML needs the plain one)", f"（{wide[0]!r} 是全角符号，TOML 需用半角）"
    elif "backslash" in message or ("\\" in written and "escape" in message.lower()):
        en, zh = " (write paths with '/' or in single quotes)", "（路径请用 '/' 或单引号）"
    problems.error(PLANT, line, f"not valid TOML: {message}{en}", f"TOML 语法错误：{message}{zh}")


@dataclass(slots=True)
class _Reader:
    """Reads the tables of plant.toml."""

    tables: dict[str, Any]
    lines: Lines
    home: Path
    problems: Problems
    secrets: bool

    def plant(self) -> tuple[str, Text]:
        """(path, name) of the `[plant]` table."""
        known = ("plant", "equipment", "historian", "centre", "connections", "apps", "sites", "twins", "guards")
        for key in self.tables:
            if key not in known:
                what = f"unknown table {key[:80]!r}; possible: {', '.join(known)}", f"未知的表 {key[:80]!r}；可用：{', '.join(known)}"
                self.problems.error(PLANT, self.lines.of(key), *what, nearest(key, known))
        if "plant" not in self.tables:
            self.problems.error(PLANT, 1, "the table [plant] is missing", "缺少 [plant] 表")
        table = self._table("plant")
        if "plant" not in self.tables:
            return "", Text("")
        head = read_fields(Head, table, file=PLANT, line=partial(self.lines.of, "plant"), problems=self.problems)
        if head is None:
            return "", Text("")
        checks.check_path(PLANT, self.lines.of("plant", "path"), ("path", "路径"), head.path, self.problems)
        return head.path, head.name or Text(head.path.rpartition("/")[2])

    def historian(self) -> HistorianSpec:
        """The `[historian]` table."""
        line = partial(self.lines.of, "historian")
        spec = read_fields(HistorianSpec, self._table("historian"), file=PLANT, line=line, problems=self.problems)
        if spec is None:
            return HistorianSpec()
        if spec.keep:
            checks.check_keep(spec.keep, line("keep"), self.problems)
        return spec

    def centre(self, tags: dict[str, Tag], document: _Document) -> CentreSpec:
        """The `[centre]` table."""
        line = partial(self.lines.of, "centre")
        spec = read_fields(CentreSpec, self._table("centre"), file=PLANT, line=line, problems=self.problems)
        if spec is None:
            return CentreSpec()
        checks.check_centre(spec, line, tags, document.table("apps"), self.problems)
        return spec

    def connections(self, find: Find | None) -> tuple[dict[str, Connection], dict[str, Any]]:
        """The connections, and the driver type of each that loads."""
        reader = self._options()
        found: dict[str, Connection] = {}
        types: dict[str, Any] = {}
        for name, table in self._named("connections"):
            path = ("connections", name)
            driver = self._word(table, path, "driver")
            if driver is None:
                continue
            known = plugins.names(_DRIVERS) if find is None else []
            kind = reader.kind(find or partial(plugins.load, _DRIVERS), driver, ("driver", "驱动"), known, self.lines.of(*path, "driver"))
            options = reader.read(kind and kind.Options, {k: v for k, v in table.items() if k != "driver"}, path)
            if kind is None:
                continue
            types[name] = kind
            found[name] = Connection(name=name, driver=driver, options=options)
        return found, types

    def apps(self, find: Find | None, tags: dict[str, Tag]) -> dict[str, AppSpec]:
        """The apps; their equipment has tags."""
        reader = self._options()
        found: dict[str, AppSpec] = {}
        for name, table in self._named("apps"):
            path = ("apps", name)
            uses = self._word(table, path, "uses")
            equipment = self._word(table, path, "equipment") if "equipment" in table else ""
            if equipment:
                checks.check_equipment(equipment, self.lines.of(*path, "equipment"), tags, self.problems)
            if uses is None:
                continue
            known = plugins.names(_APPS) if find is None else []
            kind = reader.kind(find or partial(plugins.load, _APPS), uses, ("app", "应用"), known, self.lines.of(*path, "uses"))
            options = reader.read(kind and kind.Options, {k: v for k, v in table.items() if k not in _OF_APPS}, path)
            lapse = self._own(Lapse, "lapse", table, path)
            place = self._own(Placing, "place", table, path)
            if place is not None:
                self._known_sites(place, path)
            if kind is None:
                continue
            found[name] = AppSpec(name=name, uses=uses, equipment=equipment or "", lapse=lapse, place=place, options=options)
        return found

    def _own(self, kind: type[_Own], key: str, table: dict[str, Any], path: tuple[str, ...]) -> _Own | None:
        """A table that every app may have."""
        given = table.get(key)
        if given is None:
            return None
        if not isinstance(given, dict):
            self.problems.error(PLANT, self.lines.of(*path, key), f"{key} is no table", f"{key} 不是表")
            return None
        return read_fields(kind, given, file=PLANT, line=partial(self.lines.of, *path, key), problems=self.problems)

    def _known_sites(self, place: Placing, path: tuple[str, ...]) -> None:
        known = self._table("sites")
        for site in place.sites or ():
            if site not in known:
                what = f"there is no [sites.{site[:80]}]", f"没有 [sites.{site[:80]}]"
                self.problems.error(PLANT, self.lines.of(*path, "place", "sites"), *what, nearest(site, known))

    def sites(self) -> dict[str, SiteSpec]:
        """The sites; one at most is this node."""
        reader = self._options()
        found: dict[str, SiteSpec] = {}
        for name, table in self._named("sites"):
            spec = reader.read(SiteSpec, table, ("sites", name))
            if spec is None:
                continue
            here = next((n for n, s in found.items() if not s.url), None)
            if not spec.url and here is not None:
                what = f"{here} and {name} have no url: only one can be this node", f"{here} 与 {name} 均无 url：本节点只能有一个"
                self.problems.error(PLANT, self.lines.of("sites", name), *what)
            found[name] = spec
        return found

    def equipment(self, tags: dict[str, Tag]) -> dict[str, Equipment]:
        """The names of equipment; there is a tag below each."""
        found: dict[str, Equipment] = {}
        for path, table in self._named("equipment", own=("name",), example="line1/pump1"):
            line = partial(self.lines.of, "equipment", path)
            checks.check_equipment(path, line(), tags, self.problems)
            equipment = read_fields(Equipment, table, file=PLANT, line=line, problems=self.problems)
            if equipment is not None:
                found[path] = equipment
        return found

    def twins(self) -> dict[str, TwinSpec]:
        """The twins; that their models can be read is looked at by `ronghe.guard.trialcheck`."""
        reader = self._options()
        found: dict[str, TwinSpec] = {}
        for name, table in self._named("twins"):
            path = ("twins", name)
            uses = self._word(table, path, "uses")
            if uses is None:
                continue
            find, known = partial(plugins.load, _TWINS), plugins.names(_TWINS)
            kind = reader.kind(find, uses, ("twin", "孪生体"), known, self.lines.of(*path, "uses"))
            options = reader.read(kind and kind.Options, {k: v for k, v in table.items() if k != "uses"}, path)
            found[name] = TwinSpec(name=name, uses=uses, options=options)  # also where it fails: no guard is blamed for it
        return found

    def guards(self, tags: dict[str, Tag], dictionary: dict[str, Property], document: _Document) -> dict[str, GuardSpec]:
        """The guards; their limits fit their tags."""
        apps, twins = document.table("apps"), document.table("twins")
        found: dict[str, GuardSpec] = {}
        for tag, table in self._named("guards", own=("worth",), example="line1/pump1/speed"):
            line = partial(self.lines.of, "guards", tag)
            guard = read_fields(GuardSpec, table, file=PLANT, line=line, problems=self.problems, given={"tag": tag})
            if guard is not None:
                found[tag] = guard
                GuardCheck(guard, tags, dictionary, apps, twins, self.lines.of, self.problems).all()
        return found

    def _options(self) -> OptionReader:
        return OptionReader(PLANT, self.home, self.lines.of, self.problems, self.secrets)

    def _table(self, name: str) -> dict[str, Any]:
        table = self.tables.get(name, {})
        if isinstance(table, dict):
            return table
        self.problems.error(PLANT, self.lines.of(name), f"{name} must be a table: [{name}]", f"{name} 应为表：[{name}]")
        return {}

    def _named(self, group: str, *, own: tuple[str, ...] = (), example: str = "") -> Iterable[tuple[str, dict[str, Any]]]:
        """(name, table) of a group. Where names are paths, `example` is one, and `own` are the keys that hold tables themselves."""
        for name, table in self._table(group).items():
            if not isinstance(table, dict):
                header = f'[{group}."{name}"]' if example else f"[{group}.{name}]"
                self.problems.error(
                    PLANT, self.lines.of(group, name), f"{name[:80]} must be a table: {header}", f"{name[:80]} 应为表：{header}"
                )
            elif example and "/" not in name and any(isinstance(v, dict) and k not in own for k, v in table.items()):
                what = f'write the path in quotes: [{group}."{example}"]', f'路径请加引号：[{group}."{example}"]'
                self.problems.error(PLANT, self.lines.of(group, name), *what)
            else:
                if not example:
                    checks.check_word(PLANT, self.lines.of(group, name), ("name", "名称"), name, self.problems)
                yield name, table

    def _word(self, table: dict[str, Any], path: tuple[str, ...], key: str) -> str | None:
        value = table.get(key)
        if isinstance(value, str) and value:
            return value
        if key not in table:
            near = nearest(key, table)
            self.problems.error(PLANT, self.lines.of(*path), f"the key {key!r} is missing", f"缺少键 {key!r}", near)
        else:
            self.problems.error(PLANT, self.lines.of(*path, key), f"{key}: expected a text in quotes", f"{key}：应为带引号的文本")
        return None


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The `[plant]` table."""

    path: Annotated[str, Meta(description="enterprise/site/area (ISA-95)")]
    name: Annotated[Text | None, Meta(description="what people call it; else the last word of its path")] = None
