"""The kill switch: the guard writes nothing while the file STOP stands in the plant's `.ronghe` folder.

The file is the switch. The console makes and removes it, and so may anyone who can reach the folder, with no software at all:
`touch PLANT/.ronghe/STOP`. What cannot be looked up counts as stopped.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

FILE: Final = "STOP"


class StopFile:
    """The switch of one plant."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._held = ""  # why it is on although the file could not be made

    def why(self) -> str:
        """What the file says (who, when, why); "STOP" for an empty one; "" while the guard may write. Never raises."""
        if self._held:
            return self._held
        try:
            os.lstat(self.path)
        except FileNotFoundError:
            return ""
        except OSError as e:
            return f"{self.path}: {e.strerror}"
        try:
            return self.path.read_text(encoding="utf-8", errors="replace").strip()[:500] or FILE
        except OSError:
            return FILE

    def set(self, text: str) -> None:
        """Stops at once. Raises OSError when the file could not be made: then it is on in this process only."""
        self._held = text
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._held = ""  # from here on the file alone decides

    def clear(self) -> None:
        """Lets go. Raises OSError when the file cannot be removed: then it stays on."""
        self.path.unlink(missing_ok=True)
        self._held = ""
