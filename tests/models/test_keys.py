"""Keys and rings: who may bring in whom."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.models.conftest import DAY, NOW

from ronghe.errors import ModelError
from ronghe.models.keys import KeyFolder, Ring
from ronghe.models.statement import Introduced, Released, Retired, read, state


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    made = KeyFolder(tmp_path / "keys")
    made.new("first", NOW)
    return made


@pytest.fixture
def node(tmp_path: Path, keys: KeyFolder) -> Ring:
    """That of a node that was told of the first key and of no other."""
    ring = Ring(tmp_path / "node.json")
    ring.pin(keys.named("first").key)
    return ring


def test_a_private_key_is_its_owners_alone_and_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    keys = KeyFolder(tmp_path / "keys")
    keys.new("open", NOW)
    path = tmp_path / "keys" / "open.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    keys.new("locked", NOW, by="open")
    (tmp_path / "keys" / "locked.pem").unlink()
    other = KeyFolder(tmp_path / "other")
    other.new("locked", NOW, passphrase="wheel")
    assert b"ENCRYPTED" in (tmp_path / "other" / "locked.pem").read_bytes()
    assert len(other.private("locked", "wheel")) == 32
    for wrong in ("", "weel"):
        with pytest.raises(ModelError, match="cannot be opened"):
            other.private("locked", wrong)


def test_a_rotated_key_is_followed_by_a_node_and_the_old_one_ends_after_the_overlap(keys: KeyFolder, node: Ring) -> None:
    first = keys.named("first").key
    second = keys.rotate("first", "second", NOW, overlap=30 * DAY)
    assert node.admit(keys.ring.statements, NOW + DAY) == (second,)
    assert set(node.trusted(NOW + DAY)) == {first, second}
    assert Ring(node.path).trusted(NOW + 31 * DAY) == (second,)
    with pytest.raises(ModelError, match="retired"):
        node.pin(first)


def test_a_node_that_slept_through_two_rotations_follows_both(keys: KeyFolder, node: Ring) -> None:
    keys.rotate("first", "second", NOW, overlap=DAY)
    third = keys.rotate("second", "third", NOW + DAY, overlap=DAY)
    node.admit(keys.ring.statements, NOW + 40 * DAY)
    assert node.trusted(NOW + 40 * DAY) == (third,)


def test_a_stranger_brings_in_nobody(tmp_path: Path, node: Ring) -> None:
    thief = KeyFolder(tmp_path / "thief")
    key = thief.new("first", NOW)
    assert node.admit(thief.ring.statements, NOW) == ()
    assert key not in node.trusted(NOW)


def test_a_retired_key_brings_in_nobody_however_it_dates_it(keys: KeyFolder, node: Ring, tmp_path: Path) -> None:
    stolen = keys.private("first")
    keys.rotate("first", "second", NOW, overlap=0)
    node.admit(keys.ring.statements, NOW)
    later, thief = NOW + DAY, KeyFolder(tmp_path / "thief").new("x", NOW)
    assert node.admit([state(Introduced(key=thief, name="x", since=NOW - DAY, made=NOW - DAY), stolen)], later) == ()
    back = state(Introduced(key=keys.named("first").key, name="first", since=later, made=later), stolen)
    node.admit([back], later)
    assert node.trusted(later) == (keys.named("second").key,)


def test_no_statement_passes_for_another(keys: KeyFolder) -> None:
    signed = state(Retired(key="00", until=NOW, made=NOW), keys.private("first"))
    with pytest.raises(ModelError):
        read(signed, Released)


def test_a_second_key_needs_a_trusted_one(keys: KeyFolder) -> None:
    with pytest.raises(ModelError, match="introduced by one"):
        keys.new("second", NOW)
    keys.new("second", NOW, by="first")
    keys.retire("second", NOW, by="first", until=NOW, why="lost")
    with pytest.raises(ModelError, match="no longer counts"):
        keys.new("third", NOW + DAY, by="second")
    assert [k.state(NOW + DAY) for k in keys.ring.keys] == ["active", "retired"]


def test_a_damaged_ring_is_told_and_not_taken_for_an_empty_one(node: Ring) -> None:
    node.path.write_bytes(node.path.read_bytes()[:-5])
    with pytest.raises(ModelError, match="cannot be read"):
        Ring(node.path)
