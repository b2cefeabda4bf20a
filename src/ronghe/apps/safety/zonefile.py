"""The zones in force: those of plant.toml, or those set in the console since, kept in the app's state folder with who set them."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from ronghe.apps.safety.polygon import check
from ronghe.apps.safety.settings import ZoneSpec
from ronghe.errors import AppError, GuardError
from ronghe.guard.condition import parse
from ronghe.plant import Plant
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

MOST = 16


class Edited(msgspec.Struct, frozen=True, kw_only=True):
    """Zones set by a person. `time` ns."""

    zones: tuple[ZoneSpec, ...]
    by: str
    time: int


class ZoneFile:
    """Reads and writes them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self, plant: Plant) -> Edited | None:
        """What was set; None where nothing was, or it cannot be used any more (then the log says why)."""
        try:
            edited = msgspec.json.decode(self._path.read_bytes(), type=Edited)
            validate(edited.zones, plant, str(self._path))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError, AppError) as e:
            log.warning("%s is passed over: %s", self._path, e)
            return None
        return edited

    def save(self, edited: Edited | None) -> None:
        """Keeps what was set, or forgets it. Raises AppError where it cannot be written."""
        try:
            if edited is None:
                self._path.unlink(missing_ok=True)
                return
            part = self._path.with_suffix(".part")
            part.write_bytes(msgspec.json.format(msgspec.json.encode(edited)))
            part.replace(self._path)
        except OSError as e:
            raise AppError(Text(f"the zones cannot be kept: {e.strerror}", f"区域无法保存：{e.strerror}"), where=str(self._path)) from e


def validate(zones: tuple[ZoneSpec, ...], plant: Plant, where: str) -> None:
    """Raises AppError for zones that cannot be watched."""
    if not 1 <= len(zones) <= MOST:
        raise AppError(
            Text(f"there must be 1 to {MOST} zones, not {len(zones)}", f"区域数量须为 1 至 {MOST}，当前 {len(zones)}"), where=where
        )
    names = [z.name for z in zones]
    for zone in zones:
        place = f"{where}.{zone.name}"
        if names.count(zone.name) > 1 or "/" in zone.name:
            raise AppError(
                Text(f"a zone's name is unique and without /: {zone.name!r}", f"区域名称须唯一且不含 /：{zone.name!r}"), where=where
            )
        check(zone.polygon, place)
        for duration in (zone.dwell, zone.release):
            parse_duration(duration)
        if zone.active_while:
            try:
                parse(zone.active_while, plant)
            except GuardError as e:
                raise AppError(e.what, where=f"{place}.active_while: {e.where}", todo=e.todo) from e
