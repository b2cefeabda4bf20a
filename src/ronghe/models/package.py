"""The model package: one file, or one folder, that gives the same numbers on a bench, an edge node and the serving endpoint.

    manifest.json       what it is, its inputs and their limits of validity, its metrics, a hash of every other file
    arrays/NAME.npy     learned numbers (NumPy's own format, never pickled)
    model.onnx          the graph, where `kind` is "onnx"
    signature.json      optional: an Ed25519 signature (RFC 8032) over the bytes of manifest.json

`hash` is the SHA-256 of manifest.json, which names the SHA-256 of every file: it stands for the whole content. The bytes are
deterministic, so that the same content gives the same hash and the same zip file everywhere.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.errors import ModelError
from ronghe.models.signature import SIGNATURE, Signature, check, sign
from ronghe.text import Text

MANIFEST: Final = "manifest.json"
ONNX: Final = "model.onnx"
FORMAT: Final = 1
_LARGEST: Final = 2 << 30  # bytes of one file in a package; more is damage or an attack
_DATE: Final = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say: time of writing must not change the bytes


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One input, by property. Outside `low`..`high` (in `unit`) the model was never shown anything: its limits of validity."""

    name: str
    property: str
    unit: str = ""
    low: float | None = None
    high: float | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """One output and what it means."""

    name: str
    unit: str = ""
    text: Text = Text("")


