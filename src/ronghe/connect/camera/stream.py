"""Video through PyAV (FFmpeg): video files, RTSP, MJPEG over HTTP, and USB cameras (V4L2).

Why PyAV and not OpenCV's VideoCapture (both were tried against a GStreamer RTSP server that was stopped, killed and started again): its
time-outs hold for opening and for reading alike, it gives the time at which a picture was taken (RTCP sender reports), and the packets, so
that those which are late already need not be decoded.
"""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlsplit

from ronghe.connect.camera.files import unpack
from ronghe.connect.camera.options import USB, Options
from ronghe.connect.camera.source import Ended, Frame, Source
from ronghe.errors import BadFrame, ConnectError, MissingExtra, Rejected, Unreachable
from ronghe.text import Text

_LATE: Final = 25  # packets that may wait for the decoder, before it goes on at the newest one that can be decoded by itself
_CHECK: Final = Text("check the camera, its cable and its address", "请检查相机、网线与地址")


class Stream(Source):
    """A live camera. One thread takes packets as they come, so that none waits in the network; whoever calls `next` decodes the newest."""

    live: ClassVar[bool] = True
    continuous: ClassVar[bool] = True

    def __init__(self, options: Options) -> None:
        self._options = options
        self._container: Any = None
        self._reader: threading.Thread | None = None
        self._ready = threading.Condition()
        self._packets: deque[tuple[int, Any, int]] = deque()  # number, packet, when taken (ns)
        self._taken: dict[int, int] = {}  # presentation time → when taken (ns) and number, of packets inside the decoder
        self._numbers: dict[int, int] = {}
        self._count = 0
        self._begun = False
        self._lost: ConnectError | None = None
        self._closing = False
        self._decoded: deque[Frame] = deque()

    def open(self) -> None:
        self.close()
        self._container = _open(self._options)
        self._lost, self._closing, self._begun = None, False, False
        self._reader = threading.Thread(target=self._take, args=(self._container,), name="camera", daemon=True)
        self._reader.start()

    def next(self) -> Frame | None:
        if self._decoded:
            return self._decoded.popleft()
        with self._ready:
            self._ready.wait_for(lambda: bool(self._packets) or self._lost is not None, min(0.2, self._options.timeout))
            if not self._packets:
                if self._lost is not None:
                    raise self._lost
                return None
            number, packet, taken = self._packets.popleft()
        codec = packet.stream.codec_context
        if codec.name == "mjpeg":
            return unpack(bytes(packet), number, taken)
        self._numbers[packet.pts], self._taken[packet.pts] = number, taken
        self._decoded += self._decode(packet)
        if len(self._numbers) > 4 * _LATE:  # of packets that never became a picture
            self._numbers.clear()
            self._taken.clear()
        return self._decoded.popleft() if self._decoded else None

    def close(self) -> None:
        self._closing = True
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.join(self._options.timeout + 1)
        container, self._container = self._container, None
        if container is not None and not (reader is not None and reader.is_alive()):  # not from under a device that hangs
            container.close()
        self._packets.clear()
        self._decoded.clear()
        self._numbers.clear()
        self._taken.clear()

    def _decode(self, packet: Any) -> Iterator[Frame]:
        import av

        try:
            pictures = packet.decode()
        except av.error.FFmpegError as e:
            yield Frame(self._numbers.pop(packet.pts, self._count), None, reason=_damaged(e))
            return
        for picture in pictures:
            number = self._numbers.pop(picture.pts, self._count)
            taken = self._taken.pop(picture.pts, 0)
            if picture.is_corrupt:
                yield Frame(number, None, taken, reason=_damaged(None))
            else:
                yield Frame(number, _pixels(picture), taken)

    def _take(self, container: Any) -> None:
        """The thread's work: packets until the camera is lost or closed."""
        try:
            video = container.streams.video[0]
            alone = video.codec_context.name == "mjpeg"  # each packet is a picture by itself
            for packet in container.demux(video):
                if self._closing:
                    break
                if packet.size:
                    self._put(packet, alone)
            self._end(Unreachable(Text("the camera has ended the stream", "相机已结束视频流"), where=self._where, todo=_CHECK))
        except Exception as e:  # whatever it is, whoever waits for pictures must hear of it
            self._end(_error(e, self._where))

    def _put(self, packet: Any, alone: bool) -> None:
        taken = _when_taken(packet) if self._options.times == "camera" else 0
        with self._ready:
            self._begun = self._begun or packet.is_keyframe  # what comes before the first of these is changes to a picture not seen
            if not self._begun:
                return
            self._count += 1
            if alone or (packet.is_keyframe and len(self._packets) >= _LATE):
                self.dropped += len(self._packets)
                self._packets.clear()
            self._packets.append((self._count, packet, taken))
            self._ready.notify()

    def _end(self, why: ConnectError) -> None:
        with self._ready:
            self._lost = why
            self._ready.notify()

    @property
    def _where(self) -> str:
        return self._options.source


