"""Checks between the parts of a plant folder: every reference holds, every unit converts, every limit makes sense."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from ronghe.errors import RongheError
from ronghe.plant import units
from ronghe.plant.model import CentreSpec, Connection, Property, Tag, takes
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.quantity import parse_bandwidth, parse_size
from ronghe.signals.when import parse_duration

TAGS: Final = "tags.csv"
DICTIONARY: Final = "dictionary.csv"
PLANT: Final = "plant.toml"
RESERVED: Final = "apps"
"""The first word of the tags under which the signals of apps are kept."""

_PART: Final = re.compile(r"\w[\w.\-]*")
_IRDI: Final = re.compile(r"\d{4}[-/][\w/\-:.]*#\S+")
_LONGEST: Final = 250  # characters of a tag
_LEAST_KEPT: Final = 3_600_000_000_000  # ns


def legal_path(path: str) -> bool:
    """Whether a path's parts, between single "/", are words of letters, digits, "_", "-" and "."."""
    return len(path) <= _LONGEST and all(_PART.fullmatch(part) for part in path.split("/"))


def computed_by(tag: str) -> str:
    """The app whose signal a tag `apps/APP/SIGNAL` is; empty for any other tag. Signals are numbers without unit."""
    first, _, rest = tag.partition("/")
    app, _, signal = rest.partition("/")
    return app if first == RESERVED and signal else ""


def check_path(file: str, line: int, what: tuple[str, str], path: str, problems: Problems) -> None:
    """Tells an illegal path of an equipment or tag, with the legal one nearest to it."""
    if not legal_path(path):
        meant = "/".join(p for part in path.split("/") if (p := re.sub(r"[^\w.\-]+", "_", part.strip()).strip("_")))
        problems.error(
            file,
            line,
            f"the {what[0]} {path[:80]!r} is not a path of words (letters, digits, '_', '-', '.') between '/'",
            f"{what[1]} {path[:80]!r} 不合法：各级由字母、数字、汉字、'_'、'-'、'.' 组成，以 '/' 分隔",
            meant if legal_path(meant) and meant != path else "",
        )


def check_word(file: str, line: int, what: tuple[str, str], word: str, problems: Problems) -> None:
    """Tells an illegal name of a property, connection or app (an app's is also a folder's)."""
    if not _PART.fullmatch(word) or len(word) > _LONGEST:
        meant = re.sub(r"[^\w.\-]+", "_", word.strip()).strip("_.-")
        problems.error(
            file,
            line,
            f"the {what[0]} {word[:80]!r} is not one word (letters, digits, '_', '-', '.')",
            f"{what[1]} {word[:80]!r} 应为一个词（字母、数字、汉字、'_'、'-'、'.'）",
            meant if _PART.fullmatch(meant) and meant != word else "",
        )


def check_dictionary(rows: list[tuple[int, Property]], problems: Problems) -> dict[str, Property]:
    """The dictionary by property; units, limits and doubles checked."""
    found: dict[str, Property] = {}
    lines: dict[str, int] = {}
    for line, p in rows:
        if p.property in found:
            first = lines[p.property]
            problems.error(
                DICTIONARY,
                line,
                f"the property {p.property!r} was already given in line {first}",
                f"属性 {p.property!r} 已在第 {first} 行定义",
            )
            continue
        found[p.property], lines[p.property] = p, line
        check_word(DICTIONARY, line, ("property", "属性名"), p.property, problems)
        if p.irdi and not _IRDI.fullmatch(p.irdi):
            problems.warn(
                DICTIONARY,
                line,
                f"irdi {p.irdi[:80]!r} does not look like 0173-1#02-AAR550#003",
                f"irdi {p.irdi[:80]!r} 不像 0173-1#02-AAR550#003",
            )
        _check_unit(DICTIONARY, line, p.unit, problems)
        article = {"text": "a text", "image": "an image"}.get(p.type, "")
        if article and (p.unit or p.low is not None or p.high is not None):
            problems.error(DICTIONARY, line, f"{article} has neither unit nor low nor high", f"{p.type} 类型没有单位和上下限")
        elif p.low is not None and p.high is not None and not p.low < p.high:
            problems.error(DICTIONARY, line, f"low {p.low:g} is not below high {p.high:g}", f"low {p.low:g} 不小于 high {p.high:g}")
    return found


def _check_unit(file: str, line: int, unit: str, problems: Problems) -> None:
    try:
        units.parse(unit)
    except RongheError as e:
        problems.raised(file, line, e, "unit", units.suggest(unit))


def check_tags(
    rows: list[tuple[int, Tag]],
    dictionary: dict[str, Property],
    connections: dict[str, Any],
    drivers: dict[str, Any],
    problems: Problems,
) -> dict[str, Tag]:
    """The tags by name; references, units and addresses checked. `connections` holds every name written, `drivers` the types that load."""
    found: dict[str, Tag] = {}
    lines: dict[str, int] = {}
    addresses: dict[tuple[str, str], int] = {}
    for line, t in rows:
        if t.tag in found:
            problems.error(
                TAGS, line, f"the tag {t.tag!r} was already given in line {lines[t.tag]}", f"测点 {t.tag!r} 已在第 {lines[t.tag]} 行定义"
            )
            continue
        found[t.tag], lines[t.tag] = t, line
        check_path(TAGS, line, ("tag", "测点"), t.tag, problems)
        if t.tag.split("/")[0] == RESERVED:
            problems.error(TAGS, line, f"{RESERVED!r} is kept for what apps compute", f"{RESERVED!r} 保留给应用的计算结果")
        prop = dictionary.get(t.property)
        if prop is None:
            problems.error(
                TAGS,
                line,
                f"no property {t.property[:80]!r} in dictionary.csv",
                f"dictionary.csv 中没有属性 {t.property[:80]!r}",
                nearest(t.property, dictionary),
            )
        else:
            _check_scaling(line, t, prop, problems)
        _check_source(line, t, prop, connections, drivers, problems)
        if t.connection and t.address:
            first = addresses.setdefault((t.connection, t.address), line)
            if first != line:
                problems.warn(TAGS, line, f"the same address as in line {first}", f"与第 {first} 行地址相同")
    return found


