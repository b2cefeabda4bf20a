"""A small line for tests: a textured part, pictures of it good and bad, a taught model, a plant with one camera and one set-point."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.contract import Finding, Question, Result
from ronghe.apps.quality.inspector.learn import learn
from ronghe.apps.quality.inspector.packing import pack
from ronghe.apps.quality.line.inspect import Inspect
from ronghe.apps.quality.line.settings import Options
from ronghe.guard import Advice
from ronghe.models import save
from ronghe.picture import Picture
from ronghe.plant import Equipment, GuardSpec, Plant, Property, Tag
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

S = 1_000_000_000
START = 1_700_000_000 * S
IMAGE = "line1/eye/photo"
SPEED = "line1/etcher/speed"
SHAPE = (96, 128)

Pixels = NDArray[np.uint8]


@functools.cache
def _surface() -> NDArray[np.float64]:
    coarse = np.random.default_rng(5).normal(120, 25, (SHAPE[0] // 8, SHAPE[1] // 8))
    return np.kron(coarse, np.ones((8, 8)))


def part(seed: int, *, defect: bool = False, light: float = 0.0) -> Pixels:
    """uint8 (96, 128, 3): the same surface with noise; a defect is a dark square, `light` is added in gray levels."""
    rng = np.random.default_rng(seed)
    gray = _surface() + rng.normal(0, 3, SHAPE) + light
    if defect:
        y, x = int(rng.integers(8, 70)), int(rng.integers(8, 100))
        gray[y : y + 18, x : x + 18] = 10
    return np.repeat(np.clip(gray, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@functools.cache
def _package() -> bytes:
    import tempfile

    inspector = learn([part(i) for i in range(30)], false_reject=0.04, review=0.1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.model"
        save(path, pack(inspector, name="part", created=START))
        return path.read_bytes()


def plant(folder: Path, *, model: bool = True) -> Plant:
    """A plant folder with one camera, one guarded set-point, and a taught package `part.model`."""
    folder.mkdir(exist_ok=True)
    if model:
        (folder / "part.model").write_bytes(_package())
    return Plant(
        path="acme/shanghai/shop",
        name=Text("shop"),
        folder=str(folder),
        dictionary={
            "photo": Property(property="photo", type="image"),
            "speed": Property(property="speed", name_en="etching speed", name_zh="蚀刻速度", unit="m/min"),
        },
        tags={
            IMAGE: Tag(tag=IMAGE, property="photo", connection="camera", address="x"),
            SPEED: Tag(tag=SPEED, property="speed", connection="plc", address="1", writable=True),
        },
        equipment={"line1/eye": Equipment(name=Text("Eye", "检测工位"))},
        guards={SPEED: GuardSpec(tag=SPEED, envelope="0.5..3 m/min")},
    )


class Line:
    """Shows pictures to an app and keeps what it said."""

    def __init__(self, app: Inspect) -> None:
        self.app = app
        self.number = 0
        self.results: list[Result] = []

    @property
    def now(self) -> int:
        return START + self.number * S

    def see(self, pixels: Pixels | None, quality: int = q.GOOD, name: str = "") -> Result:
        """The next part; a row of the grid comes with it."""
        self.number += 1
        reason = None if pixels is not None else Text("covered", "被遮挡")
        result = self.app.see(Picture(IMAGE, self.now, self.number, pixels, quality, reason, name))
        self.results.append(result)
        self.row(quality)
        return result

    def row(self, quality: int = q.GOOD, speed: float = 2.0) -> Result:
        """A row of camera quality and set-point."""
        tags = self.app.wants().tags
        value = np.array([[float(self.number), *[speed] * (len(tags) - 1)]])
        codes = np.array([[quality, *[0] * (len(tags) - 1)]], np.uint32)
        result = self.app.step(Window(tags, np.array([self.now]), value, codes, np.zeros_like(value)))
        self.results.append(result)
        return result

    @property
    def findings(self) -> list[Finding]:
        return [f for r in self.results for f in r.findings]

    @property
    def keys(self) -> list[tuple[str, bool]]:
        return [(f.key, f.active) for f in self.findings]

    @property
    def advice(self) -> list[Advice]:
        return [a for r in self.results for a in r.advice]

    def ask(self, verb: str, data: bytes = b"", **body: object) -> object:
        return self.app.ask(Question(verb=verb, body=body, data=data, who="ann"))


def line(folder: Path, **options: object) -> Line:
    """A line whose plant and state are below `folder`."""
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True)
    chosen = Options(**{"model": "part.model", "base": 20, "group": 10, **options})  # type: ignore[arg-type]
    app = Inspect("eye", plant(folder / "plant"), "line1/eye", chosen, state, clock=lambda: START, rng=np.random.default_rng(0))
    return Line(app)
