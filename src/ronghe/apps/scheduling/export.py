"""A plan for those who work by it: calendars (iCalendar, RFC 5545), CSV, Excel with a Gantt, and B2MML-shaped JSON."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from ronghe.apps.scheduling.formats import b2mml
from ronghe.apps.scheduling.problem import Assigned, Job, Plan, Problem, Tick
from ronghe.errors import AppError, MissingExtra
from ronghe.signals.when import format_time
from ronghe.text import Text

_COLUMNS: Final = ("order", "product", "quantity", "operation", "machine", "setup_start", "start", "end", "due", "late_min", "batch")
_SLOTS: Final = 240  # columns of the Gantt at most
_COLOURS: Final = ("9DB7D5", "E3C08D", "A9CBA4", "D6A9B5", "BDB2D9", "C9C5A1", "9FCFCB", "D9B8A0")


@dataclass(frozen=True, slots=True)
class Line:
    """One operation of a plan with its job."""

    job: Job
    assigned: Assigned
    last: bool  # of its job


def lines(problem: Problem, plan: Plan) -> list[Line]:
    """The operations by start, then machine."""
    jobs = {o.name: job for job in problem.jobs for o in job.operations}
    ends: dict[str, Tick] = {}
    for a in plan.assigned:
        ends[jobs[a.operation].name] = max(ends.get(jobs[a.operation].name, a.end), a.end)
    found = [Line(jobs[a.operation], a, a.end == ends[jobs[a.operation].name]) for a in plan.assigned]
    return sorted(found, key=lambda x: (x.assigned.start, x.assigned.machine))


def export(problem: Problem, plan: Plan, kind: str) -> bytes:
    """The plan as "csv", "xlsx", "ics" (a zip of one calendar a machine), or "b2mml". Raises AppError for another, and MissingExtra."""
    kinds: dict[str, Callable[[Problem, Plan], bytes]] = {"csv": as_csv, "xlsx": as_excel, "ics": as_calendars, "b2mml": as_b2mml}
    if kind not in kinds:
        known = ", ".join(kinds)
        raise AppError(Text(f"cannot export as {kind!r}; {known}", f"不支持导出为 {kind!r}；可选 {known}"))
    return kinds[kind](problem, plan)


def as_b2mml(problem: Problem, plan: Plan) -> bytes:
    """OperationsSchedule with the windows planned, OperationsPerformance of what was done."""
    return msgspec.json.encode(b2mml.document(problem, plan))


def _ns(problem: Problem, tick: Tick) -> int:
    return problem.start + round(tick * problem.tick * 1e9)


def _datetime(problem: Problem, tick: Tick) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=problem.start / 1e9 + tick * problem.tick)


def _row(problem: Problem, line: Line, when: Callable[[Problem, Tick], Any]) -> list[Any]:
    job, a = line.job, line.assigned
    late = max(0, a.end - job.due) * problem.tick / 60 if job.due is not None and line.last else None
    return [
        job.name,
        job.product,
        job.quantity,
        a.operation,
        a.machine,
        when(problem, a.setup_start),
        when(problem, a.start),
        when(problem, a.end),
        when(problem, job.due) if job.due is not None else None,
        late,
        a.batch or None,
    ]


def as_csv(problem: Problem, plan: Plan) -> bytes:
    """One line an operation, UTF-8 with a byte order mark; times ISO 8601 in UTC, `late_min` with the last operation of an order."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for line in lines(problem, plan):
        cells = _row(problem, line, lambda p, t: format_time(_ns(p, t)))
        writer.writerow([_plain(c) for c in cells])
    return out.getvalue().encode("utf-8-sig")


def _plain(cell: Any) -> Any:
    """A name that begins with =, + or @ is a formula to a spreadsheet (CSV injection, CWE-1236): it is kept a text."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "@", "-", "\t") else cell


def as_calendars(problem: Problem, plan: Plan) -> bytes:
    """A zip of one calendar a machine, an event an operation, set-up included."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for i, machine in enumerate(problem.machines):
            safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in machine.name)
            packed.writestr(f"{i + 1:02d}-{safe}.ics", calendar(problem, plan, machine.name))
    return out.getvalue()


