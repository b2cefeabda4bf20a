"""What a bus is: messages with an id go in, are durable when acknowledged, and come out in order until they are acknowledged in turn.

Two implementations: `outbox.Outbox` on the disk of an edge node, `jetstream.JetStream` at the centre. `carry` moves messages from one to
the other. A message with an id that the bus has already taken is acknowledged and not taken twice, so that a sender that never heard the
acknowledgement may send again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Message(msgspec.Struct, frozen=True):
    """What is moved. `subject` is `ronghe.ENTERPRISE.SITE.AREA.NODE.KIND`, see `subjects`; `id` is unique for ever among all nodes.

    `at` is when it was made (ns since 1970 UTC). `seq` is its place in the bus that it was pulled from, 0 before it was in one.
    """

    subject: str
    id: str
    data: bytes
    at: int
    seq: int = 0


class Bus(Protocol):
    """Every method is safe to call again after it has raised Unreachable or BusFull: nothing is lost and nothing taken twice."""

    async def append(self, messages: Sequence[Message]) -> None:
        """Takes messages; all are durable when it returns. Raises BusFull when there is no room, Unreachable when the bus is away."""
        ...

    async def pull(self, consumer: str, subjects: str = ">", *, most: int = 256, wait: float = 1.0, newest: bool = False) -> list[Message]:
        """The oldest (or `newest`) messages that `consumer`, a durable name, has not acknowledged and has not in hand; at most `most`.

        In order of `seq`. `subjects` is a NATS pattern: `*` is one part, a last `>` is all the rest; a consumer keeps to one. Waits up to
        `wait` s for the first. Raises Unreachable; BusError for `newest` where the bus cannot (JetStream).
        """
        ...

    async def ack(self, consumer: str, messages: Sequence[Message]) -> None:
        """`consumer` is done with these: it is not given them again. Raises Unreachable."""
        ...

    async def give_back(self, consumer: str, messages: Sequence[Message]) -> None:
        """`consumer` cannot use these now: it is given them again later. Raises Unreachable."""
        ...

    async def close(self) -> None:
        """Gives back what it holds. Safe to call twice."""
        ...
