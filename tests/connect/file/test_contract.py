"""The driver contract, with a wide CSV and a long Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from contract import Bench, DriverContract

from ronghe.connect.file import File

_TENTHS = 20


class FileBench(Bench):
    driver = File
    unknown = "no such column"
    malformed = "  "
    text = "mode"
    stoppable = False

    def __init__(self, path: Path) -> None:
        self.options = {"path": str(path), "loop": True}
        self.moving = ["pump/pressure", "pump/flow"]

    def start(self) -> None: ...

    def stop(self) -> None: ...


class TestWideCsv(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        path = tmp_path_factory.mktemp("wide") / "pump.csv"
        rows = [f"2024-01-01 00:00:{i // 10:02d}.{i % 10},{i * 0.5},{50 - i},auto" for i in range(_TENTHS)]
        path.write_text("\n".join(["time,pump/pressure,pump/flow,mode", *rows]))
        return FileBench(path)


class TestLongParquet(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        path = tmp_path_factory.mktemp("long") / "pump.parquet"
        time = np.repeat(np.datetime64("2024-01-01T00:00:00", "ms") + np.arange(_TENTHS) * 100, 3)
        value = [v for i in range(_TENTHS) for v in (str(i * 0.5), str(50 - i), "auto")]
        tag = ["pump/pressure", "pump/flow", "mode"] * _TENTHS
        pq.write_table(pa.table({"tag": tag, "time": time, "value": value}), path)
        return FileBench(path)
