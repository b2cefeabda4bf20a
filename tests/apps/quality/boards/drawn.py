"""Drawn printed boards: a template, one defect of each class at known places, and a camera that shifts, turns and etches them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
COPPER, BASE = 20, 230

DEFECTS = {
    1: (100, 34, 112, 50),  # open: through the first track
    2: (60, 44, 68, 78),  # short: from the first track to the second
    3: (150, 72, 162, 77),  # mouse bite: into the upper edge of the second track
    4: (200, 120, 210, 128),  # spur: on the lower edge of the third track
    5: (40, 150, 54, 162),  # copper: an island
    6: (212, 196, 222, 206),  # pin-hole: in the pad
}
"""Where each class is drawn, x0, y0, x1, y1."""


def template() -> Pixels:
    """uint8 (256, 256): three tracks, a pad, a ring."""
    board = np.full((256, 256), BASE, np.uint8)
    for y in (36, 72, 108):
        board[y : y + 12, 10:246] = COPPER
    board[180:226, 190:244] = COPPER
    cv2.circle(board, (110, 205), 26, COPPER, 9)
    cv2.line(board, (20, 240), (90, 150), COPPER, 8)
    return board


def defective(*classes: int) -> Pixels:
    """The template with these defects."""
    board = template()
    for c in classes:
        x0, y0, x1, y1 = DEFECTS[c]
        board[y0:y1, x0:x1] = COPPER if c in (2, 4, 5) else BASE
    return board


def photographed(board: Pixels, *, shift: tuple[float, float] = (0, 0), degrees: float = 0, zoom: float = 1, seed: int = 0) -> Pixels:
    """As a camera gives it: moved, turned, softened, with noise and another exposure."""
    matrix = cv2.getRotationMatrix2D((127.5, 127.5), degrees, zoom)
    matrix[:, 2] += shift
    seen = cv2.warpAffine(board, matrix, (256, 256), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.GaussianBlur(seen, (0, 0), 0.7).astype(float) * 0.8 + 15
    noisy = seen + np.random.default_rng(seed).normal(0, 4, seen.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_pair(folder: Path, name: str, *classes: int, margin: int = 7) -> None:
    """A pair and its labels as DeepPCB lays them out, boxes wider by `margin`."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f"{name}_temp.jpg"), template())
    cv2.imwrite(str(folder / f"{name}_test.jpg"), defective(*classes))
    lines = []
    for c in classes:
        x0, y0, x1, y1 = DEFECTS[c]
        x0, y0, x1, y1 = visible(c) if c in (1, 2, 3, 4) else (x0, y0, x1, y1)
        lines.append(f"{x0 - margin} {y0 - margin} {x1 + margin} {y1 + margin} {c}")
    (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")


def visible(c: int) -> tuple[int, int, int, int]:
    """The box of the pixels that a defect really changes."""
    rows, columns = np.nonzero(template() != defective(c))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
