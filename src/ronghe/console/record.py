"""/api/ledger: what was done, refused and measured, and whether the record is whole."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import msgspec
from litestar import get
from litestar.params import QueryParameter

from ronghe.console.desk import Call, front_of, needs
from ronghe.console.roles import Role
from ronghe.guard import Entry, Ledger, Verification


class LedgerPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries, newest first; the hash of the newest of all, and how many there are."""

    head: str
    total: int
    entries: list[Entry]


CHUNK: Final = 500


@get("/api/ledger", opt=needs(Role.VIEWER))
async def ledger(
    request: Call,
    before: Annotated[int, QueryParameter(ge=0, description="only entries with a smaller seq; 0: from the newest")] = 0,
    count: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
    kind: Annotated[str, QueryParameter(description='only kinds that are or begin with this and a dot, e.g. "alarm"')] = "",
    without: Annotated[str, QueryParameter(description="leaves out the kinds that are or begin with this and a dot")] = "",
) -> LedgerPage:
    """Entries of the ledger, newest first."""
    record = front_of(request).ledger
    entries = await asyncio.to_thread(_newest, record, before or record.version + 1, count, kind, without)
    return LedgerPage(head=record.head, total=record.version, entries=entries)


@get("/api/ledger/verify", opt=needs(Role.VIEWER))
async def verify(request: Call) -> Verification:
    """Looks through the whole hash chain, as it stands on the disk."""
    return await asyncio.to_thread(Ledger.verify, front_of(request).home / "ledger")


def _newest(record: Ledger, before: int, count: int, kind: str, without: str) -> list[Entry]:
    found: list[Entry] = []
    while before > 1 and len(found) < count:
        after = max(0, before - 1 - CHUNK)
        part = record.entries(after, before - 1 - after)
        found += [e for e in reversed(part) if _is(e.kind, kind, True) and not _is(e.kind, without, False)]
        before = after + 1
    return found[:count]


def _is(kind: str, family: str, when_empty: bool) -> bool:
    return kind == family or kind.startswith(family + ".") if family else when_empty


HANDLERS = [ledger, verify]
