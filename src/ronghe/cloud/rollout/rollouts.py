"""Roll-outs at the centre: what each node is wanted to run, moved on by what nodes report, kept in SQLite through every restart."""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ronghe.bus.fleet import Report, RunningModel, WantedModel
from ronghe.cloud.rollout.spec import Gate, Member, MemberState, Rollout, Wave, waves_of
from ronghe.errors import CloudError, ModelError
from ronghe.models.registry import Registry
from ronghe.text import Text

log = logging.getLogger(__name__)

_replace = msgspec.structs.replace
_FOLLOWED = 7 * 86_400_000_000_000  # ns after its start that a roll-out which is over is still looked at
_FAILED = ("refused", "rolled_back", "failed")
_TABLES = """
CREATE TABLE IF NOT EXISTS rollout (id TEXT PRIMARY KEY, started INTEGER, body BLOB) STRICT;
CREATE TABLE IF NOT EXISTS wanted (node TEXT, app TEXT, hash TEXT, back INTEGER, slowest REAL, PRIMARY KEY (node, app)) STRICT;
CREATE TABLE IF NOT EXISTS running (node TEXT, app TEXT, body BLOB, PRIMARY KEY (node, app)) STRICT;
"""


class Named(Protocol):
    """A node of a fleet, as far as roll-outs care."""

    @property
    def name(self) -> str: ...
    @property
    def removed(self) -> Any: ...


class Nodes(Protocol):
    """A fleet, as far as roll-outs care."""

    def nodes(self) -> Sequence[Named]:
        """All that are or were in it."""
        ...


