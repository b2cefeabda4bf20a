from __future__ import annotations

import pytest
from tests.bus.contract import AT, BusContract, Reopen

from ronghe.bus.contract import Bus, Message
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.errors import Unreachable


class TestJetStreamContract(BusContract):
    newest = False

    @pytest.fixture
    def reopen(self, hub: Hub) -> Reopen:
        async def reopen() -> Bus:
            return JetStream(hub.url, name="centre", in_hand=1.0)

        return reopen


async def test_nobody_there_is_said_and_nothing_taken() -> None:
    bus = JetStream("nats://127.0.0.1:9", name="n1", patience=0.2)
    with pytest.raises(Unreachable) as e:
        await bus.append([Message("ronghe.a.n1.samples", "1", b"", AT)])
    assert "127.0.0.1:9" in str(e.value)
    assert "消息中心" in e.value.in_("zh")
    await bus.close()
