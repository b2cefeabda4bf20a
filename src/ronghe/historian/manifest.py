"""What belongs to a store right now: one small file, replaced as a whole, that makes every change of segments atomic.

`manifest` is one line: CRC-32 of the rest in hexadecimal, a space, and JSON.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import msgspec

from ronghe.errors import HistorianError
from ronghe.historian import disk
from ronghe.historian.segment import Meta
from ronghe.text import Text

VERSION = 1


class Manifest(msgspec.Struct, frozen=True):
    """`segments` in the order in which their samples were written; logs numbered below `log` are in them; `next` is the number of
    the next segment file."""

    version: int = VERSION
    next: int = 1
    log: int = 1
    segments: tuple[Meta, ...] = ()


def load(folder: Path) -> Manifest:
    """The manifest of a folder; an empty one where there is none yet. Raises HistorianError when it is damaged or of another version."""
    path = folder / "manifest"
    try:
        crc, _, body = path.read_bytes().partition(b" ")
    except FileNotFoundError:
        return Manifest()
    try:
        # Without the check, damage could pass for an older store, whose newer segments would then be removed as left over.
        if b"%08x" % zlib.crc32(body) != crc:
            raise msgspec.DecodeError("wrong checksum")
        found = msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError as e:
        raise HistorianError(
            Text(f"the manifest is damaged: {e}", f"清单文件已损坏：{e}"),
            where=str(path),
            todo=Text("restore it from a backup", "请从备份恢复"),
        ) from e
    if found.version != VERSION:
        raise HistorianError(
            Text(
                f"the store has format {found.version}, this program reads {VERSION}", f"数据库格式为 {found.version}，本程序支持 {VERSION}"
            ),
            where=str(path),
            todo=Text("use the version of Ronghe that wrote it", "请使用写入该数据库的 Ronghe 版本"),
        )
    return found


def save(folder: Path, manifest: Manifest) -> None:
    """Replaces it, durably. Raises OSError."""
    body = msgspec.json.encode(manifest)
    disk.replace(folder / "manifest", b"%08x %s" % (zlib.crc32(body), body))
