"""Browsing: the variables of a server's address space, level by level, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from asyncua import ua

from ronghe.connect.driver import Found
from ronghe.connect.opcua import address, units
from ronghe.connect.opcua.session import Session, chunks, complete, is_good
from ronghe.connect.opcua.values import built_in
from ronghe.errors import BadAddress
from ronghe.plant.model import ValueType
from ronghe.text import Text

_OBJECTS: Final = ua.NodeId(ua.UInt32(ua.ObjectIds.ObjectsFolder))
_SERVER: Final = ua.NodeId(ua.UInt32(ua.ObjectIds.Server))
_PROPERTY: Final = ua.ObjectIds.PropertyType
_WRITE: Final = 0x02  # bit of AccessLevel
_FLOATS: Final = {ua.VariantType.Float, ua.VariantType.Double}
_TEXTS: Final = {ua.VariantType.String, ua.VariantType.LocalizedText}
_INTEGERS: Final = {ua.VariantType[f"{sign}Int{bits}"] for sign in ("", "U") for bits in (16, 32, 64)} | {
    ua.VariantType.SByte,
    ua.VariantType.Byte,
}


@dataclass(slots=True)
class _Node:
    id: ua.NodeId
    path: str
    unit: ua.NodeId | None = None


async def variables(session: Session, under: str) -> list[Found]:
    """Every variable below `under` (an address, a path of browse names below Objects, or empty for all) that holds one number or text.
    A node that is reached by several ways is listed once. Raises BadAddress, ConnectError."""
    start, prefix = await _start(session, under)
    found: list[_Node] = []
    seen = {start}
    level: list[tuple[ua.NodeId, str, _Node | None]] = [(start, prefix, None)]
    while level:
        below = []
        for (_, path, parent), references in zip(level, await _children(session, [n for n, _, _ in level]), strict=True):
            for r in references:
                node = ua.NodeId(r.NodeId.Identifier, ua.Int16(r.NodeId.NamespaceIndex))
                name = r.BrowseName.Name or ""
                if parent is not None and name == "EngineeringUnits" and r.BrowseName.NamespaceIndex == 0:
                    parent.unit = node
                if node in seen or (node == _SERVER and not under) or _is_property(r):
                    continue
                seen.add(node)
                here = f"{path}/{name}" if path else name
                mine = None
                if r.NodeClass == ua.NodeClass.Variable:
                    mine = _Node(node, here)
                    found.append(mine)
                below.append((node, here, mine))
        level = below
    return await _described(session, found)


async def _start(session: Session, under: str) -> tuple[ua.NodeId, str]:
    if not under:
        return _OBJECTS, ""
    if address.problem(under) is None:
        node = address.node_id(under, session.namespaces)
        if node is not None:
            return node, ""
    node = _OBJECTS
    walked: list[str] = []
    for part in under.strip("/").split("/"):
        names = {r.BrowseName.Name or "": r.NodeId for r in (await _children(session, [node]))[0]}
        if part not in names:
            have = ", ".join(sorted(names)[:12])
            raise BadAddress(
                Text(f"nothing called {part!r} below {'/'.join(walked) or 'Objects'}", f"{'/'.join(walked) or 'Objects'} 下没有 {part!r}"),
                where=session.options.url,
                todo=Text(f"there are: {have}", f"其下有：{have}"),
            )
        walked.append(part)
        node = ua.NodeId(names[part].Identifier, ua.Int16(names[part].NamespaceIndex))
    return node, "/".join(walked)


def _is_property(reference: ua.ReferenceDescription) -> bool:
    kind = reference.TypeDefinition
    return bool(kind.NamespaceIndex == 0 and kind.Identifier == _PROPERTY)


async def _children(session: Session, nodes: Sequence[ua.NodeId]) -> list[list[ua.ReferenceDescription]]:
    """Objects and variables below each node."""
    out: list[list[ua.ReferenceDescription]] = []
    for some in chunks(nodes, session.limits["browse"]):
        request = ua.BrowseRequest()
        request.Parameters.View = ua.ViewDescription()
        request.Parameters.RequestedMaxReferencesPerNode = 0
        request.Parameters.NodesToBrowse = [
            ua.BrowseDescription(
                NodeId=n,
                BrowseDirection=ua.BrowseDirection.Forward,
                ReferenceTypeId=ua.NodeId(ua.UInt32(ua.ObjectIds.HierarchicalReferences)),
                IncludeSubtypes=True,
                NodeClassMask=ua.NodeClass.Object | ua.NodeClass.Variable,
                ResultMask=ua.BrowseResultMask.All,
            )
            for n in some
        ]
        results = complete((await session.ask(request, ua.BrowseResponse)).Results, len(some))
        got = [list(r.References or ()) for r in results]
        more = [(i, r.ContinuationPoint) for i, r in enumerate(results) if r.ContinuationPoint]
        while more:
            onward = ua.BrowseNextRequest()
            onward.Parameters.ContinuationPoints = [point for _, point in more]
            answers = complete((await session.ask(onward, ua.BrowseNextResponse)).Parameters.Results, len(more))
            following = []
            for (i, _), r in zip(more, answers, strict=True):
                got[i] += r.References or ()
                if r.ContinuationPoint:
                    following.append((i, r.ContinuationPoint))
            more = following
        out += got
    return out


async def _described(session: Session, nodes: Sequence[_Node]) -> list[Found]:
    """What the variables hold; those that hold no single number or text are left out."""
    kinds = ua.AttributeIds
    values = await session.data_values([(n.id, kinds.Value) for n in nodes])
    described = await session.attributes(
        [(n.id, a) for n in nodes for a in (kinds.UserAccessLevel, kinds.Description, kinds.DataType, kinds.ValueRank)]
    )
    with_unit = [n for n in nodes if n.unit is not None]
    unit_values = await session.attributes([(n.unit, kinds.Value) for n in with_unit])
    unit_of = {n.id: _unit(u) for n, u in zip(with_unit, unit_values, strict=True)}
    out = []
    for i, (node, value) in enumerate(zip(nodes, values, strict=True)):
        access, description, data_type, rank = described[4 * i : 4 * i + 4]
        kind = _kind(value, data_type)
        if kind is None or (isinstance(rank, int) and rank >= 0) or isinstance(value.Value and value.Value.Value, list):
            continue
        out.append(
            Found(
                address=address.written(node.id, session.namespaces),
                path=node.path,
                type=kind,
                unit=unit_of.get(node.id, ""),
                writable=isinstance(access, int) and bool(access & _WRITE),
                value=_plain(value, kind),
                description=(description.Text or "") if isinstance(description, ua.LocalizedText) else "",
            )
        )
    return out


def _kind(value: ua.DataValue, data_type: Any) -> ValueType | None:
    kind = value.Value.VariantType if value.Value is not None else ua.VariantType.Null
    if kind is ua.VariantType.Null:
        kind = built_in(data_type)
    if kind is ua.VariantType.Boolean:
        return "bool"
    if kind in _INTEGERS:
        return "int"
    if kind in _FLOATS:
        return "float"
    return "text" if kind in _TEXTS else None


def _plain(value: ua.DataValue, kind: ValueType) -> float | str | None:
    raw = value.Value.Value if value.Value is not None and is_good(value) else None
    if raw is None:
        return None
    if kind == "text":
        return raw.Text if isinstance(raw, ua.LocalizedText) else str(raw)
    return float(raw)


def _unit(value: Any) -> str:
    if not isinstance(value, ua.EUInformation):
        return ""
    return units.ucum(int(value.UnitId), (value.DisplayName and value.DisplayName.Text) or "")
