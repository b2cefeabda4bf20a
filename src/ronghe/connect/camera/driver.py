"""The camera driver: pictures as samples, and the pixels to whoever looks. See docs/camera.md."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from ronghe.connect.camera import genicam
from ronghe.connect.camera import options as o
from ronghe.connect.camera.files import Played, Watched
from ronghe.connect.camera.session import Seen, Session
from ronghe.connect.camera.source import Ended, Source
from ronghe.connect.camera.stream import Film, Stream, usb_cameras
from ronghe.connect.driver import Driver, Found, Item, Sink, Still, Write, always
from ronghe.errors import BadAddress, ConnectError, Rejected, Unreachable
from ronghe.picture.folder import is_picture
from ronghe.plant.model import ValueType
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

ADDRESSES: Final[dict[str, tuple[ValueType, str]]] = {
    "picture": ("image", "number of the picture; the picture itself is shown to the apps"),
    "light": ("float", "mean brightness, 0 (black) to 1"),
    "focus": ("float", "strength of the sharpest edges, in levels of 255"),
    "rate": ("float", "pictures a second"),
    "dropped": ("float", "pictures passed over since the start, because newer ones were there already"),
}
DEVICES: Final = "devices"
_FIRST_PAUSE: Final = 0.2  # s, before the first new attempt
_LAST_PAUSE: Final = 30.0
_ONE: Final = 10.0  # s, for one picture outside `run`, on top of the time-out of the source


class Camera(Driver):
    """One camera, folder or video."""

    name: ClassVar[str] = "camera"
    Options = o.Options
    gives_pictures: ClassVar[bool] = True

    def __init__(
        self,
        options: o.Options,
        index: TagIndex,
        *,
        clock: Callable[[], int] = time.time_ns,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(options, index)
        self.options: o.Options = options
        self._clock, self._monotonic = clock, monotonic
        self._running: Session | None = None

    @classmethod
    def check_address(cls, address: str, type: ValueType) -> Text | None:
        if address in ADDRESSES:
            return None
        known = ", ".join(ADDRESSES)
        return Text(f"a camera has the addresses {known}", f"相机的地址为 {known}")

    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        session = self._running = Session(self, items, sink, clock=self._clock, monotonic=self._monotonic)
        source, pause = self.source(), _FIRST_PAUSE
        try:
            session.tell_unknown(ADDRESSES)
            while True:
                delivered = session.frames
                try:
                    await session.play(source)
                    await asyncio.Event().wait()  # everything was played; the contract is to go on until cancelled
                except (Rejected, BadAddress):
                    raise
                except ConnectError as e:
                    session.lose(e.what)
                pause = _FIRST_PAUSE if session.frames > delivered else min(2 * pause, _LAST_PAUSE)
                await asyncio.sleep(pause)
        finally:
            self._running = None
            self.health.state, self.health.since = "stopped", self._clock()

    async def read(self, items: Sequence[Item]) -> Batch:
        """The latest picture's while `run` is at work, else those of one picture taken now. Raises Unreachable, Rejected, BadFrame."""
        known = [i for i in items if i.address in ADDRESSES]
        seen = await self._one() if known else None
        nan = float("nan")
        rows = [(nan, q.BAD_NODE_UNKNOWN) if seen is None or i.address not in ADDRESSES else seen.value(i.address) for i in items]
        at = self._clock() if seen is None else seen.time
        return Batch.of(
            self.index, np.fromiter((i.id for i in items), np.int32, len(items)), at, [r[0] for r in rows], [r[1] for r in rows]
        )

    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        """Nothing of a camera is written: BadNotWritable for each. Raises Unreachable."""
        if self.source().live:
            await self._one()
        return [q.BAD_NOT_WRITABLE if w.address in ADDRESSES else q.BAD_NODE_UNKNOWN for w in writes]

    async def browse(self, under: str = "") -> list[Found]:
        """The addresses with their present values; under "devices": the USB and GenICam cameras found here, as sources. Raises
        Unreachable, Rejected, BadFrame."""
        if under.strip("/") == DEVICES:
            found = await asyncio.to_thread(lambda: [*usb_cameras(), *genicam.cameras()])
            return [Found(address="picture", path=f"{DEVICES}/{s}", type="image", description=f'source = "{s}"') for s in found]
        seen = await self._one()
        return [
            Found(address=a, path=a, type=type, value=seen.value(a)[0], description=words)
            for a, (type, words) in ADDRESSES.items()
            if a.startswith(under)
        ]

    def source(self) -> Source:
        """A new source as the options say."""
        options = self.options
        if options.source.startswith(o.GENICAM):
            return genicam.GenICam(options)
        if options.source.startswith((*o.STREAMS, o.USB)):
            return Stream(options)
        path = Path(options.source)
        if options.mode == "watch":
            return Watched(path, timeout=options.timeout)
        if path.is_file() and not is_picture(path.name):
            return Film(path, repeat=options.repeat)
        return Played(path, repeat=options.repeat)

    async def _one(self) -> Seen:
        """The latest picture, or one taken now."""
        if self._running is not None and self._running.seen is not None:
            return self._running.seen
        session = Session(self, (), lambda batch: None, clock=self._clock, monotonic=self._monotonic)
        return await asyncio.to_thread(self._take, session, self._still())

    def _still(self) -> Source:
        """What one picture is taken from: of a watched folder, the pictures that are there."""
        return Played(Path(self.options.source), repeat=False) if self.options.mode == "watch" else self.source()

    def _take(self, session: Session, source: Source) -> Seen:
        end = self._monotonic() + self.options.timeout + _ONE
        try:
            source.open()
            while self._monotonic() < end:
                try:
                    frame = source.next()
                except Ended:
                    break
                if frame is not None:
                    return session.look(frame, source)
        finally:
            source.close()
        raise Unreachable(Text("no picture came", "未收到图像"), where=self.options.source, todo=Text("check the camera", "请检查相机"))
