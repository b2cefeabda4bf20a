"""Gaps to the best known, over the instances of a folder. Gap: (objective − best known) / best known."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from ronghe.apps.scheduling.check import check
from ronghe.apps.scheduling.formats import read
from ronghe.apps.scheduling.solve import solve
from ronghe.errors import AppError
from ronghe.text import Text


class Known(msgspec.Struct, frozen=True):
    """What is known of an instance."""

    lb: float
    ub: float


class Instance(msgspec.Struct, frozen=True):
    """A file, its name in the table of the best known, its set, and what is known."""

    path: Path
    name: str
    set: str
    known: Known


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one instance."""

    name: str
    set: str
    objective: float
    lower_bound: float | None
    best_lb: float
    best_ub: float
    gap: float
    status: str
    checked: bool
    seconds: float
    by: str


class Mean(msgspec.Struct, frozen=True):
    """Of a set: how many instances, their mean and their largest gap, and how many reach the best known."""

    n: int
    gap: float
    worst: float
    reached: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `of`: how many instances there are; fewer were run where it is a sample."""

    instances: tuple[Measured, ...]
    sets: dict[str, Mean]
    gap: float
    n: int
    of: int
    sample: bool
    seconds: float  # for each
    workers: int


def instances(folder: Path, best: Path, only: tuple[str, ...] = ()) -> list[Instance]:
    """The files of a folder and its sub-folders that the table of the best known names, in order of their names.
    Raises AppError where the table cannot be read, or names none of them."""
    try:
        known = msgspec.json.decode(best.read_bytes(), type=dict[str, Known])
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(best)) from e
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise AppError(Text(f"is no table of the best known: {e}", f"不是最优已知值表：{e}"), where=str(best)) from e
    out = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        parts = path.resolve().with_suffix("").parts  # a table may name SET/INSTANCE where the folder is that of the set
        key = next((k for k in ("/".join(parts[-n:]) for n in (3, 2, 1)) if k in known), None)
        if key is not None and (not only or path.stem.startswith(only) or key.startswith(only)):
            out.append(Instance(path, key, _set(key), known[key]))
    if not out:
        raise AppError(Text("holds no instance of the table", "没有表中列出的算例"), where=str(folder))
    return out


def chosen(found: list[Instance], n: int) -> list[Instance]:
    """`n` of them at most, at even distances."""
    n = max(1, min(n, len(found)))
    return [found[(2 * k + 1) * len(found) // (2 * n)] for k in range(n)]


def evaluate_one(one: Instance, *, seconds: float, workers: int) -> Measured:
    """Solves one instance and checks the answer."""
    problem = read(one.path)
    plan = solve(problem, seconds=seconds, workers=workers)
    return Measured(
        name=one.name,
        set=one.set,
        objective=plan.objective,
        lower_bound=plan.lower_bound,
        best_lb=one.known.lb,
        best_ub=one.known.ub,
        gap=(plan.objective - one.known.ub) / one.known.ub,
        status=plan.status,
        checked=not check(problem, plan),
        seconds=round(plan.seconds, 2),
        by=plan.by,
    )


def summary(rows: list[Measured], *, of: int, seconds: float, workers: int) -> Report:
    """The means of all and of each set."""
    sets = {}
    for name in sorted({r.set for r in rows}):
        gaps = [r.gap for r in rows if r.set == name]
        sets[name] = Mean(len(gaps), sum(gaps) / len(gaps), max(gaps), sum(g <= 0 for g in gaps))
    return Report(
        instances=tuple(rows),
        sets=sets,
        gap=sum(r.gap for r in rows) / len(rows),
        n=len(rows),
        of=of,
        sample=len(rows) < of,
        seconds=seconds,
        workers=workers,
    )


def _set(name: str) -> str:
    """The folder of an instance, or the letters its name begins with."""
    head, slash, _ = name.rpartition("/")
    letters = re.match(r"\D*", name)
    return head if slash else (letters.group() if letters else "")
