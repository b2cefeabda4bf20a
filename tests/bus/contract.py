"""The contract that every bus keeps, as tests: subclass `BusContract` and give it a `reopen` fixture.

`reopen()` gives a bus over the same store each time, as after a restart. What was in hand of one that was closed is given again, at once
or, where the bus cannot know that its consumer is gone, within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from ronghe.bus import subjects
from ronghe.bus.contract import Bus, Message
from ronghe.errors import BusError

Reopen = Callable[[], Awaitable[Bus]]
AT = 1_767_225_600_000_000_000


def ids(messages: list[Message]) -> list[str]:
    return [m.id for m in messages]


async def drain(bus: Bus, consumer: str, pattern: str, *, wait: float = 0.3) -> list[Message]:
    """All that a consumer has not acknowledged, and acknowledges it."""
    found: list[Message] = []
    while some := await bus.pull(consumer, pattern, most=100, wait=wait):
        await bus.ack(consumer, some)
        found += some
    return found


class BusContract:
    newest = True  # whether it can give the newest first

    @pytest.fixture
    async def bus(self, reopen: Reopen) -> AsyncIterator[Bus]:
        bus = await reopen()
        yield bus
        await bus.close()

    @pytest.fixture
    def pattern(self, plant: str) -> str:
        return subjects.of_node(plant, "*").replace("%2A", "*")

    @pytest.fixture
    def make(self, plant: str) -> Callable[..., Message]:
        def make(n: int, kind: str = subjects.SAMPLES, node: str = "n1", data: bytes = b"") -> Message:
            return Message(subjects.subject(plant, node, kind), f"{plant}-{node}-{n}", data or bytes([n % 256]) * 1000, AT + n)

        return make

    async def test_what_goes_in_comes_out_whole_and_in_order(self, bus: Bus, make: Callable[..., Message], pattern: str) -> None:
        sent = [make(n) for n in range(20)] + [make(20, data=bytes(range(256)) * 2000)]
        await bus.append(sent[:7])
        await bus.append(sent[7:])
        found = await bus.pull("reader", pattern, most=100)
        assert [(m.subject, m.id, m.data, m.at) for m in found] == [(m.subject, m.id, m.data, m.at) for m in sent]
        seqs = [m.seq for m in found]
        assert seqs == sorted(set(seqs))
        assert seqs[0] > 0

    async def test_an_id_is_taken_once(self, bus: Bus, make: Callable[..., Message], pattern: str) -> None:
        await bus.append([make(1), make(2), make(1)])
        await bus.append([make(2), make(3)])
        assert ids(await drain(bus, "reader", pattern)) == ids([make(1), make(2), make(3)])
        await bus.append([make(1), make(4)])
        assert ids(await drain(bus, "reader", pattern)) == ids([make(4)]), "also after it was acknowledged"

    async def test_what_is_in_hand_is_not_given_twice_unless_given_back(self, bus: Bus, make: Callable[..., Message], pattern: str) -> None:
        await bus.append([make(n) for n in range(6)])
        first = await bus.pull("reader", pattern, most=2)
        second = await bus.pull("reader", pattern, most=2)
        assert ids(first + second) == ids([make(n) for n in range(4)])
        await bus.ack("reader", second)
        await bus.give_back("reader", first)
        rest: list[Message] = []
        while len(rest) < 4:
            rest += (some := await bus.pull("reader", pattern, wait=2.0))
            await bus.ack("reader", some)
        assert sorted(ids(rest)) == sorted(ids([make(n) for n in (0, 1, 4, 5)]))

    async def test_what_was_not_acknowledged_is_given_after_a_restart(
        self, reopen: Reopen, make: Callable[..., Message], pattern: str
    ) -> None:
        bus = await reopen()
        await bus.append([make(n) for n in range(4)])
        await bus.ack("reader", (await bus.pull("reader", pattern))[1:3])
        await bus.close()
        bus = await reopen()
        found: list[Message] = []
        while len(found) < 2:
            found += await bus.pull("reader", pattern, wait=2.0)
        assert ids(found) == ids([make(0), make(3)])
        await bus.close()
        await bus.close()

    async def test_each_consumer_is_given_all(self, bus: Bus, make: Callable[..., Message], pattern: str) -> None:
        await bus.append([make(0)])
        assert ids(await bus.pull("one", pattern)) == ids(await bus.pull("two", pattern)) == ids([make(0)])
        await bus.append([make(n) for n in range(1, 5)])
        for consumer in ("one", "two"):
            assert ids(await drain(bus, consumer, pattern)) == ids([make(n) for n in range(1, 5)])

    async def test_patterns(self, bus: Bus, make: Callable[..., Message], plant: str) -> None:
        sent = [make(0), make(1, node="n2"), make(2, subjects.LEDGER), make(3, node="n2")]
        await bus.append(sent)
        for i, (pattern, which) in enumerate(
            [
                (subjects.of_node(plant, "n2"), (1, 3)),
                (subjects.subject(plant, "n1", subjects.LEDGER), (2,)),
                (".".join(sent[0].subject.split(".")[:-2]) + ".*." + subjects.SAMPLES, (0, 1, 3)),
                (subjects.of_node(plant, "n"), ()),
            ]
        ):
            assert ids(await bus.pull(f"reader{i}", pattern, wait=0.2)) == [sent[n].id for n in which], pattern

    async def test_who_waits_is_told(self, bus: Bus, make: Callable[..., Message], pattern: str) -> None:
        assert await bus.pull("reader", pattern, wait=0.05) == []
        waiting = asyncio.create_task(bus.pull("reader", pattern, wait=60.0))
        await asyncio.sleep(0.1)
        await bus.append([make(1)])
        assert ids(await asyncio.wait_for(waiting, 30)) == ids([make(1)])

    async def test_nothing_is_borne(self, bus: Bus, pattern: str) -> None:
        await bus.append([])
        await bus.pull("reader", pattern, wait=0.0)
        await bus.ack("reader", [])
        await bus.give_back("reader", [])

    async def test_newest_first_or_said_that_not(self, bus: Bus, make: Callable[..., Message], pattern: str) -> None:
        await bus.append([make(n) for n in range(6)])
        if not self.newest:
            with pytest.raises(BusError, match="oldest first"):
                await bus.pull("reader", pattern, most=2, newest=True)
            return
        newest = await bus.pull("reader", pattern, most=2, newest=True)
        assert ids(newest) == ids([make(4), make(5)])
        assert ids(await bus.pull("reader", pattern, most=2, newest=True)) == ids([make(2), make(3)])
