"""Connections that are lost: told once, found again, and the gap filled from the server's history, nothing doubled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.connect.contract import Collected, running, until
from tests.connect.opcua.servers import Keeper, NodeServer, Proxy

from ronghe.connect import Item
from ronghe.connect.opcua import OpcUa, Options, messages
from ronghe.connect.opcua.acquire import Acquisition
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

KEEPER = "nsu=http://example.org/keeper;s="


@contextlib.asynccontextmanager
async def kept(**more: object) -> AsyncIterator[tuple[Keeper, Proxy]]:
    keeper = Keeper()
    await keeper.start(**more)  # type: ignore[arg-type]
    proxy = Proxy("127.0.0.1", keeper.port)
    await proxy.mend()
    try:
        yield keeper, proxy
    finally:
        with contextlib.suppress(AssertionError):
            await proxy.cut()
        await keeper.stop()


def driver_for(url: str, names: tuple[str, ...] = ("a", "b"), **options: object) -> tuple[OpcUa, list[Item]]:
    index = TagIndex()
    items = [Item(id=index.id(n), address=KEEPER + n, every=0.05) for n in names]
    return OpcUa(Options(url=url, **options), index), items  # type: ignore[arg-type]


def samples(sink: Collected, name: str) -> list[tuple[int, float]]:
    return [(t, v) for t, v, code, _ in sink.rows(name) if code == q.GOOD]


async def test_a_gap_is_filled_from_history_and_nothing_doubled() -> None:
    async with kept(page=7) as (keeper, proxy):
        driver, items = driver_for(proxy.url)
        async with running(driver, items) as sink:
            await until(lambda: len(samples(sink, "a")) and len(samples(sink, "b")), "first values")
            for _ in range(3):
                await keeper.put()
                await asyncio.sleep(0.12)
            for _ in range(2):  # two losses, the second soon after the first
                seen = len(samples(sink, "a"))
                await proxy.cut()
                lost = sum(r[2] == q.BAD_NO_COMMUNICATION for r in sink.rows("a"))
                await until(lambda n=lost: sum(r[2] == q.BAD_NO_COMMUNICATION for r in sink.rows("a")) > n, "told as lost")
                for _ in range(30):
                    await keeper.put()
                    await asyncio.sleep(0.01)
                await proxy.mend()
                await until(lambda n=seen: len(samples(sink, "a")) >= n + 30, "the gap filled")
            await keeper.put()
            await until(lambda: all(max(samples(sink, n))[0] == keeper.made[n][-1][0] for n in ("a", "b")), "live again")
            await until(lambda: driver.health.backfilled >= 100, "all of it")
        for name in ("a", "b"):
            got = samples(sink, name)
            assert len(got) == len({t for t, _ in got}), "a sample was handed over twice"
            assert set(keeper.made[name]) <= set(got), "a sample is missing"
            assert len([r for r in sink.rows(name) if r[2] == q.BAD_NO_COMMUNICATION]) == 2
        assert driver.health.reconnects == 2
        assert driver.health.dropped == 0


async def test_nodes_without_history_come_back_without() -> None:
    async with kept(history=("a",)) as (keeper, proxy):
        driver, items = driver_for(proxy.url)
        async with running(driver, items) as sink:
            await until(lambda: samples(sink, "a") and samples(sink, "b"), "first values")
            await keeper.put()
            await until(lambda: len(samples(sink, "b")) == 2 and len(samples(sink, "a")) == 2, "live values")
            await proxy.cut()
            await until(lambda: sink.rows("b")[-1][2] == q.BAD_NO_COMMUNICATION, "told as lost")
            for _ in range(5):
                await keeper.put()
                await asyncio.sleep(0.01)
            await proxy.mend()
            await until(lambda: set(keeper.made["a"]) <= set(samples(sink, "a")), "the gap filled")
            await until(lambda: max(samples(sink, "b"))[1] == keeper.made["b"][-1][1], "the other back")
        assert not set(keeper.made["b"][1:5]) & set(samples(sink, "b"))
        assert driver.health.backfilled == 4  # the fifth is the value found on return


async def test_a_value_that_did_not_change_is_good_again_after_the_return() -> None:
    """Its source time lies before the loss: kept as it is, the newest sample would still say that the device is lost."""
    async with kept() as (keeper, proxy):
        driver, items = driver_for(proxy.url, ("a",))
        async with running(driver, items) as sink:
            await keeper.put("a")
            await until(lambda: samples(sink, "a") and samples(sink, "a")[-1] == keeper.made["a"][-1], "the value")
            await proxy.cut()
            await until(lambda: sink.rows("a")[-1][2] == q.BAD_NO_COMMUNICATION, "told as lost")
            await proxy.mend()
            await until(lambda: max(sink.rows("a"))[2] == q.GOOD, "good again")
            assert max(sink.rows("a"))[1] == keeper.made["a"][-1][1]
            await keeper.put("a")
            await until(lambda: max(sink.rows("a"))[:2] == keeper.made["a"][-1], "later values keep their own time")


async def test_no_backfill_when_it_is_off() -> None:
    async with kept() as (keeper, proxy):
        driver, items = driver_for(proxy.url, ("a",), backfill=0)
        async with running(driver, items) as sink:
            await until(lambda: samples(sink, "a"), "a value")
            await proxy.cut()
            await until(lambda: sink.rows("a")[-1][2] == q.BAD_NO_COMMUNICATION, "told as lost")
            await keeper.put("a")
            await keeper.put("a")
            await proxy.mend()
            await until(lambda: max(sink.rows("a"))[:2] == keeper.made["a"][-1], "the last value")
            await asyncio.sleep(0.5)
        assert keeper.made["a"][0] not in samples(sink, "a")
        assert driver.health.backfilled == 0


async def test_a_connection_that_falls_silent_is_lost() -> None:
    """A pulled cable ends no connection: only the missing keep-alive tells."""
    async with kept() as (keeper, proxy):
        driver, items = driver_for(proxy.url, ("a",), timeout=0.5)
        async with running(driver, items) as sink:
            await until(lambda: samples(sink, "a"), "a value")
            proxy.silence()
            await until(lambda: sink.rows("a")[-1][2] == q.BAD_NO_COMMUNICATION, "told as lost")
            assert driver.health.reason is not None
            await proxy.mend()
            await keeper.put("a")
            await until(lambda: max(sink.rows("a"))[:2] == keeper.made["a"][-1], "back")


async def test_a_missed_notification_is_asked_for_again(press: NodeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """One notification is dropped on the way, as a proxy or a bug would: the server still has it."""
    index = TagIndex()
    address = "nsu=http://example.org/press;s=Press.Count"
    driver = OpcUa(Options(url=press.url), index)
    plain, dropped, again = Acquisition._take, list[messages.Published](), list[int]()

    def lossy(self: Acquisition, answer: messages.Published, group: asyncio.TaskGroup) -> None:
        if answer.notification.sequence in (3, 5, 6) and not answer.notification.keep_alive:
            dropped.append(answer)
            return
        plain(self, answer, group)

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


async def test_two_sessions_live_by_themselves(pki: Path) -> None:
    async with kept(names=("a", "b", "c")) as (keeper, proxy):
        driver, items = driver_for(proxy.url, ("a", "b", "c"), sessions=2)
        async with running(driver, items) as sink:
            await until(lambda: driver.health.state == "up", "up")
            await keeper.put()
            await until(lambda: all(samples(sink, n) and max(samples(sink, n)) == keeper.made[n][-1] for n in "abc"), "all three")
            await proxy.cut()
            await until(lambda: all(sink.rows(n)[-1][2] == q.BAD_NO_COMMUNICATION for n in "abc"), "all lost")
            await proxy.mend()
            await keeper.put()
            await until(lambda: driver.health.state == "up" and all(max(samples(sink, n)) == keeper.made[n][-1] for n in "abc"), "all back")
        assert driver.health.reconnects == 1


async def test_an_address_that_appears_later_is_acquired_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Acquisition, "retry", 0.1)
    async with kept(names=("a",), history=()) as (keeper, proxy):
        driver, items = driver_for(proxy.url, ("a", "late"))
        async with running(driver, items) as sink:
            await until(lambda: sink.rows("late") and samples(sink, "a"), "the one, and that there is no other")
            await asyncio.sleep(0.5)
            assert [r[2] for r in sink.rows("late")] == [q.BAD_NODE_UNKNOWN], "told once"
            await keeper.add("late")
            await keeper.put("late")
            await until(lambda: samples(sink, "late") and samples(sink, "late")[-1] == keeper.made["late"][-1], "the other")


async def test_first_values_do_not_count_as_late(press: NodeServer) -> None:
    """A value that stood still since yesterday has a source time of yesterday: it says nothing of the connection."""
    index = TagIndex()
    driver = OpcUa(Options(url=press.url), index)
    still = Item(id=index.id("still"), address="nsu=http://example.org/press;s=Types.Double", every=0.1)
    async with running(driver, [still]) as sink:
        await until(lambda: sink.good("still"), "the value")
        assert driver.health.lag == 0.0
        assert driver.by_exception


async def test_each_item_at_its_own_interval(press: NodeServer) -> None:
    index = TagIndex()
    driver = OpcUa(Options(url=press.url), index)
    address = "nsu=http://example.org/press;s=Press.Count"
    items = [Item(id=index.id(n), address=address, every=every) for n, every in (("fast", 0.1), ("slow", 0.5))]
    async with running(driver, items) as sink:
        await until(lambda: sink.good("slow") >= 5, "slow samples")
        assert sink.good("fast") > 2 * sink.good("slow")
