"""Connections that are lost: told once, found again, and the gap filled from the server's history, nothing doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.connect.contract import Collected, running, until
from tests.connect.opcua.servers import Keeper, NodeServer, Proxy

from ronghe.connect import Item
from ronghe.connect.opcua import OpcUa, Options, messages
from ronghe.connect.opcua.acquire import Acquisition
from ronghe.connect.opcua.together import Together
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

KEEPER = "nsu=http://example.org/keeper;s="


@dataclass
class Link:
    """A cable to the keeper, and nodes of this test's own on it."""

    keeper: Keeper
    proxy: Proxy
    test: str

    def name(self, short: str) -> str:
        return f"{self.test}.{short}"

    async def add(self, *shorts: str, history: bool = True) -> None:
        for short in shorts:
            await self.keeper.add(self.name(short), history=history)

    async def put(self, *shorts: str, late: float = 0.0) -> None:
        await self.keeper.put(*map(self.name, shorts), late=late)

    def made(self, short: str) -> list[tuple[int, float]]:
        return self.keeper.made[self.name(short)]

    def driver(self, *shorts: str, **options: Any) -> tuple[OpcUa, list[Item]]:
        index = TagIndex()
        items = [Item(id=index.id(s), address=KEEPER + self.name(s), every=0.05) for s in shorts]
        return OpcUa(Options(url=self.proxy.url, **options), index), items


@pytest.fixture
async def link(keeper: Keeper, request: pytest.FixtureRequest) -> AsyncIterator[Link]:
    proxy = Proxy("127.0.0.1", keeper.port)
    await proxy.mend()
    yield Link(keeper, proxy, request.node.name)
    await proxy.cut()


def samples(sink: Collected, name: str) -> list[tuple[int, float]]:
    return [(t, v) for t, v, code, _ in sink.rows(name) if code == q.GOOD]


def lost(sink: Collected, name: str) -> int:
    return sum(r[2] == q.BAD_NO_COMMUNICATION for r in sink.rows(name))


async def test_a_gap_is_filled_from_history_and_nothing_doubled(link: Link) -> None:
    await link.add("a", "b")
    driver, items = link.driver("a", "b")
    async with running(driver, items) as sink:
        await until(lambda: len(samples(sink, "a")) and len(samples(sink, "b")), "first values")
        for _ in range(3):
            await link.put("a", "b")
            await asyncio.sleep(0.12)
        for losses in (1, 2):  # two, the second soon after the first
            seen = len(samples(sink, "a"))
            await link.proxy.cut()
            await until(lambda n=losses: lost(sink, "a") == n, "told as lost")
            for _ in range(30):
                await link.put("a", "b")
                await asyncio.sleep(0.005)
            await link.proxy.mend()
            await until(lambda n=seen: len(samples(sink, "a")) >= n + 30, "the gap filled")
        await link.put("a", "b")
        await until(lambda: all(max(samples(sink, n))[0] == link.made(n)[-1][0] for n in "ab"), "live again")
        await until(lambda: all(set(link.made(n)) <= set(samples(sink, n)) for n in "ab"), "all of it")
    for name in "ab":
        got = samples(sink, name)
        assert len(got) == len({t for t, _ in got}), "a sample was handed over twice"
        assert lost(sink, name) == 2
    assert driver.health.backfilled >= 2 * 2 * 29
    assert driver.health.reconnects == 2
    assert driver.health.dropped == 0


async def test_nodes_without_history_come_back_without(link: Link) -> None:
    await link.add("a")
    await link.add("b", history=False)
    driver, items = link.driver("a", "b")
    async with running(driver, items) as sink:
        await until(lambda: samples(sink, "a") and samples(sink, "b"), "first values")
        await link.put("a", "b")
        await until(lambda: len(samples(sink, "b")) == 2 and len(samples(sink, "a")) == 2, "live values")
        await link.proxy.cut()
        await until(lambda: lost(sink, "b"), "told as lost")
        for _ in range(5):
            await link.put("a", "b")
            await asyncio.sleep(0.01)
        await link.proxy.mend()
        await until(lambda: set(link.made("a")) <= set(samples(sink, "a")), "the gap filled")
        await until(lambda: max(samples(sink, "b"))[1] == link.made("b")[-1][1], "the other back")
    assert not set(link.made("b")[1:5]) & set(samples(sink, "b"))
    assert driver.health.backfilled == 4  # the fifth is the value found on return