class Rollouts:
    """All of a centre. `report` moves them on; nothing else has to be called."""

    def __init__(self, fleet: Nodes, registry: Registry, home: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        """`home` is the centre's `.ronghe`."""
        self._fleet, self._registry, self._clock = fleet, registry, clock
        self._db = sqlite3.connect(home / "rollouts.sqlite", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_TABLES)
        rows = self._db.execute("SELECT body FROM rollout ORDER BY started")
        self._all = {r.id: r for r in (msgspec.json.decode(body, type=Rollout) for (body,) in rows)}
        self._running: dict[tuple[str, str], RunningModel] = {
            (node, app): msgspec.json.decode(body, type=RunningModel) for node, app, body in self._db.execute("SELECT * FROM running")
        }
        self._seen: dict[str, int] = {}
        self._resumed: dict[str, int] = {}  # after a pause
        self._began = clock()

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    # --- people -------------------------------------------------------------------------------------------------------------------

    def start(
        self,
        hash: str,
        app: str,
        nodes: Collection[str] = (),
        *,
        waves: Sequence[float | Sequence[str]] = (0.05, 0.25, 1.0),
        gate: Gate | Mapping[str, Any] = Gate(),  # noqa: B008 - frozen
        slowest_ms: float | None = None,
        who: str = "",
    ) -> dict[str, Any]:
        """Brings a signed release to an app of some nodes (names or patterns; none: all that have the app), in their order.

        Raises CloudError, and ModelError for a release that is not there or not signed.
        """
        release = self._registry.get(hash)
        self._registry.proof(release.hash)
        if release.withdrawn is not None:
            raise CloudError(Text("the release was withdrawn", "该发布已撤回"), where=f"{release.name} {release.version}")
        if not isinstance(gate, Gate):
            try:
                gate = msgspec.convert(gate, Gate)
            except msgspec.ValidationError as e:
                raise CloudError(Text(f"the gate: {e}", f"放行条件：{e}")) from e
        chosen = self._choose(app, nodes)
        busy = next(
            (r for r in self._all.values() if r.open and r.app == app and {m.node for w in r.waves for m in w.nodes} & set(chosen)), None
        )
        if busy is not None:
            raise CloudError(
                Text(f"{busy.name} {busy.version} is on its way to the same app", f"{busy.name} {busy.version} 正在向同一应用发布"),
                where=busy.id,
                todo=Text("stop it first, or wait", "请先停止该发布，或等待其完成"),
            )
        rollout = Rollout(
            id=secrets.token_hex(4),
            name=release.name,
            version=release.version,
            hash=release.hash,
            app=app,
            started=self._clock(),
            by=who,
            waves=waves_of(chosen, waves),
            gate=gate,
            slowest_ms=slowest_ms,
        )
        self._keep(self._opened(rollout, 0))
        return self._all[rollout.id].view()

    def _choose(self, app: str, patterns: Collection[str]) -> list[str]:
        names = [n.name for n in self._fleet.nodes() if not n.removed]
        if not patterns:
            found = [n for n in names if (n, app) in self._running]
        else:
            found = list(dict.fromkeys(n for p in patterns for n in names if fnmatchcase(n, p)))
            missing = [p for p in patterns if not any(fnmatchcase(n, p) for n in names)]
            if missing:
                raise CloudError(Text(f"no such node: {', '.join(missing)}", f"没有该节点：{', '.join(missing)}"))
        if not found:
            raise CloudError(
                Text(f"no node has said that it has an app {app!r} that takes a model", f"没有节点上报可更换模型的应用 {app!r}"), where=app
            )
        return found

    def pause(self, id: str, who: str, why: str) -> None:
        """No further node is given it; what goes wrong still rolls it back."""
        self._keep(_replace(self._open(id), state="paused", why=_by(who, why)))

    def go_on(self, id: str, who: str, why: str = "") -> None:
        """After a pause. Whoever was silent is waited for anew."""
        resumed = _replace(self._open(id), state="running", why=_by(who, why) if why else None)
        self._resumed[id] = self._clock()
        self._keep(resumed)
        self.look()

    def stop(self, id: str, who: str, why: str) -> None:
        """Ends it: no further node is given it, and whoever has it keeps it."""
        self._keep(_replace(self._open(id), state="stopped", why=_by(who, why)))

    def roll_back(self, id: str, who: str, why: str) -> None:
        """Ends it: every node goes back to what it ran before."""
        self._undo(self._get(id), _by(who, why))

    def view(self) -> list[dict[str, Any]]:
        """JSON for the console, newest first."""
        self.look()
        return [r.view() for r in sorted(self._all.values(), key=lambda r: -r.started)]

    # --- nodes --------------------------------------------------------------------------------------------------------------------

    def wanted_models(self, node: str) -> tuple[WantedModel, ...]:
        """What this node is to run. A withdrawn release is given only to whoever goes back to it: it is what ran there before."""
        found = []
        for app, hash, back, slowest in self._db.execute(
            "SELECT app, hash, back, slowest FROM wanted WHERE node = ? ORDER BY app", (node,)
        ):
            if not hash:
                found.append(WantedModel(app=app, name="", version="", hash="", file="", size=0, serial=0, back=True))
                continue
            try:
                if back or self._registry.get(hash).withdrawn is None:
                    found.append(self._registry.wanted(hash, app, slowest_ms=slowest, back=bool(back)))
            except ModelError as e:  # carried in from elsewhere, or damaged: nothing else that is wanted may wait for it
                log.warning("%s of %s: %s", app, node, e)
        return tuple(found)

    def report(self, report: Report) -> None:
        """What a node says that it runs."""
        self._seen[report.node] = self._clock()
        for model in report.models:
            at = (report.node, model.app)
            if self._running.get(at) != model:
                self._running[at] = model
                self._db.execute("INSERT OR REPLACE INTO running VALUES (?, ?, ?)", (*at, msgspec.json.encode(model)))
        self.look()

    def look(self) -> None:
        """Moves on what can be moved on."""
        for rollout in [r for r in self._all.values() if r.open or self._clock() - r.started < _FOLLOWED]:
            moved = self._followed(rollout)
            if moved.state != "rolled_back":
                moved = self._judged(moved)
            if moved != rollout:
                self._keep(moved)

    # --- one roll-out -------------------------------------------------------------------------------------------------------------

    def _followed(self, rollout: Rollout) -> Rollout:
        """With its members as they last reported."""
        waves = tuple(_replace(w, nodes=tuple(self._follow(rollout, m) for m in w.nodes)) for w in rollout.waves)
        return _replace(rollout, waves=waves) if waves != rollout.waves else rollout

    def _follow(self, rollout: Rollout, member: Member) -> Member:
        said = self._running.get((member.node, rollout.app))
        if member.state == "waiting" or said is None:
            return member
        state: MemberState = member.state
        if said.hash == rollout.hash:
            state = said.state if said.wanted == rollout.hash else "running"
        elif said.wanted == rollout.hash and said.state != "running":
            state = said.state
        elif rollout.state == "rolled_back" and said.hash == member.before and state not in _FAILED:
            state = "back"
        if state == member.state and said.text == member.text:
            return member
        return _replace(member, state=state, text=said.text, since=self._clock() if state != member.state else member.since)

    def _judged(self, rollout: Rollout) -> Rollout:
        release, now = self._registry.get(rollout.hash), self._clock()
        if release.withdrawn is not None:
            return self._undone(rollout, Text(f"withdrawn: {release.withdrawn.en}", f"已撤回：{release.withdrawn.in_('zh')}"))
        for member in _members(rollout) if rollout.open else ():
            if member.state in _FAILED:
                said = member.text or Text(member.state)
                return self._undone(rollout, Text(f"{member.node}: {said.en}", f"{member.node}：{said.in_('zh')}"))
        at = next((i for i, w in enumerate(rollout.waves) if w.state == "running"), None)
        if at is None or rollout.state != "running":
            return rollout
        wave, begun = rollout.waves[at], max(self._began, self._resumed.get(rollout.id, 0))
        silent = [m.node for m in wave.nodes if now - max(self._seen.get(m.node, 0), m.since, begun) > rollout.gate.patience * 60e9]
        if silent:
            names = ", ".join(silent)
            return _replace(rollout, state="paused", why=Text(f"nothing was heard of {names}", f"{names} 失联"))
        well = rollout.gate.minutes * 60e9
        if any(m.state != "running" or self._seen.get(m.node, 0) - m.since < well for m in wave.nodes):
            return rollout
        done = _with_wave(rollout, at, _replace(wave, state="done"))
        return self._opened(done, at + 1) if at + 1 < len(done.waves) else _replace(done, state="done")

    def _opened(self, rollout: Rollout, at: int) -> Rollout:
        """With the next wave begun: its nodes are wanted to run it."""
        now, members = self._clock(), []
        for member in rollout.waves[at].nodes:
            ran = self._running.get((member.node, rollout.app))
            members.append(_replace(member, state="wanted", since=now, before=ran.hash if ran is not None else ""))
        return _with_wave(rollout, at, _replace(rollout.waves[at], state="running", nodes=tuple(members)))

    def _undone(self, rollout: Rollout, why: Text) -> Rollout:
        waves = tuple(_replace(w, state="failed") if w.state == "running" else w for w in rollout.waves)
        return _replace(rollout, state="rolled_back", why=why, waves=waves)

    def _undo(self, rollout: Rollout, why: Text) -> None:
        if rollout.state == "rolled_back":
            raise CloudError(Text("it was rolled back already", "已经回滚"), where=rollout.id)
        self._keep(self._undone(rollout, why))

    # --- what is kept -------------------------------------------------------------------------------------------------------------

    def _keep(self, rollout: Rollout) -> None:
        """The roll-out and what follows from it for nodes, in one transaction."""
        old = self._all.get(rollout.id)
        with self._db:  # commits, or rolls back
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("INSERT OR REPLACE INTO rollout VALUES (?, ?, ?)", (rollout.id, rollout.started, msgspec.json.encode(rollout)))
            before = {m.node for m in _members(old)} if old is not None else set()
            for member in _members(rollout):
                if member.node not in before:
                    values = (member.node, rollout.app, rollout.hash, rollout.slowest_ms)
                    self._db.execute("INSERT OR REPLACE INTO wanted VALUES (?, ?, ?, 0, ?)", values)
            if rollout.state == "rolled_back" and (old is None or old.state != "rolled_back"):
                for member in _members(rollout):  # but whoever was meanwhile given something newer
                    at = (member.before, member.node, rollout.app, rollout.hash)
                    self._db.execute("UPDATE wanted SET hash = ?, back = 1, slowest = NULL WHERE node = ? AND app = ? AND hash = ?", at)
        self._all[rollout.id] = rollout

    def _get(self, id: str) -> Rollout:
        if id not in self._all:
            raise CloudError(Text("no such roll-out", "没有这个发布过程"), where=id[:40])
        return self._all[id]

    def _open(self, id: str) -> Rollout:
        rollout = self._get(id)
        if not rollout.open:
            raise CloudError(Text("it is over", "该发布过程已结束"), where=id)
        return rollout


def _members(rollout: Rollout) -> list[Member]:
    """Of the waves that have begun."""
    return [m for w in rollout.waves if w.state != "waiting" for m in w.nodes]


def _with_wave(rollout: Rollout, at: int, wave: Wave) -> Rollout:
    return _replace(rollout, waves=(*rollout.waves[:at], wave, *rollout.waves[at + 1 :]))


def _by(who: str, why: str) -> Text:
    return Text(f"{why} ({who})" if who else why, f"{why}（{who}）" if who else why)
