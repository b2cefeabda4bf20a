"""The archive on disk: bounded, whole after a kill, its pictures the right ones."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from ronghe.apps.quality.line import archive as module
from ronghe.apps.quality.line.archive import Archive, png
from ronghe.apps.quality.line.records import Part
from ronghe.errors import AppError
from ronghe.picture import decode
from ronghe.text import Text

from .line import S, part


def record(archive: Archive, verdict: str = "pass", score: float = 0.5, **more: object) -> Part:
    return Part(id=archive.new_id(), time=1, number=1, verdict=verdict, score=score, size=(128, 96), **more)  # type: ignore[arg-type]


def test_what_was_put_is_read_back_by_another(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    pixels = part(1)
    heat = np.zeros((96, 128), np.float32)
    heat[40, 60] = 2.0
    marks = ((0.1, 0.2, 0.3, 0.4, 1.5, "scratch"),)
    given = record(archive, "reject", 1.5, where=marks, kind="scratch", reason=Text("a", "甲"), name="a.png")
    archive.put(given, pixels, heat)
    for time in (S, S + 1, 2 * S):
        archive.put(replace(record(archive), time=time), part(2))
    archive.close()
    again = Archive(tmp_path)
    assert again.records.part(given.id) == given
    assert (decode(again.records.original(given.id) or b"") == pixels).all()
    assert np.abs(decode(again.records.jpeg(given.id) or b"").astype(int) - pixels).mean() < 6
    shown = decode(again.records.heat(given.id) or b"")
    assert shown[40, 60] == 255
    assert shown.sum() == 255
    kept = [again.records.original(given.id + i) is not None for i in (1, 2, 3)]
    assert kept == [True, False, True]  # of passed parts one a second without loss
    assert again.new_id() == given.id + 4
    assert again.records.counts() == {"pass": 3, "review": 0, "reject": 1, "unreadable": 0, "waiting": 0}
    again.close()


def test_pictures_of_passed_parts_go_first_and_labelled_ones_last(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keep_bytes=45_000)
    rejected = record(archive, "reject", 2.0)
    labelled = record(archive, "review", 0.9)
    archive.put(rejected, part(1))
    archive.put(labelled, part(2))
    archive.label(labelled.id, "good", "", "ann", 5)
    passed = [record(archive) for _ in range(12)]
    for i, p in enumerate(passed):
        archive.put(p, part(10 + i))
    archive.flush()
    kept = [p.id for p in passed if archive.records.jpeg(p.id) is not None]
    assert kept == [p.id for p in passed][-len(kept) :] != []
    assert len(kept) < len(passed)
    assert archive.records.jpeg(rejected.id) is not None
    for i in range(6):
        archive.put(record(archive, "reject", 2.0), part(30 + i))
    archive.flush()
    assert archive.records.jpeg(rejected.id) is None
    assert archive.records.original(labelled.id) is not None
    assert archive.records.extent()[2] <= 45_000
    assert len(archive.records.recent(100)) == 20  # records stay
    archive.close()


def test_records_are_bounded_and_counts_go_on(tmp_path: Path) -> None:
    archive = Archive(tmp_path, keep_parts=50)
    first = record(archive, "review", 0.9)
    archive.put(first)
    for _ in range(80):
        archive.put(record(archive))
    archive.flush()
    assert archive.records.extent()[1] == 50
    assert archive.records.part(first.id).verdict == "review"
    assert archive.records.counts()["pass"] == 80
    archive.close()


def test_the_most_uncertain_come_first(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    far, near = record(archive, "review", 0.99), record(archive, "review", 0.9)
    unseen = Part(id=archive.new_id(), time=1, number=1, verdict="unreadable")
    audited = record(archive, "pass", 0.1, audit=True)
    for p in (far, near, audited, unseen, record(archive)):
        archive.put(p)
    archive.flush()
    assert [p.id for p in archive.records.queue(0.9, 10)] == [unseen.id, near.id, far.id, audited.id]
    archive.label(audited.id, "defective", "dent", "bob", 7)
    assert archive.records.audited() == (1, 1)
    archive.label(audited.id, "good", "", "ann", 8)
    assert archive.records.audited() == (1, 0)
    with sqlite3.connect(archive.path) as db:  # what was said before is still there
        assert db.execute("SELECT label, by, time FROM labels ORDER BY time").fetchall() == [("defective", "bob", 7), ("good", "ann", 8)]
    db.close()
    with pytest.raises(AppError):
        archive.label(999, "good", "", "ann", 9)
    archive.close()


WRITER = """
import sys
from pathlib import Path
import numpy as np
from ronghe.apps.quality.line.archive import Archive
from ronghe.apps.quality.line.records import Part
archive = Archive(Path(sys.argv[1]))
pixels = np.zeros((64, 64), np.uint8)
while True:
    archive.put(Part(id=archive.new_id(), time=1, number=1, verdict="reject", score=2.0), pixels)
    archive.flush()
    print(archive.records.extent()[1], flush=True)
"""


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = 0
    for text in process.stdout:
        written = int(text)
        if written >= 40:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    process.stdout.close()
    archive = Archive(tmp_path)
    n = archive.records.extent()[1]
    assert n >= written
    assert all(archive.records.jpeg(p.id) for p in archive.records.recent(1000))
    assert archive.records.counts()["reject"] == n
    archive.put(record(archive))
    archive.flush()
    assert archive.records.extent()[1] == n + 1
    archive.close()


def test_a_disk_that_takes_nothing_is_told_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the file: what is put waits."""
    monkeypatch.setattr(module, "_RETRY", 0.1)
    monkeypatch.setattr(module, "_BUSY", 0.1)
    archive = Archive(tmp_path)
    archive.put(record(archive))
    archive.flush()
    blocker = sqlite3.connect(archive.path, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    archive.put(record(archive, "reject", 2.0))
    assert not archive.flush(1.0)
    assert archive.trouble is not None
    assert archive.trouble.zh
    blocker.execute("COMMIT")
    blocker.close()
    assert archive.flush(15.0)
    assert archive.trouble is None
    assert archive.records.counts()["reject"] == 1
    archive.close()


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "parts.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(AppError, match="archive"):
        Archive(tmp_path)


def test_png_is_without_loss_in_colour_and_gray() -> None:
    pixels = part(1)
    assert (decode(png(pixels)) == pixels).all()
    assert (decode(png(pixels[..., 0])) == pixels[..., 0]).all()