def _check_scaling(line: int, t: Tag, prop: Property, problems: Problems) -> None:
    if prop.type in ("bool", "text", "image") and (t.unit or t.scale != 1.0 or t.offset != 0.0):
        problems.error(TAGS, line, f"a {prop.type} has neither unit nor scale nor offset", f"{prop.type} 类型没有单位、比例和偏移")
    elif t.unit and not is_unit(t.unit):
        _check_unit(TAGS, line, t.unit, problems)
    elif t.unit and is_unit(prop.unit):
        try:
            units.factor(t.unit, prop.unit)
        except RongheError as e:
            problems.raised(TAGS, line, e, f"unit ({t.property})")
    if t.scale == 0.0:
        problems.error(TAGS, line, "scale is 0: every value would be the same", "scale 为 0：所有值都会相同")


def _check_source(
    line: int, t: Tag, prop: Property | None, connections: dict[str, Any], drivers: dict[str, Any], problems: Problems
) -> None:
    if not t.connection:
        if t.address:
            problems.error(TAGS, line, f"an address {t.address[:80]!r} without a connection", f"有地址 {t.address[:80]!r} 却没有连接")
        return
    if t.connection not in connections:
        problems.error(
            TAGS,
            line,
            f"no connection {t.connection[:80]!r} in plant.toml",
            f"plant.toml 中没有连接 {t.connection[:80]!r}",
            nearest(t.connection, connections),
        )
        return
    if not t.address:
        problems.error(TAGS, line, "the address is missing", "缺少地址")
        return
    driver = drivers.get(t.connection)
    if driver is None or prop is None:
        return
    if prop.type == "image" and not driver.gives_pictures:
        problems.error(
            TAGS, line, f"{t.property} is an image, {driver.name} gives numbers", f"{t.property} 为图像，{driver.name} 只提供数值"
        )
        return
    try:
        wrong = driver.check_address(t.address, prop.type)
    except Exception as e:  # a third party's check must not hide the rest
        problems.error(TAGS, line, f"the driver cannot check this address: {e!r}", f"驱动无法检查该地址：{e!r}")
        return
    if wrong is not None:
        problems.error(TAGS, line, f"address {t.address[:80]!r}: {wrong.en}", f"地址 {t.address[:80]!r}：{wrong.in_('zh')}")


def is_unit(unit: str) -> bool:
    """Whether a unit is UCUM."""
    try:
        units.parse(unit)
    except RongheError:
        return False
    return True


def check_equipment(equipment: str, line: int, tags: dict[str, Tag], problems: Problems) -> None:
    """An equipment has at least one tag."""
    if equipment and not any(t == equipment or t.startswith(equipment + "/") for t in tags):
        known = {"/".join(t.split("/")[:n]) for t in tags for n in range(1, t.count("/") + 1)}
        problems.error(
            PLANT,
            line,
            f"equipment: no tag lies below {equipment[:80]!r}",
            f"equipment：{equipment[:80]!r} 之下没有测点",
            nearest(equipment, known),
        )


def check_keep(keep: str, line: int, problems: Problems) -> None:
    """How long samples are kept is long enough for what is measured over them; a slip of "400ms" would empty the store."""
    try:
        if parse_duration(keep) < _LEAST_KEPT:
            problems.error(PLANT, line, f"keep: {keep[:80]} is less than an hour", f"keep：{keep[:80]} 不足一小时")
    except RongheError as e:
        problems.raised(PLANT, line, e, "keep")


def check_centre(centre: CentreSpec, line: Callable[..., int], tags: Collection[str], apps: Collection[str], problems: Problems) -> None:
    """What goes to the centre exists, and its limits are a bandwidth and a size."""
    for pattern in centre.send:
        app = f"{RESERVED}/{computed_by(pattern)}" if computed_by(pattern) else ""
        known = any(takes(pattern, tag) for tag in tags) or any(takes(app or pattern, f"{RESERVED}/{name}") for name in apps)
        if not known:
            places = {"/".join(t.split("/")[:n]) for t in tags for n in range(1, t.count("/") + 2)} | {f"{RESERVED}/{a}" for a in apps}
            what = f"send: no tag is called {pattern[:80]!r}", f"send：没有与 {pattern[:80]!r} 相符的测点"
            problems.error(PLANT, line("send"), *what, nearest(pattern, places))
    for key, parse in (("bandwidth", parse_bandwidth), ("most", parse_size)):
        text = getattr(centre, key)
        try:
            if text or key == "most":
                parse(text)
        except RongheError as e:
            problems.raised(PLANT, line(key), e, key)


def check_use(connections: dict[str, Connection], tags: dict[str, Tag], line: Callable[..., int], problems: Problems) -> None:
    """Warns of connections that no tag uses."""
    used = {t.connection for t in tags.values()}
    for name in connections:
        if name not in used:
            problems.warn(PLANT, line("connections", name), f"no tag uses the connection {name!r}", f"没有测点使用连接 {name!r}")
