"""Rows on disk while an app learns: a node that is restarted goes on learning where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class RowFile:
    """Appends rows (time, k values) to a file of little-endian numbers whose name carries the columns: other columns, another file.

    A row torn by kill -9 is cut off when the file is next opened.
    """

    def __init__(self, folder: Path, columns: Sequence[str], every: float) -> None:
        """Raises OSError when the folder cannot be used."""
        name = hashlib.sha256("\n".join([*columns, f"{every:g}"]).encode()).hexdigest()[:16]
        self._path = folder / f"learning-{name}.rows"
        self._type = np.dtype([("time", "<i8"), ("value", "<f8", (len(columns),))])
        for old in folder.glob("learning-*.rows"):
            if old != self._path:
                old.unlink()
        size = self._path.stat().st_size if self._path.exists() else 0
        self.rows = size // self._type.itemsize
        with self._path.open("ab") as file:
            file.truncate(self.rows * self._type.itemsize)

    def append(self, time: int, value: NDArray[np.float64]) -> None:
        """One row."""
        row = np.empty(1, self._type)
        row["time"], row["value"] = time, value
        with self._path.open("ab", buffering=0) as file:
            file.write(row.tobytes())
        self.rows += 1

    def read(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(time int64[n], value float64[n, k]) of all rows."""
        data = np.fromfile(self._path, self._type)
        return data["time"].astype(np.int64), data["value"].astype(np.float64)

    def delete(self) -> None:
        """What was in it has been learned."""
        self._path.unlink(missing_ok=True)
