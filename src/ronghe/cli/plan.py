"""`ronghe plan`: stock, shop and trucks planned as one chain, and what an event does to all three."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ronghe.errors import AppError
from ronghe.text import Text, language

if TYPE_CHECKING:
    from ronghe.chain.outcome import Figures, Outcome
    from ronghe.chain.reasons import Step


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.command(
    help=_t(
        "Plan stock, shop and trucks of a folder as one chain; say what it costs, serves and emits.",
        "将文件夹中的库存、车间与车辆作为一条链统一计划，并给出成本、服务与碳排放。",
    )
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option(
    "--event",
    "events",
    multiple=True,
    help=_t(
        'what happens, e.g. "late source=T-204 by=6h"; also breakdown, rush, truck. Several follow one another',
        '发生的事件，如 "late source=T-204 by=6h"；另有 breakdown、rush、truck；多个事件依次生效',
    ),
)
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(0.5, 3600), help=_t("for each plan", "每个计划的求解时间")
)
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help=_t("of the searches", "随机种子"))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help=_t("threads", "线程数"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help=_t("folder to write the plans to", "输出计划的文件夹")
)
@click.option("--example", type=click.Path(path_type=Path), help=_t("write an example folder, and end", "写出示例文件夹后结束"))
def plan(
    folder: Path | None,
    events: tuple[str, ...],
    seconds: float,
    seed: int,
    workers: int,
    as_json: bool,
    output: Path | None,
    example: Path | None,
) -> None:
    """Plans, and plans again after each event."""
    if example is not None:
        write_example(example)
        click.echo(_t(f"written to {example}; now: ronghe plan {example}", f"已写入 {example}；接着运行：ronghe plan {example}"))
        return
    if folder is None:
        raise click.UsageError(_t("give a folder, or --example DIR", "请给出文件夹，或使用 --example 目录"))
    from ronghe.chain import apply, changes, read, run

    facts = read(folder)
    told: list[tuple[Text, Any]] = []
    for said in events:  # all of them are read before anything is computed: a slip in the last one shows at once
        facts_after, text = apply(told[-1][1] if told else facts, said)
        told.append((text, facts_after))
    outcomes = [run(facts, seconds=seconds, seed=seed, workers=workers)]
    steps: list[list[Step]] = []
    for text, facts_after in told:
        outcomes.append(run(facts_after, seconds=seconds, seed=seed, workers=workers, before=outcomes[-1], event=text))
        steps.append(changes(outcomes[-2], outcomes[-1]))
    if output is not None:
        _write(outcomes[-1], output)
    if as_json:
        body = [_plain(o, s) for o, s in zip(outcomes, [[], *steps], strict=True)]
        click.echo(msgspec.json.encode({"plans": body}).decode())
        return
    click.echo(_summary(outcomes[0]))
    for outcome, found in zip(outcomes[1:], steps, strict=True):
        assert outcome.event is not None
        click.echo("\n" + _t("After: ", "事件后：") + str(outcome.event))
        click.echo("\n".join(f"  {s.text.in_(language())}" for s in found) or "  " + _t("nothing changes", "无变化"))
        click.echo("\n" + _summary(outcome))


def write_example(folder: Path) -> None:
    """Copies the example of the package. Raises AppError where the folder already holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise AppError(Text("is not empty", "文件夹非空"), where=str(folder), todo=Text("name a new folder", "请指定新文件夹"))
    with as_file(files("ronghe.chain").joinpath("example")) as source:
        shutil.copytree(source, folder, dirs_exist_ok=True)


def _when(ns: int | None) -> str:
    return "-" if ns is None else datetime.fromtimestamp(ns / 1e9, UTC).strftime("%m-%d %H:%M")


