"""The few functions of the C library Aravis 0.8 that a camera needs, by ctypes: its Python binding would bring PyGObject, which PyPI has
in source only. The library comes from the system (Debian: libaravis-0.8-0) or from the wheel aravis-python."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ronghe.errors import MissingExtra, Unreachable
from ronghe.text import Text

_P, _U, _S = ctypes.c_void_p, ctypes.c_uint, ctypes.c_char_p
_ERROR: Final = ctypes.POINTER(ctypes.c_void_p)
_FUNCTIONS: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "arv_update_device_list": (None, ()),
    "arv_get_n_devices": (_U, ()),
    "arv_get_device_id": (_S, (_U,)),
    "arv_get_device_model": (_S, (_U,)),
    "arv_camera_new": (_P, (_S, _ERROR)),
    "arv_camera_get_payload": (_U, (_P, _ERROR)),
    "arv_camera_set_acquisition_mode": (None, (_P, ctypes.c_int, _ERROR)),
    "arv_camera_create_stream": (_P, (_P, _P, _P, _ERROR)),
    "arv_camera_start_acquisition": (None, (_P, _ERROR)),
    "arv_camera_stop_acquisition": (None, (_P, _ERROR)),
    "arv_buffer_new_allocate": (_P, (ctypes.c_size_t,)),
    "arv_stream_push_buffer": (None, (_P, _P)),
    "arv_stream_timeout_pop_buffer": (_P, (_P, ctypes.c_uint64)),
    "arv_stream_try_pop_buffer": (_P, (_P,)),
    "arv_buffer_get_status": (ctypes.c_int, (_P,)),
    "arv_buffer_get_image_width": (ctypes.c_int, (_P,)),
    "arv_buffer_get_image_height": (ctypes.c_int, (_P,)),
    "arv_buffer_get_image_pixel_format": (ctypes.c_uint32, (_P,)),
    "arv_buffer_get_data": (_P, (_P, ctypes.POINTER(ctypes.c_size_t))),
    "g_object_unref": (None, (_P,)),
}


class _GError(ctypes.Structure):
    _fields_ = [("domain", ctypes.c_uint32), ("code", ctypes.c_int), ("message", ctypes.c_char_p)]


@functools.cache
def library() -> Any:
    """The library with the types of its functions. Raises MissingExtra."""
    wheel = find_spec("aravis")
    places = [ctypes.util.find_library("aravis-0.8")]
    if wheel is not None and wheel.submodule_search_locations:
        places.append(str(Path(wheel.submodule_search_locations[0], "lib", "libaravis-0.8.so")))
    for place in filter(None, places):
        try:
            found = ctypes.CDLL(place)
        except OSError:  # the wheel's needs GLib, libxml2 and libusb of the system
            continue
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
        return found
    raise MissingExtra("genicam", Text("a GenICam camera (library Aravis 0.8; Debian: libaravis-0.8-0)", "GenICam 相机（Aravis 0.8 库）"))


def call(name: str, *arguments: Any, where: str) -> Any:
    """A function whose last argument is a GError. Raises Unreachable with what it says."""
    error = ctypes.c_void_p()
    result = getattr(library(), name)(*arguments, ctypes.byref(error))
    if error.value:
        said = ctypes.cast(error, ctypes.POINTER(_GError)).contents.message.decode("utf-8", "replace")
        raise Unreachable(
            Text(f"the camera: {said}", f"相机返回：{said}"),
            where=where,
            todo=Text("check cable, address and that nobody else uses it", "请检查网线与地址，并确认未被其他程序占用"),
        )
    return result
