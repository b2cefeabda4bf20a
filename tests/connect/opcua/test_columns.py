"""The decoder against asyncua's encoder of values and the standard's order of fields; and against bytes that are not OPC UA at all."""

from __future__ import annotations

import datetime
import math
import struct
import tracemalloc
import uuid
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary, variant_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.opcua import messages
from ronghe.connect.opcua.binary import Reader
from ronghe.connect.opcua.columns import EPOCH, OVERFLOW, Columns, data_values
from ronghe.errors import BadFrame
from ronghe.signals import quality as q

T = ua.VariantType


def whole(bits: int, *, signed: bool = True) -> st.SearchStrategy[int]:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else st.integers(0, 2**bits - 1)


NUMBERS = {
    T.Boolean: st.booleans(),
    T.SByte: whole(8),
    T.Byte: whole(8, signed=False),
    T.Int16: whole(16),
    T.UInt16: whole(16, signed=False),
    T.Int32: whole(32),
    T.UInt32: whole(32, signed=False),
    T.Int64: whole(64),
    T.UInt64: whole(64, signed=False),
    T.Float: st.floats(width=32),
    T.Double: st.floats(),
}
TEXTS = {T.String: st.text(max_size=20), T.LocalizedText: st.builds(ua.LocalizedText, st.text(max_size=9), st.sampled_from([None, "de"]))}
OTHERS = {
    T.DateTime: st.just(datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)),
    T.Guid: st.just(uuid.UUID(int=7)),
    T.ByteString: st.binary(max_size=9),
    T.NodeId: st.sampled_from(
        [ua.NodeId(5, 0), ua.NodeId("abc", 3), ua.NodeId(70000, 2), ua.NodeId(uuid.UUID(int=3), 1), ua.NodeId(b"xy", 4)]
    ),
    T.ExpandedNodeId: st.just(ua.ExpandedNodeId(5, 0)),
    T.StatusCode: st.just(ua.StatusCode(ua.UInt32(0x80000000))),
    T.QualifiedName: st.just(ua.QualifiedName("name", 2)),
    T.ExtensionObject: st.just(ua.EUInformation(UnitId=5, DisplayName=ua.LocalizedText("bar"))),
}
SCALARS = {**NUMBERS, **TEXTS, **OTHERS}


def variants() -> st.SearchStrategy[ua.Variant | None]:
    one = st.sampled_from(list(SCALARS)).flatmap(lambda k: SCALARS[k].map(lambda v: ua.Variant(v, k)))
    many = st.sampled_from(list(NUMBERS | TEXTS)).flatmap(
        lambda k: st.lists(SCALARS[k], max_size=4).map(lambda v: ua.Variant(v, k, is_array=True))
    )
    number = st.sampled_from(list(NUMBERS)).flatmap(lambda k: NUMBERS[k].map(lambda v: ua.Variant(v, k)))
    return st.one_of(number, number, number, one, many, st.just(ua.Variant(None, T.Null)), st.none())


Entry = tuple[int, Any, int | None, int | None, int | None, int | None, int | None]


def entries() -> st.SearchStrategy[Entry]:
    """(handle, variant, status, source time, server time, source picoseconds, server picoseconds); None: not sent."""
    status = st.one_of(st.none(), st.just(0), st.sampled_from([0x40000000, 0x80310000, OVERFLOW, 0x80000000 | OVERFLOW, 0x408F0000]))
    time = st.one_of(st.none(), st.sampled_from([0, 1, EPOCH, 2**63 - 1, -(2**63)]), st.integers(EPOCH + 1, EPOCH + 2**55))
    pico = st.one_of(st.none(), whole(16, signed=False))
    return st.tuples(whole(32, signed=False), variants(), status, time, time, pico, pico)


def encode(entry: Entry, *, handle: bool) -> bytes:
    number, variant, status, source, server, pico1, pico2 = entry
    out, mask = b"", 0
    # The order of OPC 10000-6, table 26; asyncua's own encoder puts both times before the picoseconds.
    for bit, value, pack in (
        (0x01, variant, variant_to_binary),
        (0x02, status, lambda v: struct.pack("<I", v)),
        (0x04, source, lambda v: struct.pack("<q", v)),
        (0x10, pico1, lambda v: struct.pack("<H", v)),
        (0x08, server, lambda v: struct.pack("<q", v)),
        (0x20, pico2, lambda v: struct.pack("<H", v)),
    ):
        if value is not None:
            mask |= bit
            out += pack(value)
    return (struct.pack("<I", number) if handle else b"") + bytes([mask]) + out


def expected_time(source: int | None, server: int | None) -> int:
    for ticks in (source, server):
        if ticks is not None and EPOCH < ticks < (2**63 - 1) // 100 + EPOCH:
            return (ticks - EPOCH) * 100
    return 0