def _money(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _summary(o: Outcome) -> str:
    """Orders, materials and figures of one plan; times in UTC."""
    lines = [
        _t(
            "order          ready        customer             arrives      with",
            "订单           完工         客户                 送达         车辆",
        )
    ]
    for s in o.orders:
        mark = (
            "" if s.in_time else "  " + (_t("late", "延期") if s.arrives is not None or not s.customer else _t("not delivered", "未送达"))
        )
        lines.append(f"{s.order:<14} {_when(s.ready):<12} {s.customer or '-':<20} {_when(s.arrives):<12} {s.vehicle or '-'}{mark}")
    lines += [
        _t(f"order now: {m.orders:g} {m.unit} of {m.material}", f"现应订货：{m.material} {m.orders:g} {m.unit}")
        + (f" ({m.text.in_(language())})" if m.text is not None else "")
        for m in o.stock
        if m.orders
    ]
    lines += _sums(o.figures)
    lines += _moved(o)
    lines += [_t(f"does not hold: {w.en}", f"不成立：{w.in_('zh')}") for w in o.wrong]
    return "\n".join(lines)


def _sums(f: Figures) -> list[str]:
    parts = {
        "production": ("production", "生产"),
        "setup": ("set-up", "换型"),
        "holding": ("stock", "库存"),
        "transport": ("transport", "运输"),
        "tardiness": ("lateness", "延期"),
        "energy_cost": ("energy", "电费"),
    }
    money = ", ".join(f"{_t(*parts[k])} {_money(getattr(f, k))}" for k in parts)
    filled = "-" if f.fill_rate is None else f"{f.fill_rate:.1%}"
    lines = [
        _t(f"cost {f.cost:,.0f} ({money})", f"成本 {f.cost:,.0f}（{money}）"),
        _t(
            f"in time: {f.in_time} of {f.orders} orders, {filled} of the quantity",
            f"按期：{f.orders} 单中 {f.in_time} 单，数量满足率 {filled}",
        ),
        _t(
            f"carbon {f.carbon:,.0f} kg CO2e (energy {_money(f.carbon_energy)}, transport {_money(f.carbon_transport)})",
            f"碳排放 {f.carbon:,.0f} kg CO2e（用能 {_money(f.carbon_energy)}，运输 {_money(f.carbon_transport)}）",
        ),
    ]
    if f.missing:
        names = ", ".join(f.missing)
        lines.append(_t(f"not counted, for nothing states its price or factor: {names}", f"未计入（未给出价格或系数）：{names}"))
    return lines


def _moved(o: Outcome) -> list[str]:
    if o.moved is None:
        return []
    m = o.moved
    kg = "" if m.carbon is None or abs(m.carbon) < 0.05 else _t(f", {m.carbon:,.1f} kg CO2e", f"、{m.carbon:,.1f} kg CO2e")
    return [
        _t(
            f"energy {o.figures.energy or 0:,.0f} kWh; {m.operations} operations moved to cheap hours save {m.money:,.0f}{kg}",
            f"用电 {o.figures.energy or 0:,.0f} kWh；{m.operations} 道工序移至低价时段，节省 {m.money:,.0f}{kg}",
        )
    ]


def _plain(o: Outcome, steps: list[Step]) -> dict[str, Any]:
    """One plan for programs: times ns → ms since 1970."""

    def ms(ns: int | None) -> int | None:
        return None if ns is None else ns // 1_000_000

    def both(text: Text | None) -> dict[str, str] | None:
        return None if text is None else {"en": text.en, "zh": text.in_("zh")}

    return {
        "event": both(o.event),
        "figures": msgspec.to_builtins(o.figures),
        "orders": [
            {
                **msgspec.to_builtins(s),
                **{k: ms(getattr(s, k)) for k in ("begins", "ready", "due", "arrives", "until")},
                "why": both(s.why),
                "in_time": s.in_time,
            }
            for s in o.orders
        ],
        "stock": [
            {**msgspec.to_builtins(m), "course": [[ms(t), q] for t, q in m.course], "arrives": ms(m.arrives), "text": both(m.text)}
            for m in o.stock
        ],
        "moved": msgspec.to_builtins(o.moved),
        "objective": o.schedule.objective,
        "lower_bound": o.schedule.lower_bound,
        "transport_objective": o.routes.objective if o.routes is not None else None,
        "checked": not o.wrong,
        "wrong": [both(w) for w in o.wrong],
        "changes": [{"kind": s.kind, "name": s.name, "hours": s.hours, "text": both(s.text)} for s in steps],
    }


def _write(o: Outcome, folder: Path) -> None:
    """The last plan as files: schedule.csv, schedule.xlsx, calendars.zip, schedule.json (B2MML), plan.json."""
    from ronghe.apps.scheduling.export import export

    folder.mkdir(parents=True, exist_ok=True)
    for name, kind in (("schedule.csv", "csv"), ("schedule.xlsx", "xlsx"), ("calendars.zip", "ics"), ("schedule.json", "b2mml")):
        (folder / name).write_bytes(export(o.shop, o.schedule, kind))
    (folder / "plan.json").write_bytes(msgspec.json.format(msgspec.json.encode(_plain(o, [])), indent=1))
