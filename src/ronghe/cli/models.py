"""`ronghe models`: releases in a centre's registry, and bundles of them for nodes that no network reaches."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import click
import msgspec

from ronghe.bus.fleet import WantedModel
from ronghe.cli.keys import KEYS, key_folder, passphrase, registry_folder, store_folder
from ronghe.errors import ModelError, StoreLocked
from ronghe.models import load
from ronghe.models.delivery import Bundle, Store
from ronghe.models.delivery.bundle import write
from ronghe.models.registry import Registry, Release, prove
from ronghe.models.statement import Proof
from ronghe.signals.when import format_time, parse_time
from ronghe.text import Text, language


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_CENTRE = click.option(
    "--centre",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    show_default=_t("here", "当前文件夹"),
    help=_t("the centre's folder", "中心文件夹"),
)
_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
_KEY = click.option("--key", metavar="NAME", help=_t("the key to sign with", "签名所用密钥"))
_SINCE = click.option("--since", default="", metavar="TIME", help=_t("valid from; by default now", "生效时间，默认为现在"))
_UNTIL = click.option("--until", default="", metavar="TIME", help=_t("valid until; by default without end", "失效时间，默认不限"))
_FINAL = click.option("--final", is_flag=True, help=_t("no node may go back to an older version", "禁止任何节点回退到更旧版本"))


@click.group(help=_t("Releases of models: signed, withdrawn, bundled, installed.", "模型发布：签名、撤回、离线打包与安装。"))
def models() -> None:
    """The group."""


@models.command(help=_t("Take PACKAGE into the registry; with --key, release it.", "将模型包登记入库；给出 --key 则签名发布。"))
@click.argument("package", type=click.Path(path_type=Path))
@_CENTRE
@_KEY
@KEYS
@_SINCE
@_UNTIL
@_FINAL
@_JSON
def add(package: Path, centre: Path, key: str | None, folder: Path | None, since: str, until: str, final: bool, as_json: bool) -> None:
    """Adds; a proof beside the package, PACKAGE.proof, goes with it."""
    registry, beside = _registry(centre), package.with_name(package.name + ".proof")
    if beside.exists() and key is None:
        proof = msgspec.json.decode(beside.read_bytes(), type=Proof)
        release = registry.add(package, statement=proof.release, keys=proof.keys)
    else:
        release = registry.add(package)
    if key is not None:
        release = _signed(registry, release.hash, key, folder, since, until, final)
    _tell(registry, release, as_json)


@models.command(
    help=_t(
        "Release HASH under the next serial of its name; or, where the key is and the registry is not, a package FILE under --serial: "
        "what is written beside it goes to `ronghe models add` with it.",
        "以该名称的下一序号发布 HASH；密钥所在机器没有模型库时，可按 --serial 对文件签名，生成的 .proof 随包 `ronghe models add`。",
    )
)
@click.argument("what", metavar="HASH|FILE")
@_CENTRE
@click.option("--key", metavar="NAME", required=True, help=_t("the key to sign with", "签名所用密钥"))
@KEYS
@click.option(
    "--serial", type=click.IntRange(min=1), help=_t("of a FILE: above those released before", "对文件签名时的序号，须大于此前的发布")
)
@_SINCE
@_UNTIL
@_FINAL
@_JSON
def sign(
    what: str, centre: Path, key: str, folder: Path | None, serial: int | None, since: str, until: str, final: bool, as_json: bool
) -> None:
    """Signs."""
    if serial is None:
        registry = _registry(centre)
        _tell(registry, _signed(registry, what, key, folder, since, until, final), as_json)
        return
    now, keys = time.time_ns(), key_folder(folder)
    proof = prove(
        Path(what),
        keys.private(key, passphrase()),
        serial=serial,
        floor=serial if final else serial - 1,
        since=parse_time(since, now) if since else now,
        until=parse_time(until, now) if until else 0,
        keys=keys.ring.statements,
    )
    beside = Path(what + ".proof")
    beside.write_bytes(msgspec.json.encode(proof))
    click.echo(f"→ {beside}")


@models.command("list", help=_t("List the releases.", "列出发布。"))
@click.argument("name", default="")
@_CENTRE
@_JSON
def list_(name: str, centre: Path, as_json: bool) -> None:
    """Lists."""
    registry = _registry(centre)
    for release in registry.list(name):
        _tell(registry, release, as_json)


@models.command(
    help=_t(
        "Show a release, or with --plant what the apps of a plant run and what happened.",
        "显示发布；用 --plant 显示工厂各应用所用模型及经过。",
    )
)
@click.argument("hash", default="")
@_CENTRE
@click.option("--plant", type=click.Path(file_okay=False, path_type=Path), help=_t("a plant folder", "工厂文件夹"))
def show(hash: str, centre: Path, plant: Path | None) -> None:
    """Shows JSON of a release, or the journal of a store."""
    if plant is None:
        click.echo(msgspec.json.format(msgspec.json.encode(_registry(centre).get(hash)), indent=1).decode())
        return
    store = Store(store_folder(plant))
    for event in store.journal.read():
        click.echo(f"{format_time(event.time)[:19]}Z  {event.event:<12} {event.app:<20} {event.hash[:12]:<12} {event.text.in_(language())}")
    for app in store.apps():
        now = store.pointer(app).now
        click.echo(f"{app}: {f'{now} [{now.hash[:12]}]' if now else _t('its own model', '自带模型')}")


@models.command(help=_t("Give HASH to no node any more; roll-outs of it go back.", "撤回 HASH：不再下发，相关发布回滚。"))
@click.argument("hash")
@click.option("--why", required=True, help=_t("the reason", "原因"))
@click.option("--who", default="", help=_t("who decides it", "决定人"))
@_CENTRE
def withdraw(hash: str, why: str, who: str, centre: Path) -> None:
    """Withdraws."""
    registry = _registry(centre)
    _tell(registry, registry.withdraw(registry.get(hash).hash, who or "-", why), as_json=False)


@models.command(help=_t("Write signed releases into a file for a USB stick.", "将已签名的发布写入离线包，供 U 盘携带。"))
@click.argument("hashes", nargs=-1, required=True)
@click.option("--to", required=True, type=click.Path(path_type=Path), help=_t("a folder, or the file", "目标文件夹或文件"))
@_CENTRE
def bundle(hashes: tuple[str, ...], to: Path, centre: Path) -> None:
    """Bundles."""
    path = to / "models.bundle" if to.is_dir() else to
    for model in write(_registry(centre), hashes, path):
        click.echo(f"{model.name} {model.version} #{model.serial} [{model.hash[:12]}] → {path}")


@models.command(help=_t("Install a bundle on a plant, by the same checks as from the centre.", "在工厂安装离线包，检查与在线下发相同。"))
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--plant", required=True, type=click.Path(file_okay=False, path_type=Path), help=_t("the plant folder", "工厂文件夹"))
@click.option(
    "--app", default="", help=_t("the app that is to run it; by default the one of its kind", "运行该模型的应用；默认取同类唯一应用")
)
@click.option("--slowest", type=float, metavar="MS", help=_t("refuse it if a run takes longer here", "若单次运行更慢则拒绝（毫秒）"))
def install(bundle: Path, plant: Path, app: str, slowest: float | None) -> None:
    """Installs, or hands it to the node at work."""
    from ronghe.edge.deploying import INBOX, Deploying, Inbox
    from ronghe.edge.node import Node
    from ronghe.guard.limits import check_guard
    from ronghe.plant import load as load_plant

    folder, given, loaded = store_folder(plant), Bundle(bundle), load_plant(plant, check_guard=check_guard)
    uses = {name: spec.uses for name, spec in loaded.apps.items()}
    wanted = tuple(msgspec.structs.replace(w, app=app or _app_of(w, given, uses), slowest_ms=slowest) for w in given.models)
    try:
        node = Node(loaded)
    except StoreLocked:
        inbox = folder / INBOX
        inbox.mkdir(parents=True, exist_ok=True)
        part = inbox / f"{time.time_ns()}.part"
        part.write_bytes(msgspec.json.encode(Inbox(bundle=str(bundle.resolve()), models=wanted)))
        part.rename(part.with_suffix(".json"))
        click.echo(_t("handed to the node at work: leave the stick in until `ronghe models show --plant` says what became of it",
                      "已交给运行中的节点：请勿拔出 U 盘，结果见 `ronghe models show --plant`"))  # fmt: skip
        return

    async def run() -> None:
        try:
            await Deploying(node).install(wanted, given)
        finally:
            await node.stop()

    asyncio.run(run())
    for w in wanted:
        click.echo(_t(f"{w.app}: {w.name} {w.version} from the next start on", f"{w.app}：下次启动起运行 {w.name} {w.version}"))


def _app_of(model: WantedModel, given: Bundle, uses: dict[str, str]) -> str:
    """The one app of the package's kind. Raises ModelError when there is none, or several."""
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".model") as copy:
        for piece in given.read(model.file, 0):
            copy.write(piece)
        copy.flush()
        kind = load(Path(copy.name)).manifest.kind
    found = [name for name, used in uses.items() if used == kind.partition("/")[0]]
    if len(found) != 1:
        names = ", ".join(found or uses)
        raise ModelError(
            Text(f"it is not plain which app is to run a {kind}", f"无法确定由哪个应用运行 {kind}"),
            where=f"{model.name} {model.version}",
            todo=Text(f"--app, one of: {names}", f"请用 --app 指定：{names}"),
        )
    return found[0]


def _registry(centre: Path) -> Registry:
    return Registry(registry_folder(centre))


def _signed(registry: Registry, hash: str, key: str, folder: Path | None, since: str, until: str, final: bool) -> Release:
    now, keys = time.time_ns(), key_folder(folder)
    return registry.sign(
        hash,
        keys.private(key, passphrase()),
        since=parse_time(since, now) if since else 0,
        until=parse_time(until, now) if until else 0,
        final=final,
        keys=keys.ring.statements,
    )


def _tell(registry: Registry, r: Release, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(r).decode())
        return
    signer = next((k.name for k in registry.ring.keys if k.key == r.signed_by), r.signed_by[:12]) or _t("not signed", "未签名")
    gone = f"  {_t('withdrawn', '已撤回')}: {r.withdrawn.in_(language())}" if r.withdrawn is not None else ""
    click.echo(f"{r.hash}  {r.name} {r.version} #{r.serial}  {r.kind}  {r.size} B  {signer}{gone}")
