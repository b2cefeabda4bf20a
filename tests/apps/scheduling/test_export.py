from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from ronghe.apps.scheduling.export import export
from ronghe.apps.scheduling.formats.table import read
from ronghe.apps.scheduling.problem import Assigned, Plan, Problem
from ronghe.errors import AppError

from .shop import put

PLAN = Plan(
    assigned=(
        Assigned(operation="A1/cut", machine="press1", setup_start=0, start=0, end=20),
        Assigned(operation="A1/fold", machine="press2", setup_start=20, start=20, end=70),
        Assigned(operation="A3/cut", machine="press1", setup_start=20, start=40, end=70),
        Assigned(operation="A2/cut", machine="press2", setup_start=70, start=120, end=136),
        Assigned(operation="A2/fold", machine="press2", setup_start=136, start=156, end=164),
    ),
    objective=30.0,
    makespan=164,
    tardiness=30.0,
    setup=60,
)


@pytest.fixture
def problem(tmp_path: Path) -> Problem:
    return read(put(tmp_path / "shop"))


def test_csv_says_who_is_late(problem: Problem) -> None:
    rows = list(csv.DictReader(io.StringIO(export(problem, PLAN, "csv").decode("utf-8-sig"))))
    assert [r["operation"] for r in rows] == ["A1/cut", "A1/fold", "A3/cut", "A2/cut", "A2/fold"]
    fold = rows[1]
    assert (fold["start"], fold["end"], fold["due"]) == ("2026-03-02T00:20:00Z", "2026-03-02T01:10:00Z", "2026-03-02T01:00:00Z")
    assert [r["late_min"] for r in rows] == ["", "10.0", "0.0", "", "0.0"]


def test_a_name_is_no_formula(problem: Problem) -> None:
    job = msgspec.structs.replace(problem.jobs[0], product="=cmd|'/c calc'!A1")
    evil = msgspec.structs.replace(problem, jobs=(job, *problem.jobs[1:]))
    rows = list(csv.DictReader(io.StringIO(export(evil, PLAN, "csv").decode("utf-8-sig"))))
    assert rows[0]["product"].startswith("'=")


def test_a_calendar_for_each_machine(problem: Problem) -> None:
    from icalendar import Calendar

    packed = zipfile.ZipFile(io.BytesIO(export(problem, PLAN, "ics")))
    assert packed.namelist() == ["01-press1.ics", "02-press2.ics"]
    events = Calendar.from_ical(packed.read("01-press1.ics")).walk("VEVENT")
    assert [str(e["summary"]) for e in events] == ["A1/cut · box × 100", "A3/cut · lid × 10"]
    assert events[1].decoded("dtstart") == datetime(2026, 3, 2, 0, 20, tzinfo=UTC)  # with its set-up
    assert len({str(e["uid"]) for e in events}) == 2


def test_excel_has_plan_gantt_and_figures(problem: Problem) -> None:
    from openpyxl import load_workbook

    book = load_workbook(io.BytesIO(export(problem, PLAN, "xlsx")))
    assert book.sheetnames == ["plan", "gantt", "figures"]
    assert str(book["plan"]["G3"].value) == "2026-03-02 00:20:00"
    gantt = book["gantt"]
    assert [gantt.cell(r, 1).value for r in (2, 3)] == ["press1", "press2"]
    assert gantt.cell(2, 2).value == "A1"
    assert gantt.cell(3, 12).value == "A2"  # 156 min: the 11th quarter of an hour
    assert gantt.cell(3, 8).fill.start_color.rgb != gantt.cell(3, 3).fill.start_color.rgb
    assert {row[0].value: row[1].value for row in book["figures"].iter_rows()}["late_orders"] == 1


def test_b2mml_and_what_is_not_known(problem: Problem) -> None:
    assert "OperationsPerformance" in json.loads(export(problem, PLAN, "b2mml"))
    with pytest.raises(AppError, match="pdf"):
        export(problem, PLAN, "pdf")
