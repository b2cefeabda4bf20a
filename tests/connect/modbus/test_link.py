"""What comes over the wire when it is not as it should be: garbage, cut frames, answers to other requests, silence, closed connections."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
from contract import PATIENCE, running, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from ronghe.connect import Item, Write
from ronghe.connect.modbus import Modbus, Options
from ronghe.connect.modbus.link import _Question, _rtu_answer, _tcp_answer
from ronghe.errors import BadFrame, ConnectError, Unreachable
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

Answer = Callable[[bytes], list[bytes] | None]
"""What the device sends for a request frame, in pieces; None: closes the connection."""


class Device:
    """A TCP server that answers as a test says, whatever that is."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.connections = 0
        self.requests: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._writer: asyncio.StreamWriter | None = None

    def later(self, seconds: float, answer: bytes) -> list[bytes]:
        """Sends an answer some time from now, whatever is asked until then."""
        asyncio.get_running_loop().call_later(seconds, self._writer.write, answer)
        return []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        self._writer = writer
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(300):
                self.requests.append(request)
                pieces = self.answer(request)
                if pieces is None:
                    break
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0.001)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    @contextlib.asynccontextmanager
    async def serving(self, **options: Any) -> AsyncIterator[Modbus]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        driver = Modbus(Options(host="127.0.0.1", port=port, timeout=options.pop("timeout", 0.3), **options), TagIndex())
        try:
            yield driver
        finally:
            await driver.close()
            server.close()
            await asyncio.gather(*self._tasks)


def right(request: bytes) -> bytes:
    """The answer of a good device: register n holds n."""
    tid, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", request[:12])
    data = struct.pack(f">{count}H", *range(start, start + count))
    return struct.pack(">HHHBBB", tid, 0, 3 + len(data), unit, function, len(data)) + data


def item(driver: Modbus, address: str = "holding:5") -> list[Item]:
    return [Item(id=driver.index.id(address), address=address, every=0.02)]


async def test_an_answer_in_pieces() -> None:
    async with Device(lambda r: [bytes([b]) for b in right(r)]).serving(timeout=5.0) as driver:
        assert (await driver.read(item(driver))).value.tolist() == [5]


async def test_a_late_answer_to_an_earlier_request_is_passed_over() -> None:
    late: list[bytes] = []

    def answer(request: bytes) -> list[bytes]:
        late.append(right(request))
        return [] if len(late) == 1 else [late[0], late[-1]]

    async with Device(answer).serving(retries=0) as driver:
        with pytest.raises(Unreachable):
            await driver.read(item(driver, "holding:70"))
        assert (await driver.read(item(driver, "holding:5"))).value.tolist() == [5]


def changed(at: int, value: int) -> Answer:
    return lambda r: [right(r)[:at] + bytes([value]) + right(r)[at + 1 :]]


