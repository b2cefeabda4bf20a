"""Scores state detection on labelled files, as the SKAB leaderboard does: every file its own machine, learned from its own beginning.

Protocol: a model is learned on the first `first` rows of a file without looking at the labels; every later row is then judged as it would
be live (no look-ahead, the app's own delays); true and false positives and negatives are counted over all judged rows of all files and
pooled. F1 = 2·TP / (2·TP + FP + FN), FAR = FP / (FP + TN), MAR = FN / (FN + TP), the latter two in percent.

The leaderboard's own notebooks also count the rows learned from, nearly all of them normal, which makes its FAR smaller by about half;
`whole_file` gives the figures counted that way, for comparison with published ones.
"""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.maintenance import table
from ronghe.apps.maintenance.excursion import Excursion
from ronghe.apps.maintenance.normal import FALSE_ALARM, learn
from ronghe.apps.maintenance.scorer import Scorer
from ronghe.errors import AppError
from ronghe.text import Text

FIRST: Final = 400
HOLD: Final = 5.0  # s, as the app's own default
NOT_MEASURED: Final = ("anomaly", "changepoint", "label")

Bools = NDArray[np.bool_]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Confusion matrix of rows."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, said: Bools, true: Bools) -> Counts:
        """Counts of one file."""
        return cls(tp=int((said & true).sum()), fp=int((said & ~true).sum()), fn=int((~said & true).sum()), tn=int((~said & ~true).sum()))

    def __add__(self, other: Counts) -> Counts:
        return Counts(tp=self.tp + other.tp, fp=self.fp + other.fp, fn=self.fn + other.fn, tn=self.tn + other.tn)

    @property
    def f1(self) -> float:
        """0..1; 0 where nothing is true or said."""
        return 2 * self.tp / max(2 * self.tp + self.fp + self.fn, 1)

    @property
    def far(self) -> float:
        """False alarm rate, %."""
        return 100 * self.fp / max(self.fp + self.tn, 1)

    @property
    def mar(self) -> float:
        """Missed alarm rate, %."""
        return 100 * self.fn / max(self.fn + self.tp, 1)


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """F1 (0..1), FAR and MAR (%) of some files."""

    f1: float
    far: float
    mar: float
    files: int

    @classmethod
    def of(cls, counts: Counts, files: int) -> Figures:
        """Rounded as published figures are, with a digit more."""
        return cls(f1=round(counts.f1, 4), far=round(counts.far, 2), mar=round(counts.mar, 2), files=files)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `ronghe maintenance detect evaluate` prints."""

    f1: float
    far: float
    mar: float
    files: int
    rows: int
    folders: dict[str, Figures]
    whole_file: Figures
    ms_per_row: float  # processor time
    protocol: str
    skipped: tuple[str, ...] = ()  # files without a label
    per_file: dict[str, Figures] = {}


def judge(rows: NDArray[np.float64], every: float, *, first: int = FIRST, false_alarm: float = FALSE_ALARM) -> tuple[Bools, float]:
    """(which of all rows are said to be abnormal, processor seconds a judged row). The first `first` rows are what is learned from."""
    scorer = Scorer(learn(rows[:first], false_alarm=false_alarm))
    delay = round(HOLD / every)
    excursion = Excursion(delay, delay)
    said = np.zeros(len(rows), bool)
    for row in rows[max(0, first - scorer.normal.window) : first]:
        scorer.step(row)
    began = clock.process_time()
    for i in range(first, len(rows)):
        said[i] = excursion.step(scorer.step(rows[i]))
    return said, (clock.process_time() - began) / max(len(rows) - first, 1)


def evaluate(folder: Path, *, label: str = "anomaly", exclude: Sequence[str] = NOT_MEASURED, first: int = FIRST) -> Report:
    """Scores every labelled CSV file under a folder. Raises AppError when there is none, or one cannot be used."""
    judged: dict[str, tuple[Bools, Bools]] = {}
    skipped, spent = [], 0.0
    for path in table.find(folder):
        data = table.read(path)
        name = path.relative_to(folder).as_posix() if path != folder else path.name
        if label not in data.columns or len(data) <= first:
            skipped.append(name)
            continue
        measured = [c for c in data.columns if c != label and c not in exclude]
        said, seconds = judge(data.take(measured), data.every, first=first)
        judged[name] = said, data.take([label])[:, 0] > 0.5
        spent += seconds * (len(data) - first)
    if not judged:
        raise AppError(
            Text(f"no file has a column {label!r} and more than {first} rows", f"没有任何文件含有列 {label!r} 且超过 {first} 行"),
            where=str(folder),
            todo=Text("name the label's column with --label", "请用 --label 指定标签列"),
        )
    return _report(judged, first, spent, skipped)


def _report(judged: dict[str, tuple[Bools, Bools]], first: int, spent: float, skipped: list[str]) -> Report:
    later = {name: Counts.of(said[first:], true[first:]) for name, (said, true) in judged.items()}
    whole = [Counts.of(said, true) for said, true in judged.values()]
    total = sum(later.values(), Counts())
    rows = sum(len(said) - first for said, _ in judged.values())
    folders: dict[str, list[Counts]] = {}
    for name, counts in later.items():
        folders.setdefault(name.rpartition("/")[0] or ".", []).append(counts)
    pooled = Figures.of(total, len(judged))
    return Report(
        f1=pooled.f1,
        far=pooled.far,
        mar=pooled.mar,
        files=len(judged),
        rows=rows,
        folders={f: Figures.of(sum(c, Counts()), len(c)) for f, c in folders.items()},
        whole_file=Figures.of(sum(whole, Counts()), len(whole)),
        ms_per_row=round(1000 * spent / max(rows, 1), 4),
        protocol=(
            f"per file: learned on the first {first} rows without labels, one fixed setting; every later row judged causally;"
            " TP, FP, FN, TN pooled over the later rows of all files (whole_file: over all rows, as the SKAB leaderboard counts)"
        ),
        skipped=tuple(skipped),
        per_file={name: Figures.of(counts, 1) for name, counts in later.items()},
    )
