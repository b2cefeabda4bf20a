"""GenICam cameras (GigE Vision, USB3 Vision) through the library Aravis."""

from __future__ import annotations

import ctypes
import time
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.camera import aravis
from ronghe.connect.camera.options import GENICAM, Options
from ronghe.connect.camera.source import Frame, Source
from ronghe.errors import MissingExtra, Unreachable
from ronghe.picture.libraries import opencv
from ronghe.text import Text

_BUFFERS: Final = 4
_WAIT: Final = 200_000  # µs
_CONTINUOUS: Final = 0
_SUCCESS: Final = 0
_MONO: Final = {0x01080001: 8, 0x01100003: 10, 0x01100005: 12, 0x01100025: 14, 0x01100007: 16}
"""Pixel formats of the GenICam Pixel Format Naming Convention: bits of gray, right-aligned in one or two bytes."""
_BAYER: Final = {0x01080008: "GRBG", 0x01080009: "RGGB", 0x0108000A: "GBRG", 0x0108000B: "BGGR"}
_RGB8, _BGR8 = 0x02180014, 0x02180015


def cameras() -> list[str]:
    """The GenICam cameras that answer now, as sources; none where the library is not installed."""
    try:
        library = aravis.library()
    except MissingExtra:
        return []
    library.arv_update_device_list()
    return [GENICAM + library.arv_get_device_id(i).decode() for i in range(library.arv_get_n_devices())]


class GenICam(Source):
    """One camera, by its ID (as browsing lists it) or IP address; the first that answers for an empty one."""

    live: ClassVar[bool] = True
    continuous: ClassVar[bool] = True

    def __init__(self, options: Options) -> None:
        self._where, self._timeout = options.source, options.timeout
        self._camera: Any = None
        self._stream: Any = None
        self._count = 0
        self._heard = 0.0

    def open(self) -> None:
        self.close()
        name = self._where.removeprefix(GENICAM).encode()
        try:
            self._camera = aravis.call("arv_camera_new", name or None, where=self._where)
        except Unreachable as e:
            found = ", ".join(cameras())
            todo = Text(f"cameras that answer: {found or 'none'}", f"可用相机：{found or '无'}")
            raise Unreachable(e.what, where=self._where, todo=todo) from e
        self._do("arv_camera_set_acquisition_mode", _CONTINUOUS)
        size = self._do("arv_camera_get_payload")
        self._stream = self._do("arv_camera_create_stream", None, None)
        for _ in range(_BUFFERS):
            self._library.arv_stream_push_buffer(self._stream, self._library.arv_buffer_new_allocate(size))
        self._do("arv_camera_start_acquisition")
        self._heard = time.monotonic()

    def next(self) -> Frame | None:
        library = self._library
        buffer = library.arv_stream_timeout_pop_buffer(self._stream, _WAIT)
        if not buffer:
            if time.monotonic() - self._heard > self._timeout:
                raise Unreachable(
                    Text("the camera sends no pictures", "相机未发送图像"),
                    where=self._where,
                    todo=Text("check its cable, and its trigger if it has one", "请检查网线；若使用触发，请检查触发信号"),
                )
            return None
        self._heard = time.monotonic()
        self._count += 1
        while newer := library.arv_stream_try_pop_buffer(self._stream):
            library.arv_stream_push_buffer(self._stream, buffer)
            buffer = newer
            self._count += 1
            self.dropped += 1
        try:
            return self._frame(buffer)
        finally:
            library.arv_stream_push_buffer(self._stream, buffer)

    def close(self) -> None:
        camera, stream = self._camera, self._stream
        self._camera = self._stream = None
        if stream:
            self._library.arv_camera_stop_acquisition(camera, None)
            self._library.g_object_unref(stream)
        if camera:
            self._library.g_object_unref(camera)

    def _frame(self, buffer: Any) -> Frame:
        library = self._library
        if library.arv_buffer_get_status(buffer) != _SUCCESS:
            return Frame(self._count, None, reason=Text("the picture arrived with gaps", "图像传输丢包"))
        size = ctypes.c_size_t()
        data = library.arv_buffer_get_data(buffer, ctypes.byref(size))
        raw = np.ctypeslib.as_array(ctypes.cast(data, ctypes.POINTER(ctypes.c_uint8)), (size.value,))
        shape = library.arv_buffer_get_image_height(buffer), library.arv_buffer_get_image_width(buffer)
        form = library.arv_buffer_get_image_pixel_format(buffer)
        pixels = unpack(raw, shape, form)
        if pixels is None:
            reason = Text(
                f"pixel format 0x{form:08X} is not read; set the camera to Mono8, RGB8 or a Bayer format of 8 bits",
                f"不支持像素格式 0x{form:08X}；请将相机设为 Mono8、RGB8 或 8 位 Bayer 格式",
            )
            return Frame(self._count, None, reason=reason)
        return Frame(self._count, pixels)

    def _do(self, name: str, *arguments: Any) -> Any:
        return aravis.call(name, self._camera, *arguments, where=self._where)

    @property
    def _library(self) -> Any:
        return aravis.library()


def unpack(raw: NDArray[np.uint8], shape: tuple[int, int], form: int) -> NDArray[np.uint8] | None:
    """The bytes of a buffer as pixels of their own memory, by the pixel format; None for one that is not read, and for too few bytes.

    More than 8 bits become the upper 8 of those the format has. Bayer mosaics are interpolated bilinearly.
    """
    height, width = shape
    count = height * width
    depth = 8 if form in _BAYER else _MONO.get(form, 24 if form in (_RGB8, _BGR8) else 0)
    if not depth or raw.size < count * -(-depth // 8) or not count:
        return None
    if form in (_RGB8, _BGR8):
        colour = raw[: 3 * count].reshape(height, width, 3)
        return np.ascontiguousarray(colour[:, :, ::-1]) if form == _BGR8 else colour.copy()
    if depth > 8:
        wide = raw[: 2 * count].view("<u2").reshape(shape)
        return (wide >> (depth - 8)).astype(np.uint8)
    gray = raw[:count].reshape(shape)
    if form in _BAYER:
        cv2 = opencv()
        mosaic: NDArray[np.uint8] = cv2.cvtColor(gray, getattr(cv2, f"COLOR_Bayer{_BAYER[form]}2RGB"))
        return mosaic
    return gray.copy()