WRONG: dict[str, Answer] = {
    "protocol": changed(2, 9),
    "length": changed(4, 9),
    "length 0": changed(5, 0),
    "unit": changed(6, 77),
    "transaction": changed(0, 77),
    "function": changed(7, 4),
    "byte count": changed(8, 4),
    "no data": lambda r: [right(r)[:4] + b"\0\x03" + right(r)[6:9]],
    "cut": lambda r: [right(r)[:-1]],
    "too long": lambda r: [right(r)[:4] + b"\0\x07" + right(r)[6:8] + b"\x04" + b"abcd"],
    "text": lambda r: [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    "exception without code": lambda r: [right(r)[:4] + b"\0\x02" + right(r)[6:7] + b"\x83"],
    "exception of another function": lambda r: [right(r)[:4] + b"\0\x03" + right(r)[6:7] + b"\x90\x02"],
    "echo": lambda r: [r],
}


@pytest.mark.parametrize("name", WRONG)
async def test_no_wrong_frame_becomes_a_value(name: str) -> None:
    wrong = {"now": True}
    async with Device(lambda r: WRONG[name](r) if wrong["now"] else [right(r)]).serving(retries=1) as driver:
        with pytest.raises((BadFrame, Unreachable)) as raised:
            await driver.read(item(driver))
        assert raised.value.where
        assert raised.value.todo.zh
        assert isinstance(raised.value, BadFrame) == (name != "transaction")
        wrong["now"] = False
        assert (await driver.read(item(driver))).value.tolist() == [5]


async def test_a_running_driver_outlives_garbage() -> None:
    noise = random.Random(5)
    sound = {"now": False}
    device = Device(lambda r: [right(r)] if sound["now"] else [noise.randbytes(noise.randrange(40))])
    async with device.serving(timeout=0.05) as driver, running(driver, item(driver)) as sink:
        await until(lambda: len(device.requests) > 6, "some requests")
        assert driver.health.state != "up"
        assert driver.health.reason is not None
        assert device.connections < 12, "a device that sends garbage is not flooded with connections"
        sound["now"] = True
        await until(lambda: sink.good("holding:5") > 3, "good samples")
        assert driver.health.state == "up"
        assert not [r for r in sink.rows("holding:5") if r[2] == q.GOOD and r[1] != 5]


async def test_a_device_that_closes_idle_connections_loses_nothing() -> None:
    answered: list[bytes] = []

    def answer(request: bytes) -> list[bytes] | None:
        answered.append(request)
        return None if len(answered) % 2 == 0 else [right(request)]

    async with Device(answer).serving(timeout=5.0) as driver, running(driver, item(driver)) as sink:
        await until(lambda: sink.good("holding:5") > 5, "samples")
        assert {r[2] for r in sink.rows("holding:5")} == {q.GOOD}


async def test_a_write_is_good_only_when_echoed() -> None:
    async with Device(lambda r: [r[:10] + b"\x12\x34"]).serving(retries=0) as driver:
        with pytest.raises(BadFrame):
            await driver.write([Write(address="holding:5", value=7.0)])
    async with Device(lambda r: [r]).serving(retries=0) as driver:
        assert await driver.write([Write(address="holding:5", value=7.0)]) == [q.GOOD]


async def test_a_write_that_waits_for_the_line_is_asked_for_again_when_it_is_sent() -> None:
    """Polling holds the line; what allowed the write has ended when its turn comes."""
    still, seen = [True], list[int]()

    def answer(request: bytes) -> list[bytes]:
        seen.append(request[7])
        still[0] = False
        device.later(0.2, right(request))
        return []

    device = Device(answer)
    async with device.serving(timeout=5.0) as driver:
        reading = asyncio.create_task(driver.read(item(driver)))
        await until(lambda: seen, "a read under way")
        still[0] = True
        asyncio.get_running_loop().call_later(0.1, still.__setitem__, 0, False)
        assert await driver.write([Write(address="holding:5", value=7.0)], still=lambda: still[0]) == [q.BAD_NOT_SENT]
        await reading
    assert seen == [3]


async def test_a_write_is_sent_again_only_while_it_may_be() -> None:
    sent = list[bytes]()
    async with Device(lambda r: sent.append(r) or []).serving(timeout=0.1, retries=2) as driver:  # type: ignore[func-returns-value]
        with pytest.raises(Unreachable):  # it may have reached the device: what is said is what became of it
            await driver.write([Write(address="holding:5", value=7.0)], still=lambda: not sent)
        assert len(sent) == 1
        with pytest.raises(Unreachable):
            await driver.write([Write(address="holding:5", value=7.0)])
        assert len(sent) == 4


async def test_rtu_through_tcp() -> None:
    def framed(body: bytes) -> bytes:
        return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")

    def answer(request: bytes) -> list[bytes]:
        unit, function, start, count = struct.unpack(">BBHH", request[:6])
        assert framed(request[:6]) == request
        data = struct.pack(f">{count}H", *range(start, start + count))
        return [b"\0\x55", framed(bytes([unit, function, len(data)]) + data)]

    async with Device(answer).serving(framing="rtu", timeout=5.0) as driver:
        assert (await driver.read(item(driver))).value.tolist() == [5]
        assert (await driver.read(item(driver, "3/input:9:uint32"))).value.tolist() == [9 << 16 | 10]


def rtu_answer(request: bytes, value: int) -> bytes:
    body = bytes([request[0], 3, 2, value >> 8, value & 255])
    return body + FramerRTU.compute_CRC(body).to_bytes(2, "big")


async def test_a_late_rtu_answer_is_waited_for_and_thrown_away() -> None:
    """RTU has no transaction number: the answer to an earlier request looks like the answer to this one."""
    device = Device(lambda r: [])
    async with device.serving(framing="rtu", retries=0, timeout=0.4) as driver:
        device.answer = lambda r: device.later(0.6 if r[3] == 70 else 0.3, rtu_answer(r, r[3]))
        with pytest.raises(Unreachable):
            await driver.read(item(driver, "holding:70"))
        for register in (5, 6):
            assert (await driver.read(item(driver, f"holding:{register}"))).value.tolist() == [register]


async def test_an_rtu_request_asked_again_may_be_answered_twice() -> None:
    device = Device(lambda r: [])
    async with device.serving(framing="rtu", retries=1, timeout=0.4) as driver:
        device.answer = lambda r: device.later(0.6 if r[3] == 70 else 0.3, rtu_answer(r, r[3]))
        for register in (70, 5, 6):
            assert (await driver.read(item(driver, f"holding:{register}"))).value.tolist() == [register]


@pytest.mark.parametrize("seed", range(3))
async def test_a_bad_line_loses_samples_but_never_lies(seed: int) -> None:
    """RTU with bits flipped, frames cut, doubled, preceded by noise, or lost: what is Good is right."""
    chance = random.Random(seed)

    def answer(request: bytes) -> list[bytes] | None:
        unit, function, start, count = struct.unpack(">BBHH", request[:6])
        body = bytes([unit, function, 2 * count]) + struct.pack(f">{count}H", *range(start, start + count))
        frame = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
        at = chance.randrange(len(frame))
        match chance.randrange(13):
            case 0:
                return [frame[:at] + bytes([frame[at] ^ 1 << chance.randrange(8)]) + frame[at + 1 :]]
            case 1:
                return [frame[:at]]
            case 2:
                return [frame[:at], frame[at:]]
            case 3:
                return [chance.randbytes(5) + frame]
            case 4:
                return [frame + frame]
            case 5:
                return None
            case 6:
                return []
            case _:
                return [frame]

    device = Device(answer)
    async with device.serving(framing="rtu", timeout=0.03, retries=2) as driver:
        addresses = ["holding:5", "holding:900", "2/holding:70", "2/input:12"]
        async with running(driver, [Item(id=driver.index.id(a), address=a, every=0.01) for a in addresses]) as sink:
            await until(lambda: all(sink.good(a) > 10 for a in addresses), "good samples all the same")
    for address in addresses:
        right_value = float(address.rpartition(":")[2])
        assert {r[1] for r in sink.rows(address) if r[2] == q.GOOD} == {right_value}
        assert {r[2] for r in sink.rows(address)} <= {q.GOOD, q.BAD_TIMEOUT, q.BAD_DECODING, q.BAD_NO_COMMUNICATION}


async def test_a_cancelled_read_does_not_spoil_the_next() -> None:
    slow = {"now": True}
    async with Device(lambda r: [] if slow["now"] else [right(r)]).serving(timeout=20.0) as driver:
        task = asyncio.create_task(driver.read(item(driver)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        slow["now"] = False
        assert (await driver.read(item(driver))).value.tolist() == [5]


async def test_closing_ends_a_request_at_once() -> None:
    async with Device(lambda r: []).serving(timeout=60.0, retries=0) as driver:
        task = asyncio.create_task(driver.read(item(driver)))
        await asyncio.sleep(0.05)
        await driver.close()
        with pytest.raises(ConnectError):
            await asyncio.wait_for(task, PATIENCE)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"host": "no-such-host.invalid"}, "no such host"),
        ({"host": "x" * 70}, "no such host"),
        ({"serial": "/dev/no-such-tty"}, "no such serial port"),
        ({"serial": "/dev/null"}, "cannot be opened"),
        ({"host": "127.0.0.1", "port": 1}, "refused"),
    ],
)
async def test_why_there_is_no_connection(options: dict[str, Any], says: str) -> None:
    driver = Modbus(Options(timeout=5.0, **options), TagIndex())
    with pytest.raises(Unreachable) as raised:
        await driver.read(item(driver))
    assert says in raised.value.what.en
    assert raised.value.where == driver.options.place