async def test_a_value_that_did_not_change_is_good_again_after_the_return(link: Link) -> None:
    """Its source time lies before the loss: kept as it is, the newest sample would still say that the device is lost."""
    await link.add("a")
    driver, items = link.driver("a")
    async with running(driver, items) as sink:
        await link.put("a")
        await until(lambda: samples(sink, "a") and samples(sink, "a")[-1] == link.made("a")[-1], "the value")
        await link.proxy.cut()
        await until(lambda: lost(sink, "a"), "told as lost")
        await link.proxy.mend()
        await until(lambda: max(sink.rows("a"))[2] == q.GOOD, "good again")
        assert max(sink.rows("a"))[1] == link.made("a")[-1][1]
        await link.put("a")
        await until(lambda: max(sink.rows("a"))[:2] == link.made("a")[-1], "later values keep their own time")


async def test_no_backfill_when_it_is_off(link: Link) -> None:
    await link.add("a")
    driver, items = link.driver("a", backfill=0)
    async with running(driver, items) as sink:
        await until(lambda: samples(sink, "a"), "a value")
        await link.proxy.cut()
        await until(lambda: lost(sink, "a"), "told as lost")
        await link.put("a")
        await link.put("a")
        await link.proxy.mend()
        await until(lambda: max(sink.rows("a"))[:2] == link.made("a")[-1], "the last value")
        await asyncio.sleep(0.3)
    assert link.made("a")[0] not in samples(sink, "a")
    assert driver.health.backfilled == 0


