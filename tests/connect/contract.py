"""The contract that every driver keeps, as tests: subclass `DriverContract` in a driver's own tests and give it a `bench` fixture.

    @pytest.fixture(scope="module")
    def bench():
        device = Press()                 # a `Bench`
        device.start()
        yield device
        device.stop()

    class TestOpcUaContract(DriverContract):
        pass

A bench is a real device (or the independent implementation of one) in another process or thread, which the suite starts and stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from ronghe import plugins
from ronghe.connect import Driver, Item, Write
from ronghe.errors import ConnectError
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

PATIENCE = 30.0
"""s; how long anything may take before it counts as never: generous, for busy machines."""


class Bench(ABC):
    """A device under a driver's tests. Everything is plain data but `start` and `stop`, which block until done."""

    driver: type[Driver]
    options: dict[str, Any]
    """What stands in `[connections.NAME]`."""
    moving: list[str]
    """At least two numeric addresses whose value changes by itself at least twice a second."""
    unknown: str
    """A well-formed address that the device does not have."""
    fixed: bool = False
    """True: every such device has the same addresses, and an unknown one is refused before it is used."""
    malformed: str
    """Not an address of this protocol."""
    text: str = ""
    """An address with a text value that does not change, or empty where the protocol has none."""
    writable: str = ""
    """An address that takes -12.5 and 40; empty: this driver does not write."""
    readonly: str = ""
    """An address that refuses writes; empty where there is none."""
    browsable: bool = True
    stoppable: bool = True
    """False: nothing to lose (a file); the tests of loss and return are not for it."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def make(self, index: TagIndex | None = None) -> Driver:
        """A new driver for this device."""
        options = msgspec.convert(self.options, self.driver.Options)
        return self.driver(options, TagIndex() if index is None else index)

    def items(self, driver: Driver, addresses: list[str], *, every: float = 0.1) -> list[Item]:
        """Items for addresses; the tag is named as its address."""
        return [Item(id=driver.index.id(a), address=a, every=every, type="text" if a == self.text else "float") for a in addresses]


class Collected:
    """A sink that keeps every batch."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __call__(self, batch: Batch) -> None:
        self.batches.append(batch)

    def rows(self, address: str) -> list[tuple[int, float, int, str | None]]:
        """(time, value, quality, text) of all samples of one address, in order of arrival."""
        out = []
        for b in self.batches:
            tag = b.index.find(address)
            for i in np.flatnonzero(b.tag == tag).tolist():
                words = None if b.text is None else b.text[i].as_py()
                out.append((int(b.time[i]), float(b.value[i]), int(b.quality[i]), words))
        return out

    def good(self, address: str) -> int:
        return sum(1 for r in self.rows(address) if r[2] < 0x40000000)

    def count(self) -> int:
        return sum(len(b) for b in self.batches)


async def until(true: Callable[[], Any], what: str) -> None:
    """Waits until something holds; fails the test when it never does."""
    end = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > end:
            pytest.fail(f"never happened: {what}")
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def running(driver: Driver, items: list[Item]) -> AsyncIterator[Collected]:
    """The driver's `run` in the background; what it raised by itself is raised on leaving."""
    sink = Collected()
    task = asyncio.create_task(driver.run(items, sink))
    try:
        yield sink
        if task.done():
            task.result()
            pytest.fail("run() returned by itself")
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE)
        await driver.close()