async def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    noise = random.Random(3)
    async with Device(lambda r: [noise.randbytes(30)]).serving() as driver:
        with pytest.raises(BadFrame):
            await driver.read(item(driver))
    with pytest.raises(Unreachable):
        await Modbus(Options(host="127.0.0.1", port=1), TagIndex()).read(item(driver))
    assert capfd.readouterr() == ("", "")


def question(loop: asyncio.AbstractEventLoop, head: bytes, size: int, transaction: int = 7) -> _Question:
    return _Question(1, head, size, loop.create_future(), transaction)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(
    noise=st.binary(max_size=300),
    rtu=st.booleans(),
    head=st.sampled_from([b"\x03\x04", b"\x01\x01", b"\x10\0\x05\0\x02"]),
    cut=st.integers(1, 20),
)
def test_bytes_are_an_answer_or_not_never_an_accident(noise: bytes, rtu: bool, head: bytes, cut: int) -> None:
    loop = asyncio.new_event_loop()
    try:
        asked = question(loop, head, {3: 6, 1: 3, 16: 5}[head[0]])
        buffer = b""
        for at in range(0, len(noise), cut):
            buffer += noise[at : at + cut]
            rest = _rtu_answer(asked, buffer) if rtu else _tcp_answer(asked, buffer, "here")
            assert rest in (b"", buffer)
            if asked.outcome.done():
                break
        if asked.outcome.done() and isinstance(found := asked.outcome.result(), bytes):
            assert asked.answers(found)
            assert found in noise
    finally:
        loop.close()