async def test_a_connection_that_falls_silent_is_lost(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pulled cable ends no connection: only the missing keep-alive tells."""
    monkeypatch.setattr(Acquisition, "keep_alive", 0.2)
    await link.add("a")
    driver, items = link.driver("a", timeout=2)
    async with running(driver, items) as sink:
        await until(lambda: samples(sink, "a"), "a value")
        link.proxy.silence()
        await until(lambda: lost(sink, "a"), "told as lost")
        assert driver.health.reason is not None
        await link.proxy.mend()
        await link.put("a")
        await until(lambda: max(sink.rows("a"))[:2] == link.made("a")[-1], "back")


async def test_a_missed_notification_is_asked_for_again(press: NodeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One notification is dropped on the way, as a proxy or a bug would: the server still has it."""
    index = TagIndex()
    address = "nsu=http://example.org/press;s=Press.Count"
    driver = OpcUa(Options(url=press.url), index)
    plain, dropped, again = Acquisition._take, list[messages.Published](), list[int]()

    def lossy(self: Acquisition, answer: messages.Published, work: Together) -> None:
        if answer.notification.sequence in (3, 5, 6) and not answer.notification.keep_alive:
            dropped.append(answer)
            return
        plain(self, answer, work)

    def republished(body: bytes) -> messages.Notification:
        found = decode(body)
        again.append(found.sequence)
        return found

    decode = messages.republished
    monkeypatch.setattr(Acquisition, "_take", lossy)
    monkeypatch.setattr(messages, "republished", republished)
    async with running(driver, [Item(id=index.id("n"), address=address, every=0.05)]) as sink:
        await until(lambda: len(again) == 3 and sink.good("n") > 10, "asked for again")
    missed = {int(t) for a in dropped for c in a.notification.changes for t in c.time}
    times = [r[0] for r in sink.rows("n")]
    assert missed
    assert missed <= set(times)
    assert len(times) == len(set(times))
    assert sorted(again) == [3, 5, 6]
    assert driver.health.dropped == 0


async def test_a_full_queue_in_the_device_is_counted(press: NodeServer) -> None:
    index = TagIndex()
    driver = OpcUa(Options(url=press.url, publishing=2.0, queue=3), index)
    item = Item(id=index.id("n"), address="nsu=http://example.org/press;s=Press.Count", every=0.05)
    async with running(driver, [item]) as sink:
        await until(lambda: driver.health.dropped, "an overflow")
    assert all(r[2] == q.GOOD for r in sink.rows("n")), "the mark of the overflow is not part of the quality"


async def test_two_sessions_live_by_themselves(link: Link) -> None:
    await link.add("a", "b", "c")
    driver, items = link.driver("a", "b", "c", sessions=2)
    async with running(driver, items) as sink:
        await until(lambda: driver.health.state == "up", "up")
        await link.put("a", "b", "c")
        await until(lambda: all(samples(sink, n) and max(samples(sink, n)) == link.made(n)[-1] for n in "abc"), "all three")
        await link.proxy.cut()
        await until(lambda: all(lost(sink, n) for n in "abc"), "all lost")
        await link.proxy.mend()
        await link.put("a", "b", "c")
        await until(lambda: driver.health.state == "up" and all(max(samples(sink, n)) == link.made(n)[-1] for n in "abc"), "all back")
    assert driver.health.reconnects == 1


async def test_an_address_that_appears_later_is_acquired_then(link: Link, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Acquisition, "retry", 0.1)
    await link.add("a", history=False)
    driver, items = link.driver("a", "late")
    async with running(driver, items) as sink:
        await until(lambda: sink.rows("late") and samples(sink, "a"), "the one, and that there is no other")
        await asyncio.sleep(0.5)
        assert [r[2] for r in sink.rows("late")] == [q.BAD_NODE_UNKNOWN], "told once"
        await link.add("late", history=False)
        await link.put("late")
        await until(lambda: samples(sink, "late") and samples(sink, "late")[-1] == link.made("late")[-1], "the other")


async def test_first_values_do_not_count_as_late(press: NodeServer) -> None:
    """A value that stood still since yesterday has a source time of yesterday: it says nothing of the connection."""
    index = TagIndex()
    driver = OpcUa(Options(url=press.url), index)
    still = Item(id=index.id("still"), address="nsu=http://example.org/press;s=Types.Double", every=0.1)
    async with running(driver, [still]) as sink:
        await until(lambda: sink.good("still"), "the value")
        assert driver.health.lag == 0.0
        assert driver.by_exception


async def test_one_late_value_does_not_make_a_quiet_connection_late(link: Link) -> None:
    await link.add("a", "b")
    driver, items = link.driver("a")
    items.append(Item(id=driver.index.id("b"), address=KEEPER + link.name("b"), every=0.5))  # in a subscription of its own
    async with running(driver, items) as sink:
        await until(lambda: samples(sink, "a") and samples(sink, "b"), "first values")
        await link.put("a", late=60.0)
        await until(lambda: driver.health.lag_max > 55.0, "the late value")
        await until(lambda: driver.health.lag == 0.0, "the server's word that there is nothing more")
        assert len(samples(sink, "a")) == 2


@pytest.mark.parametrize("ahead", [-3600, 3600])
async def test_a_clock_that_differs_is_no_lag(link: Link, ahead: int) -> None:
    await link.add("a", history=False)
    index = TagIndex()
    driver = OpcUa(Options(url=link.proxy.url), index, clock=lambda: time.time_ns() - ahead * 1_000_000_000)
    lags: list[float] = []
    driver.late = lambda shard, lag: lags.append(lag)  # type: ignore[method-assign]
    async with running(driver, [Item(id=index.id("a"), address=KEEPER + link.name("a"), every=0.05)]) as sink:
        await until(lambda: samples(sink, "a"), "the first value")
        await link.put("a")
        await until(lambda: len(samples(sink, "a")) == 2, "the next")
    assert any(lags)
    assert all(abs(lag) < 600 for lag in lags)


async def test_each_item_at_its_own_interval(press: NodeServer) -> None:
    index = TagIndex()
    driver = OpcUa(Options(url=press.url), index)
    address = "nsu=http://example.org/press;s=Press.Count"
    items = [Item(id=index.id(n), address=address, every=every) for n, every in (("fast", 0.1), ("slow", 0.5))]
    async with running(driver, items) as sink:
        await until(lambda: sink.good("slow") >= 5, "slow samples")
        assert sink.good("fast") > 2 * sink.good("slow")
