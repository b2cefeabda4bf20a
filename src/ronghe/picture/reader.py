"""Reading a picture: the right pixels or a clear PictureError, never something in between.

The header is looked at before anything is decoded, so that a file that would unfold to gigabytes costs nothing. What is taken:

    8 bit gray or RGB        as it is
    1 bit, palette           unfolded; exact
    16 bit gray or RGB       the upper eight bits (value >> 8): full range to full range, never stretched to the picture's own
                             contrast; refused where the upper four bits of every pixel are empty (12 bits in a 16 bit file)
    alpha                    dropped where every pixel is opaque, else refused: the colour of a pixel that is not there means nothing
    EXIF orientation         applied
    CMYK, Lab, float, 32 bit refused: their colours depend on a profile or a scale that the file need not hold
    animation, more pages    refused: which one is the part? (The first picture of a JPEG with a preview or gain map, MPO, is the picture.)

Colour profiles (ICC) and gamma chunks are not applied: pixels are as they were stored. A PNG is known to be whole by its CRCs. A JPEG has
no checksum: it is refused where its end is missing or the decoder complains of anything, but a flipped bit mostly decodes to something.
Formats: JPEG (ITU-T T.81), PNG (W3C PNG 3), BMP, TIFF 6.0, WebP (RFC 9649), GIF89a, PGM/PPM.
"""

from __future__ import annotations

import io
import stat
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import PictureError, RongheError
from ronghe.picture.libraries import opencv, pillow, simplejpeg
from ronghe.picture.whole import AGAIN, COPY, PNG, check_jpeg, check_png, check_tiff, several
from ronghe.text import Text

