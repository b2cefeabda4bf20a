"""A reader of the OPC UA binary encoding that trusts nothing (OPC 10000-6, 5.2): every length is checked against what is left."""

from __future__ import annotations

import struct
from typing import Final

from ronghe.errors import BadFrame
from ronghe.text import Text

NUMBERS: Final = {1: "?", 2: "b", 3: "B", 4: "h", 5: "H", 6: "i", 7: "I", 8: "q", 9: "Q", 10: "f", 11: "d"}
"""Built-in types that are numbers, Boolean included → struct format."""
SIZES: Final = {**{t: struct.calcsize(f) for t, f in NUMBERS.items()}, 0: 0, 13: 8, 14: 16, 19: 4}
"""Built-in types of fixed size (13 DateTime, 14 Guid, 19 StatusCode, 0 nothing) → bytes."""
TEXTS: Final = (12, 21)
"""String and LocalizedText."""

_DEEPEST: Final = 32  # nested variants and diagnostics; the standard asks for 100 at least in decoders, no device sends more than a few
_U16, _U32, _I32, _I64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i"), struct.Struct("<q")
_NUMBER = {t: struct.Struct("<" + f) for t, f in NUMBERS.items()}


def bad_frame(what: str, at: int) -> BadFrame:
    """The error for bytes that are not OPC UA; `at` is the offset in the message."""
    return BadFrame(
        Text(f"not an OPC UA message: {what} at byte {at}", f"不是有效的 OPC UA 报文：第 {at} 字节处 {what}"),
        todo=Text(
            "the connection is dropped and built again; if it recurs, the device or a gateway between is faulty",
            "将断开并重新连接；若反复出现，请检查设备或中间网关",
        ),
    )


