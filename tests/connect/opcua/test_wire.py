"""What is taken from asyncua below its documented surface: an asyncua release that changes it fails here, and here only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from asyncua import ua
from tests.connect.opcua.servers import NodeServer

from ronghe.connect.opcua import messages
from ronghe.connect.opcua.wire import FAILURES, POLICIES, Wire, code_of


@pytest.fixture
async def open_wire(press: NodeServer) -> AsyncIterator[Wire]:
    wire = Wire(press.url, 5.0)
    await wire.open()
    yield wire
    await wire.close()


def read_request(n: int) -> ua.ReadRequest:
    request = ua.ReadRequest()
    request.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId(2258), ua.AttributeIds.Value)] * n
    return request


async def test_the_body_of_an_answer_is_given_as_it_came(open_wire: Wire) -> None:
    body = await open_wire.raw(read_request(1))
    assert type(body) is bytes
    assert body[:4] == b"\x01\x00" + (634).to_bytes(2, "little")
    assert len(messages.read(body)) == 1


async def test_several_requests_are_outstanding_at_once(open_wire: Wire) -> None:
    lengths = await asyncio.gather(*(open_wire.raw(read_request(n)) for n in range(1, 9)))
    assert [len(messages.read(b)) for b in lengths] == list(range(1, 9))


async def test_an_answer_of_several_chunks_is_put_together(open_wire: Wire) -> None:
    request = ua.ReadRequest()
    request.Parameters.NodesToRead = [ua.ReadValueId(ua.NodeId(2256), ua.AttributeIds.Value)] * 400  # ServerStatus, a structure
    body = await open_wire.raw(request)
    assert len(body) > 65536
    assert len(messages.read(body)) == 400


async def test_decoded_answers_and_faults(open_wire: Wire) -> None:
    answer = await open_wire.ask(read_request(2), ua.ReadResponse)
    assert len(answer.Results) == 2
    with pytest.raises(FAILURES) as raised:
        await open_wire.ask(ua.BrowseNextRequest(), ua.BrowseNextResponse)
    assert code_of(raised.value) == ua.StatusCodes.BadNothingToDo


async def test_new_keys_while_requests_go_on(open_wire: Wire) -> None:
    client = open_wire._client
    before = client.uaclient.protocol._connection.security_token.TokenId
    await client.open_secure_channel(renew=True)
    client.uaclient.revolve_security_token()
    assert client.uaclient.protocol._connection.security_token.TokenId != before
    assert len(messages.read(await open_wire.raw(read_request(3)))) == 3


async def test_everything_fails_at_once_when_the_connection_ends(open_wire: Wire) -> None:
    waiting = [asyncio.create_task(open_wire.raw(ua.PublishRequest(), wait=False)) for _ in range(2)]
    await asyncio.sleep(0)
    assert open_wire.alive
    open_wire._client.uaclient.protocol.transport.abort()
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(result, FAILURES)
    assert not open_wire.alive
    with pytest.raises(FAILURES):
        await open_wire.raw(read_request(1))


async def test_no_server_is_a_failure_and_nothing_stays_open() -> None:
    wire = Wire("opc.tcp://127.0.0.1:1", 1.0)
    with pytest.raises(OSError, match="Connect"):
        await wire.open()
    await wire.close()


def test_the_policies_are_those_of_the_standard() -> None:
    assert all(f"http://opcfoundation.org/UA/SecurityPolicy#{name}" == policy.URI for name, policy in POLICIES.items())
