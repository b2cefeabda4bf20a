"""Sheets as they come: a folder of CSV files or one Excel workbook, as rows of cells that know where they stand."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ronghe.errors import AppError, MissingExtra, Problem
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.textfile import read_text
from ronghe.text import Text

MOST: Final = 200_000
"""Rows of one sheet. A shop with more is planned in parts, or the file is not what it is taken for."""

_LARGEST: Final = 256 * 1024 * 1024  # bytes that a workbook may unpack to
_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table. `rows` are (line, cells); a cell is a str in CSV and whatever Excel holds in a workbook."""

    name: str
    file: str
    header: list[str]
    rows: list[tuple[int, list[Any]]]
    header_line: int = 1
    workbook: bool = False

    def place(self, line: int, column: int | None = None) -> tuple[str, int]:
        """(file, line) of a cell as people look for it: "routings.csv", 7 or "shop.xlsx:routings!C7", 0."""
        if not self.workbook:
            return self.file, line
        return f"{self.file}:{self.name}!{letters(column or 0)}{line}", 0


@dataclass(slots=True)
class Found:
    """What is wrong with the tables, with its place; all of it is told at once."""

    problems: Problems = field(default_factory=Problems)

    def error(self, sheet: Sheet, line: int, column: int | None, en: str, zh: str, meant: str = "") -> None:
        """Something wrong in a cell, or in a line where `column` is None."""
        if len(self.problems.found) > 10 * _SHOWN:
            return
        name = sheet.header[column] if column is not None and column < len(sheet.header) and not sheet.workbook else ""
        file, at = sheet.place(line, column)
        self.problems.error(file, at, f"{name}: {en}" if name else en, f"{name}：{zh}" if name else zh, meant)

    def check(self, where: str) -> None:
        """Raises AppError with everything found, if anything was."""
        errors = [p for p in self.problems.found if p.severity == "error"]
        if errors:
            raise AppError(told(errors), where=where)


def told(errors: list[Problem]) -> Text:
    """All problems as one text, a line each."""
    shown = errors[:_SHOWN]
    more = len(errors) - len(shown)
    en = [f"{len(errors)} problem(s) in the tables", *(f"  {p.in_('en')}" for p in shown), *([f"  … and {more} more"] if more else [])]
    zh = [f"表格中有 {len(errors)} 处问题", *(f"  {p.in_('zh')}" for p in shown), *([f"  …… 另有 {more} 处"] if more else [])]
    return Text("\n".join(en), "\n".join(zh))


def letters(column: int) -> str:
    """A column as Excel names it: 0 → A, 26 → AA."""
    name, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def load(path: Path, names: dict[str, str], found: Found) -> dict[str, Sheet]:
    """The sheets of a folder or workbook by canonical name. `names` maps every known sheet name, lower case, to the canonical one; other
    files in a folder are passed over, except where they look like a slip of the pen. Raises AppError where nothing can be read at all."""
    if path.is_dir():
        return _folder(path, names, found)
    if not path.exists():
        raise AppError(Text("there is no such file or folder", "文件或文件夹不存在"), where=str(path))
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return _workbook(path, names, found)
    raise AppError(
        Text("is neither a folder of CSV files nor an Excel workbook (.xlsx)", "既不是 CSV 文件夹，也不是 Excel 工作簿（.xlsx）"),
        where=str(path),
        todo=Text("give the folder that holds the .csv files; save an .xls file as .xlsx", "请给出存放 .csv 的文件夹；.xls 请另存为 .xlsx"),
    )


def _known(name: str, names: dict[str, str], place: str, found: Found) -> str | None:
    canonical = names.get(name.strip().lower())
    if canonical is None and (meant := nearest(name, names)):
        found.problems.error(place, 0, f"no table is called {name!r}", f"没有名为 {name!r} 的表", meant)
    return canonical


