"""Reading the archive of parts: what a part is, and the questions that are asked about many of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ronghe.errors import AppError
from ronghe.text import Text

Verdict = Literal["pass", "review", "reject", "unreadable"]
Label = Literal["good", "defective"]
Mark = tuple[float, float, float, float, float, str]
"""x0, y0, x1, y1 in 0..1 of the picture, score, class."""

_COLUMNS: Final = "id, time, number, name, verdict, score, marks, width, height, model, reason, audit, label, class, by"
_WAITS: Final = "label = '' AND (verdict IN ('review', 'unreadable') OR audit = 1)"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part as it was judged. `score` is None where it could not be seen. `audit`: passed, and yet shown to a person by chance."""

    id: int
    time: int  # ns since 1970 UTC
    number: int
    name: str = ""
    verdict: Verdict
    score: float | None = None
    where: tuple[Mark, ...] = ()
    size: tuple[int, int] = (0, 0)  # width, height
    model: str = ""
    reason: Text | None = None
    audit: bool = False
    label: str = ""
    kind: str = ""  # class of defect: a person's word, else the model's
    by: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Every class of defect that was seen on it; none of a part that passed."""
        if self.verdict not in ("reject", "review"):
            return ()
        return tuple(dict.fromkeys(k for k in (self.kind, *(mark[5] for mark in self.where)) if k))


class Records:
    """One connection that only reads; for one thread at a time, several may be open at once."""

    def __init__(self, path: Path) -> None:
        self._read = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

    def extent(self) -> tuple[int, int, int]:
        """(the next free id, how many parts are kept, bytes of their pictures)."""
        row = self._read.execute("SELECT coalesce(max(id), 0) + 1, count(*), coalesce(sum(bytes), 0) FROM parts").fetchone()
        return int(row[0]), int(row[1]), int(row[2])

    def part(self, part: int) -> Part:
        """One part. Raises AppError for one that is not there."""
        found = self._parts("WHERE id = ?", part)
        if not found:
            raise no_such(part)
        return found[0]

    def recent(self, count: int) -> list[Part]:
        """The newest parts, newest first."""
        return self._parts("ORDER BY id DESC LIMIT ?", count)

    def queue(self, middle: float, count: int) -> list[Part]:
        """Parts that wait for a person: those that could not be seen, then by how near their score is to `middle`, then audits."""
        order = "CASE verdict WHEN 'unreadable' THEN 0 WHEN 'review' THEN 1 ELSE 2 END, abs(coalesce(score, ?) - ?), id DESC"
        return self._parts(f"WHERE {_WAITS} ORDER BY {order} LIMIT ?", middle, middle, count)

    def labelled(self) -> list[Part]:
        """Every part that a person labelled, oldest first."""
        return self._parts("WHERE label > '' ORDER BY id")

    def audited(self) -> tuple[int, int]:
        """(parts that passed, were shown to a person by chance and labelled; how many of them were defective)."""
        sql = "SELECT count(*), coalesce(sum(label = 'defective'), 0) FROM parts WHERE audit = 1 AND label > ''"
        n, bad = self._read.execute(sql).fetchone()
        return int(n), int(bad)

    def counts(self) -> dict[str, int]:
        """Parts by verdict since the beginning, whether they are still kept or not, and how many are waiting."""
        found = dict.fromkeys(("pass", "review", "reject", "unreadable"), 0)
        found |= {str(k): int(n) for k, n in self._read.execute("SELECT verdict, n FROM counts")}
        found["waiting"] = int(self._read.execute(f"SELECT count(*) FROM parts WHERE {_WAITS}").fetchone()[0])  # noqa: S608 (words of ours)
        return found

    def jpeg(self, part: int) -> bytes | None:
        """The picture for people; None where it is no longer kept."""
        return self._blob("jpeg", part)

    def original(self, part: int) -> bytes | None:
        """The picture without loss (PNG), where it was kept: of all parts that a person is asked about, of one passed part a second."""
        return self._blob("original", part)

    def heat(self, part: int) -> bytes | None:
        """The heat map as gray PNG, 128 at the reject threshold."""
        return self._blob("heat", part)

    def _blob(self, column: str, part: int) -> bytes | None:
        row = self._read.execute(f"SELECT {column} FROM pictures WHERE id = ?", (part,)).fetchone()  # noqa: S608 (a name of ours)
        return row[0] if row is not None else None

    def _parts(self, which: str, *arguments: object) -> list[Part]:
        return [_part(row) for row in self._read.execute(f"SELECT {_COLUMNS} FROM parts {which}", arguments)]  # noqa: S608 (words of ours)

    def close(self) -> None:
        """Closes the connection."""
        self._read.close()


def _part(row: Sequence[Any]) -> Part:
    part, time, number, name, verdict, score, marks, width, height, model, reason, audit, label, kind, by = row
    return Part(
        id=part,
        time=time,
        number=number,
        name=name,
        verdict=verdict,
        score=score,
        where=msgspec.json.decode(marks, type=tuple[Mark, ...]),
        size=(width, height),
        model=model,
        reason=msgspec.json.decode(reason, type=Text | None),
        audit=bool(audit),
        label=label,
        kind=kind,
        by=by,
    )


def no_such(part: int) -> AppError:
    """The error for a part that is not there."""
    return AppError(
        Text(f"there is no part {part}", f"没有工件 {part}"), todo=Text("it may have been dropped from the archive", "可能已从档案中清除")
    )
