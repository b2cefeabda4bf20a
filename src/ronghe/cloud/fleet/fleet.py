"""The nodes of a centre: invited, joined, told what is wanted of them, heard, removed.

Two sides use it: people (the command line and the console), who give their name with whatever they change, and nodes, through the API.
"""

from __future__ import annotations

import re
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.bus.fleet import Joined, Joining, Order, Report, Wanted, WantedModel
from ronghe.bus.invitation import Invitation
from ronghe.cloud.fleet.authority import Authority, Issued
from ronghe.cloud.fleet.register import Register
from ronghe.cloud.fleet.view import Row, view_of
from ronghe.errors import CloudError
from ronghe.guard.limits import check_guard
from ronghe.plant import version
from ronghe.plant.checks import legal_path
from ronghe.plant.folder import load
from ronghe.signals.when import format_time
from ronghe.text import Text

TOKEN_LIFE: Final = 24 * 3_600_000_000_000  # ns
ORDERS: Final = ("logs", "metrics", "drivers", "apps", "disk", "threads", "ping")
_UNANSWERED: Final = 600_000_000_000  # ns that an order is offered to its node
_LINES: Final = 500  # of a node's log, kept in memory
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_OLD: Final = Text("the token is not valid: used, expired, or replaced by a newer one", "令牌无效：已使用、已过期或已被新令牌取代")
_AGAIN: Final = Text("make another with `ronghe fleet invite`", "请用 `ronghe fleet invite` 重新生成")


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node that may be at the centre. Times in ns since 1970 UTC, 0: never."""

    name: str
    plant: str
    joined: int
    removed: int


class Fleet:
    """All of it in `.ronghe/fleet.sqlite` below the centre's folder, and plant folders below `.ronghe/plants/PLANT/folders`."""

    def __init__(self, home: Path, authority: Authority, clock: Callable[[], int], *, url: str) -> None:
        """`home` is the centre's `.ronghe`; `url` is where nodes reach it while it has not written another into `fleet.url`."""
        self.authority, self.clock = authority, clock
        self.register = Register(home / "fleet.sqlite", clock)
        self.models: Callable[[str], Sequence[WantedModel]] = lambda node: ()
        self.trusted: Callable[[], Sequence[str]] = lambda: ()
        self.hub: Callable[[], str] = lambda: ""
        self._home, self._url = home, url
        self._lines: dict[str, deque[tuple[int, str, str]]] = defaultdict(lambda: deque(maxlen=_LINES))

    def close(self) -> None:
        """Safe to call twice."""
        self.register.close()

    # --- people -----------------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where nodes join and ask."""
        try:
            return (self._home / "fleet.url").read_text().strip()
        except FileNotFoundError:
            return self._url

    def serves_at(self, url: str) -> None:
        """Keeps where the API was started, for the command line."""
        (self._home / "fleet.url").write_text(url + "\n")

    def invite(self, node: str, plant: str, who: str) -> str:
        """A token with which this node may join once within 24 h; an older one of its is void. Raises CloudError."""
        if not _NAME.fullmatch(node) or node == "centre":
            what = Text(f"{node[:80]!r} is no name for a node", f"{node[:80]!r} 不能用作节点名称")
            raise CloudError(what, todo=Text("letters, digits, '-' and '_', at most 63", "请用字母、数字、'-'、'_'，最多 63 个字符"))
        if not legal_path(plant):
            what = Text(f"{plant[:80]!r} is no path of a plant", f"{plant[:80]!r} 不是工厂路径")
            raise CloudError(
                what, where=node, todo=Text("as in its plant.toml: enterprise/site/area", "与其 plant.toml 一致：企业/厂区/区域")
            )
        known = self.register.row("SELECT * FROM node WHERE name = ?", node)
        if known is not None and not known["removed"] and known["plant"] != plant and known["joined"]:
            what = Text(f"this node runs the plant {known['plant']}", f"该节点运行的是工厂 {known['plant']}")
            raise CloudError(what, where=node, todo=Text("choose another name, or remove it first", "请换用其他名称，或先移除该节点"))
        if known is not None and known["removed"]:
            self._refuse_while_certified(node)
        invitation = Invitation.new(self.authority.fingerprint)
        now = self.clock()
        with self.register.change("fleet.invite", who=who, node=node, plant=plant):
            self.register.write(
                "INSERT INTO node (name, plant, invited, token, until) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
                " token = excluded.token, until = excluded.until, invited = excluded.invited,"
                " plant = excluded.plant, joined = iif(removed, 0, joined), removed = 0",
                *(node, plant, now, invitation.kept, now + TOKEN_LIFE),
            )
        return invitation.token

    def command(self, token: str) -> str:
        """What is to be typed at the node."""
        return f"ronghe join {self.url} {token} --plant FOLDER"

    def nodes(self) -> list[Node]:
        """All that are or were in the fleet."""
        rows = self.register.rows("SELECT name, plant, joined, removed FROM node ORDER BY name")
        return [Node(name=r["name"], plant=r["plant"], joined=r["joined"], removed=r["removed"]) for r in rows]

    def remove(self, node: str, who: str, why: str) -> None:
        """From now on this node is refused; what it sent stays. Raises CloudError for one that is not in the fleet."""
        self._known(node)
        with self.register.change("fleet.remove", who=who, node=node, why=why):
            self.register.write("UPDATE node SET removed = ?, token = '', configuration = '' WHERE name = ?", self.clock(), node)
            self.register.write("UPDATE certificate SET revoked = 1 WHERE node = ?", node)

    def order(self, node: str, what: str, options: dict[str, Any], who: str) -> str:
        """Asks a node something; gives the id under which its answer is found. Raises CloudError."""
        self._known(node)
        if what not in ORDERS:
            raise CloudError(Text(f"a node cannot be asked {what[:40]!r}", f"节点不支持查询 {what[:40]!r}"), todo=Text(", ".join(ORDERS)))
        id = secrets.token_hex(8)
        with self.register.change("fleet.order", who=who, node=node, what=what, options=options, id=id):
            values = (id, node, what, msgspec.json.encode(options).decode(), who, self.clock())
            self.register.write("INSERT INTO question (id, node, what, options, who, at) VALUES (?, ?, ?, ?, ?, ?)", *values)
        return id

    def answer(self, id: str) -> Any:
        """What the node said, or None so far. Raises CloudError for an order that was never given."""
        row = self.register.row("SELECT answered, answer FROM question WHERE id = ?", id)
        if row is None:
            raise CloudError(Text("no such order was given", "没有此查询"), where=id[:40])
        return msgspec.json.decode(row["answer"]) if row["answered"] else None

    def add_folder(self, path: Path, who: str) -> str:
        """Keeps a plant folder as a version, and gives its hash. Raises PlantError for one that is wrong, CloudError for one too large."""
        plant = load(path, check_guard=check_guard, secrets=False)
        found = version.survey(path)
        to = self.folder(plant.path, found.hash)
        if not to.exists():
            to.parent.mkdir(parents=True, exist_ok=True)
            version.pack(path, found, to)
        with self.register.change("fleet.folder", who=who, plant=plant.path, hash=found.hash):
            values = (found.hash, plant.path, self.clock(), who, len(found.files))
            self.register.write("INSERT OR IGNORE INTO folder (hash, plant, at, who, files) VALUES (?, ?, ?, ?, ?)", *values)
        return found.hash

    def folders(self) -> list[dict[str, Any]]:
        """Every version, the newest first: [{hash, plant, time, by, files}], as the console shows them."""
        rows = self.register.rows("SELECT * FROM folder ORDER BY at DESC, rowid DESC")
        return [{"hash": r["hash"], "plant": r["plant"], "time": r["at"] // 1_000_000, "by": r["who"], "files": r["files"]} for r in rows]

    def want_configuration(self, node: str, hash: str, who: str) -> str:
        """This node is to run the version that begins with `hash`; gives the whole hash. An empty one: as it is. Raises CloudError."""
        plant = self._known(node)
        whole = ""
        if hash:
            rows = self.register.rows("SELECT hash, plant FROM folder WHERE substr(hash, 1, ?) = ?", len(hash), hash)
            if len(rows) != 1:
                what = (
                    Text("no version begins so", "没有以此开头的版本")
                    if not rows
                    else Text("several versions begin so", "有多个版本以此开头")
                )
                raise CloudError(what, where=hash[:64], todo=Text("see `ronghe fleet folders`", "请查看 `ronghe fleet folders`"))
            whole = rows[0]["hash"]
            if rows[0]["plant"] != plant:
                what = Text(
                    f"the version is of {rows[0]['plant']}, the node runs {plant}", f"该版本属于 {rows[0]['plant']}，节点运行的是 {plant}"
                )
                raise CloudError(what, where=node)
        with self.register.change("fleet.configuration", who=who, node=node, hash=whole):
            self.register.write("UPDATE node SET configuration = ? WHERE name = ?", whole, node)
        return whole

    def view(self) -> dict[str, Any]:
        """All nodes as the console shows them."""
        now = self.clock()
        rows = self.register.rows(
            "SELECT node.*, (SELECT max(until) FROM certificate WHERE node = name AND revoked = 0) AS certified FROM node ORDER BY name"
        )
        return {"now": now // 1_000_000, "nodes": [view_of(self._row(r), now) for r in rows]}

    def reports(self) -> list[tuple[Node, Report, int]]:
        """What every node that is not removed said last, and when it was heard (ns)."""
        rows = self.register.rows("SELECT * FROM node WHERE removed = 0 AND report IS NOT NULL ORDER BY name")
        return [(Node(name=r["name"], plant=r["plant"], joined=r["joined"], removed=0), _report(r["report"]), r["seen"]) for r in rows]

    # --- nodes ------------------------------------------------------------------------------------------------------------------

    def join(self, asked: Joining) -> Joined:
        """Uses up a token. Raises CloudError for one that is used, expired or for another plant."""
        kept = Invitation(b"", asked.secret).kept
        row = self.register.row("SELECT * FROM node WHERE token = ? AND until > ? AND removed = 0", kept, self.clock())
        if row is None:
            raise CloudError(_OLD, todo=_AGAIN)
        if row["plant"] != asked.plant:
            raise CloudError(
                Text(
                    f"the token is for the plant {row['plant']}, this folder is {asked.plant[:120]}",
                    f"令牌用于工厂 {row['plant']}，此文件夹为 {asked.plant[:120]}",
                ),
                where=row["name"],
                todo=Text("give the right --plant, or invite this plant", "请指定正确的 --plant，或为此工厂重新邀请"),
            )
        issued = self.authority.issue(asked.request, row["name"])
        with self.register.change("fleet.join", node=row["name"], plant=row["plant"], serial=issued.serial):
            title = msgspec.json.encode(asked.title).decode()
            used = self.register.write(
                "UPDATE node SET token = '', joined = ?, title = ?, seen = 0, report = NULL WHERE name = ? AND token = ?",
                *(self.clock(), title, row["name"], kept),
            )
            if not used:  # somebody else was faster by a hair
                raise CloudError(_OLD, todo=_AGAIN)
            self.register.write("UPDATE certificate SET revoked = 1 WHERE node = ?", row["name"])
            self.register.write("INSERT INTO certificate (serial, node, until) VALUES (?, ?, ?)", issued.serial, row["name"], issued.until)
        return self._joined(row["name"], row["plant"], issued)

    def renew(self, node: str, request: str) -> Joined:
        """Another certificate. The one that it comes with stays good to its end: the answer may get lost. Raises CloudError."""
        plant = self._known(node)
        issued = self.authority.issue(request, node)
        with self.register.change("fleet.renew", node=node, serial=issued.serial):
            self.register.write("DELETE FROM certificate WHERE until < ?", self.clock())
            self.register.write("INSERT INTO certificate (serial, node, until) VALUES (?, ?, ?)", issued.serial, node, issued.until)
        return self._joined(node, plant, issued)

    def owner(self, serial: str) -> str | None:
        """The node that a certificate (serial number, hex) belongs to; None for one that is refused."""
        sql = """SELECT node FROM certificate JOIN node ON node.name = certificate.node
                 WHERE serial = ? AND certificate.until > ? AND revoked = 0 AND removed = 0"""
        row = self.register.row(sql, serial, self.clock())
        return row["node"] if row else None

    def wanted(self, node: str) -> Wanted:
        """All that is wanted of a node now; its revision grows when it is other than last time. Raises CloudError."""
        self._known(node)
        orders = self.register.rows(
            "SELECT * FROM question WHERE node = ? AND answered = 0 AND at > ? ORDER BY at", node, self.clock() - _UNANSWERED
        )
        row = self.register.rows("SELECT configuration, revision, said FROM node WHERE name = ?", node)[0]
        wanted = Wanted(
            revision=row["revision"],
            configuration=row["configuration"],
            models=tuple(self.models(node)),
            trusted=tuple(self.trusted()),
            orders=tuple(Order(id=o["id"], what=o["what"], options=msgspec.json.decode(o["options"])) for o in orders),
        )
        said = msgspec.json.encode(msgspec.structs.replace(wanted, revision=0)).decode()
        if said == row["said"]:
            return wanted
        self.register.write("UPDATE node SET revision = revision + 1, said = ? WHERE name = ?", said, node)
        return msgspec.structs.replace(wanted, revision=row["revision"] + 1)

    def heard(self, node: str, report: Report, place: str = "") -> None:
        """Takes a node's report. What it says it is, is what its certificate says."""
        plant = self._known(node)
        self._lines[node].extend(report.log[-_LINES:])
        for id, answer in report.answers.items():
            told = msgspec.json.encode(answer).decode()
            self.register.write(
                "UPDATE question SET answered = ?, answer = ? WHERE id = ? AND node = ? AND answered = 0", self.clock(), told, id, node
            )
        kept = msgspec.structs.replace(report, node=node, plant=plant, answers={}, log=())
        self.register.write(
            "UPDATE node SET seen = ?, place = ?, report = ? WHERE name = ?", self.clock(), place, msgspec.json.encode(kept), node
        )

    def folder(self, plant: str, hash: str) -> Path:
        """The zip of a version."""
        return self._home / "plants" / plant / "folders" / f"{hash}.zip"

    def folder_of(self, node: str, hash: str) -> Path | None:
        """The zip of the version that is wanted of a node; None for any other."""
        row = self.register.row("SELECT plant FROM node WHERE name = ? AND configuration = ? AND removed = 0", node, hash)
        return self.folder(row["plant"], hash) if row and hash else None

    def _refuse_while_certified(self, node: str) -> None:
        """The hub knows a node by its name alone: whoever has the removed one's key must not come back with the name."""
        until = self.register.rows("SELECT max(until) AS last FROM certificate WHERE node = ?", node)[0]["last"] or 0
        if until > self.clock():
            day = format_time(until)[:10]
            what = Text(f"a node of this name was removed; its certificate ends on {day}", f"同名节点已被移除，其证书 {day} 到期")
            raise CloudError(what, where=node, todo=Text("choose another name", "请换用其他名称"))

    def _known(self, node: str) -> str:
        """The plant of a node. Raises CloudError when it is not in the fleet."""
        row = self.register.row("SELECT plant, removed FROM node WHERE name = ?", node)
        if row is None or row["removed"]:
            raise CloudError(
                Text("no such node in the fleet", "没有该节点"),
                where=node[:80],
                todo=Text("see `ronghe fleet list`", "请查看 `ronghe fleet list`"),
            )
        return str(row["plant"])

    def _joined(self, node: str, plant: str, issued: Issued) -> Joined:
        return Joined(node=node, plant=plant, certificate=issued.pem, renew=issued.renew, hub=self.hub(), trusted=tuple(self.trusted()))

    def _row(self, r: Any) -> Row:
        return Row(
            name=r["name"],
            plant=r["plant"],
            title=msgspec.json.decode(r["title"], type=Text),
            invited=r["invited"],
            joined=r["joined"],
            removed=r["removed"],
            configuration=r["configuration"],
            seen=r["seen"],
            place=r["place"],
            certified=r["certified"],
            report=_report(r["report"]) if r["report"] else None,
            log=tuple(self._lines[r["name"]]),
        )


def _report(data: bytes) -> Report:
    return msgspec.json.decode(data, type=Report)
