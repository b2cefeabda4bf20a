"""Problems in files solved, checked, and compared with the best-known solutions beside them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ronghe.apps.logistics import formats
from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.formats import vrplib
from ronghe.apps.logistics.problem import Problem, Route, Unserved
from ronghe.apps.logistics.solve import solve
from ronghe.errors import AppError
from ronghe.text import Text

SAMPLE = 50.0  # s that an evaluation takes where not everything was asked for
EACH = 30.0  # s for a file where nothing else was said


class Drive(msgspec.Struct, frozen=True, kw_only=True):
    """One route in names: the orders in their order, reloads as "@depot"."""

    vehicle: str
    stops: tuple[str, ...]
    distance: float  # km; the benchmark's own where its distances are abstract
    hours: float | None
    cost: float
    carbon_kg: float | None


class Solved(msgspec.Struct, frozen=True, kw_only=True):
    """What was found for one file. `gap`: (objective − best_known) / best_known; None without a solution beside the file.

    `objective` is in the unit in which the solution beside the file states its cost (some state thousandths).
    """

    name: str
    objective: float
    feasible: bool
    checked: bool
    best_known: float | None
    gap: float | None
    seconds: float
    orders: int
    routes: tuple[Drive, ...]
    unserved: tuple[Unserved, ...]
    wrong: tuple[Text, ...]
    carbon_kg: float | None
    by: str


class Set(msgspec.Struct, frozen=True, kw_only=True):
    """Gaps over one folder: of the files solved, of those there are."""

    files: int
    solved: int
    feasible: int
    mean_gap: float | None
    worst_gap: float | None
    gaps: dict[str, float]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Gaps by folder, and how they were measured."""

    sets: dict[str, Set]
    protocol: Text


def solve_file(path: Path, *, seconds: float, seed: int = 0, workers: int = 2) -> Solved:
    """Reads, solves, checks; the solution beside the file is looked at afterwards only. Raises AppError for what cannot be planned."""
    problem = formats.read(path)
    found = solve(problem, seconds=seconds, seed=seed, workers=workers)
    wrong = check(problem, found)
    known = vrplib.solution(path, problem) if path.is_file() else None
    objective = found.objective * (known.unit if known else 1.0)
    best = known.best if known else None
    holds = found.status == "feasible" and not wrong
    return Solved(
        name=problem.name or path.stem,
        objective=round(objective, 6),
        feasible=holds,
        checked=not wrong,
        best_known=best,
        gap=(objective - best) / best if best and holds else None,
        seconds=round(found.seconds, 3),
        orders=len(problem.orders),
        routes=tuple(drive(problem, r) for r in found.routes),
        unserved=found.unserved,
        wrong=tuple(wrong),
        carbon_kg=found.carbon,
        by=found.by,
    )


def drive(p: Problem, r: Route) -> Drive:
    """A route in names."""
    stops = tuple(f"@{s.place}" if s.do == "reload" else f"+{s.order}" if s.do == "collect" else s.order for s in r.stops[1:-1])
    distance = r.distance * p.metre / 1000 if p.metre is not None else float(r.distance)
    hours = r.duration * p.tick / 3600 if p.metre is not None else None
    return Drive(vehicle=r.vehicle, stops=stops, distance=distance, hours=hours, cost=r.cost / p.money, carbon_kg=r.carbon)


def evaluate(folder: Path, *, seconds: float | None = None, full: bool = False, most: int | None = None) -> Report:
    """Mean gap by folder, over the VRPLIB files in `folder` and below that have a solution beside them.

    Without `full` a sample: files of every folder, spread evenly over their names, as many as take 50 s in all; where `seconds` is not
    said, 30 s each, or less so that every folder has its turn.
    Raises AppError where there are none.
    """
    sets: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.vrp")):
        if path.with_suffix(".sol").is_file() and (most is None or _dimension(path) <= most):
            sets.setdefault(str(path.parent.relative_to(folder)) if path.parent != folder else folder.name, []).append(path)
    if not sets:
        raise AppError(Text("no .vrp file with a .sol beside it", "没有带 .sol 的 .vrp 文件"), where=str(folder))
    if seconds is None:
        seconds = EACH if full else min(EACH, SAMPLE / len(sets))
    each = max(1, int(SAMPLE / seconds / len(sets)))
    chosen = {name: paths if full else _spread(paths, each) for name, paths in sets.items()}
    if not full and seconds * len(sets) > SAMPLE:
        chosen = dict(list(chosen.items())[: max(1, int(SAMPLE / seconds))])
    done = {name: [solve_file(p, seconds=seconds) for p in paths] for name, paths in chosen.items()}
    n = sum(len(s) for s in done.values())
    total = sum(len(s) for s in sets.values())
    said = Text(
        f"{n} of {total} files, {seconds:g} s each on 2 threads; gap = (cost − best known) / best known"
        + ("" if full or n == total else "; a sample"),
        f"{total} 个文件中的 {n} 个，每个 {seconds:g} 秒、2 线程；差距 = (成本 − 已知最优) / 已知最优"
        + ("" if full or n == total else "；抽样"),
    )
    return Report(sets={name: _set(sets[name], solved) for name, solved in done.items()}, protocol=said)


def _spread(paths: list[Path], n: int) -> list[Path]:
    """n of them, evenly from the first to the last."""
    if n >= len(paths):
        return paths
    return [paths[(2 * i + 1) * len(paths) // (2 * n)] for i in range(n)]


def _dimension(path: Path) -> int:
    with path.open(errors="replace") as lines:
        for line in lines:
            if line.upper().startswith("DIMENSION"):
                digits = line.partition(":")[2].strip()
                return int(digits) if digits.isdigit() else 0
    return 0


def _set(paths: list[Path], solved: list[Solved]) -> Set:
    gaps = {s.name: s.gap for s in solved if s.gap is not None}
    return Set(
        files=len(paths),
        solved=len(solved),
        feasible=sum(s.feasible for s in solved),
        mean_gap=sum(gaps.values()) / len(gaps) if gaps else None,
        worst_gap=max(gaps.values()) if gaps else None,
        gaps=gaps,
    )