def agrees(columns: Columns, row: int, entry: Entry, *, handle: bool) -> None:
    number, variant, status, source, server, *_ = entry
    status = status or 0
    assert columns.handle[row] == (number if handle else 0)
    assert columns.time[row] == expected_time(source, server)
    good, kind = status < 0x40000000, None if variant is None else variant.VariantType
    if kind in NUMBERS and not variant.is_array:
        value = float(variant.Value)
        assert columns.value[row] == value or (math.isnan(value) and math.isnan(columns.value[row]))
        assert columns.status[row] == status
        return
    assert math.isnan(columns.value[row])
    if kind in TEXTS and not variant.is_array and (words := variant.Value.Text if kind is T.LocalizedText else variant.Value) is not None:
        assert columns.texts[row] == words
        assert columns.status[row] == status
        return
    assert row not in columns.texts
    empty = kind in (None, T.Null) or (kind in TEXTS and not variant.is_array)
    assert columns.status[row] == ((q.BAD_WAITING if empty else q.BAD_TYPE_MISMATCH) | (status & 0xFFFF) if good else status)


@pytest.mark.parametrize("handle", [True, False])
@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_every_mask_type_and_status_in_any_mixture(handle: bool, data: st.DataObject) -> None:
    few = data.draw(st.lists(entries(), min_size=1, max_size=6))
    order = data.draw(st.lists(st.tuples(st.integers(0, len(few) - 1), st.sampled_from([1, 1, 2, 20, 300])), min_size=1, max_size=6))
    sent = [few[i] for i, times in order for _ in range(times)]
    body = b"".join(encode(e, handle=handle) for e in sent)
    reader = Reader(b"\xff\xff" + body + b"\xee", 2, 2 + len(body))
    columns = data_values(reader, len(sent), handles=handle)
    assert reader.left() == 0
    assert len(columns) == len(sent)
    for row, entry in enumerate(sent):
        agrees(columns, row, entry, handle=handle)
    assert columns.overflows == sum(((e[2] or 0) & OVERFLOW) == OVERFLOW for e in sent)


def publish_response(entries_: list[Entry]) -> bytes:
    """As asyncua encodes it, with everything in it that a server may put there."""
    now = datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC)
    items = [
        ua.MonitoredItemNotification(
            ClientHandle=number,
            Value=ua.DataValue(variant, StatusCode=ua.StatusCode(ua.UInt32(status or 0)), SourceTimestamp=now, ServerTimestamp=now),
        )
        for number, variant, status, *_ in entries_
    ]
    response = ua.PublishResponse()
    response.ResponseHeader.StringTable = ["eins", "zwei"]
    response.ResponseHeader.ServiceDiagnostics = ua.DiagnosticInfo(SymbolicId=1, LocalizedText=2, AdditionalInfo="more")
    response.Parameters.SubscriptionId = 77
    response.Parameters.AvailableSequenceNumbers = [1, 2, 3]
    response.Parameters.MoreNotifications = True
    response.Parameters.NotificationMessage.SequenceNumber = 4
    response.Parameters.NotificationMessage.NotificationData = [
        ua.DataChangeNotification(MonitoredItems=items),
        ua.EventNotificationList(),
        ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(0x800A0000))),
    ]
    return struct_to_binary(response)


@settings(deadline=None, max_examples=60)
@given(st.lists(entries().filter(lambda e: e[1] is not None), max_size=40))
def test_a_publish_response_as_asyncua_encodes_it(sent: list[Entry]) -> None:
    answer = messages.published(publish_response(sent))
    assert (answer.subscription, answer.available, answer.notification.sequence) == (77, (1, 2, 3), 4)
    assert answer.notification.status == 0x800A0000
    (columns,) = answer.notification.changes
    ticks = (int(datetime.datetime(2024, 5, 1, 12, tzinfo=datetime.UTC).timestamp()) * 10**7) + EPOCH
    for row, (number, variant, status, *_) in enumerate(sent):
        agrees(columns, row, (number, variant, status, ticks, ticks, None, None), handle=True)


SAMPLE: list[Entry] = [
    (1, ua.Variant(1.5, T.Double), None, EPOCH + 5, EPOCH + 6, None, None),
    (2, ua.Variant("text", T.String), 0, EPOCH + 5, None, 3, 4),
    (3, ua.Variant([1, 2], T.Int32, is_array=True), 0x80310000, None, EPOCH + 6, None, None),
    *[(9, ua.Variant(7, T.Int16), None, EPOCH + 5, EPOCH + 6, None, None)] * 40,
]


