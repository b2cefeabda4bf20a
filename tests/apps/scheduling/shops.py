"""Small shops with everything in them, drawn for property tests."""

from __future__ import annotations

import random

from ronghe.apps.scheduling.problem import (
    Arrival,
    Choice,
    Job,
    Machine,
    Off,
    Operation,
    Pool,
    Problem,
    Setup,
    Weights,
)


def shop(seed: int, jobs: int = 6) -> Problem:
    """A shop that always has a plan: pauses and stops end, people and materials suffice in the end."""
    r = random.Random(seed)
    machines = tuple(
        Machine(name=f"M{m}", off=_offs(r), family=r.choice(["", "a", "b"]), batch=r.choice([1, 1, 1, 3])) for m in range(r.randint(1, 4))
    )
    pools = tuple(Pool(name=f"P{p}", size=r.randint(1, 3), off=_offs(r) if r.random() < 0.5 else ()) for p in range(r.randint(0, 2)))
    rows = []
    for j in range(r.randint(1, jobs)):
        steps = []
        for o in range(r.randint(1, 4)):
            where = r.sample(machines, r.randint(1, len(machines)))
            after = None if o == 0 or r.random() < 0.7 else tuple(f"J{j}.{x}" for x in range(o) if r.random() < 0.5)
            steps.append(
                Operation(
                    name=f"J{j}.{o}",
                    choices=tuple(Choice(m.name, r.choice([0, 1, 3, 5, 8])) for m in where),
                    family=r.choice(["", "a", "b", "c"]),
                    pauses=r.random() < 0.7,
                    people={p.name: r.randint(1, p.size) for p in pools if r.random() < 0.4},
                    uses={q: r.choice([0.1, 1.0, 2.5]) for q in ("steel", "oil") if r.random() < 0.3},
                    after=after,
                )
            )
        due = r.randint(0, 80) if r.random() < 0.8 else None
        rows.append(Job(name=f"J{j}", operations=tuple(steps), release=r.choice([0, 0, 12]), due=due, weight=r.choice([1.0, 3.0])))
    arrivals = []
    for q in ("steel", "oil"):
        needed = sum(o.uses.get(q, 0.0) for j in rows for o in j.operations)
        arrivals += [Arrival(material=q, at=at, quantity=needed / 2, source=f"truck {at}") for at in (0, r.choice([15, 40]))]
    setups = tuple(
        Setup(before=a, after=b, duration=r.choice([0, 2, 4]), machine=r.choice(["", machines[0].name]))
        for a in "abc"
        for b in "abc"
        if a != b and r.random() < 0.8
    )
    return Problem(
        machines=machines,
        jobs=tuple(rows),
        setups=tuple({(s.machine, s.before, s.after): s for s in setups}.values()),
        pools=pools,
        arrivals=tuple(arrivals),
        weights=Weights(makespan=r.choice([0.0, 1.0]), tardiness=1.0, setup=r.choice([0.0, 0.5])),
    )


def _offs(r: random.Random) -> tuple[Off, ...]:
    found, at = [], 0
    for _ in range(r.randint(0, 3)):
        at += r.randint(9, 25)  # every operation of 8 with a set-up of 4 finds room behind the last
        found.append(Off(at, at + r.randint(1, 10), "shift", stop=r.random() < 0.4))
        at = found[-1].end
    return tuple(found)
