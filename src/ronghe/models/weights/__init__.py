"""Pretrained networks that ship with Ronghe: NAME.onnx, and NAME.json with where it came from, its licence and its SHA-256.

lite0   EfficientNet-Lite0 (Tan & Le 2019, the Lite variant of 2020), trained on ImageNet, without its classifier. Input `pixels`
        uint8[n, h, w, 3] RGB of any size; outputs float32[n, c, h/s, w/s]: stride4 (24 channels), stride8 (40), stride16a (80),
        stride16b and stride16 (112), stride32 (320), head (1280 channels at stride 32).
        `Session(load("lite0"), outputs=("stride8", "stride16"))` runs no more of it than it needs.
nanodet NanoDet-g (RangiLyu 2020), trained on COCO at 416 pixels; used by `ronghe.apps.safety.people`. Input `picture` uint8[1, h, w, 3]
        RGB, h and w multiples of 32; outputs `person` float32[n] and `distances` float32[n, 44] of the cells at strides 8, 16, 32.
blazeface  BlazeFace for 256 pixels (Bazarevsky et al. 2019); used by `ronghe.apps.safety.faces`. Input `picture` uint8[1, 256, 256, 3]
        RGB; outputs `face` float32[896] and `boxes` float32[896, 16].
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import msgspec

from ronghe.errors import ModelError
from ronghe.text import Text


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where weights came from. `sha256` is of the ONNX file, `source_sha256` of the file it was converted from."""

    name: str
    source: str
    licence: str
    sha256: str
    source_sha256: str
    text: Text
    converter: str


def names() -> tuple[str, ...]:
    """What is here."""
    return tuple(sorted(f.name[:-5] for f in files(__name__).iterdir() if f.name.endswith(".json")))


def origin(name: str) -> Origin:
    """Source and licence. Raises ModelError when there are no such weights."""
    place = files(__name__) / f"{name}.json"
    if name not in names():
        raise ModelError(
            Text(f"there are no weights {name!r}", f"没有权重 {name!r}"),
            todo=Text(f"use one of {', '.join(names())}", f"可用：{'、'.join(names())}"),
        )
    return msgspec.json.decode(place.read_bytes(), type=Origin)


def load(name: str) -> bytes:
    """The ONNX graph, proven to be the one that was converted. Raises ModelError when there is none, or it is damaged."""
    expected = origin(name).sha256
    try:
        data = (files(__name__) / f"{name}.onnx").read_bytes()
    except OSError as e:
        raise ModelError(Text(f"the weights {name!r} are missing", f"缺少权重 {name!r}"), todo=_REINSTALL) from e
    if hashlib.sha256(data).hexdigest() != expected:
        raise ModelError(Text(f"the weights {name!r} are damaged", f"权重 {name!r} 已损坏"), todo=_REINSTALL)
    return data


_REINSTALL = Text("install ronghe again", "请重新安装 ronghe")
