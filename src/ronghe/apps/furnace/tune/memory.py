"""What outlives the process: every trial, and what was refused."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from ronghe.apps.furnace.tune.space import Trial

log = logging.getLogger(__name__)


class Refusal(msgspec.Struct, frozen=True):
    """A set-point (by its place) that was not to go beyond `value`."""

    variable: int
    value: float
    above: bool


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """`what`: the set-points, ranges and limits that it was learned with; what was learned with others is not taken up."""

    what: str
    trials: tuple[Trial, ...] = ()
    radius: float = 0.0  # of the trust region; of no meaning without trials
    refusals: tuple[Refusal, ...] = ()
    proven: bool = False


def load(path: Path, what: str) -> Kept:
    """What was kept; nothing where there is none, or it is of another task or damaged."""
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return Kept(what=what)
    except (OSError, msgspec.DecodeError) as e:
        log.warning("%s is passed over: %s", path, e)
        return Kept(what=what)
    return kept if kept.what == what else Kept(what=what)


def save(path: Path, kept: Kept) -> None:
    """Keeps it; a full disk must not keep the app from its work."""
    part = path.with_suffix(".part")
    try:
        part.write_bytes(msgspec.json.encode(kept))
        part.replace(path)
    except OSError as e:
        log.warning("%s is not written: %s", path, e)