class Training(msgspec.Struct, frozen=True, kw_only=True):
    """What it was trained on: SHA-256 of the numbers (`training_hash`), how many rows, from when to when (ns since 1970 UTC)."""

    sha256: str
    rows: int
    start: int = 0
    end: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a package says of itself. `kind` is "onnx" or a named solver with its format, e.g. "maintenance.detect/1"."""

    name: str
    version: str
    kind: str
    created: int  # ns since 1970 UTC
    ronghe: str  # the version of Ronghe that wrote it
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    training: Training
    metrics: dict[str, float] = {}
    settings: dict[str, Any] = {}
    files: dict[str, str] = {}  # path in the package → SHA-256; filled in by `save`
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Package:
    """A loaded package. `signed_by` is the hex of the Ed25519 public key that signed it, or empty."""

    manifest: Manifest
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    onnx: bytes | None = None
    hash: str = ""
    signed_by: str = ""

    def manifest_of(self, kind: str, *, made_by: str, where: str = "") -> Manifest:
        """The manifest of a package of this kind, which the command `made_by` makes. Raises ModelError for another kind."""
        if self.manifest.kind != kind:
            raise ModelError(
                Text(f"holds {self.manifest.kind!r}, not {kind!r}", f"类型是 {self.manifest.kind!r}，不是 {kind!r}"),
                where=where,
                todo=Text(f"give a package made by `{made_by}`", f"请使用 `{made_by}` 生成的模型包"),
            )
        return self.manifest


def training_hash(rows: NDArray[np.float64]) -> str:
    """SHA-256 of training data, shape and little-endian float64 numbers, whatever its memory layout."""
    data = np.ascontiguousarray(rows, "<f8")
    return hashlib.sha256(repr(data.shape).encode() + data.tobytes()).hexdigest()


def save(path: Path, package: Package, *, key: bytes | None = None) -> str:
    """Writes a package, whole or not at all, as a zip file, or as a folder when `path` is one. Gives its hash.

    `key` is a 32-byte Ed25519 private key to sign it with. Raises ModelError when it cannot be written.
    """
    files = {f"arrays/{name}.npy": _npy(array) for name, array in sorted(package.arrays.items())}
    if package.onnx is not None:
        files[ONNX] = package.onnx
    manifest = msgspec.structs.replace(package.manifest, files={name: _sha256(data) for name, data in files.items()})
    text = msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1)
    signature = {} if key is None else {SIGNATURE: sign(text, key)}
    content = {MANIFEST: text, **files, **signature}
    try:
        if path.is_dir():
            _write_folder(path, content)
        else:
            _write_zip(path, content)
    except OSError as e:
        raise ModelError(Text(f"the model cannot be written: {e.strerror}", f"模型无法写入：{e.strerror}"), where=str(path)) from e
    return _sha256(text)


def load(path: Path, *, trusted: Collection[str] | None = None) -> Package:
    """Reads a package and proves it: every file is there, is listed, and has its hash; a signature, where there is one, is true.

    With `trusted` (hex of Ed25519 public keys) it must be signed by one of them. Raises ModelError naming the file that is wrong.
    """
    content = _read(path)
    text = content.pop(MANIFEST, None)
    if text is None:
        raise _wrong(path, "", Text("not a model package: manifest.json is missing", "不是模型包：缺少 manifest.json"))
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError as e:
        raise _wrong(path, MANIFEST, Text(f"cannot be read: {e}", f"无法解析：{e}")) from e
    if manifest.format > FORMAT:
        raise _wrong(
            path,
            MANIFEST,
            Text(f"format {manifest.format} is newer than this Ronghe", f"格式 {manifest.format} 比当前版本新"),
            todo=Text("update ronghe", "请升级 ronghe"),
        )
    signed_by = _signed_by(path, text, content.pop(SIGNATURE, None), trusted)
    for name in sorted(set(manifest.files) | set(content)):
        if name not in content:
            raise _wrong(path, name, Text("is missing", "缺失"))
        if manifest.files.get(name) != _sha256(content[name]):
            raise _wrong(
                path,
                name,
                Text("is not what the manifest says: damaged or changed", "与清单不符：已损坏或被改动"),
                todo=Text("copy the package again from where it was made, or train anew", "请从来源重新复制模型包，或重新训练"),
            )
    arrays = {n[len("arrays/") : -len(".npy")]: _array(path, n, data) for n, data in content.items() if n.startswith("arrays/")}
    return Package(manifest, arrays, content.get(ONNX), _sha256(text), signed_by)


def _signed_by(path: Path, text: bytes, raw: bytes | None, trusted: Collection[str] | None) -> str:
    signer = ""
    if raw is not None:
        try:
            signer = check(text, msgspec.json.decode(raw, type=Signature))
        except (msgspec.DecodeError, ValueError) as e:
            raise _wrong(path, SIGNATURE, Text("the signature is not true", "签名无效")) from e
    if trusted is not None and signer not in trusted:
        raise _wrong(
            path,
            SIGNATURE,
            Text("not signed by anyone trusted here", "未由受信任方签名"),
            todo=Text("sign it with a trusted key, or add the signer's public key", "请用受信任的密钥签名，或加入签名者公钥"),
        )
    return signer


def _read(path: Path) -> dict[str, bytes]:
    try:
        if path.is_dir():
            return {p.relative_to(path).as_posix(): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}
        with zipfile.ZipFile(path) as archive:
            large = next((i.filename for i in archive.infolist() if i.file_size > _LARGEST), None)
            if large is not None:
                raise _wrong(path, large, Text("is larger than 2 GiB", "超过 2 GiB"))
            return {i.filename: archive.read(i) for i in archive.infolist()}
    except FileNotFoundError as e:
        raise ModelError(Text("there is no such model package", "没有这个模型包"), where=str(path)) from e
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as e:
        raise ModelError(Text(f"not a model package, or damaged: {e}", f"不是模型包或已损坏：{e}"), where=str(path)) from e


def _write_zip(path: Path, content: Mapping[str, bytes]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data)
    _write_file(path, buffer.getvalue())


def _write_folder(path: Path, content: dict[str, bytes]) -> None:
    for old in [p for p in path.rglob("*") if p.is_file() and p.relative_to(path).as_posix() not in content]:
        old.unlink()
    for name in reversed(content):  # the manifest last: without it there is no package
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        _write_file(path / name, content[name])


def _write_file(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _array(path: Path, name: str, data: bytes) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError) as e:
        raise _wrong(path, name, Text(f"is no array of numbers: {e}", f"不是数值数组：{e}")) from e
    return array


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _wrong(path: Path, name: str, what: Text, todo: Text | str = "") -> ModelError:
    return ModelError(what, where=f"{path}/{name}" if name else str(path), todo=todo)
