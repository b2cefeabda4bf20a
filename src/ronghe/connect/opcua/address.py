"""Addresses: NodeIds in the standard's notation (OPC 10000-6, 5.1.12): "i=2258", "ns=2;s=Pump.Speed", "nsu=http://acme.com/plc;s=Pump.Speed".

With `nsu=` an address names its namespace by URI and survives a server that numbers its namespaces anew.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Sequence
from typing import Final

from asyncua import ua

from ronghe.text import Text

_FORM: Final = re.compile(r"(?:ns=(?P<ns>\d{1,5});|nsu=(?P<nsu>[^;]+);)?(?P<kind>[isgb])=(?P<id>.+)", re.DOTALL)


def problem(address: str) -> Text | None:
    """What is wrong with an address as written, or None."""
    if not address:
        return Text("an OPC UA address is missing, e.g. ns=2;s=Pump.Speed", "缺少 OPC UA 地址，例如 ns=2;s=Pump.Speed")
    found = _FORM.fullmatch(address)
    if found is None:
        return Text(
            f"{address!r} is not a NodeId; write ns=2;s=Pump.Speed, ns=2;i=1001 or nsu=http://acme.com/plc;s=Pump.Speed",
            f"{address!r} 不是 NodeId；应写作 ns=2;s=Pump.Speed、ns=2;i=1001 或 nsu=http://acme.com/plc;s=Pump.Speed",
        )
    if found["ns"] and int(found["ns"]) > 0xFFFF:
        return Text(f"namespace index {found['ns']} is above 65535", f"命名空间索引 {found['ns']} 超过 65535")
    return _identifier_problem(found["kind"], found["id"])


def _identifier_problem(kind: str, identifier: str) -> Text | None:
    if kind == "i" and not (identifier.isascii() and identifier.isdigit() and int(identifier) <= 0xFFFFFFFF):
        return Text(
            f"i={identifier}: a numeric identifier is a whole number up to 4294967295; for a name write s={identifier}",
            f"i={identifier}：数字标识符须为不超过 4294967295 的整数；若为名称，应写 s={identifier}",
        )
    if kind == "g":
        try:
            uuid.UUID(identifier)
        except ValueError:
            return Text(f"g={identifier} is not a GUID", f"g={identifier} 不是 GUID")
    if kind == "b":
        try:
            base64.b64decode(identifier, validate=True)
        except binascii.Error:
            return Text(f"b={identifier} is not Base64", f"b={identifier} 不是 Base64")
    return None


def node_id(address: str, namespaces: Sequence[str]) -> ua.NodeId | None:
    """The NodeId that a well-formed address means on a server with these namespaces; None where it has no such namespace."""
    found = _FORM.fullmatch(address)
    if found is None or problem(address) is not None:
        return None
    space = int(found["ns"] or 0)
    if found["nsu"]:
        # `;` and `%` are escaped in a URI within an address (OPC 10000-6, 5.1.12).
        uri = found["nsu"].replace("%3B", ";").replace("%25", "%")
        if uri not in namespaces:
            return None
        space = namespaces.index(uri)
    text = found["id"]
    match found["kind"]:
        case "i":
            return ua.NodeId(ua.UInt32(int(text)), ua.Int16(space), ua.NodeIdType.Numeric)
        case "g":
            return ua.NodeId(uuid.UUID(text), ua.Int16(space), ua.NodeIdType.Guid)
        case "b":
            return ua.NodeId(base64.b64decode(text), ua.Int16(space), ua.NodeIdType.ByteString)
        case _:
            return ua.NodeId(text, ua.Int16(space), ua.NodeIdType.String)


def written(node: ua.NodeId, namespaces: Sequence[str]) -> str:
    """The address of a node; by namespace URI where the server has one other than its own, so that it survives renumbering."""
    space, kind, identifier = node.NamespaceIndex, "i", node.Identifier
    if isinstance(identifier, uuid.UUID):
        kind = "g"
    elif isinstance(identifier, bytes):
        kind, identifier = "b", base64.b64encode(identifier).decode()
    elif isinstance(identifier, str):
        kind = "s"
    if space == 0:
        return f"{kind}={identifier}"
    # Namespace 1 is the server's own application URI, which often holds a host name: the index is the steadier name there.
    if 1 < space < len(namespaces) and namespaces[space]:
        uri = namespaces[space].replace("%", "%25").replace(";", "%3B")
        return f"nsu={uri};{kind}={identifier}"
    return f"ns={space};{kind}={identifier}"
