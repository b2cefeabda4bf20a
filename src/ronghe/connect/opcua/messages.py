"""The answers that carry samples, read from their bytes: Publish, Republish, Read, HistoryRead (OPC 10000-4, 5.11 and 5.14)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ronghe.connect.opcua.binary import Reader, bad_frame
from ronghe.connect.opcua.columns import Columns, data_values

# Numbers of the binary encodings (OPC 10000-6, annex A).
SERVICE_FAULT: Final = 397
READ: Final = 634
HISTORY_READ: Final = 667
PUBLISH: Final = 829
REPUBLISH: Final = 835
_DATA_CHANGE: Final = 811
_STATUS_CHANGE: Final = 820
_HISTORY_DATA: Final = 658


@dataclass(frozen=True, slots=True, eq=False)
class Notification:
    """A NotificationMessage: `sequence` number (that of the next one in a keep-alive), the samples, and the status of the subscription
    where the server announced a change of it. A keep-alive has neither."""

    sequence: int
    changes: tuple[Columns, ...]
    status: int | None

    @property
    def keep_alive(self) -> bool:
        return not self.changes and self.status is None


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """A PublishResponse. `available` are the sequence numbers that Republish can still give."""

    subscription: int
    available: tuple[int, ...]
    notification: Notification


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """One node's part of a HistoryReadResponse; `more` is the continuation point, None at the end."""

    status: int
    more: bytes | None
    samples: Columns | None


class ServiceError(Exception):
    """The service as a whole was refused; `code` is its StatusCode."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"0x{code:08X}")


def _open(body: bytes, expected: int) -> Reader:
    """A reader behind the header of a response. Raises ServiceError when it reports one, BadFrame when it is another message."""
    reader = Reader(body)
    space, number = reader.node_id()
    if space or number not in (expected, SERVICE_FAULT):
        raise bad_frame(f"a message of type {number} where {expected} was asked for", 0)
    result = reader.response_header()
    if result >= 0x80000000 or number == SERVICE_FAULT:
        raise ServiceError(result)
    return reader


def published(body: bytes) -> Published:
    """Raises ServiceError, BadFrame."""
    reader = _open(body, PUBLISH)
    subscription = reader.u32()
    available = tuple(reader.u32() for _ in range(reader.count(4)))
    reader.skip(1)  # MoreNotifications: a request is outstanding always, so that they come by themselves
    return Published(subscription, available, _notification(reader))


def republished(body: bytes) -> Notification:
    """Raises ServiceError, BadFrame."""
    return _notification(_open(body, REPUBLISH))


def read(body: bytes) -> Columns:
    """The values of a ReadResponse, in the order asked for. Raises ServiceError, BadFrame."""
    reader = _open(body, READ)
    return data_values(reader, reader.count(1), handles=False)


def history(body: bytes) -> list[History]:
    """One entry a node, in the order asked for. Raises ServiceError, BadFrame."""
    reader = _open(body, HISTORY_READ)
    out = []
    for _ in range(reader.count(4 + 4 + 3)):
        status, more = reader.u32(), reader.blob()
        kind, end = reader.extension()
        samples = None
        if kind == _HISTORY_DATA and end > reader.pos:
            inner = Reader(reader.data, reader.pos, end)
            samples = data_values(inner, inner.count(1), handles=False)
        reader.pos = end
        out.append(History(status, more or None, samples))
    return out


def _notification(reader: Reader) -> Notification:
    sequence = reader.u32()
    reader.skip(8)  # PublishTime
    changes: list[Columns] = []
    status: int | None = None
    for _ in range(reader.count(3)):
        kind, end = reader.extension()
        inner = Reader(reader.data, reader.pos, end)
        if kind == _DATA_CHANGE:
            changes.append(data_values(inner, inner.count(5), handles=True))
        elif kind == _STATUS_CHANGE:
            status = inner.u32()
        reader.pos = end
    return Notification(sequence, tuple(changes), status)
