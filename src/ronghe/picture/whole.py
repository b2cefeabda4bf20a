"""Whether a picture file is whole, and one picture: proved from its structure, before anything is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Final

from ronghe.errors import PictureError
from ronghe.text import Text

PNG: Final = b"\x89PNG\r\n\x1a\n"
SCANS: Final = 100
"""Of a progressive JPEG, which are decoded one by one over the whole picture; cameras and editors write about 10."""
AGAIN: Final = Text("save it again as JPEG or PNG, 8 bit gray or RGB", "请另存为 8 位灰度或 RGB 的 JPEG 或 PNG")
COPY: Final = Text("copy or record it again", "请重新复制或重新拍摄")
_TIFF_SIZES: Final = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4)  # bytes of one value of each field type; TIFF 6.0, section 2


def check_jpeg(data: bytes, where: str) -> None:
    """Raises PictureError unless the picture's end is there, and its scans can be counted on the fingers.

    In compressed data 0xFF is followed by 0 or a restart marker, so that FF D9 after the first scan began is the end, not chance; the end
    of a thumbnail comes before it.
    """
    at = 2
    while data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] != b"\xda":
        if data[at + 1 : at + 2] == b"\xff":  # fill
            at += 1
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if data.find(b"\xff\xd9", at) < 0:
        raise truncated(where)
    if data.count(b"\xff\xda", at) > SCANS:
        raise PictureError(
            Text(f"a JPEG of more than {SCANS} scans is not decoded", f"JPEG 扫描数超过 {SCANS}，拒绝解码"), where=where, todo=AGAIN
        )


def check_png(data: bytes, where: str) -> tuple[bool, memoryview | None]:
    """Whether a PNG is 8 bit gray or RGB without transparency, and its EXIF data. Raises PictureError unless every chunk is whole."""
    plain, exif = True, None
    for kind, body in _chunks(data, where):
        if kind == b"IHDR":
            plain = body[8] == 8 and body[9] in (0, 2)
        elif kind == b"tRNS":
            plain = False
        elif kind == b"acTL":
            raise several(int.from_bytes(body[:4], "big"), where)
        elif kind == b"eXIf":
            exif = body
    return plain, exif


def check_tiff(data: bytes, where: str) -> None:
    """Raises PictureError unless every value of the first directory lies in the file, and it is the only one."""
    order = "<" if data.startswith(b"II") else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    for i in range(count):
        _, kind, values, place = struct.unpack_from(order + "HHII", data, at + 2 + 12 * i)
        size = values * (_TIFF_SIZES[kind] if kind < len(_TIFF_SIZES) else 0)
        if size > 4 and place + size > len(data):
            raise truncated(where)


def _chunks(data: bytes, where: str) -> Iterator[tuple[bytes, memoryview]]:
    """The chunks of a PNG to its end, each proved by its CRC."""
    view, at = memoryview(data), len(PNG)
    while True:
        size, kind = int.from_bytes(view[at : at + 4], "big"), bytes(view[at + 4 : at + 8])
        body, end = view[at + 8 : at + 8 + size], at + 12 + size
        if end > len(data):
            raise truncated(where)
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise PictureError(Text("damaged: a checksum does not fit", "文件损坏：校验和不符"), where=where, todo=COPY)
        yield kind, body
        if kind == b"IEND":
            return
        at = end


def truncated(where: str) -> PictureError:
    return PictureError(Text("truncated: the end of the picture is missing", "文件不完整：缺少图像结尾"), where=where, todo=COPY)


def several(frames: int, where: str) -> PictureError:
    return PictureError(
        Text(f"{frames} pictures in one file: which one is the part?", f"一个文件含 {frames} 幅图像，无法确定哪一幅是工件"),
        where=where,
        todo=Text("save the one that is meant as JPEG or PNG", "请将所需的一幅另存为 JPEG 或 PNG"),
    )
