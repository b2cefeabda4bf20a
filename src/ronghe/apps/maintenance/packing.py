"""Learned normal operation as a model package, and back: the same numbers on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import ronghe
from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import Normal
from ronghe.errors import ModelError
from ronghe.models import Input, Manifest, Output, Package, Training, training_hash
from ronghe.text import Text

KIND: Final = "maintenance.detect/1"
_ARRAYS: Final = ("center", "scale", "loadings", "alone", "unrest", "unrest_scale", "quiet", "run")


def pack(
    normal: Normal,
    columns: Sequence[Measured],
    rows: NDArray[np.float64],
    *,
    name: str,
    created: int,
    version: str = "1",
    time: NDArray[np.int64] | None = None,
    every: float = 1.0,
    metrics: dict[str, float] | None = None,
) -> Package:
    """A package of what was learned from `rows` float64[n, k]. Inputs are named by tag and property; `created` in ns since 1970 UTC."""
    inputs = tuple(
        Input(name=c.tag, property=c.prop, unit=c.unit, low=float(low), high=float(high))
        for c, low, high in zip(columns, normal.low, normal.high, strict=True)
    )
    span = {} if time is None or not len(time) else {"start": int(time[0]), "end": int(time[-1])}
    manifest = Manifest(
        name=name,
        version=version,
        kind=KIND,
        created=created,
        ronghe=ronghe.__version__,
        inputs=inputs,
        outputs=(Output(name="score", text=Text("distance from normal operation; 1 is the limit", "偏离正常运行的程度；1 为限值")),),
        training=Training(sha256=training_hash(rows), rows=len(rows), **span),
        metrics=metrics or {},
        settings={"window": normal.window, "limit": normal.limit, "every": every},
    )
    return Package(manifest, {a: getattr(normal, a) for a in _ARRAYS})


def unpack(package: Package, where: str = "") -> Normal:
    """What was learned. Raises ModelError for a package of another kind, or one whose arrays do not fit each other."""
    manifest = package.manifest_of(KIND, made_by="ronghe maintenance detect fit", where=where)
    k = len(manifest.inputs)
    try:
        arrays: dict[str, Any] = {a: package.arrays[a] for a in _ARRAYS}
        window, limit = int(manifest.settings["window"]), float(manifest.settings["limit"])
    except (KeyError, TypeError, ValueError) as e:
        raise ModelError(Text(f"{e} is missing from the package", f"模型包缺少 {e}"), where=where) from e
    shapes = [arrays[a].shape[:1] for a in _ARRAYS]
    if any(s != (k,) for s in shapes) or arrays["loadings"].ndim != 2 or window < 1 or not limit > 0:
        raise ModelError(Text("its arrays do not fit its inputs", "数组与输入不符"), where=where)
    low = np.array([np.nan if i.low is None else i.low for i in manifest.inputs])
    high = np.array([np.nan if i.high is None else i.high for i in manifest.inputs])
    return Normal(low=low, high=high, window=window, limit=limit, **arrays)


def match(package: Package, columns: Sequence[Measured], where: str = "") -> list[int]:
    """For each input of the package, which column it is: by tag, else by the tag's last part, else by a property that only one column has.

    Raises ModelError naming the inputs for which there is no column, or whose unit is another. An input without a unit, learned from a
    file that names none, is taken to be in the column's.
    """
    by_tag = {c.tag: i for i, c in enumerate(columns)}
    found: list[int] = []
    for given in package.manifest.inputs:
        last = given.name.rpartition("/")[2]
        same_name = [i for i, c in enumerate(columns) if c.tag.rpartition("/")[2] == last]
        same_property = [i for i, c in enumerate(columns) if c.prop == given.property]
        at = by_tag.get(given.name, -1)
        for same in (same_name, same_property):
            if at < 0 and len(same) == 1:
                at = same[0]
        if at < 0:
            raise ModelError(
                Text(
                    f"the model needs {given.name} ({given.property}), which is not here",
                    f"模型需要 {given.name}（{given.property}），此处没有",
                ),
                where=where,
                todo=Text("add the tag, or fit a model on this equipment", "请添加该测点，或用本设备数据重新训练"),
            )
        if given.unit and given.unit != columns[at].unit:
            raise ModelError(
                Text(
                    f"{given.name} was learned in {given.unit!r} and is given in {columns[at].unit!r}",
                    f"{given.name} 训练时单位为 {given.unit!r}，现为 {columns[at].unit!r}",
                ),
                where=where,
            )
        found.append(at)
    return found
