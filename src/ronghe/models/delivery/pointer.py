"""What a store writes about an app: which package it runs, and which serials it has seen. Each file carries a checksum over itself."""

from __future__ import annotations

import zlib
from typing import Final, TypeVar

import msgspec

from ronghe.text import Text

T = TypeVar("T")

OWN: Final = Text("the plant folder's own model", "工厂文件夹自带的模型")


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """A package that an app was given here. `until` in ns since 1970 UTC, 0: no end."""

    name: str
    version: str
    hash: str
    file: str  # SHA-256 of the zip
    serial: int
    floor: int
    until: int = 0
    signed_by: str = ""
    slowest_ms: float | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """What an app runs: `now`, or without one what plant.toml names. `before` is what it can go back to.

    Until it is `proved`, `now` is on trial: `starts` counts how often the node began with it. `spoilt` is the hash of a package that was
    taken back here, and `why`. `returned`: the centre had it go back; a second step back it cannot order.
    """

    now: Placed | None = None
    before: Placed | None = None
    since: int = 0
    proved: bool = True
    starts: int = 0
    spoilt: str = ""
    why: Text | None = None
    returned: bool = False


class Accepted(msgspec.Struct, frozen=True):
    """Of one name: the highest serial that ran here, of which package, and the lowest that may run again."""

    highest: int
    hash: str
    floor: int


def note(accepted: dict[str, Accepted], new: Placed) -> bool:
    """Notes a serial; says whether that changed anything."""
    known = accepted.get(new.name)
    if known is None or new.serial > known.highest:
        accepted[new.name] = Accepted(new.serial, new.hash, max(new.floor, known.floor if known else 0))
        return True
    return False


def cut_off(pointer: Pointer, hash: str) -> Text:
    """What became of a switch to `hash` that the end of the process cut off, by what the pointer says now."""
    now = pointer.now
    if now is not None and now.hash == hash:
        return Text(f"a switch was cut off after it was made: {now} runs", f"切换在生效后中断：运行 {now}")
    return Text(
        f"a switch was cut off before it was made: {now or OWN.en} runs as before",
        f"切换在生效前中断：仍运行{f' {now}' if now else OWN.zh}",
    )


def sealed(data: object) -> bytes:
    """JSON with the CRC-32 of it before it."""
    body = msgspec.json.encode(data)
    return b"%08x %s" % (zlib.crc32(body), body)


def opened(data: bytes, kind: type[T]) -> T | None:
    """None for what is not as it was sealed."""
    try:
        return msgspec.json.decode(data[9:], type=kind) if int(data[:8], 16) == zlib.crc32(data[9:]) else None
    except (ValueError, msgspec.DecodeError):
        return None
