"""Learning for a fleet: a package for each equipment, as the app on the node would judge by it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ronghe.apps.maintenance.packing import KIND, unpack
from ronghe.cloud.lake import Lake
from ronghe.cloud.lake.train import jobs, learn_one, train
from ronghe.errors import CloudError
from ronghe.models import load

from .conftest import SECOND, START


def test_each_equipment_is_learned_and_one_that_cannot_be_says_why(lake: Lake, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    for plant, n in (("acme/one", 400), ("acme/two", 30)):
        at = pa.array(START + np.arange(n) * SECOND).cast(pa.timestamp("ns", tz="UTC"))
        for tag, level in (("line/pump/flow", 20.0), ("line/pump/pressure", 5.0)):
            value = level + rng.normal(0, 0.1, n)
            lake.add(plant, pa.table({"tag": [tag] * n, "time": at, "value": value, "quality": np.zeros(n, np.uint32)}))
    span = {"start": START, "end": START + 400 * SECOND, "every": SECOND}
    one, two = map(learn_one, jobs(lake, tmp_path, **span, clock=lambda: 7))
    assert (one.plant, one.equipment, one.why) == ("acme/one", "line/pump", None)
    package = load(Path(one.package))
    assert package.hash == one.hash
    assert package.manifest.training.rows == one.rows == 400
    normal = unpack(package.manifest_of(KIND, made_by="") and package)
    assert normal.center == pytest.approx([20.0, 5.0], abs=0.05)
    assert two.why is not None
    assert "too few" in two.why.en
    with pytest.raises(CloudError, match="no samples of that time"):
        train(lake, tmp_path / "models", start=0, end=1, every=SECOND)
