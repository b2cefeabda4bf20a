"""An inspector as a model package, and back: the graph that was learned is the graph that runs, so that the numbers are the same."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

import ronghe
from ronghe.apps.quality.inspector import fusion
from ronghe.apps.quality.inspector import level as levels
from ronghe.apps.quality.inspector.bank import Bank
from ronghe.apps.quality.inspector.descriptors import CHANNELS, Pixels, Sight, network
from ronghe.apps.quality.inspector.inspector import Inspector, Thresholds, build, score
from ronghe.apps.quality.inspector.limits import Limits
from ronghe.apps.quality.inspector.promise import Promise
from ronghe.errors import ModelError
from ronghe.models import Input, Manifest, Output, Package, Training
from ronghe.models.runtime import Session
from ronghe.text import Text

KIND: Final = "quality.inspect/1"
_UNITS: Final = {"height": "px", "width": "px", "light": "", "focus": ""}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of the manifest."""

    sight: Sight
    thresholds: Thresholds
    promise: Promise
    training: dict[str, Any]
    units: tuple[float, ...]


def pack(inspector: Inspector, *, name: str, created: int, version: str = "1") -> Package:
    """A package; `created` in ns since 1970 UTC. Inputs are the picture's measures, with the limits of validity."""
    inputs = tuple(
        Input(name=m, property=f"picture_{m}", unit=unit, low=getattr(inspector.limits, m)[0], high=getattr(inspector.limits, m)[1])
        for m, unit in _UNITS.items()
    )
    settings = Settings(
        sight=inspector.sight,
        thresholds=inspector.thresholds,
        promise=inspector.promise,
        training=inspector.training,
        units=tuple(b.unit for b in inspector.banks),
    )
    manifest = Manifest(
        name=name,
        version=version,
        kind=KIND,
        created=created,
        ronghe=ronghe.__version__,
        inputs=inputs,
        outputs=(Output(name="raw", text=Text("distance of each place from good ones", "各位置与良品的距离")),),
        training=Training(sha256=str(inspector.training["sha256"]), rows=int(inspector.training["images"])),
        metrics=inspector.metrics,
        settings=msgspec.to_builtins(settings),
    )
    arrays: dict[str, Any] = {}
    for look, bank in zip(inspector.sight.looks, inspector.banks, strict=True):
        arrays |= {look.name: bank.places, f"{look.name}_reach": bank.reach, f"{look.name}_axes": bank.axes}
    return Package(manifest, {**arrays, "level": inspector.level}, inspector.onnx)


def unpack(package: Package, where: str = "") -> Inspector:
    """The inspector. Raises ModelError for a package of another kind, or one whose parts do not fit each other."""
    manifest = package.manifest_of(KIND, made_by="ronghe quality fit", where=where)
    try:
        settings = msgspec.convert(manifest.settings, Settings)
        looks = settings.sight.looks
        places = [np.asarray(package.arrays[look.name], np.float32) for look in looks]
        reach = [np.asarray(package.arrays[f"{look.name}_reach"], np.float32) for look in looks]
        axes = [np.asarray(package.arrays[f"{look.name}_axes"], np.float32) for look in looks]
        banks = tuple(Bank(*parts) for parts in zip(places, reach, axes, settings.units, strict=True))
        level = np.asarray(package.arrays["level"], np.float32)
        limits = Limits(**{i.name: (float(i.low or 0), float(i.high or 0)) for i in manifest.inputs})
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as e:
        raise ModelError(Text(f"its settings do not fit: {e}", f"设置与模型不符：{e}"), where=where) from e
    if (
        package.onnx is None
        or any(p.shape[1:] != (CHANNELS[k.layer],) for p, k in zip([*places, *axes], looks * 2, strict=True))
        or level.shape != (levels.SIDE,) * 2
        or not settings.thresholds.reject > 0
    ):
        raise ModelError(Text("its parts do not fit each other", "模型各部分不相符"), where=where)
    return build(
        sight=settings.sight,
        banks=banks,
        level=level,
        thresholds=settings.thresholds,
        promise=settings.promise,
        limits=limits,
        onnx=package.onnx,
        training=settings.training,
        metrics=manifest.metrics,
    )


class Trained:
    """The trained model in NumPy and double precision, from the learned arrays: what the exported graph is compared with."""

    def __init__(self, inspector: Inspector) -> None:
        self.inspector = inspector
        self._seen = Session(network(inspector.sight))

    def raw(self, pixels: Pixels) -> float:
        """The raw score of a picture, as `Inspector.raw`."""
        seen = self._seen.run(self.inspector.sight.working(pixels))
        maps = [bank.distance(d[0]) for bank, d in zip(self.inspector.banks, seen, strict=True)]
        return score(levels.relative(fusion.together(maps), self.inspector.level))


def parity(inspector: Inspector, images: Any) -> float:
    """The largest difference between the exported graph's score and the trained model's, over pictures, in units of the reject limit."""
    trained = Trained(inspector)
    return max(abs(inspector.raw(p) - trained.raw(p)) / inspector.thresholds.reject for p in images)
