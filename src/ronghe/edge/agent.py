"""The node's side of the centre: asks what is wanted, does it, and tells how the node is. No port is opened here.

One connection, its requests one after the other in one thread: what is wanted (held at the centre until there is something new, ten
seconds at most), then a report. So orders come through at once, and a report every ten seconds. What is wanted is done beside that, on
connections of its own. While the centre is gone nothing here is in anybody's way; it is asked again ever more rarely, at most a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

import ronghe
from ronghe.bus.fleet import Joined, Link, Report, Wanted
from ronghe.edge.centrelink import Answer, CentreLink, Refused, understood
from ronghe.edge.configuration import Configuration, take_back
from ronghe.edge.diagnosis import Gauges, LogRing, answer
from ronghe.edge.joining import FILE, context, keep, membership, renewal, write
from ronghe.edge.node import Node
from ronghe.errors import CloudError, PlantError, RongheError, Unreachable
from ronghe.models.delivery import HttpSource
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.edge.deploying import Deploying

log = logging.getLogger(__name__)

EVERY: Final = 10.0  # s between two reports
SETTLES: Final = 15.0  # s within which what worked before works again under another configuration
_LOOK: Final = 0.5  # s
_FIRST, _LONGEST_PAUSE = 1.0, 60.0  # s between two tries while the centre is gone
_REMOVED: Final = 300.0  # s: a centre that refuses this node may take it back
_TRIPS: Final = 60  # round trips that are remembered: ten minutes
_LINES: Final = 200  # of the log in a report


class Agent:
    """Of one node, in its loop: `start` → `stop`. `again` is set when the node is to be started anew, from other files."""

    def __init__(
        self,
        node: Node,
        home: Path,
        deploying: Deploying | None,
        configuration: Configuration,
        again: asyncio.Event,
        *,
        rng: random.Random | None = None,
    ) -> None:
        """`home` is the folder `centre` of a joined plant. Raises CloudError when membership or certificate cannot be used."""
        self.node, self.home, self.deploying, self.configuration = node, home, deploying, configuration
        member = membership(home)
        if member is None:
            raise CloudError(Text("the node has not joined a centre", "节点尚未加入中心"), where=str(home / FILE))
        self.member = member
        self.again = again
        self.connected: bool | None = None
        self._rng = rng or random.Random()  # noqa: S311  (jitter)
        self._link = CentreLink(self.member.url, context(home))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="centre")
        self._ring, self._gauges = LogRing(node.clock), Gauges(node)
        self._told = 0  # mark in the ring
        self._wanted = Wanted(revision=0)
        self._news = asyncio.Event()
        self._answers: dict[str, Any] = {}
        self._trips: deque[float | None] = deque(maxlen=_TRIPS)  # s; None: it did not come back
        self._since = node.clock()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begins to ask and tell."""
        logging.getLogger().addHandler(self._ring)
        loops: list[tuple[str, Callable[[], Awaitable[None]]]] = [("centre", self._talk), ("wanted", self._do)]
        if self.configuration.trial is not None:
            loops.append(("trial", self._judge))
        self._tasks = [asyncio.create_task(self._guarded(step), name=name) for name, step in loops]

    async def stop(self) -> None:
        """Ends; a request that waits is cut off. Safe to call twice."""
        logging.getLogger().removeHandler(self._ring)
        for task in self._tasks:
            task.cancel()
        self._link.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown)

    async def _guarded(self, step: Callable[[], Awaitable[None]]) -> None:
        """Nothing of this may end the node, nor end unheard."""
        try:
            await step()
        except Exception:
            log.exception("the node is not connected to its centre any more")

    # --- asking and telling -----------------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        pause = _FIRST
        while True:
            wait = pause
            try:
                await self._turn()
                self._went(None)
                pause = _FIRST
                continue
            except (Unreachable, Refused) as e:
                self._trips.append(None)
                self._went(e)
                if isinstance(e, Refused) and e.status == 403:
                    wait = _REMOVED
            except Exception:  # an answer that makes no sense: the centre may be mended, this loop must not end
                log.exception("centre")
            await asyncio.sleep(wait * self._rng.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _turn(self) -> None:
        """A round trip measured, a report told, and what is wanted asked."""
        self._trips.append((await self._ask("GET", "/fleet/ping")).took)
        report, mark = await self._report()
        sent = dict(self._answers)
        await self._ask("POST", "/fleet/report", msgspec.json.encode(report))
        self._told = mark
        for id in sent:
            self._answers.pop(id, None)
        await self._renew()
        until = asyncio.get_running_loop().time() + EVERY
        while (left := until - asyncio.get_running_loop().time()) > 0 and not self._answers:
            path = f"/fleet/wanted?since={self._wanted.revision}&wait={left:.1f}"
            got = await self._ask("GET", path, held=left)
            if got.status == 200:
                self._take(understood(got, Wanted))

    def _take(self, wanted: Wanted) -> None:
        known, self._wanted = self._wanted, wanted
        asked = {o.id for o in known.orders}
        gauges = self._gauges.look() if any(o.what == "metrics" for o in wanted.orders) else {}
        for order in wanted.orders:
            if order.id not in asked:
                self._answers[order.id] = answer(order, self.node, self._ring, gauges)
        if (wanted.models, wanted.trusted, wanted.configuration) != (known.models, known.trusted, known.configuration):
            self._news.set()

    async def _ask(self, method: str, path: str, body: bytes | None = None, *, held: float = 0.0) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(self._link.ask, method, path, body, held=held))

    async def _report(self) -> tuple[Report, int]:
        mark, lines = self._ring.since(self._told, _LINES)
        running, changed = await asyncio.to_thread(self._folder)
        node = self.node
        report = Report(
            node=self.member.node,
            plant=node.plant.path,
            at=node.clock(),
            version=ronghe.__version__,
            started=self._since,
            configuration=running,
            changed=changed,
            models=self.deploying.running if self.deploying is not None else (),
            metrics=self._gauges.look(),
            alarms=node.alarms.metrics(node.clock()).by_priority,
            link=self._measured(),
            log=tuple(lines),
            answers=dict(self._answers),
            placement=node.placements.view(),
            said=self.configuration.refused[1],
        )
        return report, mark

    def _folder(self) -> tuple[str, tuple[str, ...]]:
        try:
            return self.configuration.running.hash, self.configuration.changed()
        except (RongheError, OSError) as e:
            log.debug("the plant folder is no version: %s", e)
            return "", ()

    def _measured(self) -> Link | None:
        came = sorted(t * 1e3 for t in self._trips if t is not None)
        if not came:
            return None
        inside = [t * 1e3 for t in self._trips if t is not None]
        steps = [abs(b - a) for a, b in pairwise(inside)]
        return Link(
            rtt_ms=came[len(came) // 2],
            p99_ms=came[min(len(came) - 1, int(len(came) * 0.99))],
            jitter_ms=sum(steps) / len(steps) if steps else 0.0,
            loss=1 - len(came) / len(self._trips),
            at=self.node.clock(),
        )

    def _went(self, e: RongheError | None) -> None:
        if (e is None) == self.connected:
            return
        self.connected = e is None
        why = e.what if isinstance(e, Refused) and e.status == 403 else None
        told = Text(f"the centre refuses this node: {why.en}", f"中心拒绝此节点：{why.in_('zh')}") if why is not None else None
        self.node.say("fleet", "medium", told)
        if e is not None:
            log.warning("without the centre: %s", e)
        else:
            log.info("connected to the centre at %s", self.member.url)

    async def _renew(self) -> None:
        """At two thirds of its life the certificate is renewed, for the same key: one file, replaced whole."""
        if self.node.clock() < self.member.renew:
            return
        request = await asyncio.to_thread(renewal, self.home, self.member.node)
        joined = understood(await self._ask("POST", "/fleet/renew", request.encode()), Joined)
        await asyncio.to_thread(write, self.home / "node.pem", joined.certificate.encode())
        self.member = await asyncio.to_thread(keep, self.home, self.member.url, joined)
        old, self._link = self._link, CentreLink(self.member.url, context(self.home))
        old.close()
        log.info("the node's certificate is renewed")

    # --- doing what is wanted ---------------------------------------------------------------------------------------------------

    async def _do(self) -> None:
        pause = _FIRST
        while True:
            await self._news.wait()
            self._news.clear()
            wanted = self._wanted
            try:
                if self.deploying is not None:
                    source = HttpSource(f"{self.member.url}/fleet/packages", context(self.home))
                    await self.deploying.apply(wanted.models, wanted.trusted, source)
                await self._configure(wanted.configuration)
                pause = _FIRST
                continue
            except (Unreachable, OSError) as e:  # the line, or the disk: it may do later
                log.warning("what the centre wants is not done yet: %s", e)
            except Exception:
                log.exception("what the centre wants is not done")
            await self._wait_for_news(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            self._news.set()

    async def _wait_for_news(self, most: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), most)

    async def _configure(self, hash: str) -> None:
        """Fetches, checks and places a configuration; `again` then asks for the node to be started anew."""
        kept = self.configuration
        if hash != kept.refused[0]:
            await asyncio.to_thread(kept.forgive)
        if not hash or hash == kept.refused[0] or kept.trial is not None:
            return
        try:
            if hash == (await asyncio.to_thread(lambda: kept.running)).hash:
                return
        except CloudError:
            log.debug("the plant folder is no version")
        try:
            await asyncio.to_thread(self._fetch, hash)
            await asyncio.to_thread(kept.check, hash, self.node.plant.path)
        except (CloudError, PlantError) as e:
            log.warning("the configuration %s is refused: %s", hash[:12], e)
            await asyncio.to_thread(kept.refuse, hash, e)
            return
        await asyncio.to_thread(kept.place, hash, self._working())
        log.warning("the configuration %s is on trial", hash[:12])
        self.again.set()

    def _fetch(self, hash: str) -> None:
        archive = self.home / f"{hash}.zip"
        link = CentreLink(self.member.url, context(self.home))
        try:
            with archive.open("ab") as file:
                for piece in link.stream(f"/fleet/folders/{hash}", file.tell()):
                    file.write(piece)
        except Refused as e:
            if e.status == 429 or e.status >= 500:
                raise Unreachable(e.what, where=e.where) from e
            archive.unlink()
            if e.status == 416:  # there is more of it here than there: once more, from the beginning
                raise Unreachable(e.what, where=e.where) from e
            raise
        finally:
            link.close()
        try:
            self.configuration.take(hash, archive)
        finally:
            archive.unlink()

    # --- a configuration on trial -----------------------------------------------------------------------------------------------

    def _working(self) -> tuple[str, ...]:
        """What works now: connections and apps."""
        apps = [f"app/{name}" for name, state in self.node.apps.items() if state.state not in ("failed", "stopped")]
        return tuple([f"connection/{name}" for name, d in self.node.drivers.items() if d.health.state == "up"] + apps)

    async def _judge(self) -> None:
        """Stays when all that worked before, and is still there, works again; else the folder is put back."""
        trial = self.configuration.trial
        if trial is None:
            return
        there = {f"connection/{n}" for n in self.node.plant.connections} | {f"app/{n}" for n in self.node.plant.apps}
        due = there.intersection(trial.worked)
        loop = asyncio.get_running_loop()
        until = loop.time() + SETTLES
        while loop.time() < until and not due.issubset(self._working()):  # noqa: ASYNC110  (nothing tells when all of it works)
            await asyncio.sleep(_LOOK)
        if due.issubset(self._working()):
            await asyncio.to_thread(self.configuration.confirm)
            log.warning("the configuration %s runs", trial.version.hash[:12])
            return
        lost = ", ".join(sorted(due.difference(self._working())))
        await asyncio.to_thread(take_back, self.configuration, Text(f"no longer at work: {lost}", f"不再正常工作：{lost}"))
        self.again.set()
