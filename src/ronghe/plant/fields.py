"""Turns a table of plant.toml into a msgspec type field by field, so that every wrong field is told and not only the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from ronghe.errors import RongheError
from ronghe.plant.explain import explain
from ronghe.plant.problems import Problems, nearest
from ronghe.text import Text

Kind = TypeVar("Kind", bound=msgspec.Struct)


def read_fields(
    kind: type[Kind],
    table: Mapping[str, Any],
    *,
    file: str,
    line: Callable[..., int],
    problems: Problems,
    loose: frozenset[str] = frozenset(),
    folder: Path | None = None,
    given: Mapping[str, Any] | None = None,
) -> Kind | None:
    """An instance of `kind`, in which wrong fields have their default (so that checking goes on); None where that cannot be.

    `line(key)` is the line of a key. `given` are fields that the table does not hold (its own name). Fields of type `pathlib.Path`, and
    texts that say so (see `below`), are taken relative to `folder`. Fields in `loose` came from the environment as text and may be
    read as numbers.
    """
    given = given or {}
    fields = {f.encode_name: f for f in msgspec.structs.fields(kind) if f.name not in given}
    before = len(problems.found)
    values: dict[str, Any] = dict(given)
    for key, value in table.items():
        field = fields.get(key)
        if field is None:
            problems.error(file, line(key), f"unknown key {key[:80]!r}", f"未知的键 {key[:80]!r}", nearest(key, fields))
            continue
        nested = _table_type(field.type)
        if nested is not None and isinstance(value, dict):
            found = read_fields(nested, value, file=file, line=partial(line, key), problems=problems, folder=folder)
            if found is not None:
                values[field.name] = found
            continue
        try:
            values[field.name] = _value(field.type, value, key in loose, folder)
        except _NoChoice as e:
            what = f"{key} is {e.value!r}, none of {e.listed}", f"{key} 为 {e.value!r}，可选值：{e.listed}"
            problems.error(file, line(key), *what, e.meant)
        except (msgspec.ValidationError, RongheError) as e:
            text = explain(e, described(field.type))
            problems.error(file, line(key), f"{key}: {text.en}", f"{key}：{text.in_('zh')}")
    for key, field in fields.items():
        if field.required and key not in table:
            problems.error(file, line(), f"the key {key!r} is missing", f"缺少键 {key!r}")
    try:
        whole: Kind = kind(**values)  # the type's own checks between fields (__post_init__) run here
    except (ValueError, TypeError, RongheError) as e:
        if len(problems.found) == before:
            text = explain(e)
            problems.error(file, line(), text.en, text.in_("zh"))
        return None
    return whole


class _NoChoice(Exception):
    def __init__(self, value: str, choices: tuple[str, ...]) -> None:
        self.value, self.listed, self.meant = value[:80], ", ".join(choices), nearest(value, choices)


def _value(kind: Any, value: Any, loosely: bool, folder: Path | None) -> Any:
    """One value as its field's type. Raises _NoChoice, msgspec.ValidationError, or what a type's own check raises."""
    if _table_type(kind) is Text and isinstance(value, str):
        return Text(value)
    choices = get_args(bare(kind)) if get_origin(bare(kind)) is Literal else ()
    if choices and isinstance(value, str) and value not in choices:
        raise _NoChoice(value, choices)

    def path_below_folder(type_: Any, value: Any) -> Any:
        if type_ is Path and isinstance(value, str):
            return folder / value if folder else Path(value)
        raise NotImplementedError

    return below(folder, kind, msgspec.convert(value, kind, strict=not loosely, dec_hook=path_below_folder))


def described(kind: Any) -> str:
    """What a field's type says that it means, or ""."""
    metas = kind.__metadata__ if get_origin(kind) is Annotated else ()
    return " ".join(m.description for m in metas if m.description)


def bare(kind: Any) -> Any:
    """A field's type without its description."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def below(folder: Path | None, kind: Any, value: Any) -> Any:
    """A text whose field says `Meta(extra={"path": True})` as a path below `folder`; words in its "except" are no paths, nor is what begins
    with one of its "unless"."""
    paths = extras(kind)
    if folder is None or not paths.get("path") or not isinstance(value, str) or value in ("", *paths.get("except", ())):
        return value
    if value.startswith(tuple(paths.get("unless", ()))):
        return value
    return str(folder / value)


def extras(kind: Any) -> dict[str, Any]:
    """All `Meta(extra=…)` of a field's type."""
    metas = kind.__metadata__ if get_origin(kind) is Annotated else ()
    return {k: v for m in metas if m.extra for k, v in m.extra.items()}


def _table_type(kind: Any) -> type[msgspec.Struct] | None:
    """The struct type of a field that holds a table (or nothing), else None."""
    kinds = [k for k in (get_args(bare(kind)) or (bare(kind),)) if k is not type(None)]
    only = kinds[0] if len(kinds) == 1 else None
    return only if isinstance(only, type) and issubclass(only, msgspec.Struct) else None
