"""`ronghe new FOLDER` and `ronghe check PLANT`: a first plant folder, and everything that is wrong with one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import msgspec

from ronghe.errors import Problem
from ronghe.plant.folder import examine
from ronghe.plant.model import GuardSpec, Plant
from ronghe.text import Text, language


@click.command(
    help=str(
        Text(
            "Write a first plant folder: small, commented, running without hardware. A folder that holds anything is left alone.",
            "新建工厂文件夹：小而带注释，无需硬件即可运行。不会改动已有内容的文件夹。",
        )
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
def new(folder: Path) -> None:
    """Writes the folder and says what to do next."""
    from ronghe.plant import starter

    for path in starter.write(folder):
        click.echo(path)
    click.echo()
    click.echo(f"  ronghe check {folder}   {Text('checks it', '检查')}")
    click.echo(f"  ronghe up {folder}      {Text('runs it: http://127.0.0.1:8123', '运行：http://127.0.0.1:8123')}")


@click.command(
    help=str(
        Text(
            "Check the plant folder PLANT whole: every problem with file, line and what was probably meant, or a summary of the plant. "
            "Exit code 1 for errors; warnings do not fail. Secrets need not be set.",
            "完整检查工厂文件夹 PLANT：列出每处问题的文件、行号与可能的本意，或给出工厂概要。有错误时退出码为 1，警告不算。"
            "无需设置密码等机密。",
        )
    )
)
@click.argument("plant", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=str(Text("the result as one JSON object", "以一个 JSON 对象输出结果")))
def check(plant: Path, as_json: bool) -> None:
    """Prints problems grouped by file, then a summary when there is no error."""
    from ronghe.apps.trial import try_apps
    from ronghe.guard.limits import check_guard
    from ronghe.guard.trialcheck import try_twins

    found, problems = examine(plant, check_guard=check_guard, secrets=False)
    if found:
        problems = sorted([*problems, *try_apps(found), *try_twins(found)], key=lambda p: (p.file, p.line))
        found = None if any(p.severity == "error" for p in problems) else found
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_result(found, problems))))
    else:
        for line in (*_told(problems), *(_summary(found) if found else ())):
            click.echo(line)
    sys.exit(0 if found else 1)


def _result(plant: Plant | None, problems: list[Problem]) -> dict[str, Any]:
    if plant is None:
        return {"ok": False, "problems": problems}
    names = {"path": plant.path, "name": plant.name, "connections": list(plant.connections), "apps": list(plant.apps)}
    return {"ok": True, "problems": problems, "plant": {**names, "tags": len(plant.tags), "guards": list(plant.guards.values())}}


def _told(problems: list[Problem]) -> Iterator[str]:
    for file, group in groupby(problems, key=lambda p: p.file):
        yield click.style(file, bold=True)
        for p in group:
            mark = click.style("✗", fg="red") if p.severity == "error" else click.style("!", fg="yellow")
            words = msgspec.structs.replace(p, file="", line=0).in_(language()).removeprefix(": ")
            yield f"  {mark} {p.line or '':>4}  {words}"
        yield ""
    errors = sum(p.severity == "error" for p in problems)
    warnings = len(problems) - errors
    if errors:
        yield str(Text(f"{_n(errors, 'error')}, {_n(warnings, 'warning')}", f"{errors} 处错误，{warnings} 处警告"))


def _summary(plant: Plant) -> Iterator[str]:
    counts = Text(
        ", ".join(_n(len(getattr(plant, what)), what.removesuffix("s")) for what in ("connections", "tags", "apps", "guards")),
        f"{len(plant.connections)} 个连接，{len(plant.tags)} 个测点，{len(plant.apps)} 个应用，{len(plant.guards)} 个守护",
    )
    yield f"{click.style('✓', fg='green')} {plant.name} ({plant.path}): {counts}"
    rows = [[c.name, c.driver, str(_tags(sum(t.connection == c.name for t in plant.tags.values())))] for c in plant.connections.values()]
    computed = sum(not t.connection for t in plant.tags.values())
    if computed:
        rows.append(["-", str(Text("computed or entered", "计算或人工录入")), str(_tags(computed))])
    yield from _table(Text("connections", "连接"), rows)
    apps = [[a.name, a.uses, a.equipment or "/", str(_tags(len(plant.tags_under(a.equipment))))] for a in plant.apps.values()]
    yield from _table(Text("apps", "应用"), apps)
    yield from _table(Text("may be written", "允许写入"), [_guard(g) for g in plant.guards.values()])
    if not plant.guards:
        yield f"\n  {Text('nothing may be written: there is no guard', '没有守护：不会写入任何设定值')}"


def _tags(n: int) -> Text:
    return Text(_n(n, "tag"), f"{n} 个测点")


def _n(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _guard(guard: GuardSpec) -> list[str]:
    mode = {"advise": Text("shown only", "仅建议"), "approve": Text("when approved", "批准后"), "auto": Text("automatically", "自动")}[
        guard.mode
    ]
    limits = guard.envelope + (f", ±{guard.rate}" if guard.rate else "")
    return [guard.tag, str(mode), limits, str(Text(f"if {guard.interlock}", f"条件：{guard.interlock}")) if guard.interlock else ""]


def _table(title: Text, rows: list[list[str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"\n  {title}"
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
