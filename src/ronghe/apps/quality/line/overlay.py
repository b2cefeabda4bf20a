"""A heat map over a picture: transparent where nothing is unusual, amber below the reject limit, red above it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ronghe.picture import encode
from ronghe.picture.libraries import opencv

_LIMIT = 128.0  # of a stored heat map
_MOST = 0.6  # opacity
_AMBER, _RED = np.array([255.0, 176.0, 0.0], np.float32), np.array([214.0, 40.0, 40.0], np.float32)


def overlay(jpeg: bytes, heat: bytes | None, side: int, longest: int = 0) -> bytes:
    """A JPEG of a JPEG whose longer side is `side`, with a heat map (gray PNG, 128 is the limit) burnt in where one is given; its longer
    side at most `longest`."""
    cv2 = opencv()
    pixels = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), _reduced(side, longest)), cv2.COLOR_BGR2RGB)
    h, w = pixels.shape[:2]
    if 0 < longest < max(h, w):
        scale = longest / max(h, w)
        pixels = cv2.resize(pixels, (max(1, round(w * scale)), max(1, round(h * scale))), interpolation=cv2.INTER_AREA)
    if heat is not None:
        gray = cv2.imdecode(np.frombuffer(heat, np.uint8), cv2.IMREAD_GRAYSCALE)
        pixels = burn(pixels, cv2.resize(gray, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32) / _LIMIT)
    return encode(pixels, 85)


def _reduced(side: int, longest: int) -> int:
    """Decode to a half, a quarter or an eighth where that is still large enough: a JPEG gives it for a fraction of the time."""
    cv2 = opencv()
    for part, flag in ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2)):
        if longest and side >= part * longest:
            return int(flag)
    return int(cv2.IMREAD_COLOR)


def burn(pixels: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """uint8 (h, w, 3) with a heat map float32 (h, w) over it, whose 1 is the reject limit."""
    opacity = _MOST * np.clip((heat - 0.5) / 0.5, 0, 1)[..., None]
    colour = np.where(heat[..., None] > 1, _RED, _AMBER)
    return np.asarray((1 - opacity) * pixels + opacity * colour).astype(np.uint8)
