"""A trained forecast as a model package, and back. It holds the state after its last row too: the next row is forecast from there."""

from __future__ import annotations

from collections import deque
from typing import Any, Final

import msgspec
import numpy as np

import ronghe
from ronghe.apps.furnace.silicon.band import Band
from ronghe.apps.furnace.silicon.features import Memory
from ronghe.apps.furnace.silicon.filtering import Dynamics, Filter
from ronghe.apps.furnace.silicon.forecaster import Forecaster, Scaling
from ronghe.apps.furnace.silicon.heats import Heats
from ronghe.apps.furnace.silicon.scores import Ridge
from ronghe.apps.furnace.silicon.training import Trained
from ronghe.errors import ModelError
from ronghe.models import Input, Manifest, Output, Package, Training, training_hash
from ronghe.text import Text

KIND: Final = "furnace.silicon/1"
MADE_BY: Final = "ronghe furnace silicon fit"


def pack(trained: Trained, heats: Heats, *, name: str, created: int, metrics: dict[str, float] | None = None) -> Package:
    """A package of what was learned from `heats`; `created` in ns since 1970 UTC."""
    inputs = tuple(
        Input(name=n, property=n, low=float(low), high=float(high))
        for n, low, high in zip(trained.names, trained.low, trained.high, strict=True)
    )
    rows = np.column_stack([heats.time.astype(np.float64), heats.process, heats.silicon])
    manifest = Manifest(
        name=name,
        version="1",
        kind=KIND,
        created=created,
        ronghe=ronghe.__version__,
        inputs=inputs,
        outputs=(Output(name="silicon", unit="%", text=Text("silicon of the next heat", "下一炉铁水硅含量")),),
        training=Training(sha256=training_hash(rows), rows=len(heats), start=int(heats.time[0]), end=int(heats.time[-1])),
        metrics=metrics or {},
    )
    return package(manifest, trained)


def package(manifest: Manifest, trained: Trained) -> Package:
    """The state as it now is, under this manifest: how an app keeps what it has learned since."""
    f, ridge = trained.forecaster, trained.ridge
    settings = {
        "dynamics": msgspec.to_builtins(f.filter.dynamics),
        "centre": f.scaling.centre,
        "variance": f.scaling.variance,
        "gap": f.scaling.gap,
        "miss": f.band.miss,
        "ridge": [ridge.half, ridge.persistence],
    }
    arrays: dict[str, Any] = {
        "mean": f.scaling.mean,
        "sd": f.scaling.sd,
        "state": f.filter.mean,
        "covariance": f.filter.cov,
        "scores": np.array(f.band.scores, float),
        "slow": f.memory.slow,
        "times": np.array([*f.memory.times, f.last], np.int64),
        "rows": np.array(f.memory.rows).reshape(-1, len(trained.names)),
        "ridge": ridge.weights,
    }
    return Package(msgspec.structs.replace(manifest, settings=settings, files={}), arrays)


def unpack(given: Package, where: str = "") -> Trained:
    """What was learned. Raises ModelError for a package of another kind, or one whose arrays do not fit each other."""
    manifest = given.manifest_of(KIND, made_by=MADE_BY, where=where)
    k = len(manifest.inputs)
    try:
        s, a = manifest.settings, given.arrays
        dynamics = msgspec.convert(s["dynamics"], Dynamics)
        scaling = Scaling(a["mean"], a["sd"], float(s["centre"]), float(s["variance"]), float(s["gap"]))
        times = [int(t) for t in a["times"]]
        memory = Memory(a["slow"].copy(), times[:-1], [r.copy() for r in a["rows"]])
        band = Band(deque(a["scores"].tolist(), maxlen=Band().scores.maxlen), float(s["miss"]))
        filtering = Filter(dynamics, scaling.variance, a["state"].copy(), a["covariance"].copy())
        ridge = Ridge(a["ridge"], float(s["ridge"][0]), float(s["ridge"][1]))
    except (KeyError, TypeError, ValueError, IndexError, msgspec.ValidationError) as e:
        raise ModelError(Text(f"{e} is missing from the package", f"模型包缺少 {e}"), where=where) from e
    shapes = (scaling.mean.shape, scaling.sd.shape, filtering.mean.shape, filtering.cov.shape, ridge.weights.shape, memory.slow.shape)
    if shapes != ((3 * k,), (3 * k,), (3 * k + 2,), (3 * k + 2, 3 * k + 2), (k + 2,), (k,)) or a["rows"].shape != (len(times) - 1, k):
        raise ModelError(Text("its arrays do not fit its inputs", "数组与输入不符"), where=where)
    low = np.array([-np.inf if i.low is None else i.low for i in manifest.inputs])
    high = np.array([np.inf if i.high is None else i.high for i in manifest.inputs])
    names = tuple(i.name for i in manifest.inputs)
    return Trained(names, Forecaster(scaling, memory, filtering, band, times[-1]), ridge, low, high)
