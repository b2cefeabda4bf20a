"""Acquisition over one session: subscriptions by sampling interval, several Publish requests outstanding, samples as columns.

A Publish request is a place for an answer: a server with nothing outstanding must wait, and one request a round trip is what limits
most clients. Here several are always outstanding, each answer is decoded to columns where it arrives, and what the sequence numbers
show to be missing is asked for again (Republish).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
from asyncua import ua
from numpy.typing import NDArray

from ronghe.connect.driver import Item
from ronghe.connect.opcua import address, messages, wire
from ronghe.connect.opcua.columns import Columns
from ronghe.connect.opcua.sequence import Sequence as Numbers
from ronghe.connect.opcua.session import Session, chunks, complete
from ronghe.connect.opcua.together import Together
from ronghe.errors import BadFrame, ConnectError, Unreachable
from ronghe.signals import quality as q
from ronghe.text import Text

_CODES: Final = ua.StatusCodes
_OUTSTANDING: Final = 6  # Publish requests, and one more for each subscription
_SILENT: Final = 3  # missed keep-alives after which the connection counts as lost
_LIFETIME: Final = 60.0  # s without a Publish request after which the server forgets the subscription
_SLOWEST: Final = 1.0  # s, publishing interval of slow items
_FASTEST: Final = 0.02

Deliver = Callable[[NDArray[np.int64], Columns], None]
"""Takes positions in the shard's items and their samples."""


@dataclass(slots=True)
class _Subscription:
    id: int
    interval: float  # s, between publications
    keep_alives: int  # publications without data after which one comes nevertheless
    numbers: Numbers = field(default_factory=Numbers)
    republishing: bool = False
    quiet: bool = False  # the server's last answer was that it has nothing to send