@settings(deadline=None)
@given(before=st.binary(max_size=6), data=st.binary(min_size=4, max_size=4), after=st.binary(max_size=6))
def test_an_rtu_answer_is_found_amid_noise(before: bytes, data: bytes, after: bytes) -> None:
    before = bytes(b for b in before if b != 1)  # noise that looks like the unit's own number may hide a frame until more arrives
    body = b"\x01\x03\x04" + data
    loop = asyncio.new_event_loop()
    try:
        asked = question(loop, b"\x03\x04", 6)
        _rtu_answer(asked, before + body + FramerRTU.compute_CRC(body).to_bytes(2, "big") + after)
        assert asked.outcome.result() == body[1:]
    finally:
        loop.close()


def test_half_a_register_is_no_answer() -> None:
    assert np.dtype(">u2").itemsize == 2
    loop = asyncio.new_event_loop()
    try:
        asked = question(loop, b"\x03\x04", 6)
        assert not asked.answers(b"\x03\x04\0\0\0")
        assert asked.answers(b"\x83\x02")
    finally:
        loop.close()


async def test_one_request_at_a_time_whoever_asks() -> None:
    """Reads, writes and polls share the connection; a device slower than the interval is not flooded."""
    under_way = overlapping = 0

    def answer(request: bytes) -> list[bytes]:
        nonlocal under_way, overlapping
        overlapping += under_way
        under_way = 1

        def done() -> None:
            nonlocal under_way
            under_way = 0
            device._writer.write(request if request[7] == 6 else right(request))

        asyncio.get_running_loop().call_later(0.02, done)
        return []

    device = Device(answer)
    async with device.serving(timeout=5.0) as driver:
        items = [Item(id=driver.index.id(a), address=a, every=0.01) for a in ("holding:5", "holding:900", "2/holding:5")]
        async with running(driver, items) as sink:
            for _ in range(5):
                codes, batch = await asyncio.gather(driver.write([Write(address="holding:9", value=1.0)]), driver.read(items))
                assert codes == [q.GOOD]
                assert batch.value.tolist() == [5, 900, 5]
            await until(lambda: sink.good("2/holding:5") > 5 and driver.health.dropped > 20, "samples, and ticks left out")
    assert overlapping == 0
    assert driver.health.state == "stopped"


@pytest.mark.parametrize("every", [0.05, 0.001])
async def test_a_long_poll_and_a_short_interval_do_not_hold_each_other_up(every: float) -> None:
    device = Device(lambda r: [])
    device.answer = lambda r: device.later(0.01, right(r))
    async with device.serving(timeout=5.0, gap=0) as driver:
        long = [Item(id=driver.index.id(a), address=a, every=60.0) for a in (f"holding:{2 * i}" for i in range(100))]
        short = Item(id=driver.index.id("input:1"), address="input:1", every=every)
        async with running(driver, [*long, short]) as sink:
            await until(lambda: sink.good("holding:198"), "the end of the long poll")
    functions = [r[7] for r in device.requests]
    assert functions.count(3) == 100
    within = functions[functions.index(3) : len(functions) - functions[::-1].index(3)]
    assert within.count(4) >= 10
