"""The write-ahead log: what makes an append durable before it is acknowledged.

A log is a row of files `wal-NNNNNNNNNN`, each a row of records. A record is one batch:

    magic "RHW1" | CRC-32 of all that follows | payload bytes u32 | rows u32 | file number u64 | record number u32 | flags u32
    time int64[n] | value float64[n] | tag int32[n] | quality uint32[n] | text, as an Arrow IPC stream | zeros up to 8 bytes

`time` and `quality` are one element when all rows agree (flags 1, 2); text is there with flag 4. Little-endian.

Nothing valid after a record that is not means that the writer died there: the tail is cut. Something valid after it means that the
file was damaged later: what is whole is still used, and the loss is reported.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.historian import disk
from ronghe.historian.block import Block
from ronghe.historian.names import write_all
from ronghe.text import Text

_MAGIC: Final = b"RHW1"
_HEADER: Final = struct.Struct("<4sIIIQII")
_ONE_TIME, _ONE_QUALITY, _TEXT = 1, 2, 4


def path_of(folder: Path, number: int) -> Path:
    """The file of a log number."""
    return folder / f"wal-{number:010d}"


def numbers(folder: Path) -> list[int]:
    """The numbers of the log files in a folder, ascending."""
    return sorted(int(p.name[4:]) for p in folder.glob("wal-*") if p.name[4:].isdigit())


class LogWriter:
    """Appends records to one file. Not safe between threads."""

    def __init__(self, folder: Path, number: int) -> None:
        """Starts log `number`. Raises OSError."""
        self.number, self.size, self._records = number, 0, 0
        self._fd = os.open(path_of(folder, number), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            disk.sync_folder(folder)
        except OSError:
            os.close(self._fd)
            raise

    def append(self, block: Block) -> None:
        """Durable when it returns. Raises OSError when it is not; the file is then as before."""
        header, *payload = _encode(block, self.number, self._records)
        try:
            size = write_all(self._fd, [header, *payload], self.size)
            os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += size
        self._records += 1

    def close(self) -> None:
        os.close(self._fd)


def _encode(block: Block, number: int, record: int) -> list[bytes]:
    flags = 0
    time, quality = block.time, block.quality
    if (time == time[0]).all():
        time, flags = time[:1], flags | _ONE_TIME
    if (quality == quality[0]).all():
        quality, flags = quality[:1], flags | _ONE_QUALITY
    columns: list[NDArray[Any]] = [time, block.value, block.tag, quality]
    payload = [np.ascontiguousarray(c).data.cast("B") for c in columns]
    if block.text is not None:
        sink = pa.BufferOutputStream()
        data = pa.RecordBatch.from_arrays([block.text], ["text"])
        with pa.ipc.new_stream(sink, data.schema) as writer:
            writer.write_batch(data)
        payload.append(memoryview(sink.getvalue()))
        flags |= _TEXT
    size = sum(len(p) for p in payload)
    payload.append(memoryview(bytes(-size % 8)))
    head = _HEADER.pack(_MAGIC, 0, size + len(payload[-1]), len(block), number, record, flags)
    crc = zlib.crc32(head[8:])
    for part in payload:
        crc = zlib.crc32(part, crc)
    return [head[:4] + struct.pack("<I", crc) + head[8:], *payload]  # type: ignore[list-item]


class Recovered:
    """What a log file holds: `blocks` in the order written, and `damage` (what is lost, with the place), empty for a file that is whole or
    whose writer died while appending."""

    def __init__(self, path: Path, number: int) -> None:
        self.blocks: list[Block] = []
        self.damage: list[Text] = []
        data = path.read_bytes()
        whole_to = expected = 0
        for start, end, record, block in _records(data, number):
            if start != whole_to or record != expected:
                self.damage.append(
                    Text(
                        f"{path}: bytes {whole_to} to {start} are damaged, {record - expected} batch(es) lost",
                        f"{path}：第 {whole_to} 至 {start} 字节损坏，丢失 {record - expected} 个批次",
                    )
                )
            self.blocks.append(block)
            whole_to, expected = end, record + 1


def _records(data: bytes, number: int) -> Iterator[tuple[int, int, int, Block]]:
    """(first byte, byte after, record number, rows) of every whole record."""
    at = 0
    while True:
        found = _decode(data, at, number)
        if found is not None:
            end, record, block = found
            yield at, end, record, block
            at = end
            continue
        at = data.find(_MAGIC, at + 1)  # past the damage, if anything whole follows
        if at < 0:
            return


def _decode(data: bytes, at: int, number: int) -> tuple[int, int, Block] | None:
    if len(data) < at + _HEADER.size:
        return None
    magic, crc, size, rows, written_as, record, flags = _HEADER.unpack_from(data, at)
    begin, end = at + _HEADER.size, at + _HEADER.size + size
    if magic != _MAGIC or written_as != number or end > len(data) or rows == 0:
        return None
    if zlib.crc32(memoryview(data)[at + 8 : end]) != crc:
        return None
    times, qualities = (1 if flags & _ONE_TIME else rows), (1 if flags & _ONE_QUALITY else rows)
    time = np.frombuffer(data, np.int64, times, begin)
    value = np.frombuffer(data, np.float64, rows, begin + 8 * times)
    tag = np.frombuffer(data, np.int32, rows, begin + 8 * (times + rows))
    after = begin + 8 * (times + rows) + 4 * rows
    quality = np.frombuffer(data, np.uint32, qualities, after)
    text = None
    if flags & _TEXT:
        with pa.ipc.open_stream(pa.py_buffer(memoryview(data)[after + 4 * qualities : end])) as reader:
            text = reader.read_all().column(0).combine_chunks()
    return end, record, Block(tag, np.broadcast_to(time, rows), value, np.broadcast_to(quality, rows), text)
