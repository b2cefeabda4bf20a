"""`ronghe ledger`: what was done to machines, whether the record of it is whole, what it was worth, and what was saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from ronghe.errors import LedgerError
from ronghe.guard.case import KINDS, Case, Event, fold
from ronghe.guard.condition import quantity
from ronghe.guard.ledger import Entry, Ledger
from ronghe.guard.modes import KIND as MODE
from ronghe.guard.modes import NAMES, Switched
from ronghe.guard.saving import ASSUMED, Saving
from ronghe.guard.savings import KIND as SAVING
from ronghe.guard.savings import Savings, shown
from ronghe.signals.when import format_time, parse_time
from ronghe.text import Text, language

_PLANT = click.argument("plant", type=click.Path(file_okay=False, path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help=str(Text("one JSON object a line", "每行一个 JSON 对象")))


@click.group(
    help=str(
        Text(
            "Show, verify and value what was done to machines. Works while the node runs.",
            "查看、校验账本并度量价值：对机器做过什么。节点运行时也可使用。",
        )
    )
)
def ledger() -> None:
    """The group; its help is above."""


@ledger.command(
    help=str(
        Text(
            "Verify the chain of the ledger of PLANT. Exit code 1 when anything is wrong. Note the head it prints somewhere else: "
            "with --head a later run shows that nothing up to it was changed or cut off.",
            "校验 PLANT 账本的哈希链，有问题时退出码为 1。请将输出的末尾哈希另存他处：之后用 --head 可证明此前内容未被改动或截断。",
        )
    )
)
@_PLANT
@click.option("--head", metavar="HASH", help=str(Text("a head noted earlier (or its first 8 digits)", "之前记下的末尾哈希（或前 8 位）")))
@_JSON
def verify(plant: Path, head: str | None, as_json: bool) -> None:
    """Looks through the whole chain."""
    found = Ledger.verify(_folder(plant), head)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for problem in found.problems:
            click.echo(f"✗ {problem.in_(language())}")
        if found.torn:
            torn = Text(f"{found.torn} bytes of an entry being written at the end", f"末尾有 {found.torn} 字节正在写入的条目")
            click.echo(f"· {torn}")
        if found.after_known is not None:
            n = found.after_known
            click.echo(f"✓ {Text(f'the known head is in the chain, {n} entries follow it', f'已知哈希在链中，其后有 {n} 条')}")
        n = found.entries
        click.echo(f"{'✓' if found.ok else '✗'} {Text(f'{n} sound entries, head', f'完好条目 {n} 条，末尾哈希')} {found.head}")
    sys.exit(0 if found.ok else 1)


@ledger.command(help=str(Text("Show the ledger of PLANT, oldest first.", "显示 PLANT 账本，按时间先后。")))
@_PLANT
@click.option("--since", default="", metavar="TIME", help=str(Text("from here on: -7d, 2026-03-01", "起始时间：-7d、2026-03-01")))
@click.option("--kind", default="", help=str(Text("only this kind: guard, guard.write, alarm …", "仅此类：guard、guard.write、alarm …")))
@_JSON
def show(plant: Path, since: str, kind: str, as_json: bool) -> None:
    """Lists entries."""
    start = parse_time(since, time.time_ns()) if since else 0
    tags: dict[str, str] = {}
    for entry in Ledger.read(_folder(plant)):
        if entry.kind == "guard.advice":
            tags[entry.body["case"]] = entry.body["advice"]["tag"]
        if entry.time < start or (kind and entry.kind != kind and not entry.kind.startswith(kind + ".")):
            continue
        click.echo(msgspec.json.encode(entry) if as_json else _line(entry, tags))


@ledger.command(
    help=str(
        Text(
            "What the actions in PLANT were worth: measured effect with its 95 % interval, against its baseline.",
            "PLANT 中各项动作的价值：相对基准的实测效果及 95 % 置信区间。",
        )
    )
)
@_PLANT
@click.option("--since", default="", metavar="TIME", help=str(Text("from here on: -7d, 2026-03-01", "起始时间：-7d、2026-03-01")))
@_JSON
def worth(plant: Path, since: str, as_json: bool) -> None:
    """Lists every case that was written."""
    start = parse_time(since, time.time_ns()) if since else 0
    written = [c for c in _cases(_folder(plant)) if c.written is not None and c.written_at >= start]
    if as_json:
        for case in written:
            click.echo(msgspec.json.encode(case))
        return
    if not written:
        click.echo(Text("nothing was written", "没有写入过任何设定值"))
    for case in written:
        click.echo(_valued(case))


@ledger.command(
    help=str(
        Text(
            "What was saved in PLANT, period by period measured against a stated baseline: by key, and in all, with 95 % intervals.",
            "PLANT 的节约量：逐时段相对所述基准实测，按键与合计给出，附 95 % 区间。",
        )
    )
)
@_PLANT
@click.option("--since", default="", metavar="TIME", help=str(Text("periods from here on: -7d", "起始时间：-7d")))
@_JSON
def savings(plant: Path, since: str, as_json: bool) -> None:
    """Adds them up."""
    start = parse_time(since, time.time_ns()) if since else 0
    book = Savings()
    for entry in Ledger.read(_folder(plant)):
        if entry.kind == SAVING and (saving := msgspec.convert(entry.body, Saving)).start >= start:
            book.book(saving)
    whole = book.total()
    if as_json:
        click.echo(msgspec.json.encode({"keys": book.accounts, "total": whole, "assumed": ASSUMED}))
        return
    if not book.accounts:
        click.echo(Text("nothing was booked", "没有节约记录"))
        return
    for key, a in book.accounts.items():
        click.echo(f"{key}  {a.last.name}  [{a.last.app}]  {Text(f'{a.days:.4g} days', f'{a.days:.4g} 天')}")
        parts = ((a.money, a.currency), (a.energy, "kWh"), (a.carbon, "kg CO2e"))
        click.echo("    " + "  ".join(shown(i, unit) for i, unit in parts if i is not None))
        click.echo(f"    {Text('baseline', '基准')}: {a.last.baseline}")
    sums = [shown(i, currency) for currency, i in whole.money.items()]
    sums += [shown(i, unit) for i, unit in ((whole.energy, "kWh"), (whole.carbon, "kg CO2e")) if i is not None]
    click.echo(f"{Text('in all', '合计')}: " + "  ".join(sums))
    click.echo(f"    {ASSUMED}")


def _folder(plant: Path) -> Path:
    return plant / ".ronghe" / "ledger"


def _cases(folder: Path) -> list[Case]:
    cases: dict[str, Case] = {}
    for entry in Ledger.read(folder):
        group, _, kind = entry.kind.partition(".")
        if group == "guard" and kind in KINDS:
            try:
                fold(cases, entry.time, kind, msgspec.convert(entry.body, Event, strict=False))
            except (msgspec.ValidationError, KeyError) as e:
                what = Text(f"entry {entry.seq} is no event of a case: {e}", f"第 {entry.seq} 条不是有效的事项记录：{e}")
                raise LedgerError(what, where=str(folder)) from e
    return list(cases.values())


def _line(entry: Entry, tags: dict[str, str]) -> str:
    body = entry.body
    head = f"{entry.seq:>6}  {format_time(entry.time)[:19]}Z  {entry.kind:<14}"
    if "case" in body and isinstance(body.get("text"), dict):
        text = msgspec.convert(body["text"], Text).in_(language())
        return f"{head} {body['case']} {tags.get(body['case'], '')} [{body.get('state', '')}] {body.get('who', '')}: {text}"
    if "change" in body and isinstance(body.get("text"), dict):
        text = msgspec.convert(body["text"], Text).in_(language())
        return f"{head} {body['change']} [{body.get('state', '')}] {body.get('who', '')}: {text}"
    if entry.kind == MODE:
        turn = msgspec.convert(body, Switched)
        return f"{head} {turn.tag} {NAMES[turn.was]} → {NAMES[turn.mode]} {turn.who}: {turn.why}"
    if entry.kind == SAVING:
        s = msgspec.convert(body, Saving)
        parts = ((s.money, s.currency), (s.energy, "kWh"), (s.carbon, "kg CO2e"))
        when = f"{format_time(s.start)[:16]}Z..{format_time(s.end)[:16]}Z"
        return f"{head} {s.key} {when} " + "  ".join(shown(i, unit) for i, unit in parts if i is not None)
    return f"{head} " + " ".join(f"{k}={v if isinstance(v, str) else msgspec.json.encode(v).decode()}" for k, v in body.items())


def _valued(case: Case) -> str:
    return "\n".join(_valued_lines(case))


def _valued_lines(case: Case) -> Iterator[str]:
    old, new = (quantity(v, case.unit) if v is not None else "?" for v in (case.old, case.written))
    yield f"{case.id}  {format_time(case.written_at)[:19]}Z  {case.advice.tag}  {old} → {new}  [{case.state}]"
    if case.effect is not None:
        yield f"    {Text('effect', '效果')}: {case.effect.text}"
    if case.worth is None:
        yield f"    {Text('worth', '价值')}: {Text('not measured yet, or not asked for', '尚未度量，或未配置度量')}"
        return
    yield f"    {Text('worth', '价值')}: {case.worth.text}"
    yield f"    {Text('baseline', '基准')}: {case.worth.baseline}"
    if case.worth.enough:
        (n0, n1), (e0, e1) = case.worth.n, case.worth.effective
        samples = Text(
            f"{n0} before, {n1} after, worth {e0:g} and {e1:g} independent ones", f"之前 {n0}，之后 {n1}；相当于独立样本 {e0:g} 和 {e1:g}"
        )
        yield f"    {Text('samples', '样本')}: {samples}"
