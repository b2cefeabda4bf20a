"""The limits of validity: sizes, light and focus of the good pictures. Outside them an inspector was never shown anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv
from ronghe.text import Text

_ROOM: Final = 0.5  # of the range seen, on either side
_WORDS: Final = {
    "height": Text("height (px)", "高度（像素）"),
    "width": Text("width (px)", "宽度（像素）"),
    "light": Text("light (mean gray, 0-255)", "亮度（平均灰度，0-255）"),
    "focus": Text("focus (sharpness)", "对焦（清晰度）"),
}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """(low, high) of each: sizes in px, light as mean gray 0..255, focus as the natural logarithm of the Laplacian's variance plus one."""

    height: tuple[float, float]
    width: tuple[float, float]
    light: tuple[float, float]
    focus: tuple[float, float]

    def left(self, pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> tuple[Text, ...]:
        """What of a picture (and its working size, uint8[1, h, w, 3]) is outside, in words."""
        found = []
        for name, value in measure(pixels, small).items():
            low, high = getattr(self, name)
            if not low <= value <= high:
                word = _WORDS[name]
                found.append(
                    Text(
                        f"{word.en} {value:.4g} is outside {low:.4g}..{high:.4g} of the good pictures",
                        f"{word.zh}为 {value:.4g}，超出良品图像的范围 {low:.4g}..{high:.4g}",
                    )
                )
        return tuple(found)


def measure(pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> dict[str, float]:
    """The four numbers of one picture."""
    cv2 = opencv()
    gray = small[0, :, :, 1]
    return {
        "height": float(pixels.shape[0]),
        "width": float(pixels.shape[1]),
        "light": float(cv2.mean(gray)[0]),
        "focus": float(np.log1p(cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_16S))[1][0, 0] ** 2)),
    }


def of(measured: Sequence[dict[str, float]]) -> Limits:
    """The range of good pictures, with room for what few of them do not show."""
    rooms = {"height": 0.1, "width": 0.1, "light": 8.0, "focus": 0.5}
    out = {}
    for name, least in rooms.items():
        values = [m[name] for m in measured]
        low, high = min(values), max(values)
        room = max(_ROOM * (high - low), least * high if name in ("height", "width") else least)
        out[name] = (low - room, high + room)
    return Limits(**out)
