"""Drawn parts, good and defective, for benchmarks and tests that must run without anybody's pictures.

A `Product` is one kind of part: a plate on a conveyor, with holes, a groove and print. Each part of it has its own grain, its own light
(direction, strength, warmth), lies a little turned and shifted, is a little out of focus, and may carry faint scuffs and dust, which are no
defects. Defects go from plain to hardly visible, so that a perfect score is not for everybody. Everything follows from the seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv

DEFECTS: Final = ("scratch", "spot", "crack", "missing_print", "contamination")
_GRAINS: Final = ((25, 1), (1, 25), (5, 5), (9, 3))  # kernel of the grain (w, h): brushed along or across, cast, rolled
_VISIBLE: Final = 0.15  # opacity from which a pixel belongs to a defect's mask
_LEAST: Final = 8  # pixels of a defect
_FAINTEST: Final = 10.0  # grey levels by which it differs, in the mean

Picture = NDArray[np.uint8]
Layer = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Product:
    """One kind of part. `plate` is how much of a pixel is part (0..1), `relief` brightness added by edges and groove, `ink` the opacity of
    the print, `prints` the boxes (x, y, w, h) of its pieces. All of (size, size)."""

    size: int
    colour: Layer
    paint: Layer
    grain: tuple[int, int]
    plate: Layer
    relief: Layer
    ink: Layer
    prints: tuple[tuple[int, int, int, int], ...]

    def draw(self, rng: np.random.Generator, defect: str = "") -> tuple[Picture, Mask]:
        """One part: RGB pixels (size, size, 3), and where its defect is (size, size), empty for a good part.

        Raises ValueError for a defect that is not in DEFECTS.
        """
        if defect and defect not in DEFECTS:
            raise ValueError(f"{defect!r} is not one of {DEFECTS}")
        n = self.size
        ink = self.ink * rng.uniform(0.85, 1.0)
        mark: Layer = np.zeros((n, n), np.float32)
        if defect == "missing_print":
            mark = self._lack(rng)
            ink = ink * (1 - mark)
            mark = mark * (self.ink > 0.3)
        metal = self.colour + 9 * _grain(rng, n, self.grain)[..., None] + self.relief[..., None]
        metal = _over(metal, self.paint, ink)
        for _ in range(rng.poisson(1.0)):  # scuffs and dust of good parts
            metal = metal + rng.uniform(-5, 5) * _stroke(rng, n, rng.uniform(5, 18) * n / 256, 1, 0.2)[..., None]
        if defect and defect != "missing_print":
            metal, mark = self._harmed(rng, metal, defect)
        mark = mark * self.plate
        belt = np.float32(38) + 5 * _grain(rng, n, (3, 3))[..., None] * np.ones(3, np.float32)
        return _photograph(rng, _over(belt, metal, self.plate), mark)

    def _harmed(self, rng: np.random.Generator, metal: Layer, defect: str) -> tuple[Layer, Layer]:
        """The surface with a defect that lies on the plate and differs from what it covers."""
        while True:
            worse, mark = _harm(rng, metal, defect, self.size)
            seen = mark * self.plate > _VISIBLE
            if seen.sum() >= _LEAST and float(np.abs(worse - metal).mean(2)[seen].mean()) >= _FAINTEST:
                return worse, mark

    def _lack(self, rng: np.random.Generator) -> Layer:
        """A piece of print, or a part of it, that was not printed."""
        x, y, w, h = self.prints[rng.integers(len(self.prints))]
        share = rng.uniform(0.3, 1.0)
        gone: Layer = np.zeros_like(self.ink)
        start = int(x + rng.uniform(0, 1 - share) * w)
        gone[y : y + h, start : start + max(4, int(share * w))] = rng.uniform(0.6, 1.0)
        return np.asarray(opencv().GaussianBlur(gone, (0, 0), 1.2), np.float32)


def product(seed: int, size: int = 256) -> Product:
    """The kind of part that belongs to a seed."""
    cv2 = opencv()
    rng = np.random.default_rng([seed, 7])
    n = size
    plate, dips = np.zeros((2, n, n), np.float32)
    left, top = int(n * rng.uniform(0.05, 0.1)), int(n * rng.uniform(0.05, 0.12))
    cv2.rectangle(plate, (left, top), (n - left, n - top), 1.0, -1)
    for corner in ((left, top), (n - left, top), (left, n - top), (n - left, n - top)):
        inward = (corner[0] + (1 if corner[0] < n / 2 else -1) * n // 9, corner[1] + (1 if corner[1] < n / 2 else -1) * n // 9)
        cv2.circle(plate, inward, int(n * rng.uniform(0.025, 0.04)), 0.0, -1, cv2.LINE_AA)
    groove = int(n * rng.uniform(0.62, 0.72))
    cv2.line(dips, (left + n // 10, groove), (n - left - n // 10, groove), 1.0, max(1, n // 85), cv2.LINE_AA)
    plate = cv2.GaussianBlur(plate, (0, 0), 0.8)
    height = cv2.GaussianBlur(plate - 0.6 * dips, (0, 0), n / 170)
    relief = 60 * (cv2.Sobel(height, cv2.CV_32F, 1, 0) + cv2.Sobel(height, cv2.CV_32F, 0, 1))
    ink, prints = _print(rng, n, left, groove)
    grey = rng.uniform(110, 175)
    colour = (grey + rng.uniform(-14, 14, 3)).astype(np.float32)
    paint = np.array([rng.uniform(10, 60), rng.uniform(10, 60), rng.uniform(10, 110)], np.float32)
    return Product(n, colour, paint, _GRAINS[seed % len(_GRAINS)], plate, relief.astype(np.float32), ink, prints)


def write(folder: Path, seed: int, *, train: int, good: int, defective: int, size: int = 256) -> None:
    """JPEG files of one product in `folder`/train, /good and /defective/KIND; as many of each kind of defect, `defective` in all."""
    kind = product(seed, size)
    for name, pixels in _parts(kind, seed, train, good, defective):
        place = folder / f"{name}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        done, data = opencv().imencode(".jpg", pixels[:, :, ::-1], [opencv().IMWRITE_JPEG_QUALITY, 92])
        assert done
        place.write_bytes(data.tobytes())


def _parts(kind: Product, seed: int, train: int, good: int, defective: int) -> Iterator[tuple[str, Picture]]:
    """Each from a generator of its own: more of one sort does not change the others."""
    for sort, count in (("train", train), ("good", good)):
        for i in range(count):
            yield f"{sort}/{i:04}", kind.draw(np.random.default_rng([seed, sort == "good", i]))[0]
    for i in range(defective):
        defect = DEFECTS[i % len(DEFECTS)]
        yield f"defective/{defect}/{i:04}", kind.draw(np.random.default_rng([seed, 2, i]), defect)[0]


def _print(rng: np.random.Generator, n: int, left: int, groove: int) -> tuple[Layer, tuple[tuple[int, int, int, int], ...]]:
    """A type number, a bar code and a ring."""
    cv2 = opencv()
    ink = np.zeros((n, n), np.float32)
    text = f"{chr(65 + rng.integers(26))}{chr(65 + rng.integers(26))}-{rng.integers(100, 999)}"
    scale, thick = n / 256 * rng.uniform(0.8, 1.0), max(1, n // 128)
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thick)
    x, y = left + n // 6, int(n * 0.33)
    letters = np.zeros((n, n), np.uint8)
    cv2.putText(letters, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, thick, cv2.LINE_AA)
    ink += letters / np.float32(255)
    prints = [(x, y - h, w, h + 2)]
    bars, top, tall = n // 2, int(n * 0.44), groove - int(n * 0.44) - n // 16
    at = x
    while at < x + bars:
        wide = int(rng.integers(1, 4)) * max(1, n // 200)
        ink[top : top + tall, at : at + wide] = 1.0
        at += wide + int(rng.integers(2, 5)) * max(1, n // 200)
    prints.append((x, top, bars, tall))
    ring, middle = n // 14, (int(n * 0.56), int(n * 0.8))
    cv2.circle(ink, middle, ring, 1.0, max(2, n // 64), cv2.LINE_AA)
    prints.append((middle[0] - ring, middle[1] - ring, 2 * ring, 2 * ring))
    return cv2.GaussianBlur(ink, (0, 0), 0.6), tuple(prints)


def _harm(rng: np.random.Generator, metal: Layer, defect: str, n: int) -> tuple[Layer, Layer]:
    """The surface with a defect on it, and the defect's opacity."""
    unit = n / 256
    if defect == "scratch":
        mark = _stroke(rng, n, rng.uniform(25, 110) * unit, 1 + (rng.random() < 0.4), 0.15)
        return metal + np.float32(rng.choice([-1, 1]) * rng.uniform(25, 80)) * mark[..., None], mark
    if defect == "crack":
        mark = _stroke(rng, n, rng.uniform(20, 80) * unit, 1 + (rng.random() < 0.3), 1.4)
        return metal - np.float32(rng.uniform(35, 100)) * mark[..., None], mark
    if defect == "spot":
        mark = _blob(rng, n, rng.uniform(2.2, 8) * unit, 0.15)
        return metal + np.float32(rng.choice([-1, -1, 1]) * rng.uniform(28, 90)) * mark[..., None], mark
    mark = _blob(rng, n, rng.uniform(6, 24) * unit, 0.6) if rng.random() < 0.6 else _stroke(rng, n, rng.uniform(30, 80) * unit, 1, 0.5)
    stuff = np.array([rng.uniform(30, 190), rng.uniform(30, 150), rng.uniform(20, 120)], np.float32)  # oil, swarf, fibre
    mark = mark * np.float32(rng.uniform(0.3, 0.8))
    return _over(metal, stuff, mark), mark


