"""The press cell: a network camera that looks at it, and the operator who resets it.

The camera is a real MJPEG stream over HTTP. It plays the labelled sequence of `data/safety`, 27 s, once in two minutes; meanwhile its
first picture stands, with the noise of a sensor, as a camera's picture of a hall where nothing moves does. The press itself is made: it
strokes while its permit is 1. Giving the permit back is for a person at the machine (ISO 13849-1, 5.2.2); in the demonstration that
person is played, too, and gives it back when, by the labels, nobody has been in a zone for `LOOKS` seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.safety.labels import Labels, read_labels
from ronghe.picture import encode
from ronghe.picture.libraries import opencv

SEQUENCE = "tune"
FIRST, PAUSE = 45.0, 90.0  # s until the sequence is played, and from its end until it is played again
LOOKS = 4.0  # s that the operator sees nobody in a zone before giving the permit back
STROKES = 32.0  # 1/min, of the running press
_NOISE, _STANDING = 2.0, 10  # levels; pictures that differ in noise alone
_BOUNDARY = b"picture"


@dataclass(frozen=True, slots=True)
class Recording:
    """The sequence as JPEG, the standing pictures, and which pictures have somebody in a zone."""

    fps: float
    pictures: tuple[bytes, ...]
    standing: tuple[bytes, ...]
    occupied: tuple[bool, ...]

    def number(self, running: float) -> int | None:
        """Which picture of the sequence is shown after `running` seconds; None: it stands."""
        played = len(self.pictures) / self.fps
        at = (running - FIRST) % (played + PAUSE)
        return int(at * self.fps) if running >= FIRST and at < played else None

    def picture(self, running: float) -> bytes:
        """What the camera shows after `running` seconds."""
        number = self.number(running)
        return self.pictures[number] if number is not None else self.standing[int(running * self.fps) % len(self.standing)]


def recording() -> Recording:
    """The shipped sequence, decoded and encoded for the stream; takes about a second."""
    with as_file(files("ronghe.demo").joinpath("data", "safety")) as folder:
        labels: Labels = read_labels(folder / f"{SEQUENCE}.json.gz")
        seen = [encode(p) for p in _pictures(str(folder / f"{SEQUENCE}.mp4"))]
        first = next(_pictures(str(folder / f"{SEQUENCE}.mp4")))
    rng = np.random.default_rng(1)
    noise = (rng.normal(0, _NOISE, (*first.shape[:2], 1)) for _ in range(_STANDING))
    standing = tuple(encode(np.clip(first + n, 0, 255).astype(np.uint8)) for n in noise)
    occupied = tuple(any(p.zones for p in f.people) for f in labels.frames)
    return Recording(labels.fps, tuple(seen), standing, occupied)


def _pictures(path: str) -> Iterator[NDArray[np.uint8]]:
    """The pictures of a video, uint8 (h, w, 3) RGB, one at a time: all at once they are 250 MB."""
    cv2 = opencv()
    video = cv2.VideoCapture(path)
    try:
        while (read := video.read())[0]:
            yield cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
    finally:
        video.release()


class Operator:
    """Gives the permit back when the zones have been free for a while."""

    def __init__(self, shown: Recording) -> None:
        self._shown = shown
        self._busy = 0.0  # when somebody was last in a zone, or the permit was there

    def gives(self, permit: bool, running: float) -> bool:
        """Whether the operator gives the permit back now, `running` seconds after the start."""
        number = self._shown.number(running)
        if permit or (number is not None and self._shown.occupied[number]):
            self._busy = running
        if running - self._busy < LOOKS:
            return False
        self._busy = running  # it may be taken away again before it is looked at
        return True


async def serve_camera(port: int, shown: Recording, running: Callable[[], float]) -> None:
    """The stream, at the recording's own rate, to whoever asks; until cancelled. `running` gives s since the demonstration began."""

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=" + _BOUNDARY + b"\r\n\r\n")
            count = int(running() * shown.fps)
            while True:
                jpeg = shown.picture(running())
                writer.write(b"--%b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (_BOUNDARY, len(jpeg), jpeg))
                await writer.drain()
                count += 1
                await asyncio.sleep(max(0.0, count / shown.fps - running()))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass  # whoever looked has gone, or the demonstration ends
        finally:
            writer.close()

    server = await asyncio.start_server(stream, "127.0.0.1", port)
    async with server:
        await server.serve_forever()