class DriverContract:
    """See the module. Names of tests say what is promised."""

    def test_is_found_by_its_entry_point(self, bench: Bench) -> None:
        assert plugins.load("ronghe.drivers", bench.driver.name) is bench.driver
        assert issubclass(bench.driver, Driver)

    def test_options_are_described_and_strict(self, bench: Bench) -> None:
        schema = msgspec.json.schema(bench.driver.Options)
        table = schema["$defs"][bench.driver.Options.__name__]
        missing = [n for n, f in table["properties"].items() if not f.get("description")]
        assert not missing, f"options without a description: {missing}"
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({**bench.options, "no_such_option": 1}, bench.driver.Options)

    def test_check_address(self, bench: Bench) -> None:
        for address in bench.moving:
            assert bench.driver.check_address(address, "float") is None
        assert (bench.driver.check_address(bench.unknown, "float") is None) == (not bench.fixed)
        said = bench.driver.check_address(bench.malformed, "float")
        assert isinstance(said, Text)
        assert said.en
        assert said.zh
        assert bench.driver.check_address("", "float") is not None

    async def test_delivers_every_item(self, bench: Bench) -> None:
        driver = bench.make()
        items = bench.items(driver, bench.moving)
        async with running(driver, items) as sink:
            await until(lambda: all(sink.good(a) >= 3 for a in bench.moving), "three good samples of each")
            assert driver.health.state == "up"
            assert driver.health.delivered == sink.count()
        for batch in sink.batches:
            assert batch.index is driver.index
            assert [c.dtype for c in (batch.tag, batch.time, batch.value, batch.quality)] == [np.int32, np.int64, np.float64, np.uint32]
        for address in bench.moving:
            good = [r for r in sink.rows(address) if r[2] == q.GOOD]
            assert all(np.isfinite(r[1]) for r in good)
            assert len({r[1] for r in good}) > 1, "the values do not move"
            times = [r[0] for r in good]
            assert times == sorted(times)
        assert driver.health.state == "stopped"

    async def test_nothing_is_handed_over_twice(self, bench: Bench) -> None:
        driver = bench.make()
        async with running(driver, bench.items(driver, bench.moving)) as sink:
            await until(lambda: all(sink.good(a) >= 5 for a in bench.moving), "five good samples of each")
        for address in bench.moving:
            times = [r[0] for r in sink.rows(address)]
            assert len(times) == len(set(times))

    async def test_text(self, bench: Bench) -> None:
        driver = bench.make()
        if not bench.text:
            assert bench.text == ""
            return
        async with running(driver, bench.items(driver, [bench.text])) as sink:
            await until(lambda: sink.good(bench.text), "a text")
        _, value, _, words = sink.rows(bench.text)[0]
        assert np.isnan(value)
        assert words

    async def test_an_unknown_address_spoils_only_itself(self, bench: Bench) -> None:
        driver = bench.make()
        addresses = [bench.moving[0], bench.unknown, bench.moving[1]]
        async with running(driver, bench.items(driver, addresses)) as sink:
            await until(
                lambda: sink.good(bench.moving[0]) and sink.good(bench.moving[1]) and sink.rows(bench.unknown), "all three heard of"
            )
            assert driver.health.state == "up"
        rows = sink.rows(bench.unknown)
        assert {r[2] for r in rows} == {q.BAD_NODE_UNKNOWN}
        assert all(np.isnan(r[1]) for r in rows)

    async def test_reads_one_sample_an_item(self, bench: Bench) -> None:
        driver = bench.make()
        addresses = [bench.moving[0], bench.unknown, bench.moving[1]]
        try:
            batch = await driver.read(bench.items(driver, addresses))
            again = await driver.read(bench.items(driver, addresses))
        finally:
            await driver.close()
        for b in (batch, again):
            assert [driver.index.names[t] for t in b.tag] == addresses
            assert b.quality.tolist() == [q.GOOD, q.BAD_NODE_UNKNOWN, q.GOOD]
            assert np.isfinite(b.value).tolist() == [True, False, True]
        assert len(await driver.read([])) == 0

    async def test_writes_in_order_and_confirms(self, bench: Bench) -> None:
        driver = bench.make()
        if not bench.writable:
            assert all(code >= 0x80000000 for code in await driver.write([Write(address=bench.moving[0], value=1.0)]))
            return
        item = bench.items(driver, [bench.writable])
        try:
            for values in ([40.0], [40.0, -12.5], [-12.5, 40.0]):
                codes = await driver.write([Write(address=bench.writable, value=v) for v in values])
                assert codes == [q.GOOD] * len(values)
                assert (await driver.read(item)).value.tolist() == [values[-1]]
        finally:
            await driver.close()

    async def test_a_refused_write_says_so_and_the_others_go_through(self, bench: Bench) -> None:
        driver = bench.make()
        if not bench.writable:
            return
        refused = [a for a in (bench.unknown, bench.readonly) if a]
        writes = [Write(address=a, value=1.0) for a in refused] + [Write(address=bench.writable, value=40.0)]
        try:
            codes = await driver.write(writes)
        finally:
            await driver.close()
        assert codes[-1] == q.GOOD
        assert all(code >= 0x80000000 for code in codes[:-1])
        assert codes[0] == q.BAD_NODE_UNKNOWN

    async def test_a_write_is_called_off_at_the_last_moment(self, bench: Bench) -> None:
        driver = bench.make()
        if not bench.writable:
            return
        item = bench.items(driver, [bench.writable])
        answers = iter([True, False, False])
        try:
            assert await driver.write([Write(address=bench.writable, value=40.0)]) == [q.GOOD]
            codes = await driver.write([Write(address=bench.writable, value=-12.5)], still=lambda: False)
            assert codes == [q.BAD_NOT_SENT]
            assert (await driver.read(item)).value.tolist() == [40.0]
            writes = [Write(address=bench.writable, value=v) for v in (-12.5, 40.0)]
            assert await driver.write(writes, still=lambda: next(answers)) == [q.GOOD, q.BAD_NOT_SENT]
            assert (await driver.read(item)).value.tolist() == [-12.5]
        finally:
            await driver.close()

    async def test_browse(self, bench: Bench) -> None:
        driver = bench.make()
        try:
            found = await driver.browse()
        finally:
            await driver.close()
        if not bench.browsable:
            assert found == []
            return
        by_address = {f.address: f for f in found}
        assert len(by_address) == len(found), "an address is listed twice"
        for address in bench.moving:
            assert by_address[address].path
            assert isinstance(by_address[address].value, float)
        assert all(bench.driver.check_address(f.address, f.type) is None for f in found)
        if bench.writable:
            assert by_address[bench.writable].writable

    async def test_reads_and_writes_while_running(self, bench: Bench) -> None:
        driver = bench.make()
        async with running(driver, bench.items(driver, bench.moving)) as sink:
            await until(lambda: sink.good(bench.moving[0]), "a sample")
            assert len(await driver.read(bench.items(driver, bench.moving))) == len(bench.moving)
            seen = sink.good(bench.moving[0])
            await until(lambda: sink.good(bench.moving[0]) > seen, "samples go on after a read")

    async def test_a_lost_device_is_told_once_and_comes_back(self, bench: Bench) -> None:
        if not bench.stoppable:
            return
        driver = bench.make()
        async with running(driver, bench.items(driver, bench.moving)) as sink:
            await until(lambda: all(sink.good(a) for a in bench.moving), "samples")
            bench.stop()
            try:
                lost = lambda a: [r for r in sink.rows(a) if r[2] == q.BAD_NO_COMMUNICATION]  # noqa: E731
                await until(lambda: all(lost(a) for a in bench.moving), "told as lost")
                assert driver.health.state in ("down", "connecting")
                assert driver.health.reason is not None
                assert driver.health.reason.zh
                await asyncio.sleep(1.5)  # more than one attempt to reconnect
            finally:
                bench.start()
            seen = {a: sink.good(a) for a in bench.moving}
            await until(lambda: all(sink.good(a) > seen[a] for a in bench.moving), "samples again")
            assert all(len(lost(a)) == 1 for a in bench.moving)
            assert all(np.isnan(lost(a)[0][1]) for a in bench.moving)
            assert driver.health.reconnects >= 1
            assert driver.health.state == "up"
            assert driver.health.reason is None
        for address in bench.moving:
            times = [r[0] for r in sink.rows(address)]
            assert len(times) == len(set(times)), "handed over twice"
            assert max(sink.rows(address))[2] == q.GOOD, "the newest sample by time still says that the device is lost"

    async def test_a_device_that_is_not_there_yet(self, bench: Bench) -> None:
        if not bench.stoppable:
            return
        bench.stop()
        driver = bench.make()
        try:
            async with running(driver, bench.items(driver, bench.moving)) as sink:
                try:
                    await until(lambda: driver.health.reason is not None, "a reason")
                    assert driver.health.state in ("down", "connecting")
                finally:
                    bench.start()
                await until(lambda: all(sink.good(a) for a in bench.moving), "samples")
                assert all(sum(r[2] == q.BAD_NO_COMMUNICATION for r in sink.rows(a)) <= 1 for a in bench.moving)
        finally:
            await driver.close()

    async def test_unreachable_says_where(self, bench: Bench) -> None:
        if not bench.stoppable:
            return
        bench.stop()
        driver = bench.make()
        try:
            for call in (
                lambda: driver.read(bench.items(driver, bench.moving)),
                lambda: driver.write([Write(address=bench.writable or bench.moving[0], value=1.0)]),
                lambda: driver.browse() if bench.browsable else driver.read(bench.items(driver, bench.moving)),
            ):
                with pytest.raises(ConnectError) as raised:
                    await asyncio.wait_for(call(), PATIENCE)
                assert raised.value.where
                assert raised.value.what.zh
                assert raised.value.todo.zh
        finally:
            await driver.close()
            bench.start()

    async def test_close_twice_and_after_nothing(self, bench: Bench) -> None:
        driver = bench.make()
        await driver.close()
        await driver.close()