def _photograph(rng: np.random.Generator, scene: Layer, mark: Layer) -> tuple[Picture, Mask]:
    """How the camera sees the scene: pose, light, focus, noise."""
    cv2 = opencv()
    n = len(scene)
    turn = cv2.getRotationMatrix2D((n / 2, n / 2), rng.normal(0, 0.7), 1 + rng.normal(0, 0.005))
    turn[:, 2] += rng.normal(0, 1.2 * n / 256, 2)
    scene = cv2.warpAffine(scene, turn, (n, n), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    mark = cv2.warpAffine(mark, turn, (n, n), flags=cv2.INTER_LINEAR)
    across = np.linspace(-1, 1, n, dtype=np.float32)
    tilt = rng.normal(0, 0.04, 2).astype(np.float32)
    light = np.float32(rng.normal(1, 0.04)) * (1 + tilt[0] * across[:, None] + tilt[1] * across[None, :])
    light -= np.float32(rng.uniform(0, 0.06)) * (across[:, None] ** 2 + across[None, :] ** 2)
    scene = scene * light[..., None] * rng.normal(1, 0.01, 3).astype(np.float32)
    scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.35, 0.75))
    scene = scene + rng.uniform(1.5, 2.5) * rng.standard_normal(scene.shape, np.float32)
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8), mark > _VISIBLE