def calendar(problem: Problem, plan: Plan, machine: str) -> bytes:
    """The iCalendar of one machine. Raises MissingExtra."""
    try:
        from icalendar import Calendar, Event
    except ImportError as e:
        raise MissingExtra("planning", Text("writing a calendar", "导出日历")) from e
    page = Calendar()
    page.add("prodid", "-//Ronghe//scheduling//EN")
    page.add("version", "2.0")
    page.add("x-wr-calname", machine)
    stamp = _datetime(problem, problem.now)
    for line in lines(problem, plan):
        a, job = line.assigned, line.job
        if a.machine != machine:
            continue
        event = Event()
        event.add("uid", f"{a.operation}@{problem.name or 'plan'}.ronghe")
        event.add("dtstamp", stamp)
        event.add("dtstart", _datetime(problem, a.setup_start))
        event.add("dtend", _datetime(problem, a.end))
        event.add("summary", f"{a.operation} · {job.product} × {job.quantity:g}" if job.product else a.operation)
        event.add("location", machine)
        setup = round((a.start - a.setup_start) * problem.tick / 60)
        if setup:
            event.add("description", str(Text(f"set-up {setup} min before it", f"含换型 {setup} 分钟")))
        page.add_component(event)
    written: bytes = page.to_ical()
    return written


def as_excel(problem: Problem, plan: Plan) -> bytes:
    """A workbook: the plan, a Gantt of coloured cells (a colour a family), and its figures. Times are UTC. Raises MissingExtra."""
    try:
        from openpyxl import Workbook
        from openpyxl.styles import Font
    except ImportError as e:
        raise MissingExtra("planning", Text("writing an Excel workbook", "导出 Excel 工作簿")) from e
    book = Workbook()
    page = book.active
    page.title = "plan"
    page.append([c + " (UTC)" if c in ("setup_start", "start", "end", "due") else c for c in _COLUMNS])
    for line in lines(problem, plan):
        page.append([_plain(c) for c in _row(problem, line, lambda p, t: _datetime(p, t).replace(tzinfo=None))])
    for cell in page[1]:
        cell.font = Font(bold=True)
    for letter, width in zip("ABCDEFGHIJK", (14, 14, 9, 22, 14, 18, 18, 18, 18, 9, 7), strict=True):
        page.column_dimensions[letter].width = width
    page.freeze_panes = "A2"
    _gantt(book.create_sheet("gantt"), problem, plan)
    page = book.create_sheet("figures")
    for name, value in figures(problem, plan):
        page.append([name, value])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def figures(problem: Problem, plan: Plan) -> list[tuple[str, Any]]:
    """What a plan is worth, in hours."""
    hour = 3600 / problem.tick
    late = [x for x in lines(problem, plan) if x.last and x.job.due is not None and x.assigned.end > x.job.due]
    return [
        ("objective", plan.objective),
        ("lower_bound", plan.lower_bound),
        ("makespan_h", plan.makespan / hour),
        ("weighted_tardiness_h", plan.tardiness / hour),
        ("setup_h", plan.setup / hour),
        ("orders", len(problem.jobs)),
        ("late_orders", len({x.job.name for x in late})),
        ("by", plan.by),
    ]


def _gantt(page: Any, problem: Problem, plan: Plan) -> None:
    """A row a machine, a cell a slot of a whole number of quarters of an hour; a set-up is grey."""
    from openpyxl.styles import PatternFill
    from openpyxl.utils import get_column_letter

    end = max((a.end for a in plan.assigned), default=1)
    quarter = 900 / problem.tick
    slot = quarter * max(1, -(-int(end / quarter + 1) // _SLOTS))
    families = sorted({o.family for j in problem.jobs for o in j.operations})
    family = {o.name: families.index(o.family) for j in problem.jobs for o in j.operations}
    fills = [PatternFill("solid", start_color=c) for c in _COLOURS]
    setup = PatternFill("solid", start_color="808080")
    rows = {m.name: i + 2 for i, m in enumerate(problem.machines)}
    page.cell(1, 1, "machine")
    for name, row in rows.items():
        page.cell(row, 1, _plain(name))
    for column in range(int(end / slot) + 1):
        if column % 4 == 0:
            page.cell(1, column + 2, _datetime(problem, round(column * slot)).strftime("%m-%d %H:%M"))
        page.column_dimensions[get_column_letter(column + 2)].width = 4
    for line in lines(problem, plan):
        a = line.assigned
        for column in range(int(a.setup_start / slot), max(int(-(-a.end // slot)), int(a.setup_start / slot) + 1)):
            cell = page.cell(rows[a.machine], column + 2)
            cell.fill = setup if (column + 0.5) * slot < a.start else fills[family[a.operation] % len(fills)]
        page.cell(rows[a.machine], int(a.start / slot) + 2).value = _plain(line.job.name)
    page.column_dimensions["A"].width = 16
    page.freeze_panes = "B2"
