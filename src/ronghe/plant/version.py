"""A plant folder as a version: which files it is made of, and one hash that names them all.

What begins with a dot (the node's own `.ronghe`, an editor's or Git's files) and `__pycache__` belong to no version; secrets are never in a
plant folder. The hash is the SHA-256 over the sorted lines `<sha256 of the file>  <path>`, as `sha256sum` prints them.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

from ronghe.errors import CloudError
from ronghe.text import Text

_MOST: Final = 256 * 1024 * 1024  # bytes of all files
_FILES: Final = 5_000
_PIECE: Final = 1 << 20


class Version(msgspec.Struct, frozen=True):
    """`files` are hashes (SHA-256, hex) by path below the folder, with "/"."""

    hash: str
    files: dict[str, str]

    @classmethod
    def of(cls, files: dict[str, str]) -> Version:
        """The version that is made of these files."""
        lines = "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items()))
        return cls(hashlib.sha256(lines.encode()).hexdigest(), dict(sorted(files.items())))


def survey(folder: Path) -> Version:
    """The version that a folder holds. Raises CloudError when it is too large to be one, OSError for a file that cannot be read."""
    sizes = {name: path.stat().st_size for name, path in _walk(folder)}
    if len(sizes) > _FILES or sum(sizes.values()) > _MOST:
        raise CloudError(
            Text(
                f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.0f} MB: a configuration has at most {_FILES} files and 256 MB",
                f"共 {len(sizes)} 个文件、{sum(sizes.values()) / 1e6:.0f} MB，超出配置上限（{_FILES} 个文件、256 MB）",
            ),
            where=str(folder),
            todo=Text("keep recordings elsewhere; models come by `ronghe models`", "录波数据请放到别处；模型通过 `ronghe models` 下发"),
        )
    return Version.of({name: digest(folder / name) for name in sizes})


def digest(path: Path) -> str:
    """SHA-256 of a file, hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(folder: Path, version: Version, to: Path) -> None:
    """Writes the files of a version as a zip, whole or not at all. Raises CloudError when a file is no longer what the version says."""
    part = to.with_name(to.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for name in version.files:
            archive.write(folder / name, name)
    with zipfile.ZipFile(part) as archive:
        packed = {i.filename: hashlib.sha256(archive.read(i)).hexdigest() for i in archive.infolist()}
    if packed != version.files:
        part.unlink()
        raise CloudError(Text("the folder was changed meanwhile", "文件夹在此期间被修改"), where=str(folder), todo=Text("again", "请重试"))
    os.replace(part, to)


def unpack(archive: Path, to: Path) -> Version:
    """Takes a zip apart into the new folder `to`, and says which version it is. Raises CloudError for a zip that is damaged or none."""
    files: dict[str, str] = {}
    try:
        with zipfile.ZipFile(archive) as found:
            infos = found.infolist()
            if len(infos) > _FILES or sum(i.file_size for i in infos) > _MOST:
                raise CloudError(Text("more than a configuration may be", "超出配置上限"), where=archive.name)
            for info in infos:
                if not _sound(info.filename) or info.filename in files:
                    raise CloudError(
                        Text(f"{info.filename[:80]!r} is no file of a plant folder", f"{info.filename[:80]!r} 不属于工厂文件夹")
                    )
                target = to / info.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                with found.open(info) as source, target.open("xb") as file:
                    while piece := source.read(_PIECE):
                        file.write(piece)
                files[info.filename] = digest(target)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as e:
        raise CloudError(Text(f"the zip is damaged: {e}", f"压缩包已损坏：{e}"), where=archive.name) from e
    return Version.of(files)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if _word(f))
        for file in sorted(files):
            path = Path(at) / file
            if _word(file) and path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _word(part: str) -> bool:
    return not part.startswith(".") and part != "__pycache__"


def _sound(name: str) -> bool:
    """Whether a name in a zip is one that `_walk` could have given."""
    path = PurePosixPath(name)
    return (
        bool(name)
        and not name.startswith("/")
        and "\\" not in name
        and ":" not in name
        and path.as_posix() == name
        and all(map(_word, path.parts))
    )
