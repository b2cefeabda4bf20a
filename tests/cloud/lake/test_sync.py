"""From the historian to the lake: all of it, late samples and changed ones included, each once, whatever interrupts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ronghe.cloud.lake import Lake, table
from ronghe.cloud.lake.storage import plants_of_centre
from ronghe.cloud.lake.sync import seal, sync, sync_all
from ronghe.historian import Historian
from ronghe.signals import TagIndex

from .conftest import Put, rows_in, rows_of

PLANT = "acme/上海 1/wa.ter"


def _held(historian: Historian) -> list[tuple[object, ...]]:
    return rows_of(historian.raw(None, 0, 2**62))


def test_every_sample_once_with_late_and_changed_ones(lake: Lake, historian: Historian, put: Put) -> None:
    put(100, 1_000)
    historian.flush()
    first = sync(lake, PLANT, historian.folder)
    assert first.added.new == first.read == 900 * 5
    assert rows_in(lake) == _held(historian)
    assert sync(lake, PLANT, historian.folder).segments == 0

    put(0, 200)  # half of it late, half of it changed
    put(3_000_000, 3_000_050)  # the next month
    historian.flush()
    second = sync(lake, PLANT, historian.folder)
    assert second.added.new == 100 * 5 + 50 * 5
    assert second.added.changed > 400
    assert rows_in(lake) == _held(historian)


def test_merged_segments_are_known_again(lake: Lake, historian: Historian, put: Put) -> None:
    for k in range(4):
        put(k * 100, k * 100 + 100)
        historian.flush()
    sync(lake, PLANT, historian.folder)
    put(400, 410)
    historian.compact()  # one segment now, of which most is known
    done = sync(lake, PLANT, historian.folder)
    assert (done.segments, done.added.new, done.added.known) == (1, 50, 2_000)
    assert rows_in(lake) == _held(historian)
    put(410, 420)
    historian.flush()
    assert sync(lake, PLANT, historian.folder).read == 50  # the merged one is not read again


def test_interrupted_it_is_done_again(lake: Lake, historian: Historian, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put(0, 300)
    put(3_000_000, 3_000_300)
    historian.flush()
    append, left = Lake._append, [1]

    def failing(*args: Any) -> None:
        if not left:
            raise OSError("the cable")
        left.pop()
        append(*args)

    with monkeypatch.context() as patch:
        patch.setattr(Lake, "_append", failing)
        with pytest.raises(Exception, match="the cable"):
            sync(lake, PLANT, historian.folder)
    assert 0 < len(rows_in(lake)) < len(_held(historian))
    sync(lake, PLANT, historian.folder)
    assert rows_in(lake) == _held(historian)


def test_a_new_store_in_an_old_place_is_not_taken_for_the_old_one(lake: Lake, tmp_path: Path) -> None:
    from ronghe.signals import Batch

    for name, value in (("one", 1.0), ("two", 2.0)):
        with Historian(tmp_path / name, TagIndex()) as store:
            store.append(Batch.of(store.index, [f"a/{name}"], [1_772_323_200_000_000_001], [value]))
            store.flush()
        sync(lake, PLANT, tmp_path / name)
    assert lake.query("SELECT tag, nanos, value FROM samples").to_pydict() == {
        "tag": ["a/one", "a/two"],
        "nanos": [1, 1],
        "value": [1.0, 2.0],
    }


def test_what_is_in_memory_is_sealed_first(lake: Lake, tmp_path: Path, historian: Historian, put: Put) -> None:
    put(0, 10)
    assert not seal(historian.folder)  # somebody else writes there: it is his to seal
    assert sync(lake, PLANT, historian.folder).read == 0
    historian.close()
    home = tmp_path / "centre"
    (home / ".ronghe" / "plants" / "acme" / "s").mkdir(parents=True)
    historian.folder.rename(home / ".ronghe" / "plants" / "acme" / "s" / "historian")
    (done,) = sync_all(lake, plants_of_centre(home))
    assert (done.plant, done.added.new) == ("acme/s", 50)


def test_tidied_it_holds_the_same_in_fewer_files(lake: Lake, historian: Historian, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_MANY", 3)
    for k in range(3):
        put(k * 20, k * 20 + 21)  # each overlaps the next: changed rows are replaced
        historian.flush()
        sync(lake, PLANT, historian.folder)
    before = rows_in(lake)
    assert before == _held(historian)
    assert lake.compact() >= 3
    (view,) = lake.view()
    assert (view.files, view.rows, view.plants) == (1, len(before), (PLANT,))
    assert rows_in(lake) == before
    old = len(list(Path(lake.uri("samples")).rglob("*.parquet")))
    assert lake.vacuum(0) >= old - 1
    (file,) = lake.open().file_uris()  # type: ignore[union-attr]
    # What other readers go by: sorted, and no type that some of them cannot read.
    assert {str(f.type) for f in pq.ParquetFile(file).schema_arrow} == {"string", "timestamp[us, tz=UTC]", "int16", "double", "int64"}
    tags = pq.ParquetFile(file).read(columns=["tag"]).column("tag").to_pylist()
    assert tags == sorted(tags)
    assert rows_in(lake) == before
