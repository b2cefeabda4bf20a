"""Labels of a sequence: who is where in each picture, and the zones. Boxes and feet are in pixels."""

from __future__ import annotations

import gzip
from pathlib import Path

import msgspec

from ronghe.apps.safety.settings import ZoneSpec
from ronghe.errors import AppError
from ronghe.text import Text


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """One person of one picture. `visible`: the part of the body that nothing hides and that is within the picture."""

    id: str
    box: tuple[float, float, float, float]
    zones: tuple[str, ...] = ()
    feet: tuple[float, float] | None = None
    visible: float = 1.0


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One picture; `frame` counts from 0."""

    frame: int
    people: tuple[Labelled, ...] = ()


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """A whole sequence."""

    fps: float
    width: int
    height: int
    zones: tuple[ZoneSpec, ...]
    frames: tuple[Frame, ...]


def read_labels(path: Path) -> Labels:
    """Reads JSON, also gzipped. Raises AppError for a file that is none."""
    try:
        data = path.read_bytes()
        labels = msgspec.json.decode(gzip.decompress(data) if path.suffix == ".gz" else data, type=Labels)
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror or e}", f"无法读取：{e.strerror or e}"), where=str(path)) from e
    except (msgspec.DecodeError, EOFError) as e:
        raise AppError(Text(f"these are no labels: {e}", f"不是标注文件：{e}"), where=str(path)) from e
    if [f.frame for f in labels.frames] != list(range(len(labels.frames))):
        raise AppError(Text("frames are not numbered from 0 without a gap", "帧号应从 0 起连续编号"), where=str(path))
    return labels


def read_zones(path: Path) -> tuple[ZoneSpec, ...]:
    """Reads a JSON list of zones, or an object (as labels are) with `zones`. Raises AppError."""
    try:
        data = path.read_bytes()
        found = msgspec.json.decode(gzip.decompress(data) if path.suffix == ".gz" else data)
        return msgspec.convert(found["zones"] if isinstance(found, dict) else found, tuple[ZoneSpec, ...], strict=False)
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror or e}", f"无法读取：{e.strerror or e}"), where=str(path)) from e
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as e:
        what = Text(f"these are no zones: {e}", f"不是区域文件：{e}")
        todo = Text(
            'e.g. [{"name": "press", "polygon": [[0.1, 0.5], [0.4, 0.5], [0.3, 0.9]]}]',
            '例如 [{"name": "press", "polygon": [[0.1, 0.5], [0.4, 0.5], [0.3, 0.9]]}]',
        )
        raise AppError(what, where=str(path), todo=todo) from e
