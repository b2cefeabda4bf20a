"""`ronghe tenant …`: who may use the models of a centre, how much of them, and what it costs; also while they are served."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from ronghe.cloud.serving.tenants import SCOPES, Quota, Tenants
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_CENTRE = click.option(
    "--centre",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=_t("folder of the centre, or of the models that are served", "中心文件夹，或提供服务的模型文件夹"),
)
_NAME = click.argument("name")
_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))


@click.group(help=_t("Tenants of a model service: keys, quotas, usage, invoices.", "模型服务的租户：密钥、配额、用量、账单。"))
def tenant() -> None:
    """The group; its help text is above, in the language of the process."""


@contextmanager
def _open(centre: Path) -> Iterator[Tenants]:
    tenants = Tenants(centre / ".ronghe" / "tenants.sqlite")
    try:
        yield tenants
    finally:
        tenants.close()


@tenant.command(help=_t("Add a tenant; give it a key with `ronghe tenant key`.", "新增租户；再用 `ronghe tenant key` 发放密钥。"))
@_CENTRE
@_NAME
@click.option("--title", default="", help=_t("name on the invoice", "账单上的名称"))
@click.option("--currency", default="CNY", show_default=True, help=_t("of its invoices (ISO 4217)", "账单货币（ISO 4217）"))
@click.option("--timezone", default="Asia/Shanghai", show_default=True, help=_t("of its days and months (IANA)", "日与月所依时区（IANA）"))
def add(centre: Path, name: str, title: str, currency: str, timezone: str) -> None:
    """A new tenant."""
    with _open(centre) as tenants:
        tenants.add(name, title=title, currency=currency, timezone=timezone)
    click.echo(Text(f"{name} is added", f"已新增 {name}"))


@tenant.command(help=_t("Make a key for MODELS (* for all). It is shown once.", "为 MODELS 生成密钥（* 表示全部），仅显示一次。"))
@_CENTRE
@_NAME
@click.argument("models", nargs=-1, required=True)
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), default=SCOPES, help=_t("what it is for", "权限范围"))
def key(centre: Path, name: str, models: tuple[str, ...], scopes: tuple[str, ...]) -> None:
    """A new key, alone on standard output."""
    with _open(centre) as tenants:
        made = tenants.key(name, scopes=scopes, models=models)
    click.echo(Text("keep it: it is not shown again", "请妥善保存，不会再次显示"), err=True)
    click.echo(made)


@tenant.command(help=_t("Revoke the key ID of a tenant.", "吊销租户的密钥 ID。"))
@_CENTRE
@_NAME
@click.argument("id")
def revoke(centre: Path, name: str, id: str) -> None:
    """Ends a key; a server that runs sees it within a second. A whole key may be given in place of its id."""
    with _open(centre) as tenants:
        tenants.revoke(name, id.split("-")[1] if id.startswith("rk-") and id.count("-") > 1 else id)
    click.echo(Text(f"the key {id[:15]} is revoked", f"已吊销密钥 {id[:15]}"))


@tenant.command(help=_t("Limit what a tenant may use; what is not given is without limit.", "设定租户限额；未给出的项不限。"))
@_CENTRE
@_NAME
@click.option("--calls-per-day", type=click.IntRange(min=0), help=_t("calls a day", "每日调用次数"))
@click.option("--compute-s-per-day", type=click.FloatRange(min=0), help=_t("seconds of computing a day", "每日计算时长（秒）"))
@click.option("--rate-per-s", type=click.FloatRange(min=0), help=_t("calls a second", "每秒调用次数"))
def quota(centre: Path, name: str, calls_per_day: int | None, compute_s_per_day: float | None, rate_per_s: float | None) -> None:
    """New limits."""
    with _open(centre) as tenants:
        tenants.quota(name, Quota(calls_per_day=calls_per_day, compute_s_per_day=compute_s_per_day, rate_per_s=rate_per_s))
    click.echo(Text(f"the limits of {name} are set", f"已设定 {name} 的限额"))


@tenant.command(
    help=_t("Set what MODEL costs from a day on; without MODEL show the list.", "设定 MODEL 自某日起的价格；不写则列出价目表。")
)
@_CENTRE
@click.argument("model", default="")
@click.option("--call", default="0", help=_t("for a call", "每次调用"))
@click.option("--compute-s", default="0", help=_t("for a second of computing", "每秒计算"))
@click.option("--currency", default="CNY", show_default=True, help=_t("ISO 4217", "货币（ISO 4217）"))
@click.option("--since", help=_t("first day, e.g. 2026-12-01", "起始日期，如 2026-12-01"))
def price(centre: Path, model: str, call: str, compute_s: str, currency: str, since: str | None) -> None:
    """The price list: prices are added to it, never changed."""
    if model and since is None:
        raise click.UsageError(_t("--since is needed: a price holds from a day on", "须给出 --since：价格自某日起生效"))
    with _open(centre) as tenants:
        if model and since is not None:
            tenants.price(model, currency=currency, since=since, per_call=call, per_compute_s=compute_s)
        for p in tenants.prices():
            click.echo(f"{p.since}  {p.model:<24} {p.per_call} {p.currency}/{_t('call', '次')}  {p.per_compute_s} {p.currency}/s")


@tenant.command(help=_t("What a tenant used, by day and model.", "按日与模型列出租户用量。"))
@_CENTRE
@_NAME
@click.option("--from", "start", default="0000-00-00", help=_t("first day, e.g. 2026-11-01", "起始日期，如 2026-11-01"))
@click.option("--to", "end", default="9999-99-99", help=_t("the day after the last", "截止日期（不含）"))
@_JSON
def usage(centre: Path, name: str, start: str, end: str, as_json: bool) -> None:
    """A line a day and model."""
    with _open(centre) as tenants:
        used = tenants.usage(name, start, end)
    if as_json:
        click.echo(msgspec.json.encode(used).decode())
        return
    for u in used:
        line = Text(f"{u.calls} calls, {u.refused} refused", f"调用 {u.calls} 次，拒绝 {u.refused} 次")
        click.echo(f"{u.day}  {u.model or '-':<24} {u.compute_ns / 1e9:10.3f} s  {line}")


@tenant.command(help=_t("The invoice of a MONTH (e.g. 2026-11) as CSV.", "某月（如 2026-11）的账单，CSV 格式。"))
@_CENTRE
@_NAME
@click.argument("month")
@_JSON
def invoice(centre: Path, name: str, month: str, as_json: bool) -> None:
    """To standard output."""
    with _open(centre) as tenants:
        bill = tenants.invoice(name, month)
    out = msgspec.json.encode(bill) + b"\n" if as_json else b"\xef\xbb\xbf" + bill.csv().encode()
    sys.stdout.buffer.write(out)


@tenant.command("list", help=_t("List the tenants, their keys, limits and use of today.", "列出租户及其密钥、限额与今日用量。"))
@_CENTRE
@_JSON
def list_(centre: Path, as_json: bool) -> None:
    """Everybody."""
    with _open(centre) as tenants:
        view = tenants.view()
    if as_json:
        click.echo(json.dumps(view, ensure_ascii=False))
        return
    for t in view["tenants"]:
        _tell(t)


def _tell(t: dict[str, Any]) -> None:
    today = t["today"]
    used = Text(
        f"today {today['calls']} calls, {today['compute_s']} s, {today['refused']} refused",
        f"今日调用 {today['calls']} 次，{today['compute_s']} 秒，拒绝 {today['refused']} 次",
    )
    click.echo(f"{t['name']}  {t['title']}  {used}")
    limits = [f"{k} {v:g}" for k, v in t["quota"].items() if v is not None]
    if limits:
        click.echo(f"  {', '.join(limits)}")
    for k in t["keys"]:
        state = Text("active", "有效") if k["state"] == "active" else Text("revoked", "已吊销")
        click.echo(f"  {k['id']}  {state}  {'+'.join(k['scopes'])}  {' '.join(k['models'])}")
