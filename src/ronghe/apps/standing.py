"""Which conditions an app has said and not ended: remembered across restarts, so that what is over by then is ended, too."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ronghe.apps.contract import Finding

log = logging.getLogger(__name__)


class Standing:
    """Keys of standing conditions, in a file of an app's state folder. `inherited` are those of an earlier life not heard of since."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.inherited: set[str] = set()
        try:
            self.inherited = set(msgspec.json.decode(path.read_bytes(), type=list[str]))
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", path, e)
        self._keys = set(self.inherited)

    def note(self, findings: Iterable[Finding]) -> None:
        """What was just said."""
        before = set(self._keys)
        for f in findings:
            self.inherited.discard(f.key)
            (self._keys.add if f.active else self._keys.discard)(f.key)
        if self._keys != before:
            part = self._path.with_suffix(".part")
            try:
                part.write_bytes(msgspec.json.encode(sorted(self._keys)))
                part.replace(self._path)
            except OSError as e:  # a full disk must not keep a finding from being told
                log.warning("%s is not written: %s", self._path, e)