MEGAPIXELS: Final = 100
"""The largest picture that is decoded."""
_BYTES: Final = (
    1 << 29
)  # the largest file that is read: more than 100 megapixels of 16 bit RGB without compression (286 MiB, and TIFF waste)
_ORIENTATION: Final = 0x0112  # EXIF tag
JPEG: Final = b"\xff\xd8\xff"
_FORMATS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (JPEG, "JpegImagePlugin", "JpegImageFile"),
    (PNG, "PngImagePlugin", "PngImageFile"),
    (b"BM", "BmpImagePlugin", "BmpImageFile"),
    (b"II*\0", "TiffImagePlugin", "TiffImageFile"),
    (b"MM\0*", "TiffImagePlugin", "TiffImageFile"),
    (b"RIFF", "WebPImagePlugin", "WebPImageFile"),
    (b"GIF8", "GifImagePlugin", "GifImageFile"),
    (b"P5", "PpmImagePlugin", "PpmImageFile"),
    (b"P6", "PpmImagePlugin", "PpmImageFile"),
)
_NOT_TAKEN: Final = (
    (4, b"ftyphei", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (0, b"%PDF", "PDF"),
    (4, b"jP  ", "JPEG 2000"),
)


def read(path: str | Path) -> NDArray[np.uint8]:
    """The pixels of a picture file, see `decode`. Raises PictureError, also where the file cannot be read or is no file."""
    path = Path(path)
    try:
        found = path.stat()  # asked first: opening a pipe would wait for ever
        if not stat.S_ISREG(found.st_mode):
            raise PictureError(Text("not a file", "不是文件"), where=str(path))
        if found.st_size > _BYTES:
            raise _huge(f"{found.st_size >> 20} MiB", f"{_BYTES >> 20} MiB", str(path))
        data = path.read_bytes()
    except OSError as e:
        raise PictureError(Text(f"the file cannot be read: {e.strerror}", f"文件无法读取：{e.strerror}"), where=str(path)) from e
    return decode(data, where=str(path))


def decode(data: bytes, *, where: str = "") -> NDArray[np.uint8]:
    """The pixels of an encoded picture, uint8 (h, w, 3) RGB or (h, w) gray; what is handled and what is refused: see the module.

    `where` is what an error names. Raises PictureError for everything that is not exactly one whole picture of at most 100 megapixels, and
    MissingExtra.
    """
    try:
        return _decode(data, where)
    except RongheError:
        raise
    except Exception as e:  # Pillow's parsers stumble over hostile bytes in ways that nobody has listed
        raise _damaged(e, where) from e


def _decode(data: bytes, where: str) -> NDArray[np.uint8]:
    image = _open(data, where)
    width, height = image.size
    if width * height > MEGAPIXELS * 1_000_000:
        raise _huge(f"{width} × {height} = {width * height / 1e6:.0f} MP", f"{MEGAPIXELS} MP", where)
    if data.startswith(JPEG):
        check_jpeg(data, where)
        orientation = image.getexif().get(_ORIENTATION, 1) if "exif" in image.info else 1
        return _turn(_jpeg(data, image, where) if image.mode in ("L", "RGB") else _other(image, where), orientation)
    if data.startswith(PNG):
        plain, exif = check_png(data, where)
        return _turn(_png(data, image, where) if plain else _other(image, where), _orientation(exif))
    if data[:2] in (b"II", b"MM"):
        check_tiff(data, where)
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise several(frames, where)
    return _turn(_other(image, where), image.getexif().get(_ORIENTATION, 1))


def _open(data: bytes, where: str) -> Any:
    """Pillow's image, its header read and nothing decoded. Its plug-ins are called directly: only those of the formats above can be
    reached, and the limit on pixels is ours alone."""
    if not data:
        raise PictureError(Text("the file is empty", "文件为空"), where=where, todo=COPY)
    for magic, module, name in _FORMATS:
        if data.startswith(magic):
            return getattr(pillow(module), name)(io.BytesIO(data))
    for at, magic, name in _NOT_TAKEN:
        if data[at:].startswith(magic):
            raise PictureError(Text(f"{name} is not read", f"不支持 {name} 格式"), where=where, todo=AGAIN)
    raise PictureError(
        Text(f"not a picture: it begins with {data[:8]!r}", f"不是图像：开头为 {data[:8]!r}"),
        where=where,
        todo=Text("JPEG, PNG, BMP, TIFF, WebP, GIF, PGM and PPM are read", "可读格式：JPEG、PNG、BMP、TIFF、WebP、GIF、PGM、PPM"),
    )


def _jpeg(data: bytes, image: Any, where: str) -> NDArray[np.uint8]:
    """Gray or RGB by libjpeg-turbo directly: the same pixels as Pillow's and OpenCV's, which pass over what this one complains of."""
    colours = "GRAY" if image.mode == "L" else "RGB"
    try:
        pixels: NDArray[np.uint8] = simplejpeg().decode_jpeg(data, colours, strict=True)
    except ValueError as e:
        end = data.rfind(b"\xff\xd9")
        bare = data[:end].rstrip(b"\0")  # USB cameras fill their pictures up with zeros
        if len(bare) == end:
            raise _damaged(e, where) from e
        try:
            pixels = simplejpeg().decode_jpeg(bare + data[end:], colours, strict=True)
        except ValueError:
            raise _damaged(e, where) from e
    return pixels[:, :, 0] if image.mode == "L" else pixels


def _png(data: bytes, image: Any, where: str) -> NDArray[np.uint8]:
    """8 bit gray or RGB by OpenCV, which is faster than Pillow."""
    cv2 = opencv()
    colour = cv2.IMREAD_GRAYSCALE if image.mode == "L" else cv2.IMREAD_COLOR_RGB
    try:
        pixels: NDArray[np.uint8] | None = cv2.imdecode(np.frombuffer(data, np.uint8), colour | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as e:
        raise _damaged(e, where) from e
    if pixels is None or pixels.shape[:2] != image.size[::-1]:
        raise _damaged(None, where)
    return pixels


def _orientation(exif: memoryview | None) -> int:
    if exif is None:
        return 1
    found = pillow("Image").Exif()
    found.load(bytes(exif))
    return found.get(_ORIENTATION, 1)


def _other(image: Any, where: str) -> NDArray[np.uint8]:
    """All that is not plain, by Pillow."""
    mode = image.mode
    image.load()
    if image.mode.startswith("I;16"):
        return _eight_bits(np.asarray(image), where)
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA" if image.mode == "PA" or "transparency" in image.info else "RGB")
    elif image.mode in ("L", "RGB") and "transparency" in image.info:
        image = image.convert("RGBA" if image.mode == "RGB" else "LA")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode == "YCbCr":
        image = image.convert("RGB")
    if image.mode in ("RGBA", "LA"):
        if image.getchannel("A").getextrema()[0] < 255:
            raise PictureError(Text("it has transparent pixels", "图像含透明像素"), where=where, todo=AGAIN)
        image = image.convert(image.mode[:-1])
    if image.mode not in ("L", "RGB"):
        raise PictureError(Text(f"colours of kind {mode} are not read", f"不支持 {mode} 色彩模式"), where=where, todo=AGAIN)
    return np.array(image)


def _eight_bits(wide: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """The upper eight of 16 bits."""
    if wide.size and int(wide.max()) < 0x1000:
        raise PictureError(
            Text("a 16 bit picture whose upper four bits are all empty", "16 位图像的高四位全为空"),
            where=where,
            todo=Text(
                "have the camera write its 10 or 12 bits left-aligned, or 8 bits", "请将相机设为左对齐输出（10 或 12 位），或改为 8 位"
            ),
        )
    return (wide >> 8).astype(np.uint8)


def _turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """As the EXIF orientation says (1..8, CIPA DC-008); anything else counts as 1."""
    if orientation not in range(2, 9):
        return pixels
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _damaged(e: Exception | None, where: str) -> PictureError:
    why = f": {e}" if e is not None and str(e) else ""
    return PictureError(Text(f"damaged, it cannot be decoded{why}", f"文件损坏，无法解码{why}"), where=where, todo=COPY)


def _huge(size: str, limit: str, where: str) -> PictureError:
    return PictureError(
        Text(f"too large: {size}, the limit is {limit}", f"图像过大：{size}，上限 {limit}"),
        where=where,
        todo=Text("cut out or scale down what is looked at", "请裁剪或缩小图像"),
    )
