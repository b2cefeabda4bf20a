"""A shop as plants keep it: a folder of CSV files, or one Excel workbook with sheets of the same names (docs/scheduling-files.md).

problem = read("shop/")            # or "shop.xlsx"
write(problem, "copy.xlsx")        # or a folder
"""

from __future__ import annotations

from pathlib import Path

from ronghe.apps.scheduling.formats.table.build import Builder
from ronghe.apps.scheduling.formats.table.kinds import NAMES
from ronghe.apps.scheduling.formats.table.sheets import Found, load
from ronghe.apps.scheduling.formats.table.write import write
from ronghe.apps.scheduling.problem import Problem
from ronghe.errors import AppError
from ronghe.text import Text

__all__ = ["read", "write"]


def read(path: Path) -> Problem:
    """The problem of a folder or workbook. Raises AppError that names every cell that is wrong, and MissingExtra for a workbook where
    openpyxl is not installed."""
    found = Found()
    sheets = load(path, NAMES, found)
    if not sheets:
        found.check(str(path))
        raise AppError(
            Text("holds none of the tables machines, orders, routings", "其中没有 machines、orders、routings 等表"),
            where=str(path),
            todo=Text("see docs/scheduling-files.md", "参见 docs/scheduling-files.md"),
        )
    problem = Builder(sheets, found, path.stem).problem()
    found.check(str(path))
    assert problem is not None  # else something was found
    return problem
