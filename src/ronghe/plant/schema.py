"""The JSON Schema (2020-12) of plant.toml, made from the types that parse it.

`python -m ronghe.plant.schema [DOCS]` writes it and the reference page.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe import plugins
from ronghe.errors import RongheError
from ronghe.plant.folder import Head
from ronghe.plant.model import AppSpec, CentreSpec, Connection, Equipment, GuardSpec, HistorianSpec, SiteSpec, TwinSpec

_ENV: Final = {
    "title": "Secret",
    "description": "taken from an environment variable when the plant is loaded",
    "type": "object",
    "properties": {"env": {"type": "string", "description": "name of the variable"}},
    "required": ["env"],
    "additionalProperties": False,
}


def installed(group: str, *, ours: bool = False) -> dict[str, type[msgspec.Struct]]:
    """The Options type of everything in a group ("ronghe.drivers", "ronghe.apps", "ronghe.twins") that imports, by name; `ours`: only those
    of Ronghe."""
    found = {}
    for entry in sorted(entry_points(group=group), key=lambda e: e.name):
        if not ours or entry.value.startswith("ronghe."):
            try:
                found[entry.name] = plugins.load(group, entry.name).Options
            except RongheError:  # told where a folder uses it
                continue
    return found


def schema(*, ours: bool = False) -> dict[str, Any]:
    """The schema of plant.toml with the options of everything installed; `ours`: only of what comes with Ronghe."""
    drivers, apps, twins = (installed(f"ronghe.{group}", ours=ours) for group in ("drivers", "apps", "twins"))
    kinds = (
        Head,
        Equipment,
        HistorianSpec,
        CentreSpec,
        GuardSpec,
        Connection,
        AppSpec,
        SiteSpec,
        TwinSpec,
        *drivers.values(),
        *apps.values(),
        *twins.values(),
    )
    refs, parts = msgspec.json.schema_components(kinds, schema_hook=_other_types, ref_template="#/$defs/{name}")
    named = {kind: parts[ref["$ref"].removeprefix("#/$defs/")] for kind, ref in zip(kinds, refs, strict=True)}
    for kind in kinds:
        parts.pop(next(name for name, part in parts.items() if part is named[kind]), None)
    for part in parts.values():
        if part.get("type") == "object":
            part["additionalProperties"] = False
    guard = _closed(named[GuardSpec], without=("tag",))
    site = _closed(named[SiteSpec])
    site["properties"]["title"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Text"}]}
    site["properties"]["api_key"] = {"$ref": "#/$defs/Secret"}
    plugged = {
        "connections": [_plugged(named[Connection], "driver", (), name, named[kind]) for name, kind in drivers.items()],
        "apps": [_plugged(named[AppSpec], "uses", ("equipment", "lapse", "place"), name, named[kind]) for name, kind in apps.items()],
        "twins": [_plugged(named[TwinSpec], "uses", (), name, named[kind]) for name, kind in twins.items()],
    }
    head, equipment = _closed(named[Head]), _closed(named[Equipment])
    for part in (head, equipment):
        part["properties"]["name"] = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Text"}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "plant.toml",
        "description": "What a plant is and what runs on it; beside tags.csv and dictionary.csv. Generated from ronghe.plant.",
        "type": "object",
        "properties": {
            "plant": head,
            "historian": _closed(named[HistorianSpec]),
            "centre": _closed(named[CentreSpec]),
            "equipment": {"type": "object", "additionalProperties": equipment},
            **{key: {"type": "object", "additionalProperties": {"oneOf": tables}} for key, tables in plugged.items()},
            "sites": {"type": "object", "additionalProperties": site},
            "guards": {"type": "object", "additionalProperties": guard},
        },
        "required": ["plant"],
        "additionalProperties": False,
        "$defs": {**dict(sorted(parts.items())), "Secret": _ENV},
    }


def _other_types(kind: type) -> dict[str, Any]:
    if issubclass(kind, Path):
        return {"type": "string", "format": "path"}
    raise NotImplementedError


def _closed(part: dict[str, Any], *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """An object that admits no other keys."""
    properties = {k: v for k, v in part["properties"].items() if k not in without}
    required = [k for k in part.get("required", []) if k not in without]
    closed = {**part, "properties": properties, "additionalProperties": False}
    return {**closed, "required": required} if required else {k: v for k, v in closed.items() if k != "required"}


def _plugged(spec: dict[str, Any], key: str, more: tuple[str, ...], name: str, options: dict[str, Any]) -> dict[str, Any]:
    """The table of one driver or app: its name, and its options, each of which may be a secret."""
    own = spec["properties"]
    properties = {key: {**own[key], "const": name}, **{k: own[k] for k in more}}
    for option, what in options["properties"].items():
        described = {k: what[k] for k in ("description", "default") if k in what}
        rest = {k: v for k, v in what.items() if k not in described}
        properties[option] = {**described, "anyOf": [rest, {"$ref": "#/$defs/Secret"}]}
    return {
        "title": name,
        "description": options.get("description", ""),
        "type": "object",
        "properties": properties,
        "required": [key, *options.get("required", [])],
        "additionalProperties": False,
    }


def write(docs: Path) -> None:
    """Writes docs/schema/plant.schema.json and docs/plant-folder.md."""
    from ronghe.plant.reference import page

    (docs / "schema").mkdir(parents=True, exist_ok=True)
    (docs / "schema" / "plant.schema.json").write_text(text(), encoding="utf-8")
    (docs / "plant-folder.md").write_text(page(), encoding="utf-8")


def text() -> str:
    """The schema of what comes with Ronghe, as its file holds it."""
    return msgspec.json.format(msgspec.json.encode(schema(ours=True)), indent=2).decode() + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