def _over(below: Layer, above: Layer, opacity: Layer) -> Layer:
    return np.asarray(below + (above - below) * opacity[..., None], np.float32)


def _grain(rng: np.random.Generator, n: int, kernel: tuple[int, int]) -> Layer:
    """Noise of unit variance, drawn out as `kernel` says, with some of a coarser one in it."""
    cv2 = opencv()
    fine: Any = cv2.blur(rng.standard_normal((n, n), np.float32), kernel) * np.sqrt(kernel[0] * kernel[1])
    coarse: Any = cv2.resize(rng.standard_normal((n // 16, n // 16), np.float32), (n, n), interpolation=cv2.INTER_CUBIC)
    return np.asarray(0.9 * fine + 0.4 * coarse, np.float32)


def _stroke(rng: np.random.Generator, n: int, length: float, width: int, bend: float) -> Layer:
    """The opacity of a line that begins on the plate and turns by about `bend` rad at every eighth of its length."""
    cv2 = opencv()
    layer = np.zeros((n, n), np.float32)
    points = [rng.uniform(0.2, 0.8, 2) * n]
    way = rng.uniform(0, 2 * np.pi)
    for _ in range(8):
        points.append(points[-1] + length / 8 * np.array([np.cos(way), np.sin(way)]))
        way += rng.normal(0, bend)
    line = np.rint(np.array(points) * 16).astype(np.int32)
    cv2.polylines(layer, [line], False, 1.0, int(width), cv2.LINE_AA, 4)
    return layer


def _blob(rng: np.random.Generator, n: int, radius: float, rough: float) -> Layer:
    """The opacity of a patch of about this radius; `rough` is how much its edge wanders."""
    cv2 = opencv()
    layer = np.zeros((n, n), np.float32)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    wave = sum(rng.normal(0, rough / k) * np.cos(k * angles + rng.uniform(0, 2 * np.pi)) for k in range(2, 6))
    reach = radius * np.clip(1 + wave, 0.3, 2.0)
    edge = rng.uniform(0.2, 0.8, 2) * n + reach[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    cv2.fillPoly(layer, [np.rint(edge * 16).astype(np.int32)], 1.0, cv2.LINE_AA, 4)
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), 0.7), np.float32)
