"""/api/plant and /api/dictionary: the factory on paper, as the page needs it."""

from __future__ import annotations

import gzip
from collections.abc import Iterable

import msgspec
from litestar import Response, get

from ronghe.console.desk import Call, Desk, desk_of, needs
from ronghe.console.roles import Role
from ronghe.plant import GuardSpec, Property
from ronghe.plant.checks import computed_by
from ronghe.text import Text


class TagView(msgspec.Struct, frozen=True, kw_only=True):
    """One tag. `id` is its place in the live stream, for this run of the node only; `app` is the app that computes it, if one does."""

    id: int
    tag: str
    equipment: str
    name: Text
    unit: str = ""
    type: str = "float"
    low: float | None = None
    high: float | None = None
    property: str = ""
    connection: str = ""
    address: str = ""
    every: float = 0.0  # s
    writable: bool = False
    app: str = ""


class Equipment(msgspec.Struct, frozen=True, kw_only=True):
    """One node of the equipment tree; `parent` is empty at the top."""

    path: str
    name: Text
    parent: str
    tags: list[str]
    apps: list[str]


class PlantView(msgspec.Struct, frozen=True, kw_only=True):
    """The whole plant: equipment in order of appearance, tags, and the guards by tag."""

    boot: str
    path: str
    name: Text
    equipment: list[Equipment]
    tags: list[TagView]
    guards: dict[str, GuardSpec]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the data dictionary and the tags that mean it."""

    property: Property
    tags: list[str]


@get("/api/plant", opt=needs(Role.VIEWER), sync_to_thread=False)
def plant(request: Call) -> Response[PlantView]:
    """The factory: equipment tree, tags with names, units and ranges, guards."""
    plain, packed = encoded_plant(desk_of(request))
    small = "gzip" in request.headers.get("accept-encoding", "")
    headers = {"Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if small else {})
    # Bytes are passed on as they are; the type says what they hold, for the description of the API.
    return Response(packed if small else plain, media_type="application/json", headers=headers)  # type: ignore[arg-type]


def encoded_plant(desk: Desk) -> tuple[bytes, bytes]:
    """The plant as JSON, plain and gzipped, made once: it does not change while the node runs, but for tags that apps add."""
    count = len(desk.node.index)
    if desk.plant is None or desk.plant[0] != count:
        p = desk.node.plant
        view = PlantView(boot=desk.boot, path=p.path, name=p.name, equipment=_tree(desk), tags=_tags(desk), guards=p.guards)
        plain = msgspec.json.encode(view)
        desk.plant = (count, (plain, gzip.compress(plain, 5)))
    return desk.plant[1]


@get("/api/dictionary", opt=needs(Role.VIEWER), sync_to_thread=False)
def dictionary(request: Call) -> list[Entry]:
    """The data dictionary, by short name."""
    p = desk_of(request).node.plant
    uses: dict[str, list[str]] = {}
    for tag in p.tags.values():
        uses.setdefault(tag.property, []).append(tag.tag)
    return [Entry(property=p.dictionary[name], tags=uses.get(name, [])) for name in sorted(p.dictionary)]


def _tags(desk: Desk) -> list[TagView]:
    node = desk.node
    views = []
    for number, name in enumerate(node.index.names):
        tag = node.plant.tags.get(name)
        if tag is None:
            views.append(_computed(desk, number, name))
            continue
        meaning = node.plant.property_of(name)
        views.append(
            TagView(
                id=number,
                tag=name,
                equipment=tag.equipment(),
                name=meaning.name(),
                unit=meaning.unit,
                type=meaning.type,
                low=meaning.low,
                high=meaning.high,
                property=tag.property,
                connection=tag.connection,
                address=tag.address,
                every=tag.every,
                writable=tag.writable,
            )
        )
    return views


def _computed(desk: Desk, number: int, name: str) -> TagView:
    """A tag that an app computes: `apps/APP/SIGNAL`."""
    app = computed_by(name)
    signal = name.split("/", 2)[2] if app else name
    runner = desk.node.runners.get(app)
    words = signal.replace("_", " ")
    return TagView(id=number, tag=name, equipment="", name=runner.app.signal(signal) if runner else Text(words, words), app=app)


def _tree(desk: Desk) -> list[Equipment]:
    """Every equipment path that a tag names, and all above it, parents first."""
    p = desk.node.plant
    tags: dict[str, list[str]] = {}
    for tag in p.tags.values():
        path = tag.equipment()
        for above in _lineage(path):
            tags.setdefault(above, [])
        if path:
            tags[path].append(tag.tag)
    apps: dict[str, list[str]] = {}
    for app in p.apps.values():
        apps.setdefault(app.equipment, []).append(app.name)
    return [
        Equipment(path=path, name=p.equipment_name(path), parent=path.rpartition("/")[0], tags=names, apps=apps.get(path, []))
        for path, names in tags.items()
    ]


def _lineage(path: str) -> Iterable[str]:
    parts = path.split("/") if path else []
    return ("/".join(parts[: i + 1]) for i in range(len(parts)))


HANDLERS = [plant, dictionary]