class Film(Source):
    """A video file, picture by picture."""

    live: ClassVar[bool] = False
    continuous: ClassVar[bool] = True

    def __init__(self, path: Path, *, repeat: bool) -> None:
        self._path, self._repeat = path, repeat
        self._container: Any = None
        self._pictures: Iterator[Any] = iter(())
        self._number = 0

    def open(self) -> None:
        self.close()
        av = _av()
        try:
            self._container = av.open(str(self._path))
            self._pictures = self._container.decode(video=0)
            rate = self._container.streams.video[0].average_rate
        except (av.error.FFmpegError, IndexError) as e:
            raise _error(e, str(self._path)) from e
        self.interval = float(1 / rate) if rate else 0.04

    def next(self) -> Frame | None:
        try:
            picture = next(self._pictures, None)
            if picture is None and self._repeat and self._number:
                self.open()
                picture = next(self._pictures, None)
        except _av().error.FFmpegError as e:
            raise _error(e, str(self._path)) from e
        if picture is None:
            raise Ended
        self._number += 1
        reason = _damaged(None) if picture.is_corrupt else None
        return Frame(self._number, None if reason else _pixels(picture), name=self._path.name, reason=reason)

    def close(self) -> None:
        if self._container is not None:
            self._container.close()
            self._container = None


def _av() -> Any:
    try:
        import av
    except ImportError as e:
        raise MissingExtra("camera", Text("video", "视频")) from e
    return av


def _open(options: Options) -> Any:
    """An open container with a video stream. Raises ConnectError."""
    av = _av()
    source, form, how = options.source, None, {"fflags": "nobuffer", "flags": "low_delay", "fpsprobesize": "0"}
    if source.startswith(USB):
        name = source.removeprefix(USB)
        source, form = f"/dev/video{name}" if name.isdigit() else name, "v4l2"
    else:
        url = urlsplit(source)
        if options.user:
            login = f"{quote(options.user, safe='')}:{quote(options.password, safe='')}@"
            source = url._replace(netloc=login + url.netloc).geturl()
        if url.scheme.startswith("rtsp"):
            how |= {"rtsp_transport": options.transport, "reorder_queue_size": "0" if options.transport == "tcp" else "16"}
    try:
        container = av.open(source, format=form, options=how, timeout=(options.timeout, options.timeout))
    except Exception as e:
        raise _error(e, options.source) from None  # its words hold the address with the password
    if not container.streams.video:
        container.close()
        raise BadFrame(Text("there is no video in this stream", "该流中没有视频"), where=options.source, todo=_CHECK)
    video = container.streams.video[0]
    video.thread_type = "SLICE"  # threads over frames would hold pictures back
    return container


def _when_taken(packet: Any) -> int:
    """ns at which a packet's picture was taken, by the sender's clock (RTCP sender reports, RFC 3550, 6.4.1); 0 where it does not tell."""
    if not packet.has_sidedata("prft"):
        return 0
    microseconds, _ = struct.unpack_from("<qi", bytes(packet.get_sidedata("prft")))
    return int(microseconds) * 1000


def _pixels(picture: Any) -> Any:
    return picture.to_ndarray(format="gray" if picture.format.name.startswith("gray") else "rgb24")


def _damaged(e: Exception | None) -> Text:
    return (
        Text("the picture arrived with errors", "图像传输有误")
        if e is None
        else Text(f"cannot be decoded: {_words(e)}", f"无法解码：{_words(e)}")
    )


def _words(e: Exception) -> str:
    """What an error says, without the address in it, which may hold a password."""
    return str(getattr(e, "strerror", "") or type(e).__name__)


def _error(e: Exception, where: str) -> ConnectError:
    """An error of the library as one of ours."""
    import av

    if isinstance(e, ConnectError):
        return e
    if isinstance(e, (av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError)):
        return Rejected(
            Text("the camera refuses this user", "相机拒绝该用户"),
            where=where,
            todo=Text("check user and password of the connection", "请检查连接的 user 与 password"),
        )
    if isinstance(e, (av.error.ExitError, TimeoutError)):
        return Unreachable(Text("the camera does not answer in time", "相机应答超时"), where=where, todo=_CHECK)
    if where.startswith(USB):
        return Unreachable(
            Text(f"no such camera: {_words(e)}", f"没有此相机：{_words(e)}"),
            where=where,
            todo=Text(f"cameras here: {', '.join(usb_cameras()) or 'none'}", f"本机相机：{'、'.join(usb_cameras()) or '无'}"),
        )
    return Unreachable(Text(f"no video: {_words(e)}", f"无视频：{_words(e)}"), where=where, todo=_CHECK)


def usb_cameras() -> list[str]:
    """The USB (V4L2) cameras of this computer, as sources."""
    return [USB + p.name.removeprefix("video") for p in sorted(Path("/dev").glob("video[0-9]*"))]
