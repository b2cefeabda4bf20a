"""The kill switch, and its record in the ledger."""

from __future__ import annotations

from collections.abc import Callable

from ronghe.errors import GuardError
from ronghe.guard.docket import Docket
from ronghe.guard.stop import StopFile
from ronghe.signals.when import format_time
from ronghe.text import Text


class KillSwitch:
    """The switch of one plant: the file STOP decides, the docket keeps who turned it."""

    def __init__(self, stop: StopFile, docket: Docket, clock: Callable[[], int]) -> None:
        self._stop, self._docket, self._clock = stop, docket, clock

    def kill(self, user: str, why: str) -> None:
        """See `Guard.kill`."""
        failed: OSError | None = None
        try:
            self._stop.set(f"{format_time(self._clock())} {user}: {why}")
        except OSError as e:
            failed = e
        self._docket.stop(True, user, why)
        if failed is not None:
            raise GuardError(
                Text(f"stopped, but the file could not be made: {failed.strerror}", f"已停写，但无法创建文件：{failed.strerror}"),
                where=str(self._stop.path),
                todo=Text("a restart would lift it: make the file by hand", "重启后会失效：请手工创建该文件"),
            )

    def release(self, user: str, why: str) -> None:
        """See `Guard.release`."""
        self._docket.stop(False, user, why)
        try:
            self._stop.clear()
        except OSError as e:
            raise GuardError(
                Text(f"still stopped, the file cannot be removed: {e.strerror}", f"仍处于停写：文件无法删除：{e.strerror}"),
                where=str(self._stop.path),
            ) from e

    def note(self) -> None:
        """Puts into the ledger that the file STOP came or went by hand. Raises LedgerError."""
        why = self._stop.why()
        if bool(why) != self._docket.stopped:
            self._docket.stop(bool(why), "file", why or "the file was removed")