def _folder(path: Path, names: dict[str, str], found: Found) -> dict[str, Sheet]:
    sheets: dict[str, Sheet] = {}
    for file in sorted(path.iterdir()):
        if file.suffix.lower() not in (".csv", ".tsv", ".txt") or (name := _known(file.stem, names, file.name, found)) is None:
            continue
        if name in sheets:
            found.problems.error(file.name, 0, f"{sheets[name].file} is the same table", f"与 {sheets[name].file} 是同一张表")
            continue
        text = read_text(file, found.problems)
        if text is None:
            continue
        if (lines := text.count("\n")) > MOST:
            found.problems.error(file.name, 0, *_too_many(lines))
            continue
        if (sheet := _csv(name, file.name, text, found)) is not None:
            sheets[name] = sheet
    return sheets


def _too_many(rows: int) -> tuple[str, str]:
    return f"{rows} rows; at most {MOST} can be planned at once", f"共 {rows} 行，一次最多可排 {MOST} 行"


def _csv(name: str, file: str, text: str, found: Found) -> Sheet | None:
    first = next((line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")), "")
    separator = max(",;\t", key=first.count)
    lines = ("\n" if line.lstrip().startswith("#") else line for line in io.StringIO(text))
    reader = csv.reader(lines, delimiter=separator, strict=True)

    def numbered() -> Iterator[tuple[int, list[Any]]]:
        line = 1
        for cells in reader:
            yield line, list(cells)
            line = reader.line_num + 1

    try:
        return _sheet(name, file, numbered(), workbook=False, found=found)
    except csv.Error as e:
        found.problems.error(file, reader.line_num, f"not valid CSV: {e}", f"CSV 格式错误（双引号是否成对？）：{e}")
        return None


def _workbook(path: Path, names: dict[str, str], found: Found) -> dict[str, Sheet]:
    try:
        from openpyxl import load_workbook
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as e:
        raise MissingExtra("planning", Text("reading an Excel workbook", "读取 Excel 工作簿")) from e
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(i.file_size for i in packed.infolist())
        if size > _LARGEST:
            raise AppError(
                Text(f"unpacks to {size / 1e6:.0f} MB: too large to plan at once", f"解压后达 {size / 1e6:.0f} MB，过大，无法一次排产"),
                where=str(path),
            )
        book = load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, InvalidFileException, KeyError, ValueError, OSError) as e:
        raise AppError(Text(f"is not an Excel workbook: {e}", f"不是有效的 Excel 工作簿：{e}"), where=str(path)) from e
    sheets: dict[str, Sheet] = {}
    try:
        for page in book.worksheets:
            name = _known(page.title, names, f"{path.name}:{page.title}", found)
            if name is None:
                continue
            if (page.max_row or 0) > MOST:
                found.problems.error(f"{path.name}:{page.title}", 0, *_too_many(page.max_row))
                continue
            rows = ((i, list(cells)) for i, cells in enumerate(page.iter_rows(values_only=True), 1))
            if (sheet := _sheet(name, path.name, rows, workbook=True, found=found)) is not None:
                sheets[name] = sheet
    finally:
        book.close()
    return sheets


def _sheet(name: str, file: str, rows: Iterable[tuple[int, list[Any]]], *, workbook: bool, found: Found) -> Sheet | None:
    header: list[str] = []
    header_line, kept = 0, list[tuple[int, list[Any]]]()
    for line, cells in rows:
        filled = [i for i, c in enumerate(cells) if c is not None and str(c).strip()]
        if not filled or str(cells[filled[0]]).lstrip().startswith("#"):
            continue
        if not header:
            header, header_line = [str(c or "").strip() for c in cells[: filled[-1] + 1]], line
            continue
        kept.append((line, cells))
        if len(kept) > MOST:
            found.problems.error(f"{file}:{name}" if workbook else file, 0, *_too_many(len(kept)))
            return None
    if not header:
        found.problems.error(f"{file}:{name}" if workbook else file, 0, "is empty; its first line names the columns", "为空，首行应为列名")
        return None
    return Sheet(name, file, header, kept, header_line, workbook)
