"""`ronghe quality spc` and `ronghe quality gauge`: control charts and measurement system analysis of files, with no plant."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts import spc as charts
from ronghe.apps.quality.charts.capability import LEAST, capability
from ronghe.apps.quality.charts.gauge import Study, study
from ronghe.errors import AppError
from ronghe.text import Text, language

_RULES = {"nelson": charts.NELSON, "western-electric": charts.WESTERN_ELECTRIC, "limits": ("1",)}


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_FILE = click.argument("file", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))


@dataclass(frozen=True, slots=True)
class _Table:
    """A CSV file with a heading: its columns as texts."""

    path: Path
    columns: dict[str, list[str]]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A column as numbers. Raises AppError naming the line that is none."""
        if name not in self.columns:
            known = ", ".join(self.columns)
            raise AppError(
                Text(f"there is no column {name!r}", f"没有列 {name!r}"),
                where=str(self.path),
                todo=Text(f"columns: {known}", f"现有列：{known}"),
            )
        out = []
        for line, text in enumerate(self.columns[name], 2):
            try:
                out.append(float(text))
            except ValueError as e:
                raise AppError(Text(f"{text!r} is not a number", f"{text!r} 不是数字"), where=f"{self.path}:{line}") from e
        return np.array(out)

    def numeric(self) -> list[str]:
        """Columns that hold numbers only."""
        return [name for name, texts in self.columns.items() if texts and all(_is_number(t) for t in texts)]


@click.command(help=_t("Control charts and capability of a column of a CSV file.", "对 CSV 文件中的一列绘制控制图并计算过程能力。"))
@_FILE
@click.option("--column", default="", help=_t("values; default: the last column of numbers", "数值列；默认为最后一个数值列"))
@click.option("--of", "of", default="", help=_t("p chart: the column with the number inspected", "p 图：检验数所在列"))
@click.option("--group", type=click.IntRange(1, 25), default=1, show_default=True, help=_t("values in a subgroup", "子组大小"))
@click.option(
    "--base", type=click.IntRange(min=0), default=0, help=_t("limits from the first N values (0: all)", "用前 N 个值计算控制限（0：全部）")
)
@click.option("--rules", type=click.Choice(list(_RULES)), default="nelson", show_default=True, help=_t("which patterns count", "判异准则"))
@click.option("--lower", type=float, help=_t("lower specification limit", "规格下限"))
@click.option("--upper", type=float, help=_t("upper specification limit", "规格上限"))
@click.option(
    "--arl",
    type=click.FloatRange(10, 1e6),
    default=370.0,
    show_default=True,
    help=_t("run length of EWMA and CUSUM in control", "EWMA、CUSUM 受控时的平均链长"),
)
@_JSON
def spc(
    file: Path, column: str, of: str, group: int, base: int, rules: str, lower: float | None, upper: float | None, arl: float, as_json: bool
) -> None:
    """Charts of one column."""
    table = _read(file)
    named = column or next((c for c in reversed(table.numeric()) if c != of), "")
    if not named:
        raise AppError(Text("there is no column of numbers", "没有数值列"), where=str(file))
    values = table.numbers(named)
    if of:
        made = [charts.p_chart(values.astype(np.int64), table.numbers(of).astype(np.int64), base)]
    elif group > 1:
        whole = values[: len(values) - len(values) % group].reshape(-1, group)
        made = list(charts.xbar_r(whole, _RULES[rules]))
    else:
        made = list(charts.individuals(values, _RULES[rules], base))
    if not of:
        sigma = made[0].sigma * (group**0.5 if group > 1 else 1)
        centre, each = made[0].centre, made[0].value if group > 1 else values
        spread = sigma / group**0.5
        if spread > 0:
            made += [charts.ewma(each, centre, spread, arl=arl), *charts.cusum(each, centre, spread, arl=arl)]
    able = None
    if (lower is not None or upper is not None) and not of and len(values) >= LEAST:
        able = capability(values, lower, upper, np.random.default_rng(0))
    if as_json:
        said = {"column": named, "n": len(values), "charts": [_chart(c) for c in made], "capability": able}
        click.echo(msgspec.json.encode(said).decode())
        return
    click.echo(_t(f"{named}: {len(values)} values", f"{named}：{len(values)} 个值"))
    for c in made:
        click.echo(_line(c))
    if able is not None:
        cp = "" if able.cp is None else f"Cp {able.cp:.2f}, "
        how = _t("normal", "正态") if able.method == "normal" else _t("percentile method", "分位数法")
        click.echo(f"{cp}Cpk {able.cpk:.2f} ({able.low:.2f} … {able.high:.2f}, 95 %; {how})")


