"""Pictures of intrusions that are kept, faces blurred, in the app's state folder. Only so many: the oldest go."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import msgspec

from ronghe.errors import AppError
from ronghe.text import Text

log = logging.getLogger(__name__)

_NAME = re.compile(r"\d{1,19}")


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One intrusion. `time` ns."""

    id: str
    time: int
    zone: str
    people: int


class Album:
    """`events`, newest first."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self.events: list[Event] = []
        try:
            self.events = msgspec.json.decode((folder / "events.json").read_bytes(), type=list[Event])
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", folder, e)

    def add(self, time: int, zone: str, people: int, jpeg: bytes) -> None:
        """Keeps one. A full disk keeps no finding from being told: it is logged only."""
        event = Event(id=str(time), time=time, zone=zone, people=people)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{event.id}.jpg").write_bytes(jpeg)
            old = self.events[self._most - 1 :]
            self.events = [event, *self.events[: self._most - 1]]
            part = self._folder / "events.part"
            part.write_bytes(msgspec.json.encode(self.events))
            part.replace(self._folder / "events.json")
            for e in old:
                (self._folder / f"{e.id}.jpg").unlink(missing_ok=True)
        except OSError as e:
            log.warning("the picture of an intrusion is not kept: %s", e)

    def picture(self, event: str) -> bytes:
        """The JPEG of an event. Raises AppError where there is none."""
        path = self._folder / f"{event}.jpg"
        if not _NAME.fullmatch(event) or not path.is_file():
            raise AppError(Text(f"no picture of event {event[:40]!r} is kept", f"未保存事件 {event[:40]!r} 的图像"))
        return path.read_bytes()
