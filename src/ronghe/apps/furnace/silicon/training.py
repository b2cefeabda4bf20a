"""From rows to a model: the dynamics that would have forecast the rows best, and what to expect of it on rows to come."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.furnace.silicon.filtering import Dynamics
from ronghe.apps.furnace.silicon.forecaster import BURN_IN, Forecaster, Scaling, replay
from ronghe.apps.furnace.silicon.heats import Heats
from ronghe.apps.furnace.silicon.scores import Ridge, Scores, score
from ronghe.errors import AppError
from ronghe.text import Text

FEWEST: Final = 400  # rows
_CHOSEN_ON: Final = 0.4  # the first part only warms up; the dynamics are chosen by the errors on the rest
_FIRST: Final = 0.4  # part of the rows before the first block of the rolling origin
_CANDIDATES: Final = (
    Dynamics(),
    Dynamics(coefficient=0.0009),
    Dynamics(levels=(0.34, 0.43), heats=(3.0, 200.0), noise=0.21),
    Dynamics(hours=(1.0, 12.0), heats=(6.0, 200.0)),
    Dynamics(hours=(2.0, 16.0), heats=(6.0, 300.0), noise=0.22),
    Dynamics(hours=(1.5, 40.0), heats=(4.0, 500.0), coefficient=0.0005),
)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A forecaster as it stands after the last training row, and what it was trained on. `low`, `high` float64[k]: limits of validity."""

    names: tuple[str, ...]
    forecaster: Forecaster
    ridge: Ridge
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One origin: rows it was fitted on, rows it then went through, and the scores there."""

    fitted: int
    rows: int
    model: Scores
    persistence: Scores
    ridge: Scores


def fit(heats: Heats) -> Trained:
    """Raises AppError for too few rows."""
    if len(heats) < FEWEST:
        raise AppError(
            Text(f"{len(heats)} rows are too few to learn from", f"只有 {len(heats)} 行，不足以训练"),
            todo=Text(f"at least {FEWEST}", f"至少需要 {FEWEST} 行"),
        )
    scaling = Scaling.of(heats)
    best: Forecaster | None = None
    least = np.inf
    for dynamics in _CANDIDATES:
        forecaster = Forecaster.new(scaling, dynamics)
        said = replay(forecaster, heats, burn_in=BURN_IN)
        from_row = int(_CHOSEN_ON * len(heats))
        error = float(((said.mean - heats.silicon)[from_row:] ** 2).mean())
        if error < least:
            best, least = forecaster, error
    assert best is not None
    reach = 0.05 * (heats.process.max(axis=0) - heats.process.min(axis=0))
    return Trained(heats.names, best, Ridge.fit(heats), heats.process.min(axis=0) - reach, heats.process.max(axis=0) + reach)


def rolling(heats: Heats, blocks: int = 5) -> Iterator[Block]:
    """Rolling origin: everything is fitted on the rows before a block, and goes through the block as it would have at the time."""
    edges = np.linspace(_FIRST * len(heats), len(heats), blocks + 1).astype(int)
    for start, end in itertools.pairwise(edges.tolist()):
        if start < FEWEST:
            continue
        trained = fit(heats.cut(slice(0, start)))
        block = heats.cut(slice(start, end))
        said = replay(trained.forecaster, block)
        persistence, ridge = trained.ridge.scores(block, block.former)
        model = score(block.silicon, said.mean, said.low, said.high)
        yield Block(fitted=start, rows=len(block), model=model, persistence=persistence, ridge=ridge)
