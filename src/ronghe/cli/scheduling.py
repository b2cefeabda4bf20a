"""`ronghe scheduling`: problems from files solved, plans checked, and whole folders of benchmarks measured."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from ronghe.apps.scheduling.check import check as violations
from ronghe.apps.scheduling.check import claims, measure
from ronghe.apps.scheduling.evaluate import Measured, chosen, evaluate_one, instances, summary
from ronghe.apps.scheduling.formats import read, read_plan
from ronghe.apps.scheduling.problem import Plan, Problem
from ronghe.apps.scheduling.solve import solve as solved
from ronghe.apps.scheduling.timing import shifted
from ronghe.errors import AppError
from ronghe.text import Text, language

_WITHIN = 45.0  # s of solving, after which an evaluation ends that is not told to be full
_SHOWN = 5  # late jobs named
_KINDS = {".json": "json", ".csv": "csv", ".xlsx": "xlsx", ".ics": "ics"}


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Scheduling: which machine does what, and when.", "排产：哪台设备、何时、做什么。"))
def scheduling() -> None:
    """The group."""


@scheduling.command(
    help=_t("Plan a file or folder: JSPLIB, FJSP, JSON, B2MML, CSV, Excel.", "对文件或文件夹排产：JSPLIB、FJSP、JSON、B2MML、CSV、Excel。")
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--seconds", type=click.FloatRange(min=0), default=10.0, show_default=True, help=_t("time to search", "求解时间（秒）"))
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help=_t("threads", "线程数"))
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help=_t("of the random numbers", "随机种子"))
@click.option("--start", type=click.Path(path_type=Path), help=_t("plan (JSON) to begin from", "起始计划（JSON）"))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help=_t("plan to write: .json, .csv, .xlsx or .ics", "输出计划：.json、.csv、.xlsx 或 .ics"),
)
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def solve(source: Path, seconds: float, workers: int, seed: int, start: Path | None, output: Path | None, as_json: bool) -> None:
    """Solves, checks and tells."""
    if output is not None and output.suffix.lower() not in _KINDS:
        kinds = ", ".join(_KINDS)
        raise AppError(Text(f"a plan is written as {kinds}", f"计划可输出为 {kinds}"), where=str(output))
    problem = read(source)
    try:
        plan = solved(problem, seconds=seconds, workers=workers, seed=seed, start=None if start is None else read_plan(start))
    except AppError as e:
        raise _of_chain(source, e) from e
    plan = shifted(problem, plan)
    faults = [*violations(problem, plan), *claims(problem, plan)]
    if output is not None:
        _write(problem, plan, output)
    click.echo(msgspec.json.encode(_figures(problem, plan, faults)).decode() if as_json else _summary(problem, plan, faults))


def _of_chain(source: Path, e: AppError) -> AppError:
    """A shop of a chain folder has its materials in the stock beside it: what it lacks alone is no mistake in its tables."""
    chain = source.resolve().parent
    if not (source.is_dir() and (chain / "chain.csv").is_file()):
        return e
    todo = Text(f"this shop is a part of a chain: ronghe plan {chain.name}", f"该车间属于一条供应链，请用：ronghe plan {chain.name}")
    return AppError(e.what, where=e.where or str(source), todo=todo)


@scheduling.command(
    "check", help=_t("Hold a plan (JSON) against a problem; exit 1 where it does not hold.", "按问题校验计划（JSON）；不通过时退出码为 1。")
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("plan_file", metavar="PLAN", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def check(source: Path, plan_file: Path, as_json: bool) -> None:
    """Checks."""
    problem, plan = read(source), read_plan(plan_file)
    faults = [*violations(problem, plan), *claims(problem, plan)]
    f = measure(problem, plan)
    if as_json:
        said = {"feasible": not violations(problem, plan), "violations": [msgspec.to_builtins(x) for x in faults], **f._asdict()}
        click.echo(msgspec.json.encode(said).decode())
    else:
        for fault in faults:
            click.echo(fault.in_(language()))
        if not faults:
            click.echo(
                _t(
                    f"the plan holds: make-span {f.makespan}, objective {f.objective:g}",
                    f"计划通过校验：完工时间 {f.makespan}，目标值 {f.objective:g}",
                )
            )
    if faults:
        sys.exit(1)


@scheduling.command(
    help=_t("Solve the instances of a folder; print the gaps to the best known.", "求解文件夹中的算例，输出与最优已知值的差距。")
)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option(
    "--best",
    required=True,
    type=click.Path(path_type=Path),
    help=_t("JSON of the best known: name → {lb, ub}", "最优已知值 JSON：名称 → {lb, ub}"),
)
@click.option(
    "--seconds", type=click.FloatRange(min=0.1), default=10.0, show_default=True, help=_t("time for each", "每个算例的时间（秒）")
)
@click.option("--only", default="", help=_t("names that begin so (la, ta2 …), with commas", "仅限以此开头的名称（la、ta2 …），逗号分隔"))
@click.option("--full", is_flag=True, help=_t("all of them, however long it takes", "全部算例，不限时间"))
@click.option("--workers", type=click.IntRange(min=1), default=2, show_default=True, help=_t("threads", "线程数"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def evaluate(folder: Path, best: Path, seconds: float, only: str, full: bool, workers: int, as_json: bool) -> None:
    """Measures."""
    found = instances(folder, best, tuple(x for x in only.split(",") if x))
    seconds = seconds if full else min(seconds, _WITHIN)
    taken = found if full else chosen(found, int(_WITHIN / seconds))
    rows: list[Measured] = []
    for one in taken:
        rows.append(evaluate_one(one, seconds=seconds, workers=workers))
        if not as_json:
            r = rows[-1]
            click.echo(f"{r.name:<24}{r.objective:>9g}  [{r.best_lb:g}, {r.best_ub:g}]  {100 * r.gap:6.2f} %  {r.seconds:5.1f} s")
    report = summary(rows, of=len(found), seconds=seconds, workers=workers)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for name, s in report.sets.items():
        click.echo(_t(f"{name}: mean gap {100 * s.gap:.2f} % over {s.n}", f"{name}：{s.n} 个算例平均差距 {100 * s.gap:.2f} %"))
    if len(rows) < len(found):
        click.echo(_t(f"a sample of {len(rows)} of {len(found)} (--full: all)", f"抽样 {len(rows)}/{len(found)}（--full 为全部）"))


def _write(problem: Problem, plan: Plan, output: Path) -> None:
    kind = _KINDS[output.suffix.lower()]
    if kind == "json":
        data = msgspec.json.encode(plan)
    else:
        from ronghe.apps.scheduling.export import export

        data = export(problem, plan, kind)
    try:
        output.write_bytes(data)
    except OSError as e:
        raise AppError(Text(f"cannot be written: {e.strerror}", f"无法写入：{e.strerror}"), where=str(output)) from e


def _late(problem: Problem, plan: Plan) -> dict[str, int]:
    """The jobs that end after they are due, and by how much, the latest first."""
    job = {o.name: j for j in problem.jobs for o in j.operations}
    late: dict[str, int] = {}
    for a in plan.assigned:
        j = job[a.operation]
        if j.due is not None and a.end > j.due:
            late[j.name] = max(a.end - j.due, late.get(j.name, 0))
    return dict(sorted(late.items(), key=lambda x: -x[1]))


def _long(problem: Problem, ticks: int) -> str:
    """A duration as people read it: hours where the problem has a clock, else ticks."""
    return f"{ticks * problem.tick / 3600:.1f} h" if problem.start else str(ticks)


def _figures(problem: Problem, plan: Plan, faults: list[Text]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": problem.name,
        "objective": plan.objective,
        "lower_bound": plan.lower_bound,
        "gap": plan.gap,
        "status": plan.status,
        "feasible": not faults,
        "checked": True,
        "violations": [msgspec.to_builtins(f) for f in faults],
        "makespan": plan.makespan,
        "seconds": round(plan.seconds, 3),
        "by": plan.by,
        "operations": len(plan.assigned),
        "machines": len(problem.machines),
    }
    if any(j.due is not None for j in problem.jobs):
        said |= {"tardiness": plan.tardiness, "late_jobs": len(_late(problem, plan))}
    if problem.setups:
        said["setup"] = plan.setup
    if plan.energy is not None:
        said |= {"energy": plan.energy, "energy_cost": plan.energy_cost, "carbon": plan.carbon}
    return said


def _summary(problem: Problem, plan: Plan, faults: list[Text]) -> str:
    n, m = len(plan.assigned), len(problem.machines)
    out = [
        _t(
            f"{problem.name}: {len(problem.jobs)} jobs, {n} operations, {m} machines",
            f"{problem.name}：{len(problem.jobs)} 个订单、{n} 道工序、{m} 台设备",
        )
    ]
    if plan.status == "optimal":
        out.append(_t(f"objective {plan.objective:g}, proven optimal", f"目标值 {plan.objective:g}，已证明最优"))
    elif plan.gap is not None:
        out.append(
            _t(
                f"objective {plan.objective:g}; nothing below {plan.lower_bound:g} is possible (gap {100 * plan.gap:.1f} %)",
                f"目标值 {plan.objective:g}；不可能低于 {plan.lower_bound:g}（差距 {100 * plan.gap:.1f} %）",
            )
        )
    out.append(_t(f"make-span {_long(problem, plan.makespan)}", f"完工时间 {_long(problem, plan.makespan)}"))
    if any(j.due is not None for j in problem.jobs):
        late = _late(problem, plan)
        out.append(
            _t(f"weighted tardiness {plan.tardiness:g}, {len(late)} jobs late", f"加权拖期 {plan.tardiness:g}，{len(late)} 个订单延误")
        )
        out += [_t(f"  {name} by {_long(problem, by)}", f"  {name} 延误 {_long(problem, by)}") for name, by in list(late.items())[:_SHOWN]]
        if len(late) > _SHOWN:
            out.append(_t(f"  and {len(late) - _SHOWN} more", f"  另有 {len(late) - _SHOWN} 个"))
    if problem.setups:
        out.append(_t(f"set-ups {_long(problem, plan.setup)}", f"换型 {_long(problem, plan.setup)}"))
    if plan.energy is not None and plan.energy_cost is not None:
        kg = "" if plan.carbon is None else f", {plan.carbon:,.1f} kg CO2e"
        out.append(
            _t(
                f"energy {plan.energy:,.1f} kWh for {plan.energy_cost:,.2f}{kg}, in the cheapest hours of these sequences",
                f"用电 {plan.energy:,.1f} kWh，电费 {plan.energy_cost:,.2f}{kg}（已移至该加工顺序下的最低价时段）",
            )
        )
    out.append(_t(f"found by {plan.by} in {plan.seconds:.1f} s", f"方法：{plan.by}，用时 {plan.seconds:.1f} 秒"))
    if faults:
        out += [_t("the plan does NOT hold:", "计划未通过校验："), *(f.in_(language()) for f in faults)]
    else:
        out.append(_t("checked: the plan holds", "已校验：计划成立"))
    return "\n".join(out)


if __name__ == "__main__":
    sys.exit(scheduling())
