"""A bundle: releases in one file, for a node that no network reaches. What makes them believed goes with them, and nothing of it is secret.

bundle.json     what is in it: `WantedModel` for each release, with its proof, its size and the SHA-256 of its file
FILE.model      the packages
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ronghe.bus.fleet import WantedModel
from ronghe.errors import ModelError, Unreachable
from ronghe.models.registry import Registry
from ronghe.text import Text

_LIST: Final = "bundle.json"
_PIECE: Final = 1 << 18  # bytes


def write(registry: Registry, hashes: Sequence[str], path: Path) -> tuple[WantedModel, ...]:
    """Writes these releases into a file, whole or not at all. Raises ModelError."""
    models = tuple(registry.wanted(h, "") for h in dict.fromkeys(registry.get(h).hash for h in hashes))
    part = path.with_name(path.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_LIST, msgspec.json.format(msgspec.json.encode(models), indent=1))
            for model in models:
                archive.write(registry.path(model.hash), f"{model.file}.model")
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise ModelError(Text(f"the bundle cannot be written: {e.strerror}", f"离线包无法写入：{e.strerror}"), where=str(path)) from e
    return models


class Bundle:
    """A bundle as a `Source`."""

    def __init__(self, path: Path) -> None:
        """Raises ModelError for a file that is no bundle."""
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self.models = msgspec.json.decode(archive.read(_LIST), type=tuple[WantedModel, ...])
        except (OSError, KeyError, zipfile.BadZipFile, msgspec.DecodeError) as e:
            raise ModelError(Text(f"not a bundle of models, or damaged: {e}", f"不是模型离线包或已损坏：{e}"), where=str(path)) from e

    def read(self, file: str, start: int) -> Iterator[bytes]:
        """See `Source`."""
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{file}.model") as opened:
                opened.seek(start)
                while piece := opened.read(_PIECE):
                    yield piece
        except KeyError as e:
            raise ModelError(Text("no such file in the bundle", "离线包中没有该文件"), where=str(self.path)) from e
        except zipfile.BadZipFile as e:
            raise ModelError(Text(f"the bundle is damaged: {e}", f"离线包已损坏：{e}"), where=str(self.path)) from e
        except OSError as e:
            raise Unreachable(Text(f"the bundle cannot be read: {e}", f"离线包无法读取：{e}"), where=str(self.path)) from e
