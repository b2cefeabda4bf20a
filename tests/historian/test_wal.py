"""The log: a torn tail is cut, a damaged middle is reported, and everything whole is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.errors import HistorianError
from ronghe.historian import Historian, wal
from ronghe.historian.block import Block
from ronghe.signals import Batch, TagIndex

S = 1_000_000_000
T0 = 1_767_225_600 * S


def fill(folder: Path, batches: int) -> Path:
    """A store whose samples are all in one log; gives the log's path."""
    with Historian(folder, TagIndex(), clock=lambda: T0) as store:
        for i in range(batches):
            store.append(Batch.of(store.index, ["a", "b"], T0 + i * S, [i, -i]))
    (path,) = folder.glob("wal-*")
    return path


def held(folder: Path) -> tuple[list[int], int]:
    """The batches that are still there, and how many losses are reported."""
    with Historian(folder, TagIndex(), clock=lambda: T0) as store:
        found = store.raw(["a"], 0, 2**62)
        other = store.raw(["b"], 0, 2**62)
        np.testing.assert_array_equal(found.value, -other.value)  # a batch is there whole or not at all
        return found.value.astype(int).tolist(), len(store.stats().damage)


def test_a_torn_tail_is_cut_without_a_word(tmp_path: Path) -> None:
    path = fill(tmp_path, 5)
    data = path.read_bytes()
    for lost in (1, 7, 30, 60):
        path.write_bytes(data[:-lost])
        batches, damage = held(tmp_path)
        assert batches == [0, 1, 2, 3]
        assert damage == 0


def test_zeros_after_the_end_are_no_damage(tmp_path: Path) -> None:
    path = fill(tmp_path, 5)
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert held(tmp_path) == ([0, 1, 2, 3, 4], 0)


@pytest.mark.parametrize("batch", [0, 1, 3])
def test_a_damaged_middle_is_reported_and_the_rest_is_used(tmp_path: Path, batch: int) -> None:
    path = fill(tmp_path, 5)
    data = bytearray(path.read_bytes())
    size = len(data) // 5
    data[batch * size + size - 3] ^= 0x10
    data[batch * size + 45] ^= 0x10
    path.write_bytes(data)
    with Historian(tmp_path, TagIndex(), clock=lambda: T0) as store:
        (damage,) = store.stats().damage
        assert path.name in damage.en
        assert path.name in damage.zh
        assert "1 batch" in damage.en
        assert store.raw(["a"], 0, 2**62).value.astype(int).tolist() == [i for i in range(5) if i != batch]
        store.flush()
        assert store.raw(["a"], 0, 2**62).value.astype(int).tolist() == [i for i in range(5) if i != batch]
    # The damaged file is kept for whoever wants to look into it, and not read again.
    assert (tmp_path / f"damaged-{path.name}").read_bytes() == data
    assert held(tmp_path) == ([i for i in range(5) if i != batch], 0)


def test_a_reader_reports_damage_too_and_changes_nothing(tmp_path: Path) -> None:
    path = fill(tmp_path, 5)
    data = bytearray(path.read_bytes())
    data[50] ^= 1
    path.write_bytes(data)
    with Historian(tmp_path, TagIndex(), readonly=True) as reader:
        assert len(reader.stats().damage) == 1
        assert len(reader.last()) == 2
    assert path.read_bytes() == data


def test_a_lost_record_between_whole_ones_is_noticed(tmp_path: Path) -> None:
    path = fill(tmp_path, 5)
    data = path.read_bytes()
    size = len(data) // 5
    path.write_bytes(data[:size] + data[2 * size :])
    assert held(tmp_path) == ([0, 2, 3, 4], 1)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_any_change_of_a_byte_loses_one_batch_at_most_and_never_lies(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("store")
    path = fill(folder, 4)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    lost = at // (len(content) // 4)
    batches, damage = held(folder)
    assert batches == [i for i in range(4) if i != lost]
    assert damage == (lost < 3)  # damage in the last record cannot be told from a torn one


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_a_file_of_anything_is_an_empty_log(tmp_path_factory: pytest.TempPathFactory, junk: bytes) -> None:
    path = tmp_path_factory.mktemp("log") / "wal-0000000001"
    path.write_bytes(junk)
    found = wal.Recovered(path, 1)
    assert found.blocks == []
    assert found.damage == []


def test_the_columns_come_back_whether_constant_or_not(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    blocks = []
    log = wal.LogWriter(tmp_path, 3)
    for n, one_time, one_quality in [(1, True, True), (7, False, True), (8, True, False), (5, False, False)]:
        time = np.full(n, T0) if one_time else T0 + rng.integers(0, 9, n)
        quality = np.zeros(n, np.uint32) if one_quality else rng.integers(0, 2**32, n).astype(np.uint32)
        blocks.append(Block(rng.integers(0, 99, n).astype(np.int32), time, rng.normal(size=n), quality))
        log.append(blocks[-1])
    log.close()
    found = wal.Recovered(wal.path_of(tmp_path, 3), 3)
    assert len(found.blocks) == len(blocks)
    for one, other in zip(found.blocks, blocks, strict=True):
        for name in ("tag", "time", "value", "quality"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert wal.Recovered(wal.path_of(tmp_path, 3), 4).blocks == []  # a record of another file is none of this one's


@pytest.mark.parametrize("name", ["tags", "manifest"])
def test_a_damaged_dictionary_or_manifest_is_an_error_that_names_the_file(tmp_path: Path, name: str) -> None:
    with Historian(tmp_path, TagIndex(), clock=lambda: T0) as store:
        store.append(Batch.of(store.index, ["a", "b"], T0, [1.0, 2.0]))
        store.flush()
    data = bytearray((tmp_path / name).read_bytes())
    data[3] ^= 0xFF
    (tmp_path / name).write_bytes(data)
    for readonly in (False, True):
        with pytest.raises(HistorianError, match=name):
            Historian(tmp_path, TagIndex(), clock=lambda: T0, readonly=readonly)
    # and the lock was let go: after the repair it opens
    data[3] ^= 0xFF
    (tmp_path / name).write_bytes(data)
    with Historian(tmp_path, TagIndex(), clock=lambda: T0) as store:
        assert store.raw(None, 0, 2**62).value.tolist() == [1.0, 2.0]


def test_a_half_written_name_is_cut(tmp_path: Path) -> None:
    fill(tmp_path, 2)
    with (tmp_path / "tags").open("ab") as file:
        file.write(b'0123abcd "half')
    with Historian(tmp_path, TagIndex(), clock=lambda: T0) as store:
        store.append(Batch.of(store.index, ["c"], T0, [1.0]))
    with Historian(tmp_path, TagIndex(), readonly=True) as reader:
        assert reader.tags() == ["a", "b", "c"]


def test_a_damaged_segment_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with Historian(tmp_path, TagIndex(), clock=lambda: T0) as store:
        n = 5000
        store.append(Batch.of(store.index, ["a"] * n, T0 - S * np.arange(n), np.random.default_rng(0).normal(size=n)))
        store.flush()
    (path,) = tmp_path.glob("seg-*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF  # in the middle of the values
    path.write_bytes(data)
    with Historian(tmp_path, TagIndex(), clock=lambda: T0) as store:
        with pytest.raises(HistorianError, match=path.name):
            store.raw(["a"], 0, 2**62)
        assert len(store.last()) == 1
        store.append(Batch.of(store.index, ["a"], T0 + S, [1.0]))  # it goes on recording
        assert len(store.raw(["a"], T0 + S, T0 + 2 * S)) == 1
