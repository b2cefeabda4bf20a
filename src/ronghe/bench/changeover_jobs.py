"""Drawn shops for the changeover benchmark: jobs of a few operations on flexible machines with family set-ups.

Due dates are drawn as in Lee, Bhaskaran and Pinedo (1997): with the make-span estimate C = (work + set-ups) / machines, uniform on
[(1 − τ)(1 − R) C, (1 − τ)(1 + R) C] after the job's own release, never before its own sheer work. The tardiness factor τ, the due-date
range R and the set-up severity η = mean set-up / mean duration are part of the protocol. Everything follows from the seed.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.apps.scheduling.problem import Choice, Job, Machine, Operation, Problem, Setup, Weights

TAU: Final = 0.35  # dispatching is late with about a third of the jobs (0.3 a fifth, 0.4 a half; drawn on seeds 100-115)
RANGE: Final = 0.75
ETA: Final = 0.5
FAMILIES: Final = 8
_DURATION: Final = (20, 100)  # ticks (minutes)


def draw(seed: int, jobs: int = 60, operations: int = 5, machines: int = 12, *, tau: float = TAU, spread: float = RANGE) -> Problem:
    """A shop. Each operation can be done on 1 to 4 of the machines, up to a third slower on the others than on its best. Weights are 1
    (50 %), 2 (30 %) or 4 (20 %). Half of the jobs are there from the start, the others are released in the first third of C."""
    g = np.random.default_rng([seed, 20261124])
    setup_mean = ETA * sum(_DURATION) / 2
    lines = [
        Setup(before=f"F{a}", after=f"F{b}", duration=int(g.uniform(0.4, 1.6) * setup_mean))
        for a in range(FAMILIES)
        for b in range(FAMILIES)
        if a != b
    ]
    rows = []
    for _ in range(jobs):
        family = int(g.integers(FAMILIES))
        steps = []
        for _ in range(operations):
            where = g.choice(machines, size=min(machines, int(g.integers(1, 5))), replace=False)
            base = g.integers(*_DURATION, endpoint=True)
            steps.append([(int(m), int(base * (1.0 if x == 0 else g.uniform(1.0, 1.33)))) for x, m in enumerate(where)])
        rows.append((family, steps))
    work = sum(np.mean([d for _, d in s]) for _, steps in rows for s in steps)
    span = float(work + 0.5 * setup_mean * jobs * operations) / machines
    made = []
    for j, (family, steps) in enumerate(rows):
        release = 0 if g.random() < 0.5 else int(g.uniform(0, span / 3))
        sheer = sum(min(d for _, d in s) for s in steps)
        due = release + max(sheer, int((1 - tau) * span * g.uniform(1 - spread, 1 + spread)))
        made.append(
            Job(
                name=f"J{j + 1}",
                operations=tuple(
                    Operation(name=f"J{j + 1}.{o + 1}", choices=tuple(Choice(f"M{m + 1}", d) for m, d in s), family=f"F{family}")
                    for o, s in enumerate(steps)
                ),
                release=release,
                due=due,
                weight=float(g.choice([1, 2, 4], p=[0.5, 0.3, 0.2])),
                product=f"P{family}",
            )
        )
    return Problem(
        machines=tuple(Machine(name=f"M{m + 1}", family=f"F{int(g.integers(FAMILIES))}") for m in range(machines)),
        jobs=tuple(made),
        setups=tuple(lines),
        weights=Weights(tardiness=1.0),
        tick=60.0,
        name=f"changeover-{seed}",
    )