@click.command(
    help=_t("Gauge R&R of a CSV file: parts × appraisers × trials by ANOVA (AIAG).", "量具 R&R：零件×评价人×次数，方差分析法（AIAG）。")
)
@_FILE
@click.option("--part", default="part", show_default=True, help=_t("column of the part", "零件列"))
@click.option("--appraiser", default="appraiser", show_default=True, help=_t("column of the appraiser or station", "评价人或工位列"))
@click.option("--value", default="value", show_default=True, help=_t("column of the measured value or score", "测量值或得分列"))
@click.option("--tolerance", type=click.FloatRange(0, min_open=True), help=_t("width of the tolerance", "公差带宽度"))
@_JSON
def gauge(file: Path, part: str, appraiser: str, value: str, tolerance: float | None, as_json: bool) -> None:
    """A crossed study."""
    table = _read(file)
    result = study(_crossed(table, part, appraiser, value), tolerance)
    click.echo(msgspec.json.encode(result).decode() if as_json else _report(result))


def _crossed(table: _Table, part: str, appraiser: str, value: str) -> NDArray[np.float64]:
    """float64 (parts, appraisers, trials); without a column of appraisers there is one. Raises AppError unless all cells are alike."""
    values = table.numbers(value)
    parts = table.columns.get(part)
    if parts is None:
        table.numbers(part)  # says what columns there are
    people = table.columns.get(appraiser, [""] * len(values))
    cells: dict[tuple[str, str], list[float]] = {}
    for p, who, v in zip(parts or [], people, values.tolist(), strict=True):
        cells.setdefault((p, who), []).append(v)
    names, who_all = list(dict.fromkeys(parts or [])), list(dict.fromkeys(people))
    trials = {len(cells.get((p, w), [])) for p in names for w in who_all}
    if len(trials) != 1:
        p, w = min(((p, w) for p in names for w in who_all), key=lambda c: len(cells.get(c, [])))
        raise AppError(
            Text(
                f"part {p}, appraiser {w}: {len(cells.get((p, w), []))} values, elsewhere {max(trials)}",
                f"零件 {p}、评价人 {w}：{len(cells.get((p, w), []))} 个值，其他为 {max(trials)} 个",
            ),
            where=str(table.path),
            todo=Text("every appraiser measures every part equally often", "每名评价人对每个零件的测量次数须相同"),
        )
    return np.array([[cells[p, w] for w in who_all] for p in names])


def _read(path: Path) -> _Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [r for r in csv.reader(file) if any(c.strip() for c in r)]
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise AppError(Text(f"the file cannot be read: {e}", f"文件无法读取：{e}"), where=str(path)) from e
    if len(rows) < 2:
        raise AppError(Text("the file holds no values below its heading", "文件标题行下没有数据"), where=str(path))
    head = [h.strip() for h in rows[0]]
    short = next((i for i, r in enumerate(rows[1:], 2) if len(r) != len(head)), 0)
    if short:
        raise AppError(
            Text(f"{len(rows[short - 1])} values, {len(head)} columns", f"{len(rows[short - 1])} 个值，{len(head)} 列"),
            where=f"{path}:{short}",
        )
    return _Table(path, {h: [r[i].strip() for r in rows[1:]] for i, h in enumerate(head)})


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _chart(c: charts.Chart) -> dict[str, Any]:
    points = [
        {"value": v, "upper": high, "lower": low, "rules": list(r)}
        for v, high, low, r in zip(c.value.tolist(), c.upper.tolist(), c.lower.tolist(), c.rules, strict=True)
    ]
    return {
        "kind": c.kind,
        "centre": c.centre,
        "upper": float(c.upper[-1]),
        "lower": float(c.lower[-1]),
        "sigma": c.sigma,
        "points": points,
    }


def _line(c: charts.Chart) -> str:
    limits = f"{c.lower[-1]:.4g} … {c.centre:.4g} … {c.upper[-1]:.4g}"
    out = [f"{i + 1} ({', '.join(r)})" for i, r in enumerate(c.rules) if r]
    none = _t("in control", "受控")
    many = ", ".join(out[:12]) + (" …" if len(out) > 12 else "")
    return f"  {c.kind:<7} {limits:<32} " + (_t(f"out: {many}", f"失控点：{many}") if out else none)


def _report(s: Study) -> str:
    names = {
        "repeatability": Text("repeatability (EV)", "重复性 (EV)"),
        "reproducibility": Text("reproducibility (AV)", "再现性 (AV)"),
        "grr": Text("gauge R&R", "量具 R&R"),
        "part": Text("parts (PV)", "零件间 (PV)"),
        "total": Text("total (TV)", "总变差 (TV)"),
    }
    head = _t(f"{s.parts} parts, {s.appraisers} appraisers, {s.trials} trials", f"{s.parts} 个零件，{s.appraisers} 名评价人，{s.trials} 次")
    lines = [head]
    for key, name in names.items():
        of = "" if s.of_tolerance is None else _t(f"  {s.of_tolerance[key]:6.2f} % of tolerance", f"  占公差 {s.of_tolerance[key]:6.2f}%")
        lines.append(f"  {name.in_(language()):<24} {s.deviation[key]:<12.6g} {s.percent[key]:6.2f} %{of}")
    lines.append(f"%GRR {s.grr:.2f}, ndc {s.ndc}: {s.verdict.in_(language())}")
    return "\n".join(lines)
