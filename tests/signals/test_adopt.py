"""A grid that goes on where another ended gives the rows that one grid over all of it gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.signals import Batch, Grid, TagIndex, Window

SECOND = 1_000_000_000
TAGS = ("a", "b", "c")
START = 1_700_000_000 * SECOND
END = START + 60 * SECOND


def samples(seed: int) -> list[Batch]:
    """30 batches in time order, a second each, in which some tags are silent; of each tag there is one sample at the start."""
    rng, index = np.random.default_rng(seed), TagIndex(TAGS)
    made = [Batch.of(index, TAGS, START, rng.random(3))]
    for i in range(29):
        k = int(rng.integers(1, 9))
        time = START + i * SECOND + np.sort(rng.integers(1, SECOND, k))
        made.append(Batch.of(index, [TAGS[j] for j in rng.integers(0, 3, k)], time, rng.random(k)))
    return made


def rows(windows: list[Window | None]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time of each row, and value and age of a and b."""
    found = [w for w in windows if w is not None]
    columns = [[w.tags.index(t) for t in ("a", "b")] for w in found]
    both = list(zip(found, columns, strict=True))
    return (
        np.concatenate([w.time for w in found]),
        np.concatenate([w.value[:, c] for w, c in both]),
        np.concatenate([w.age[:, c] for w, c in both]),
    )


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000), at=st.integers(0, 30))
def test_no_row_is_lost_or_doubled_where_one_grid_takes_over_from_another(seed: int, at: int) -> None:
    batches, index = samples(seed), TagIndex(TAGS)
    whole = Grid(index, ("a", "b"), SECOND)
    first, second = Grid(index, ("a", "b"), SECOND), Grid(index, ("c", "b", "a"), SECOND)
    expected = rows([*map(whole.push, batches), whole.flush(END)])
    before = [first.push(b) for b in batches[:at]]
    second.adopt(first)
    got = rows([*before, *map(second.push, batches[at:]), second.flush(END)])
    for found, right in zip(got, expected, strict=True):
        np.testing.assert_array_equal(found, right)