class Reader:
    """Reads on from `pos`; raises BadFrame instead of reading past `end`."""

    __slots__ = ("data", "end", "pos")

    def __init__(self, data: bytes, pos: int = 0, end: int | None = None) -> None:
        self.data, self.pos, self.end = data, pos, len(data) if end is None else end

    def left(self) -> int:
        return self.end - self.pos

    def skip(self, size: int) -> int:
        """Moves on; gives where it was."""
        at = self.pos
        if size < 0 or size > self.end - at:
            raise bad_frame(f"{size} bytes announced, {self.end - at} left", at)
        self.pos = at + size
        return at

    def u8(self) -> int:
        return self.data[self.skip(1)]

    def u16(self) -> int:
        return int(_U16.unpack_from(self.data, self.skip(2))[0])

    def u32(self) -> int:
        return int(_U32.unpack_from(self.data, self.skip(4))[0])

    def i32(self) -> int:
        return int(_I32.unpack_from(self.data, self.skip(4))[0])

    def i64(self) -> int:
        return int(_I64.unpack_from(self.data, self.skip(8))[0])

    def count(self, smallest: int) -> int:
        """The length of an array whose elements take `smallest` bytes at least; 0 for a null array."""
        at, n = self.pos, self.i32()
        if n < -1 or n * smallest > self.left():
            raise bad_frame(f"an array of {n} in {self.left()} bytes", at)
        return max(n, 0)

    def blob(self) -> bytes | None:
        """A ByteString; None when null."""
        at, n = self.pos, self.i32()
        if n < -1:
            raise bad_frame(f"a length of {n}", at)
        if n < 0:
            return None
        start = self.skip(n)
        return self.data[start : self.pos]

    def string(self) -> str | None:
        """A String; None when null; bytes that are not UTF-8 are shown as U+FFFD."""
        raw = self.blob()
        return None if raw is None else raw.decode("utf-8", "replace")

    def node_id(self) -> tuple[int, int]:
        """Passes a NodeId or ExpandedNodeId; gives (namespace, number), number −1 where it is not numeric."""
        at, kind = self.pos, self.u8()
        space, number = 0, -1
        match kind & 0x3F:
            case 0:
                number = self.u8()
            case 1:
                space, number = self.u8(), self.u16()
            case 2:
                space, number = self.u16(), self.u32()
            case 3 | 5:
                space = self.u16()
                self.blob()
            case 4:
                space = self.u16()
                self.skip(16)
            case _:
                raise bad_frame(f"a node id of kind {kind}", at)
        if kind & 0x80:
            self.blob()
        if kind & 0x40:
            self.skip(4)
        return space, number

    def extension(self) -> tuple[int, int]:
        """An ExtensionObject: (its type's number, where its body ends); the reader then stands at the body."""
        at = self.pos
        _, number = self.node_id()
        match self.u8():
            case 0:
                return number, self.pos
            case 1 | 2:
                size = self.i32()
                start = self.skip(max(size, 0))
                end, self.pos = self.pos, start
                return number, end
            case other:
                raise bad_frame(f"an extension object encoded as {other}", at)

    def localized(self) -> str | None:
        """A LocalizedText; its text."""
        mask = self.u8()
        if mask & 1:
            self.blob()
        return self.string() if mask & 2 else None

    def diagnostic(self, depth: int = 0) -> None:
        """Passes a DiagnosticInfo."""
        if depth > _DEEPEST:
            raise bad_frame("diagnostics nested too deep", self.pos)
        mask = self.u8()
        self.skip(4 * ((mask & 1) + (mask >> 1 & 1) + (mask >> 2 & 1) + (mask >> 3 & 1)))
        if mask & 0x10:
            self.blob()
        if mask & 0x20:
            self.skip(4)
        if mask & 0x40:
            self.diagnostic(depth + 1)

    def response_header(self) -> int:
        """Passes a ResponseHeader; its ServiceResult."""
        self.skip(12)
        result = self.u32()
        self.diagnostic()
        for _ in range(self.count(4)):
            self.blob()
        _, self.pos = self.extension()
        return result

    def value(self, kind: int, depth: int = 0) -> float | str | None:
        """One value of a built-in type: a number, a text, or None (with the value passed over) for any other type."""
        if kind in _NUMBER:
            return float(_NUMBER[kind].unpack_from(self.data, self.skip(SIZES[kind]))[0])
        if kind in SIZES:
            self.skip(SIZES[kind])
            return None
        match kind:
            case 12:
                return self.string()
            case 21:
                return self.localized()
            case 15 | 16 | 26 | 27 | 28 | 29 | 30 | 31:
                self.blob()
            case 17 | 18:
                self.node_id()
            case 20:
                self.skip(2)
                self.blob()
            case 22:
                _, self.pos = self.extension()
            case 23:
                self.data_value(depth + 1)
            case 24:
                self.variant(depth + 1)
            case 25:
                self.diagnostic(depth + 1)
            case _:
                raise bad_frame(f"a value of type {kind}", self.pos)
        return None

    def variant(self, depth: int = 0) -> tuple[int, float | str | None]:
        """A Variant: (encoding byte, value); the value is None for arrays and for types that are neither number nor text."""
        if depth > _DEEPEST:
            raise bad_frame("values nested too deep", self.pos)
        encoding = self.u8()
        kind = encoding & 0x3F
        if not encoding & 0x80:
            return encoding, self.value(kind, depth)
        n = self.count(SIZES.get(kind, 1))
        if kind in SIZES:
            self.skip(n * SIZES[kind])
        else:
            for _ in range(n):
                self.value(kind, depth)
        if encoding & 0x40:
            self.skip(4 * self.count(4))
        return encoding, None

    def data_value(self, depth: int = 0) -> tuple[int, float | str | None, int, int, int]:
        """A DataValue: (variant's encoding byte, value, status, source time, server time); times in OPC UA ticks, 0 where not sent."""
        at, mask = self.pos, self.u8()
        if mask & 0xC0:
            raise bad_frame(f"a data value with mask 0x{mask:02X}", at)
        encoding, value = self.variant(depth) if mask & 1 else (0, None)
        status = self.u32() if mask & 2 else 0
        source = self.i64() if mask & 4 else 0
        if mask & 16:
            self.skip(2)
        server = self.i64() if mask & 8 else 0
        if mask & 32:
            self.skip(2)
        return encoding, value, status, source, server
