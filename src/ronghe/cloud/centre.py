"""The life of the centre: one process that runs a centre folder.

    nodes ─HTTPS, mTLS─▶ fleet ◀─ roll-outs ◀─ registry
    nodes ─NATS, mTLS──▶ hub ─▶ intake ─▶ historians of all plants ─▶ lake
    others ─HTTP, gRPC─▶ serving ◀─ registry, tenants

A part that cannot start or fails is said and stops nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.bus.fleet import Joined, Report
from ronghe.cloud import folder as centre_folder
from ronghe.cloud.fleet.api import Api, Bell, Desk, Pace
from ronghe.cloud.fleet.authority import Authority
from ronghe.cloud.fleet.fleet import Fleet
from ronghe.cloud.fleet.metrics import Exporter, Exposition
from ronghe.cloud.spec import CloudSpec
from ronghe.errors import CloudError, RongheError
from ronghe.guard import Ledger
from ronghe.models.registry import Registry
from ronghe.text import Text

log = logging.getLogger(__name__)

_FILL: Final = 600.0  # s between two additions to the lake
_ROLLOUTS: Final = 10_000_000_000  # ns between two looks at roll-outs of which nobody reports
_FIRST: Final = 60.0  # s until the first
_TIDY: Final = 86_400_000_000_000  # ns between two times that its small files are made into large ones
_AGAIN: Final = 5.0  # s
_LOOK: Final = 0.25  # s between two looks at what the command line changed


def open_fleet(folder: Path, clock: Callable[[], int] = time.time_ns, spec: CloudSpec | None = None) -> Fleet:
    """The fleet of a centre folder, whether its centre runs or not. Raises CloudError."""
    spec = spec or centre_folder.read(folder)
    home = folder / centre_folder.HOME
    return Fleet(home, Authority(home / "ca", clock), clock, url=f"https://{spec.address}:{spec.fleet.port}")


class Centre:
    """`start` → runs in the caller's event loop → `stop`. What a part is called here is None while it is not at work; `failed` says why."""

    def __init__(self, folder: Path, clock: Callable[[], int] = time.time_ns) -> None:
        """Raises CloudError for a folder that cannot be used, LedgerError when another centre runs in it."""
        self.folder, self.clock = folder, clock
        self.home = folder / centre_folder.HOME
        self.spec = centre_folder.read(folder)
        self.ledger = Ledger(self.home / "ledger", clock=clock)
        self.fleet = open_fleet(folder, clock, self.spec)
        self.fleet.hub = lambda: self.spec.hub.url or f"tls://{self.spec.address}:{self.spec.hub.port}"
        self.authority = self.fleet.authority
        self.registry = Registry(self.home / "registry", clock=clock)
        self.placement = _Placement(self.fleet)
        self.hub: Any = None
        self.intake: Any = None
        self.lake: Any = None
        self.rollouts: Any = None
        self.tenants: Any = None
        self.serving: Any = None
        self.failed: dict[str, Text] = {}
        self.url = ""
        self.metrics_url = ""
        self._bell = Bell()
        self._ends: list[tuple[str, Callable[[], Awaitable[object] | object]]] = []
        self._watching: asyncio.Task[None] | None = None
        self._at_hub: dict[str, str] = {}

    async def start(self) -> None:
        """Starts all parts, what nodes are served by last. Raises CloudError when nodes cannot be served at all."""
        for name, begin in self._parts():
            try:
                end = begin()
                end = await end if isinstance(end, Awaitable) else end
                if end is not None:
                    self._ends.append((name, end))
            except Exception as e:
                self._fails(name, e)
        self.fleet.trusted = self.registry.trusted
        desk = Desk(
            fleet=self.fleet,
            bell=self._bell,
            package=self._package,
            joins=Pace(60, 2, time.monotonic_ns),
            calls=Pace(40, 10, time.monotonic_ns),
            on_joined=self._joined,
            on_report=self._reported,
        )
        api = Api(desk, self.spec.address, _host(self.spec.address), self.spec.fleet.port)
        self.url = await api.start()
        self._ends.append(("fleet", api.stop))
        self.fleet.serves_at(self.url)
        self._watching = asyncio.create_task(self._watch(), name="fleet watch")

    async def stop(self) -> None:
        """Ends all parts, the last started first. Safe to call twice, and when `start` raised."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        while self._ends:
            name, end = self._ends.pop()
            try:
                done = end()
                if isinstance(done, Awaitable):
                    await done
            except Exception:
                log.exception("%s does not end", name)
        self.fleet.close()
        self.ledger.close()

    def note(self, kind: str, body: dict[str, Any]) -> None:
        """An entry of the centre's ledger: who did what. Raises LedgerError."""
        self.ledger.append(kind, body)

    # --- parts ------------------------------------------------------------------------------------------------------------------

    def _parts(self) -> list[tuple[str, Callable[[], Any]]]:
        """(name, what starts it); each gives what ends it."""
        return [
            ("rollouts", self._start_rollouts),
            ("hub", self._start_hub),
            ("intake", self._start_intake),
            ("lake", self._start_lake),
            ("serving", self._start_serving),
            ("metrics", self._start_metrics),
        ]

    def _start_rollouts(self) -> Any:
        from ronghe.cloud.rollout import Rollouts

        self.rollouts = Rollouts(self.fleet, self.registry, self.home, clock=self.clock)
        self.fleet.models = self.rollouts.wanted_models
        return self.rollouts.close

    async def _start_hub(self) -> Any:
        from ronghe.bus.hub import Hub

        certificate = self.authority.server(self.spec.address)
        hub = Hub(self.home / "hub", self.spec.hub, address=self.spec.address, ca=self.authority.certificate, server=certificate)
        await hub.start()
        self.hub, self.fleet.hub = hub, lambda: hub.url
        await self._sync_hub()
        return hub.stop

    async def _start_intake(self) -> Any:
        from ronghe.bus.jetstream import JetStream
        from ronghe.cloud.lake.intake import Intake

        if self.hub is None:
            raise CloudError(Text("there is no hub", "消息中心未运行"))
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(*self.authority.own())
        theirs = bool(self.spec.hub.url)  # nobody else makes the stream of servers that are not ours
        bus = JetStream(self.hub.url, name="centre", tls=context, stream=self.hub.stream if theirs else None)
        self.intake = Intake(bus, self.home, self.clock)
        await self.intake.start()

        async def end() -> None:
            await self.intake.stop()
            await bus.close()

        return end

    def _start_lake(self) -> Any:
        from ronghe.cloud.lake import Lake

        self.lake = Lake.of_centre(self.folder)
        filling = asyncio.create_task(self._fill_lake(), name="lake")

        async def end() -> None:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)

        return end

    async def _fill_lake(self) -> None:
        """What came in goes to the lake now and then, sealed: many small files would make it slow."""
        from ronghe.cloud.lake.storage import plants_of_centre
        from ronghe.cloud.lake.sync import seal, sync_all

        tidied = self.clock()
        await asyncio.sleep(_FIRST)
        while True:
            try:
                if self.intake is not None:
                    await asyncio.to_thread(self.intake.seal)
                await asyncio.to_thread(sync_all, self.lake, plants_of_centre(self.folder), seal if self.intake is None else None)
                if self.clock() - tidied > _TIDY:
                    tidied = self.clock()
                    await asyncio.to_thread(self.lake.compact)
                    await asyncio.to_thread(self.lake.vacuum)
                self.failed.pop("lake", None)
            except Exception as e:
                self._fails("lake", e)
            await asyncio.sleep(_FILL)

    async def _start_serving(self) -> Any:
        from ronghe.cloud.serving import Serving, Tenants

        self.tenants = Tenants(self.home / "tenants.sqlite", self.clock)
        self._ends.append(("tenants", self.tenants.close))
        serving = Serving(self.registry, self.tenants, self.spec.serving, home=self.folder, clock=self.clock)
        await serving.start()
        self.serving = serving
        return serving.stop

    async def _start_metrics(self) -> Any:
        exposition = Exposition(self.fleet, self.clock)
        exporter = Exporter(exposition, self.spec.metrics)
        await exporter.start()
        self.metrics_url = exporter.url
        return exporter.stop

    def _fails(self, name: str, e: Exception) -> None:
        self.failed[name] = e.what if isinstance(e, RongheError) else Text(f"{type(e).__name__}: {e}")
        if isinstance(e, RongheError):
            log.warning("%s does not work: %s", name, e)
        else:
            log.error("%s does not work", name, exc_info=e)

    # --- nodes ------------------------------------------------------------------------------------------------------------------

    def _package(self, node: str, file: str) -> Path | None:
        wanted = any(m.file == file for m in self.fleet.models(node))
        return self.registry.file(file) if wanted else None

    def _joined(self, joined: Joined) -> None:
        self._bell.ring()

    def _reported(self, node: str, report: Report) -> None:
        if self.rollouts is not None:
            self.rollouts.report(report)

    async def _watch(self) -> None:
        """What people changed, here or by the command line: nodes are told, the hub knows who may send, the ledger who did it."""
        seen: tuple[int, int] | None = None
        looked = 0
        while True:
            try:
                if self.rollouts is not None and self.clock() - looked > _ROLLOUTS:  # reports move them on; silence must, too
                    looked = self.clock()
                    self.rollouts.look()
                state = self.fleet.register.state()
                if state != seen:
                    self._bell.ring()
                    await asyncio.to_thread(self._copy_events)
                    await self._sync_hub()
                    seen = state
            except Exception:  # the disk, or the hub: tried again, not four times a second
                log.exception("fleet")
                await asyncio.sleep(_AGAIN)
            await asyncio.sleep(_LOOK)

    async def _sync_hub(self) -> None:
        if self.hub is None:
            return
        nodes = self.fleet.nodes()
        now = {n.name: n.plant for n in nodes if n.joined and not n.removed}
        for name in (self._at_hub.keys() | {n.name for n in nodes}) - now.keys():  # also who was removed while the centre was at rest
            await self.hub.remove_node(name)
        for name, plant in now.items():
            if self._at_hub.get(name) != plant:
                await self.hub.add_node(name, plant)
        self._at_hub = now

    def _copy_events(self) -> None:
        """The events of the fleet's file, into the ledger, where a change to them would show."""
        for row in self.fleet.register.rows("SELECT * FROM event WHERE copied = 0 ORDER BY id"):
            self.ledger.append(row["kind"], {**msgspec.json.decode(row["body"]), "at": row["at"], "event": row["id"]})
            self.fleet.register.write("UPDATE event SET copied = 1 WHERE id = ?", row["id"])


class _Placement:
    """Where models run, as nodes say."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def view(self) -> dict[str, Any]:
        nodes = [{"node": node.name, **report.placement} for node, report, _ in self._fleet.reports() if isinstance(report.placement, dict)]
        return {"now": self._fleet.clock() // 1_000_000, "nodes": nodes}


def _host(address: str) -> str:
    """Where to listen: everywhere, unless the address is this machine's own only."""
    try:
        own = ip_address(address).is_loopback
    except ValueError:
        own = address == "localhost"
    return address if own else "0.0.0.0"  # noqa: S104  (nodes come from outside)
