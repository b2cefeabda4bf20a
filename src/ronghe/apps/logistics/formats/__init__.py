"""Readers of routing problems. `read` recognises the format: a VRPLIB file, a folder of CSV files, an Excel book."""

from __future__ import annotations

from pathlib import Path

from ronghe.apps.logistics.formats.refusing import Origin, refuse_unsound
from ronghe.apps.logistics.problem import Problem
from ronghe.errors import AppError
from ronghe.text import Text


def read(path: Path) -> Problem:
    """The problem at `path`. Raises AppError with file and line for what cannot be planned, MissingExtra for a book without openpyxl."""
    problem, origin = _read(path)
    refuse_unsound(problem, origin)
    return problem


def _read(path: Path) -> tuple[Problem, Origin]:
    if path.is_dir() or path.suffix.lower() in (".xlsx", ".xlsm"):
        from ronghe.apps.logistics.formats import table

        return table.read(path)
    if not path.exists():
        raise AppError(Text("there is no such file", "文件不存在"), where=str(path))
    from ronghe.apps.logistics.formats import vrplib

    return vrplib.read(path)
