"""The committed schema and reference page are those that the types give."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ronghe.plant import reference, schema
from ronghe.plant.folder import Head
from ronghe.plant.model import CentreSpec, Equipment, GuardSpec, HistorianSpec, Property, Tag, Worth

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(("name", "made"), [("schema/plant.schema.json", schema.text), ("plant-folder.md", reference.page)])
def test_the_committed_files_are_the_generated_ones(name: str, made: Any) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == made(), "run: python -m ronghe.plant.schema"


def test_write_writes_both(tmp_path: Path) -> None:
    schema.write(tmp_path)
    assert (tmp_path / "plant-folder.md").read_text(encoding="utf-8") == reference.page()
    assert json.loads((tmp_path / "schema" / "plant.schema.json").read_text(encoding="utf-8")) == json.loads(schema.text())


def refs(part: Any) -> list[str]:
    if isinstance(part, dict):
        return (
            [part["$ref"], *refs({k: v for k, v in part.items() if k != "$ref"})]
            if "$ref" in part
            else [r for v in part.values() for r in refs(v)]
        )
    return [r for v in part for r in refs(v)] if isinstance(part, list) else []


def test_every_reference_leads_somewhere_and_every_object_is_closed() -> None:
    made = schema.schema()
    assert {r.removeprefix("#/$defs/") for r in refs(made)} == set(made["$defs"])

    def closed(part: Any) -> bool:
        if isinstance(part, list):
            return all(closed(p) for p in part)
        if not isinstance(part, dict):
            return True
        return (part.get("type") != "object" or "additionalProperties" in part) and all(closed(v) for v in part.values())

    assert closed(made)


def test_the_schema_knows_every_key_of_a_real_folder() -> None:
    made = schema.schema(ours=True)["properties"]
    document = tomllib.loads(files("ronghe.plant.starter").joinpath("plant.toml").read_text(encoding="utf-8"))
    assert set(document) <= set(made)
    for group, name in (("connections", "driver"), ("apps", "uses")):
        for table in document[group].values():
            known = [t for t in made[group]["additionalProperties"]["oneOf"] if t["properties"][name]["const"] == table[name]]
            assert len(known) == 1
            assert set(known[0]["required"]) <= set(table) <= set(known[0]["properties"])


@pytest.mark.parametrize("kind", [Head, Equipment, HistorianSpec, CentreSpec, Property, Tag, GuardSpec, Worth])
def test_every_field_says_what_it_means(kind: type[msgspec.Struct]) -> None:
    for field in msgspec.structs.fields(kind):
        assert reference.meaning(field.type), field.name
