"""The registry: releases, their serials, and what may not be changed about them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from tests.models.conftest import DAY, NOW, Works

from ronghe.errors import ModelError
from ronghe.models.keys import KeyFolder
from ronghe.models.registry import Registry, prove
from ronghe.models.statement import Proof, Released, read


def test_serials_grow_for_a_name_and_the_newest_is_first(works: Works) -> None:
    one, two, other = works.release("1"), works.release("2"), works.release("1", "fan")
    assert (one.serial, two.serial, other.serial) == (1, 2, 1)
    assert [r.version for r in works.registry.list("pump")] == ["2", "1"]
    assert works.registry.open(one.hash[:10]).manifest.version == "1"
    said = read(works.registry.proof(two.hash).release, Released)
    assert (said.hash, said.file, said.serial, said.floor) == (two.hash, two.file, 2, 1)
    assert read(works.registry.proof(works.release("3", final=True).hash).release, Released).floor == 3


def test_an_unsigned_package_is_kept_and_given_to_nobody(works: Works) -> None:
    release = works.registry.add(works.package("1"))
    assert release.serial == 0
    with pytest.raises(ModelError, match="not signed"):
        works.registry.wanted(release.hash, "watch")


def test_a_key_that_is_not_trusted_here_releases_nothing(works: Works, tmp_path: Path) -> None:
    thief = KeyFolder(tmp_path / "thief")
    thief.new("first", NOW)
    added = works.registry.add(works.package("1"))
    with pytest.raises(ModelError, match="not trusted"):
        works.registry.sign(added.hash, thief.private("first"), keys=thief.ring.statements)
    assert works.registry.get(added.hash).serial == 0


def test_what_was_signed_elsewhere_comes_with_its_proof_and_for_its_package_only(works: Works) -> None:
    path, other = works.package("1"), works.package("2")
    proof = prove(path, works.keys.private("first"), serial=7, floor=7, since=NOW, until=NOW + DAY, keys=works.keys.ring.statements)
    assert works.registry.add(path, statement=proof.release, keys=proof.keys).serial == 7
    with pytest.raises(ModelError, match="another package"):
        works.registry.add(other, statement=proof.release)
    again = prove(other, works.keys.private("first"), serial=7, floor=7, since=NOW, until=0)
    with pytest.raises(ModelError, match="serial 7"):
        works.registry.add(other, statement=again.release)


def test_withdrawn_is_told_with_who_and_why(works: Works) -> None:
    release = works.release("1")
    works.registry.withdraw(release.hash, "li", "blind to cavitation")
    view = works.registry.view()
    assert view["releases"][0]["withdrawn"].en == "blind to cavitation (li)"
    assert view["releases"][0]["trusted"] is True
    assert [(k["name"], k["state"]) for k in view["keys"]] == [("first", "active")]


def test_a_damaged_package_is_not_taken(works: Works) -> None:
    path = works.package("1")
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError):
        works.registry.add(path)


def test_two_who_sign_at_once_get_two_serials(works: Works) -> None:
    hashes = [works.registry.add(works.package(str(v))).hash for v in range(8)]
    private = works.keys.private("first")
    with ThreadPoolExecutor(4) as pool:  # a lock of a file is no lock of a process: each has opened it for itself
        list(pool.map(lambda h: Registry(works.folder / "registry", clock=works.clock).sign(h, private), hashes))
    assert sorted(r.serial for r in works.registry.list()) == list(range(1, 9))


def test_a_proof_reads_as_it_was_written(works: Works) -> None:
    wanted = works.wanted("1")
    assert msgspec.json.decode(wanted.proof, type=Proof) == works.registry.proof(wanted.hash)
