"""Names of what is moved: `ronghe.ENTERPRISE.SITE.AREA.NODE.KIND`, so that one plant, one site or one kind is one wildcard.

What waited at a node longer than live data does goes as `ronghe_late.…`: whoever reads both apart never has live data wait behind history.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote, unquote

ROOT: Final = "ronghe"
LATE: Final = "ronghe_late"
SAMPLES: Final = "samples"
"""Batches of samples: `wire` bytes."""
TAGS: Final = "tags"
"""Tables of tag names that later batches refer to: `wire` bytes."""
LEDGER: Final = "ledger"
"""Entries of the guard's ledger, as JSON lines: what was done and what it was worth."""
STREAM: Final = "RONGHE"
"""The JetStream stream that holds them all."""


def subject(plant: str, node: str, kind: str) -> str:
    """The subject of what `node` of the plant `path` sends. Parts are percent-encoded where NATS would misread them (dot, space, *, >)."""
    return ".".join([ROOT, *map(_part, plant.split("/")), _part(node), kind])


def late(subject: str) -> str:
    """The same, of what waited."""
    return LATE + subject.removeprefix(ROOT)


def of_node(plant: str, node: str) -> str:
    """The pattern of all that a node may send, live or, by `late` of it, late: what its certificate permits it to publish."""
    return subject(plant, node, ">")


def inbox(name: str) -> str:
    """Where the answers to the client `name` go; its certificate permits it to listen there and nowhere else."""
    return f"_INBOX.{_part(name)}"


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS pattern fits: `*` is one part, a last `>` is one part or more."""
    parts, names = pattern.split("."), subject.split(".")
    if parts[-1] == ">":
        parts = parts[:-1]
        if len(names) <= len(parts):
            return False
        names = names[: len(parts)]
    return len(parts) == len(names) and all(p in ("*", n) for p, n in zip(parts, names, strict=True))


def origin(subject: str) -> tuple[str, str, str]:
    """(plant path, node, kind) of a subject. Raises ValueError for one that is not of ours."""
    root, *plant, node, kind = subject.split(".")
    if root not in (ROOT, LATE) or not plant:
        raise ValueError(f"not a subject of ours: {subject}")
    return "/".join(map(unquote, plant)), unquote(node), kind


def _part(text: str) -> str:
    return quote(text, safe="-_").replace(".", "%2E").replace("~", "%7E")
