"""Reading pictures: the right pixels or a clear error, whatever the bytes. Pillow is the independent implementation."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from scenes import encoded, scene

from ronghe.errors import PictureError
from ronghe.picture import decode, read


def as_pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("gray", [False, True], ids=["rgb", "gray"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM"])
def test_every_format_gives_the_pixels_that_pillow_gives(form: str, gray: bool) -> None:
    data = encoded(scene(gray=gray), form)
    got = decode(data)
    assert got.dtype == np.uint8
    assert np.array_equal(got, as_pillow(data))


def test_progressive_jpeg_and_interlaced_png() -> None:
    for data in (encoded(scene(), "JPEG", progressive=True), encoded(scene(), "PNG", optimize=True)):
        assert np.array_equal(decode(data), as_pillow(data))


def test_one_bit_and_palettes_are_unfolded_exactly() -> None:
    pixels = scene()
    palette = Image.fromarray(pixels).quantize(32)
    for form in ("PNG", "GIF", "BMP", "TIFF"):
        assert np.array_equal(decode(encoded(palette, form)), np.asarray(palette.convert("RGB")))
    bits = Image.fromarray(pixels).convert("1")
    assert np.array_equal(decode(encoded(bits, "PNG")), np.asarray(bits).astype(np.uint8) * 255)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_full_range_never_by_their_content(form: str) -> None:
    wide = (np.arange(48 * 64, dtype=np.uint32).reshape(48, 64) * 5 + 20_000).astype(np.uint16)  # low contrast
    assert np.array_equal(decode(encoded(wide, form)), wide >> 8)


def test_twelve_bits_in_sixteen_are_refused_not_shown_black() -> None:
    with pytest.raises(PictureError, match="upper four bits") as caught:
        decode(encoded(np.full((8, 8), 4095, np.uint16), "PNG"))
    assert "左对齐" in caught.value.in_("zh")


def test_opaque_alpha_is_dropped_and_transparency_refused() -> None:
    pixels = scene()
    image = Image.fromarray(pixels).convert("RGBA")
    assert np.array_equal(decode(encoded(image, "PNG")), pixels)
    image.putpixel((3, 3), (1, 2, 3, 254))
    for form in ("PNG", "TIFF"):
        with pytest.raises(PictureError, match="transparent"):
            decode(encoded(image, form))
    keyed = encoded(Image.fromarray(pixels), "PNG", transparency=tuple(pixels[0, 0].tolist()))
    with pytest.raises(PictureError, match="transparent"):
        decode(keyed)


@pytest.mark.parametrize(("mode", "form"), [("CMYK", "JPEG"), ("CMYK", "TIFF"), ("LAB", "TIFF"), ("F", "TIFF"), ("I", "TIFF")])
def test_colours_that_depend_on_what_the_file_need_not_hold_are_refused(mode: str, form: str) -> None:
    image = Image.new(mode, (16, 16))
    with pytest.raises(PictureError, match=f"kind {mode}"):
        decode(encoded(image, form))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_which_of_several_pictures_is_the_part(form: str) -> None:
    frames = [Image.fromarray(scene(seed=s)) for s in (1, 2)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    with pytest.raises(PictureError, match="2 pictures in one file"):
        decode(data)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(scene(), form, exif=exif)
    assert np.array_equal(decode(data), np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data)))))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_a_truncated_picture_is_an_error_wherever_it_is_cut(form: str) -> None:
    data = encoded(scene(), form)
    for end in [*range(0, 24), *range(24, len(data) - 1, max(1, len(data) // 23)), len(data) - 2]:
        try:
            got = decode(data[:end])
        except PictureError as e:
            assert e.what.zh  # noqa: PT017
        else:  # what is lacking held no pixel: padding, or the names of the tags behind them
            assert np.array_equal(got, decode(data)), f"cut at {end} of {len(data)}"


def test_a_jpeg_with_a_whole_thumbnail_and_half_a_picture_is_truncated() -> None:
    exif = b"Exif\0\0" + encoded(scene(8, 8), "JPEG")
    data = encoded(scene(), "JPEG", exif=exif)
    with pytest.raises(PictureError, match="truncated"):
        decode(data[: len(data) * 3 // 4])


@pytest.mark.parametrize("filled", [b"\0", b"\0" * 37, b"\xff\xff"])
def test_a_jpeg_that_a_camera_filled_up_is_whole(filled: bytes) -> None:
    data = encoded(scene(), "JPEG")
    assert np.array_equal(decode(data[:-2] + filled + data[-2:] + b"\0" * 11), decode(data))


def test_a_jpeg_with_damaged_data_that_the_decoder_notices() -> None:
    data = encoded(scene(), "JPEG")
    middle = len(data) * 3 // 4
    with pytest.raises(PictureError, match="damaged"):
        decode(data[:middle] + data[middle + 40 :])


def test_a_png_chunk_with_a_wrong_checksum() -> None:
    data = bytearray(encoded(scene(), "PNG"))
    data[-20] ^= 1
    with pytest.raises(PictureError, match="checksum"):
        decode(bytes(data))


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_a_picture_above_the_limit_is_refused_by_its_header() -> None:
    for data in (
        _png(10_001, 10_000),
        _png(2**31 - 1, 2**31 - 1),
        b"P5 100000 100000 255\n",
        b"BM" + bytes(12) + struct.pack("<IiiHHIIiiII", 40, 50_000, 50_000, 1, 24, 0, 0, 0, 0, 0, 0),
    ):
        with pytest.raises(PictureError, match=r"limit is 100 MP|damaged") as caught:
            decode(data)
        assert "too large" in str(caught.value) or "damaged" in str(caught.value)
    with pytest.raises(PictureError, match="too large: 10001 × 10000 = 100 MP"):
        decode(_png(10_001, 10_000))


def test_a_picture_of_the_right_size_whose_data_ends_early() -> None:
    with pytest.raises(PictureError):
        decode(_png(2_000, 2_000))


def test_a_jpeg_of_endless_scans_is_refused() -> None:
    data = encoded(scene(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    with pytest.raises(PictureError, match="scans"):
        decode(data[:-2] + scan * 200 + data[-2:])


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"part 17: good\n", "not a picture"),
        (b"\0" * 5000, "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(40), "AVIF"),
        (b"%PDF-1.7\n", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "damaged"),
        (b"\xff\xd8\xff\xd9", "damaged|truncated"),
    ],
)
def test_what_is_no_picture_says_so(data: bytes, said: str) -> None:
    with pytest.raises(PictureError, match=said) as caught:
        decode(data, where="line1/camera")
    assert str(caught.value).startswith("line1/camera: ")
    assert caught.value.todo.zh


WHOLE = [encoded(scene(12, 16), form) for form in ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=6))
def test_hostile_bytes_give_a_picture_or_an_error_and_nothing_else(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    for at, new in changes:
        at %= len(data)
        data = data[:at] + new + data[at + max(1, len(new)) :]
    try:
        got = decode(data)
    except PictureError as e:
        assert e.what.en  # noqa: PT017
    else:
        assert got.dtype == np.uint8
        assert got.ndim in (2, 3)


def test_a_file_is_known_by_its_content_not_its_name(tmp_path: Path) -> None:
    (tmp_path / "零件 01.png").write_bytes(encoded(scene(), "JPEG"))
    assert read(tmp_path / "零件 01.png").shape == (48, 64, 3)
    (tmp_path / "note.jpg").write_text("not a picture")
    with pytest.raises(PictureError, match=r"note\.jpg: not a picture"):
        read(tmp_path / "note.jpg")


def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "huge.png").touch()
    os.truncate(tmp_path / "huge.png", 1 << 30)
    for name, said in {
        "folder": "not a file",
        "pipe": "not a file",
        "loop": "cannot be read",
        "gone": "cannot",
        "huge": "too large",
    }.items():
        with pytest.raises(PictureError, match=said):
            read(tmp_path / f"{name}.png")
