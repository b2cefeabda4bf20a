"""What goes on behind: failures are heard of, nothing is left lying about, neighbours are merged."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from ronghe.errors import HistorianError, StoreFull
from ronghe.historian import Historian, compaction, manifest
from ronghe.historian.block import Block
from ronghe.historian.segment import SegmentWriter
from ronghe.signals import Batch, TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S


def put(store: Historian, first: int, n: int) -> None:
    store.append(Batch.of(store.index, ["a"] * n, T0 + S * np.arange(first, first + n), np.arange(first, first + n)))


def test_whatever_goes_wrong_those_who_wait_hear_of_it_and_it_is_tried_again(store: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("unforeseen")

    put(store, 0, 30)
    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "write", fail)
        with pytest.raises(HistorianError, match="unforeseen"):
            store.flush()
        assert store.stats().trouble is not None
        assert len(store.raw(["a"], 0, 2**62)) == 30
    store.flush()
    assert store.stats().trouble is None
    assert store.stats().sealed_rows == 30


def test_who_asks_again_hears_nothing_of_an_attempt_that_was_begun_before(store: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    write, wake = SegmentWriter.write, store._upkeep._wake
    begun, waits, asked = threading.Event(), threading.Event(), []

    def fail_once(writer: SegmentWriter, block: Block) -> None:
        if begun.is_set():
            return write(writer, block)
        begun.set()
        waits.wait(60)
        raise RuntimeError("unforeseen")

    def count() -> None:
        asked.append(threading.current_thread().name)
        wake()
        if asked.count("second") == 1:
            waits.set()

    monkeypatch.setattr(SegmentWriter, "write", fail_once)
    monkeypatch.setattr(store._upkeep, "_wake", count)
    put(store, 0, 30)
    heard: dict[str, str] = {}

    def ask(name: str) -> None:
        try:
            store.flush()
        except HistorianError as e:
            heard[name] = e.what.en
        else:
            heard[name] = "" if store.stats().trouble is None else "still in trouble"

    threads = {name: threading.Thread(target=ask, args=(name,), name=name) for name in ("first", "second")}
    threads["first"].start()
    assert begun.wait(60)
    threads["second"].start()
    for thread in threads.values():
        thread.join(60)
    assert heard["second"] == ""


def test_a_merge_that_went_well_ends_the_trouble(store: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, 0, 30)
    store.flush()
    for _ in range(20):
        with monkeypatch.context() as patch:
            patch.setattr(compaction, "plan", lambda *_, **__: 1 / 0)
            with pytest.raises(HistorianError, match="ZeroDivisionError"):
                store.compact()
            assert store.stats().trouble is not None
        store.compact()
        assert store.stats().trouble is None


def test_a_manifest_that_cannot_be_written_leaves_no_segment_behind(store: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    put(store, 0, 30)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "save", full)
        for _ in range(3):
            with pytest.raises(StoreFull):
                store.flush()
        assert list(store.folder.glob("seg-*")) == []
    store.flush()
    assert len(list(store.folder.glob("seg-*"))) == 1
    assert len(store.raw(["a"], 0, 2**62)) == 30


def test_files_of_a_crash_are_removed_when_the_store_is_opened(store: Historian) -> None:
    put(store, 0, 30)
    store.flush()
    store.close()
    for name in ("seg-0000000099.parquet", "seg-0000000007.parquet.tmp", "manifest.tmp"):
        (store.folder / name).write_bytes(b"half")
    with Historian(store.folder, TagIndex(), clock=lambda: T0) as again:
        assert len(again.raw(["a"], 0, 2**62)) == 30
    left = {p.name for p in store.folder.iterdir()}
    assert left == {"lock", "readers", "manifest", "newest", "tags", "seg-0000000001.parquet"}


def test_small_segments_are_merged_by_themselves(tmp_path: Path) -> None:
    with Historian(tmp_path, TagIndex(), clock=lambda: T0, head_rows=50) as store:
        for i in range(40):
            put(store, i * 50, 50)
        store.flush()
        until = time.monotonic() + 30
        while store.stats().segments >= 16 and time.monotonic() < until:
            time.sleep(0.01)
        assert store.stats().segments < 16
        assert len(store.raw(["a"], 0, 2**62)) == 2000


def test_merged_segments_stay_within_what_retention_can_let_go(tmp_path: Path) -> None:
    day = 86_400
    with Historian(tmp_path, TagIndex(), clock=lambda: T0 + 40 * day * S, keep=40.0 * day, head_rows=50) as store:
        for i in range(40):
            put(store, i * day, 20)
            store.flush()
        store.compact()
        assert all(s.meta.last - s.meta.first <= 4 * day * S for s in store.sources.segments)
        assert 5 <= store.stats().segments <= 20


def test_nothing_is_merged_beyond_the_rows_of_one_tag(store: Historian, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction, "_TAG_ROWS_MAX", 100)
    for i in range(6):
        put(store, i * 40, 40)
        store.flush()
    store.compact()
    assert [s.meta.rows for s in store.sources.segments] == [80, 80, 80]
