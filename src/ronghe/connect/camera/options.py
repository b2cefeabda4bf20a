"""What a `[connections.NAME]` table with `driver = "camera"` may hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ronghe.picture.health import Kind
from ronghe.text import Text

STREAMS = ("rtsp://", "rtsps://", "http://", "https://")
USB = "usb:"
GENICAM = "genicam:"


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Only `source` must be given."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            description="a picture, a folder of pictures or a video file, relative to the plant folder; rtsp://…; http://… (MJPEG); "
            "usb:0 (V4L2); genicam:ID (GigE Vision, USB3 Vision)",
            extra={"path": True, "unless": (*STREAMS, USB, GENICAM)},
        ),
    ]
    mode: Annotated[
        Literal["play", "watch"],
        Meta(description="of a folder; play: its pictures in order; watch: pictures that are put into it from now on"),
    ] = "play"
    repeat: Annotated[bool, Meta(description="begin again at the end of files")] = False
    rate: Annotated[
        float,
        Meta(ge=0, description="pictures a second: of files as many, 0: one a second, a video as recorded; of a camera at most, 0: all"),
    ] = 0.0
    user: Annotated[str, Meta(description="user name of a network camera; empty: none")] = ""
    password: Annotated[str, Meta(description='password of the user: { env = "NAME" }, never in the file itself')] = ""
    transport: Annotated[
        Literal["tcp", "udp"], Meta(description="of RTSP; udp: less delay on a bad line, pictures with errors are told as unreadable")
    ] = "tcp"
    times: Annotated[
        Literal["camera", "arrival"],
        Meta(
            description="source time; camera: when it was taken, where an RTSP stream tells and the clocks agree to 10 s; else its arrival"
        ),
    ] = "camera"
    timeout: Annotated[float, Meta(gt=0, le=30, description="s, for an answer or the next picture, before a stream is opened anew")] = 3.0
    learn: Annotated[float, Meta(gt=0, description="s after the start in which the camera's normal view is learned")] = 3.0
    ignore: Annotated[
        tuple[Kind, ...],
        Meta(description='conditions that are not told, e.g. ["frozen"] for a source that is constant by its nature'),
    ] = ()

    def __post_init__(self) -> None:
        if self.password and not self.user:
            raise ValueError(str(Text("a password needs a user", "有密码时须写用户名")))
        if self.mode == "watch" and self.repeat:
            raise ValueError(str(Text("a watched folder has no end to repeat from", "监视模式没有结尾，不能 repeat")))
