"""`ronghe lake`: the samples of all plants for long periods, by SQL, on one machine or on a cluster; and models learned from them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ronghe.errors import CloudError
from ronghe.signals.when import format_time, parse_duration, parse_time
from ronghe.text import Text, language

if TYPE_CHECKING:
    import pyarrow as pa

    from ronghe.cloud.lake import Lake


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
_ON = click.option(
    "--on", type=click.Choice(["processes", "ray"]), default="processes", show_default=True, help=_t("where the work is done", "在何处计算")
)
_ADDRESS = click.option(
    "--address",
    help=_t(
        "of the Ray cluster: auto, HOST:6379, ray://HOST:10001 (none: one is started here)",
        "Ray 集群地址：auto、HOST:6379、ray://HOST:10001（不填则在本机启动）",
    ),
)


@click.group(help=_t("The lake: all plants, for long periods, by SQL.", "数据湖：各工厂的长期数据，用 SQL 分析。"))
@click.option(
    "--centre",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help=_t("folder of the centre (here)", "中心文件夹（默认当前目录）"),
)
@click.option(
    "--lake",
    "url",
    envvar="RONGHE_LAKE",
    help=_t("a lake by itself: a folder or s3://bucket/prefix", "直接指定数据湖：文件夹或 s3://桶/前缀"),
)
@click.option(
    "--endpoint",
    help=_t(
        "of an S3-compatible store; its keys are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        "S3 兼容存储的地址；密钥取自 AWS_ACCESS_KEY_ID 与 AWS_SECRET_ACCESS_KEY",
    ),
)
@click.pass_context
def lake(ctx: click.Context, centre: Path, url: str | None, endpoint: str | None) -> None:
    """The group; the lake is opened by the commands."""
    ctx.obj = (centre, url, endpoint)


def _opened(given: tuple[Path, str | None, str | None]) -> Lake:
    from ronghe.cloud.lake import Lake

    centre, url, endpoint = given
    if url is None:
        return Lake.of_centre(centre)
    options: dict[str, Any] = {}
    if "://" in url:
        options = {"key": {"env": "AWS_ACCESS_KEY_ID"}, "secret": {"env": "AWS_SECRET_ACCESS_KEY"}}
        options |= {"endpoint": endpoint} if endpoint else {}
    return Lake(url, options)


@lake.command(
    help=_t(
        "Answer one SELECT over the tables (docs/lake.md lists what both engines speak).",
        "对各表执行一条 SELECT（两种引擎共有的语法见 docs/lake.md）。",
    )
)
@click.argument("sql")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "ray"]),
    default="duckdb",
    show_default=True,
    help=_t("on this machine, or on a Ray cluster", "本机，或 Ray 集群"),
)
@_ADDRESS
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), help=_t("output format", "输出格式"))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help=_t("write to a file", "写入文件"))
@click.pass_obj
def query(
    given: tuple[Path, str | None, str | None], sql: str, engine: str, address: str | None, form: str | None, output: Path | None
) -> None:
    """Queries."""
    _show(_opened(given).query(sql, engine, address), form, output)


def _show(found: pa.Table, form: str | None, output: Path | None) -> None:
    from ronghe.cli.historian import form_of, write

    write(iter([found]), form or form_of(output), output, cut=True)


@lake.command(
    help=_t(
        "Bring what is new into the lake: from all plants of the centre, or from PLANT (a plant folder or a store). What is still in "
        "memory of a running node comes when it has been sealed.",
        "将新数据写入数据湖：中心的全部工厂，或指定的 PLANT（工厂文件夹或历史库）。运行中节点尚在内存的数据，封存后才会写入。",
    )
)
@click.argument("plant", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--name",
    help=_t(
        "path of the plant, e.g. acme/shanghai/water (its plant.toml says it)", "工厂路径，如 acme/shanghai/water（默认取自 plant.toml）"
    ),
)
@click.option("--all", "everything", is_flag=True, help=_t("look at all of the history again", "重新检查全部历史数据"))
@_JSON
@click.pass_obj
def sync(given: tuple[Path, str | None, str | None], plant: Path | None, name: str | None, everything: bool, as_json: bool) -> None:
    """Syncs."""
    from ronghe.cloud.lake import storage, sync
    from ronghe.historian.place import store_of

    stores = storage.plants_of_centre(given[0]) if plant is None else {name or _path_of(plant): store_of(plant)}
    target = _opened(given)
    for path, store in stores.items():
        sealed = sync.seal(store)
        done = sync.sync(target, path, store, everything=everything)
        if as_json:
            click.echo(msgspec.json.encode(done).decode())
            continue
        n = done.added
        click.echo(
            _t(
                f"{path}: {n.new:,} new, {n.changed:,} changed, {n.known:,} known",
                f"{path}：新增 {n.new:,}，更新 {n.changed:,}，已有 {n.known:,}",
            )
        )
        if not sealed:
            click.echo(
                _t("  the newest samples are in memory of the running process and come later", "  最新样本仍在运行进程的内存中，稍后写入"),
                err=True,
            )
    if not stores:
        click.echo(_t("no plant has sent anything yet", "尚无工厂上送数据"), err=True)


def _path_of(plant: Path) -> str:
    import tomllib

    try:
        return str(tomllib.loads((plant / "plant.toml").read_text("utf-8"))["plant"]["path"])
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as e:
        raise CloudError(
            Text("no plant.toml says which plant this is", "没有 plant.toml 说明这是哪个工厂"),
            where=str(plant),
            todo=Text("name it: --name enterprise/site/area", "请指定：--name 企业/厂区/区域"),
        ) from e


@lake.command(help=_t("List the tables: rows, size, plants and span.", "列出各表：行数、大小、工厂与时间范围。"))
@_JSON
@click.pass_obj
def tables(given: tuple[Path, str | None, str | None], as_json: bool) -> None:
    """Lists."""
    found = _opened(given).view()
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    if not found:
        click.echo(
            _t(
                "nothing yet: `ronghe lake sync` fills it, a running centre every ten minutes",
                "尚无数据：`ronghe lake sync` 写入；运行中的中心每十分钟写入一次",
            )
        )
    for t in found:
        span = f"  {format_time(t.first)} … {format_time(t.last)}" if t.last else ""
        click.echo(
            _t(
                f"{t.name}: {t.rows:,} rows, {t.bytes / 1e6:,.1f} MB in {t.files} file(s){span}",
                f"{t.name}：{t.rows:,} 行，{t.bytes / 1e6:,.1f} MB，{t.files} 个文件{span}",
            )
        )
        click.echo(f"  {', '.join(t.columns)}")
        for plant in t.plants:
            click.echo(f"  · {plant}")


@lake.command(
    name="import",
    help=_t(
        "Take Parquet FILES in as table NAME, to be queried beside `samples`. An earlier table of that name is replaced.",
        "将 Parquet 文件导入为表 NAME，可与 samples 一起查询。同名旧表会被替换。",
    ),
)
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def import_(given: tuple[Path, str | None, str | None], name: str, files: tuple[Path, ...]) -> None:
    """Imports."""
    rows = _opened(given).put(name, files)
    click.echo(_t(f"{name}: {rows:,} rows", f"{name}：{rows:,} 行"))


@lake.command(help=_t("Write small files anew as large sorted ones, and remove old versions.", "合并小文件并重新排序，清除旧版本。"))
@click.option("--keep", default="7d", show_default=True, help=_t("how long old versions stay for readers", "旧版本为读者保留多久"))
@click.pass_obj
def tidy(given: tuple[Path, str | None, str | None], keep: str) -> None:
    """Tidies."""
    target = _opened(given)
    merged = target.compact()
    removed = target.vacuum(parse_duration(keep) / 3.6e12)
    click.echo(_t(f"{merged} files written anew, {removed} old ones removed", f"重写 {merged} 个文件，清除 {removed} 个旧文件"))


@lake.command(
    help=_t(
        "Learn normal operation of every equipment of the fleet from the lake; a model package each.",
        "用数据湖为全部设备逐一学习正常运行，各生成一个模型包。",
    )
)
@click.option(
    "-o", "--output", required=True, type=click.Path(file_okay=False, path_type=Path), help=_t("folder for the packages", "模型包文件夹")
)
@click.option(
    "--from", "start", required=True, help=_t("from when, e.g. -30d or 2026-03-01T00:00:00Z", "起始时间，如 -30d 或 2026-03-01T00:00:00Z")
)
@click.option("--to", "end", default="now", show_default=True, help=_t("until when", "结束时间"))
@click.option("--every", default="1s", show_default=True, help=_t("one row this often, as the app will judge", "每行的间隔，与应用一致"))
@click.option("--plant", "plants", multiple=True, help=_t("of this plant only; may be repeated", "仅此工厂，可重复"))
@click.option("--workers", type=click.IntRange(min=1), help=_t("at most so many at a time", "最多同时进行的数量"))
@_ON
@_ADDRESS
@_JSON
@click.pass_obj
def train(
    given: tuple[Path, str | None, str | None],
    output: Path,
    start: str,
    end: str,
    every: str,
    plants: tuple[str, ...],
    workers: int | None,
    on: Any,
    address: str | None,
    as_json: bool,
) -> None:
    """Trains."""
    from ronghe.cloud.lake.train import train as train_all

    now = time.time_ns()
    found = train_all(
        _opened(given), output, start=parse_time(start, now), end=parse_time(end, now), every=parse_duration(every),
        plants=plants, on=on, workers=workers, address=address,
    )  # fmt: skip
    for one in found:
        if as_json:
            click.echo(msgspec.json.encode(one).decode())
        elif one.why is not None:
            click.echo(f"✗ {one.plant} {one.equipment}: {one.why.in_(language())}")
        else:
            click.echo(
                _t(
                    f"✓ {one.plant} {one.equipment}: {one.rows:,} rows → {one.package}",
                    f"✓ {one.plant} {one.equipment}：{one.rows:,} 行 → {one.package}",
                )
            )