class Acquisition:
    """One session's share of the items; `run` until the connection is lost."""

    retry: ClassVar[float] = 60.0
    """s between attempts to acquire what the server refused."""
    keep_alive: ClassVar[float] = 2.0
    """s without data after which the server is asked to say that it lives."""

    def __init__(
        self,
        session: Session,
        items: Sequence[Item],
        deliver: Deliver,
        refuse: Callable[[int, int], None],
        lost: Callable[[int], None],
        quiet: Callable[[], None],
    ) -> None:
        """`refuse(position, status)` for an item that the server will not monitor; `lost(n)` for samples known to be gone; `quiet()` when
        the server has said for every subscription that it has nothing more to send."""
        self._session, self._items, self._deliver, self._refuse, self._lost = session, items, deliver, refuse, lost
        self._quiet = quiet
        self._subscriptions: dict[int, _Subscription] = {}
        self._acks: list[ua.SubscriptionAcknowledgement] = []
        self._heard = 0.0  # loop time
        self._workers = 0
        self._refused: dict[int, int] = {}  # position → status that was told

    async def run(self, ready: Callable[[], Awaitable[None]]) -> None:
        """Acquires until the connection is lost, which is raised as ConnectError. Awaits `ready` once every item is set up."""
        by_interval: dict[float, list[int]] = {}
        for position, item in enumerate(self._items):
            by_interval.setdefault(item.every, []).append(position)
        made = [(await self._subscribe(every), every, positions) for every, positions in sorted(by_interval.items())]
        self._heard = asyncio.get_running_loop().time()
        self._workers = _OUTSTANDING + len(made)
        work = Together()
        # Publishing begins before the items are made: the first of many would overflow their queues while the last are created.
        for _ in range(self._workers):
            work.begin(self._publish(work))
        work.begin(self._watch())
        work.begin(self._set_up(made, ready))
        await work.until_one_fails()

    async def _set_up(self, made: list[tuple[_Subscription, float, list[int]]], ready: Callable[[], Awaitable[None]]) -> None:
        refused = [(s, every, await self._monitor_all(s, every, positions)) for s, every, positions in made]
        await ready()
        # A device that was given a new program may have later what it refuses now.
        while any(positions for _, _, positions in refused):
            await asyncio.sleep(self.retry)
            refused = [(s, every, await self._monitor_all(s, every, positions)) for s, every, positions in refused]

    async def _subscribe(self, every: float) -> _Subscription:
        interval = self._session.options.publishing or min(max(every / 4, _FASTEST), _SLOWEST)
        request = ua.CreateSubscriptionRequest()
        p = request.Parameters
        p.RequestedPublishingInterval = interval * 1e3
        p.RequestedMaxKeepAliveCount = max(1, math.ceil(self.keep_alive / interval))
        p.RequestedLifetimeCount = max(3 * p.RequestedMaxKeepAliveCount, math.ceil(_LIFETIME / interval))
        p.MaxNotificationsPerPublish = 0
        p.PublishingEnabled = True
        made = (await self._session.ask(request, ua.CreateSubscriptionResponse)).Parameters
        subscription = _Subscription(made.SubscriptionId, made.RevisedPublishingInterval / 1e3, made.RevisedMaxKeepAliveCount)
        self._subscriptions[subscription.id] = subscription
        return subscription

    async def _monitor_all(self, subscription: _Subscription, every: float, positions: list[int]) -> list[int]:
        """Gives the positions that the server refused, having told them."""
        queue = self._session.options.queue or max(10, 4 * math.ceil(subscription.interval / max(every, 1e-3)))
        known, refused = [], {}
        for position in positions:
            node = address.node_id(self._items[position].address, self._session.namespaces)
            if node is None:
                refused[position] = q.BAD_NODE_UNKNOWN
            else:
                known.append((position, node))
        for some in chunks(known, self._session.limits["monitor"]):
            refused |= await self._monitor(subscription.id, some, every, queue)
        for position, status in refused.items():
            if self._refused.get(position) != status:
                self._refuse(position, status)
        self._refused |= refused
        return list(refused)

    async def _monitor(self, subscription: int, nodes: Sequence[tuple[int, ua.NodeId]], every: float, queue: int) -> dict[int, int]:
        request = ua.CreateMonitoredItemsRequest()
        request.Parameters.SubscriptionId = subscription
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.ItemsToCreate = [
            ua.MonitoredItemCreateRequest(
                ua.ReadValueId(node, ua.AttributeIds.Value),
                ua.MonitoringMode.Reporting,
                ua.MonitoringParameters(ClientHandle=position + 1, SamplingInterval=every * 1e3, QueueSize=queue, DiscardOldest=True),
            )
            for position, node in nodes
        ]
        answer = await self._session.ask(request, ua.CreateMonitoredItemsResponse)
        results = zip(nodes, complete(answer.Results, len(nodes)), strict=True)
        bad = {position: int(r.StatusCode.value) for (position, _), r in results if not r.StatusCode.is_good()}
        return {position: _MEANING.get(status, status) for position, status in bad.items()}

    async def _publish(self, work: Together) -> None:
        """Keeps one Publish request outstanding."""
        while True:
            request = ua.PublishRequest()
            request.Parameters.SubscriptionAcknowledgements, self._acks = self._acks, []
            try:
                body = await self._session.wire.raw(request, wait=False)
                answer = messages.published(body)
            except (messages.ServiceError, *wire.FAILURES) as e:
                code = e.code if isinstance(e, messages.ServiceError) else wire.code_of(e)
                if code == _CODES.BadTooManyPublishRequests and self._workers > 1:
                    self._workers -= 1
                    return
                if code == _CODES.BadTimeout:
                    continue
                await self._session.guarded(_raising(e))
                return
            self._heard = asyncio.get_running_loop().time()
            self._take(answer, work)

    def _take(self, answer: messages.Published, work: Together) -> None:
        notification, subscription = answer.notification, self._subscriptions.get(answer.subscription)
        if subscription is None:
            return
        subscription.quiet = notification.keep_alive
        if notification.keep_alive:
            subscription.numbers.alive(notification.sequence)
            if all(s.quiet and not s.numbers.missing for s in self._subscriptions.values()):
                self._quiet()
        else:
            self._acks.append(ua.SubscriptionAcknowledgement(answer.subscription, notification.sequence))
            if subscription.numbers.take(notification.sequence):
                self._hand_over(notification)
        if subscription.numbers.missing and not subscription.republishing:
            subscription.republishing = True
            work.begin(self._republish(subscription))

    def _hand_over(self, notification: messages.Notification) -> None:
        if notification.status is not None and notification.status >= 0x80000000:
            name = ua.StatusCode(notification.status).name
            raise ConnectError(
                Text(f"the server ended the subscription: {name}", f"服务器终止了订阅：{name}"), where=self._session.options.url
            )
        for columns in notification.changes:
            if overflows := columns.overflows:
                self._lost(overflows)
            positions = columns.handle.astype(np.int64) - 1  # some servers take handle 0 for none
            if len(positions) and not 0 <= positions.min() <= positions.max() < len(self._items):
                raise BadFrame(Text("a sample with a handle that was never given", "样本的句柄未曾分配"), where=self._session.options.url)
            self._deliver(positions, columns)

    async def _republish(self, subscription: _Subscription) -> None:
        """Asks again for what was missed; answers that were only overtaken have arrived by then."""
        await asyncio.sleep(0.05)
        for number in list(subscription.numbers.missing):
            if number not in subscription.numbers.missing:
                continue
            request = ua.RepublishRequest()
            request.Parameters.SubscriptionId = subscription.id
            request.Parameters.RetransmitSequenceNumber = number
            try:
                found = messages.republished(await self._session.wire.raw(request))
            except (messages.ServiceError, *wire.FAILURES) as e:
                code = e.code if isinstance(e, messages.ServiceError) else wire.code_of(e)
                if code is None:
                    await self._session.guarded(_raising(e))
                subscription.numbers.missing.pop(number, None)
                self._lost(1)
                continue
            if subscription.numbers.take(number):
                self._acks.append(ua.SubscriptionAcknowledgement(subscription.id, number))
                self._hand_over(found)
        subscription.republishing = False

    async def _watch(self) -> None:
        """Raises when neither data nor keep-alive arrived for too long: a cable pulled closes no connection."""
        loop = asyncio.get_running_loop()
        slowest = max((s.interval * s.keep_alives for s in self._subscriptions.values()), default=self.keep_alive)
        limit = _SILENT * slowest
        while (silent := loop.time() - self._heard) < limit:  # noqa: ASYNC110  # it waits for silence, not for an event
            await asyncio.sleep(limit - silent)
        raise Unreachable(
            Text(f"the server has been silent for {limit:.0f} s", f"服务器已 {limit:.0f} 秒无应答"),
            where=self._session.options.url,
            todo=Text("check the network and the server; it is connected anew", "请检查网络与服务器；将自动重新连接"),
        )


_MEANING: Final = {_CODES.BadNodeIdInvalid: q.BAD_NODE_UNKNOWN, _CODES.BadAttributeIdInvalid: q.BAD_NODE_UNKNOWN}
"""No such node, or one that is not a variable: to us the same."""


async def _raising(error: BaseException) -> Any:
    raise error