def bodies() -> dict[str, bytes]:
    """One valid message of each kind."""
    read, history = ua.ReadResponse(), ua.HistoryReadResponse()
    values = [ua.DataValue(v, SourceTimestamp=datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)) for _, v, *_ in SAMPLE]
    read.Results = values
    history.Results = [
        ua.HistoryReadResult(ContinuationPoint=b"more", HistoryData=ua.HistoryData(DataValues=values)),
        ua.HistoryReadResult(),
    ]
    again = ua.RepublishResponse()
    again.NotificationMessage.NotificationData = [ua.DataChangeNotification()]
    fault = ua.ServiceFault()
    fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(0x80780000))
    return {
        "publish": publish_response(SAMPLE),
        "read": struct_to_binary(read),
        "history": struct_to_binary(history),
        "republish": struct_to_binary(again),
        "fault": struct_to_binary(fault),
    }


DECODERS: dict[str, Any] = {
    "publish": messages.published,
    "read": messages.read,
    "history": messages.history,
    "republish": messages.republished,
    "fault": messages.read,
}


def test_read_and_history_answers() -> None:
    all_ = bodies()
    columns = messages.read(all_["read"])
    assert columns.value[0] == 1.5
    assert columns.texts == {1: "text"}
    assert columns.status[2] == q.BAD_TYPE_MISMATCH
    assert columns.value[3:].tolist() == [7.0] * 40
    first, second = messages.history(all_["history"])
    assert first.more == b"more"
    assert first.samples is not None
    assert first.samples.value[0] == 1.5
    assert (second.more, second.samples) == (None, None)
    assert messages.republished(all_["republish"]).changes[0].handle.tolist() == []
    with pytest.raises(messages.ServiceError) as raised:
        messages.read(all_["fault"])
    assert raised.value.code == 0x80780000


def survives(decode: Any, body: bytes) -> None:
    """Decodes, or raises one of the two errors that are meant; allocates in proportion to what came."""
    # Other threads of the interpreter allocate, too, but not each time at the same moment.
    assert any(peak(decode, body) < 400 * len(body) + 200_000 for _ in range(3))


def peak(decode: Any, body: bytes) -> int:
    """Bytes allocated at most while it is decoded."""
    tracemalloc.start()
    try:
        decode(body)
    except (BadFrame, messages.ServiceError):
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


@pytest.mark.parametrize("kind", list(DECODERS))
def test_cut_short_anywhere(kind: str) -> None:
    body = bodies()[kind]
    for length in range(len(body)):
        survives(DECODERS[kind], body[:length])


@pytest.mark.parametrize("kind", list(DECODERS))
@settings(deadline=None, max_examples=250)
@given(data=st.data())
def test_garbled(kind: str, data: st.DataObject) -> None:
    body = bytearray(bodies()[kind])
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(body) - 1))
        patch = data.draw(
            st.one_of(
                st.binary(min_size=1, max_size=8), st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0" * 8])
            )
        )
        body[at : at + len(patch)] = patch
    survives(DECODERS[kind], bytes(body))


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(list(DECODERS)), st.binary(max_size=300))
def test_noise(kind: str, body: bytes) -> None:
    survives(DECODERS[kind], body)
    head = bodies()[kind][:28]
    survives(DECODERS[kind], head + body)


def test_diagnostics_within_diagnostics() -> None:
    inner = b"\x3f" + struct.pack("<iiii", 1, 2, 3, 4) + struct.pack("<i", 2) + b"ab" + struct.pack("<I", 5)
    reader = Reader(b"\x40" * 3 + inner + b"end")
    reader.diagnostic()
    assert reader.left() == 3
    with pytest.raises(BadFrame, match="nested"):
        Reader(b"\x40" * 5000).diagnostic()


def test_nesting_has_an_end() -> None:
    """Variants within variants, as deep as the message is long."""
    body = b"\x01" + b"\x98\x01\0\0\0" * 5000
    with pytest.raises(BadFrame, match="nested"):
        data_values(Reader(body), 1, handles=False)


def test_layouts_that_change_at_every_entry_cost_no_more_than_the_bytes() -> None:
    """The worst case for runs: two layouts in turn, many entries; and all in one run for comparison."""
    a = encode((1, ua.Variant(1.0, T.Double), None, EPOCH + 5, None, None, None), handle=True)
    b = encode((2, ua.Variant(2.0, T.Float), None, EPOCH + 5, None, None, None), handle=True)
    columns = data_values(Reader((a + b) * 20_000), 40_000, handles=True)
    assert columns.value.reshape(-1, 2).mean(axis=0).tolist() == [1.0, 2.0]
    assert columns.handle.reshape(-1, 2).max(axis=0).tolist() == [1, 2]
    assert np.all(columns.time == 500)
