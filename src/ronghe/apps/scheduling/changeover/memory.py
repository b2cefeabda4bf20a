"""What a changeover app remembers over a restart: the changeover under way, those before, and what the line is set up for."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import msgspec

from ronghe.apps.scheduling.changeover.run import Run

log = logging.getLogger(__name__)

_KEPT: Final = 20  # changeovers


class _Kept(msgspec.Struct, kw_only=True):
    running: Run | None = None
    last: list[Run] = []
    current: str | None = None
    count: int = 0
    followed: float | None = None
    standing: set[str] = set()


class Memory:
    """One file, written whole at each change."""

    def __init__(self, path: Path) -> None:
        self._path, self._kept = path, _Kept()
        try:
            self._kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", path, e)

    @property
    def running(self) -> Run | None:
        """The changeover under way."""
        return self._kept.running

    @property
    def last(self) -> list[Run]:
        """Those that ended, newest first."""
        return self._kept.last

    @property
    def current(self) -> str | None:
        """The recipe that was last changed over to."""
        return self._kept.current

    @property
    def count(self) -> int:
        """Changeovers that came through."""
        return self._kept.count

    @property
    def followed(self) -> float | None:
        """The number of the next product, as it was last acted on."""
        return self._kept.followed

    @property
    def standing(self) -> set[str]:
        """The findings that were told and not ended."""
        return self._kept.standing

    def keep(self, run: Run) -> None:
        """The changeover as it now is; one that has ended goes to those before."""
        kept = self._kept
        if not run.ended:
            kept.running = run
        else:
            kept.running, kept.last = None, [run, *kept.last][:_KEPT]
            if run.state == "done":
                kept.current, kept.count = run.recipe, kept.count + 1
        self._write()

    def follow(self, number: float) -> None:
        """This number was acted on."""
        self._kept.followed = number
        self._write()

    def stand(self, standing: set[str]) -> None:
        """What is told as standing."""
        if standing != self._kept.standing:
            self._kept.standing = standing
            self._write()

    def _write(self) -> None:
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(self._kept))
            part.replace(self._path)
        except OSError as e:  # the guard has its own record; what is lost is how it is shown after a restart
            log.warning("%s is not written: %s", self._path, e)
