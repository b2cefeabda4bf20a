"""Tables as people have them, and impossible ones told in one sentence with file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from openpyxl import Workbook

from ronghe.apps.inventory.formats.items import DAY, Book, read
from ronghe.errors import AppError

ITEMS = "item,unit,lead_time,service,on_hand\nbolt,pcs,5,95%,60\nglue,kg,3,0.98,9\n"
DEMAND = "time,item,quantity\n2026-03-01,bolt,5\n2026-03-02,glue,1.5\n2026-03-04,bolt,7\n"
ITEMS_ZH = "物料,单位,提前期,目标满足率,现有库存\n螺栓,件,5,95%,60\n胶水,千克,3,98,9\n"
DEMAND_ZH = "日期,物料,数量\n2026/03/01,螺栓,5\n2026/03/02,胶水,1.5\n2026/03/04,螺栓,7\n"


def folder(tmp_path: Path, items: str | bytes = ITEMS, demand: str | bytes = DEMAND) -> Path:
    for name, content in (("items.csv", items), ("demand.csv", demand)):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def said(book: Book) -> tuple[list[float], list[float]]:
    first, second = (book.demand[i.item].tolist() for i in book.items)
    return first, second


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators(tmp_path: Path, encoding: str, separator: str) -> None:
    where = folder(tmp_path, ITEMS_ZH.replace(",", separator).encode(encoding), DEMAND_ZH.replace(",", separator).encode(encoding))
    book = read(where)
    assert said(book) == ([5, 0, 0, 7], [1.5, 0, 0])
    bolt, glue = book.items
    assert (bolt.item, bolt.unit, bolt.service, bolt.on_hand) == ("螺栓", "件", 0.95, 60)
    assert glue.service == 0.98
    assert book.end == 1_772_323_200 + 4 * DAY


def test_a_workbook_is_the_same(tmp_path: Path) -> None:
    book = Workbook()
    for name, text in (("物料", ITEMS_ZH), ("需求", DEMAND_ZH)):
        sheet = book.create_sheet(name)
        for line in text.splitlines():
            sheet.append(line.split(","))
    book.save(tmp_path / "stock.xlsx")
    assert said(read(tmp_path / "stock.xlsx")) == ([5, 0, 0, 7], [1.5, 0, 0])
    (tmp_path / "broken.xlsx").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(AppError, match="no Excel workbook"):
        read(tmp_path / "broken.xlsx")


def test_periods_end_on_the_last_day(tmp_path: Path) -> None:
    lines = [f"2026-03-{d:02},bolt,1" for d in range(2, 12)]
    book = read(folder(tmp_path, demand="time,item,quantity\n" + "\n".join(lines)), period=7 * DAY)
    assert book.demand["bolt"].tolist() == [3, 7]


def test_lines_of_one_time_are_added_and_said(tmp_path: Path) -> None:
    book = read(folder(tmp_path, demand=DEMAND + "\n2026-03-01,bolt,2\n"))
    assert book.demand["bolt"][0] == 7
    [warning] = book.warnings
    assert "demand.csv:6: the same item and time as line 2" in warning.en
    assert "第 2 行" in warning.zh


@pytest.mark.parametrize(
    ("items", "demand", "says"),
    [
        (ITEMS, DEMAND.replace("glue,1.5", "glue,-1.5"), r"demand\.csv:3: quantity is -1\.5, below zero"),
        (ITEMS, DEMAND.replace("glue,1.5", "glue,many"), r"demand\.csv:3: quantity is 'many', not a number"),
        (ITEMS, DEMAND.replace("glue,1.5", "glue,inf"), r"demand\.csv:3: quantity is inf, not a finite"),
        (ITEMS, DEMAND.replace("glue,1.5", "glue,"), r"demand\.csv:3: a line has no quantity"),
        (ITEMS, DEMAND.replace("glue", "glu"), r"demand\.csv:3: item 'glu' is not among the items"),
        (ITEMS, DEMAND.replace("2026-03-02", "2026-13-02"), r"demand\.csv:3: time is '2026-13-02', not a date"),
        (ITEMS, DEMAND.replace("2026-03-02", "1026-03-02"), r"demand\.csv:3: demand spans 1000 years"),
        (ITEMS, "\n\n" + DEMAND.replace("glue", "glu"), r"demand\.csv:5: item 'glu'"),
        (ITEMS, DEMAND.splitlines()[0] + "\n", r"demand\.csv: there is a head and no row"),
        (ITEMS, "", r"demand\.csv: the file is empty"),
        (ITEMS, DEMAND.replace("quantity", "colour"), r"demand\.csv:1: there is no column 'quantity'"),
        (ITEMS, DEMAND + "2026-03-05,bolt\n", r"demand\.csv: not a table"),
        (ITEMS, b"\xff\x00\xfe\x81\x81\x30", r"demand\.csv"),
        (ITEMS.replace("5,95%", "-5,95%"), DEMAND, r"items\.csv:2: lead_time is -5, below zero"),
        (ITEMS.replace("5,95%", ",95%"), DEMAND, r"items\.csv:2: item 'bolt' has no lead_time"),
        (ITEMS.replace("95%", "0%"), DEMAND, r"items\.csv:2: service is 0%"),
        (ITEMS.replace("95%", "100%"), DEMAND, r"items\.csv:2: service is 100%"),
        (ITEMS.replace("glue", "bolt"), DEMAND, r"items\.csv:3: item 'bolt' is on line 2 already"),
        (ITEMS.replace("glue", ""), DEMAND, r"items\.csv:3: a line names no item"),
        (ITEMS.replace("unit", "item"), DEMAND, r"items\.csv:1: two columns"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(tmp_path: Path, items: str, demand: str | bytes, says: str) -> None:
    with pytest.raises(AppError, match=says) as e:
        read(folder(tmp_path, items, demand))
    assert e.value.what.zh
    assert "\n" not in str(e.value)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"no items\.csv"):
        read(tmp_path)
    with pytest.raises(AppError, match="does not exist"):
        read(tmp_path / "nothing")


def test_a_million_rows(tmp_path: Path) -> None:
    block = "".join(f"2026-{1 + i % 12:02}-{1 + i % 28:02},item{i % 500},{i % 7}\n" for i in range(1000))
    items = "item,lead_time\n" + "\n".join(f"item{i},3" for i in range(500))
    book = read(folder(tmp_path, items, "time,item,quantity\n" + 1000 * block))
    assert sum(float(d.sum()) for d in book.demand.values()) == 1000 * sum(i % 7 for i in range(1000))
    assert np.isfinite(book.demand["item3"]).all()
