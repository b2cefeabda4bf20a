"""Models come and go while others are served."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ronghe.cloud.serving import Serving, Tenants
from ronghe.cloud.serving.shelf import Folder, Released, Shelf
from ronghe.errors import CloudError
from ronghe.models import save
from ronghe.models.keys import KeyFolder
from ronghe.models.registry import Registry
from ronghe.models.signature import public_key

from .conftest import WEIGHT, package, product


def _names(shelf: Shelf) -> list[tuple[str, str]]:
    return [(m.name, m.version) for m in shelf.models]


def test_a_folder_is_followed(tmp_path: Path) -> None:
    shelf = Shelf(Folder(tmp_path), {})
    shelf.look()
    assert shelf.models == []
    save(tmp_path / "a.model", package("a", product()))
    folder = tmp_path / "b"
    folder.mkdir()
    save(folder, package("b", product()))
    (tmp_path / "c.model").write_bytes(b"no package")
    (tmp_path / "notes.txt").write_text("nothing")
    shelf.look()
    assert _names(shelf) == [("a", "1"), ("b", "1")]
    assert list(shelf.failed) == [str(tmp_path / "c.model")]
    first = shelf.find("a")
    save(tmp_path / "a.model", package("a", product(3 * WEIGHT), version="2", created=2))
    (tmp_path / "c.model").unlink()
    shutil.rmtree(folder)
    shelf.look()
    assert _names(shelf) == [("a", "2")]
    assert shelf.failed == {}
    assert shelf.find("a", "1") is None
    assert first is not None
    x = np.ones((1, 4), np.float32)
    np.testing.assert_allclose(first.lane.model.run({"x": x})["y"], x @ WEIGHT, rtol=1e-5)  # who has it still gets its answer


def test_only_what_a_trusted_key_has_signed(tmp_path: Path) -> None:
    mine = bytes(range(32))
    save(tmp_path / "a.model", package("a", product()), key=mine)
    save(tmp_path / "b.model", package("b", product()), key=bytes(32))
    save(tmp_path / "c.model", package("c", product()))
    shelf = Shelf(Folder(tmp_path, {public_key(mine)}), {})
    shelf.look()
    assert _names(shelf) == [("a", "1")]


def test_a_registry_gives_what_is_signed_in_force_and_not_withdrawn(tmp_path: Path) -> None:
    now = [1_800_000_000 * 10**9]
    registry = Registry(tmp_path / "registry", clock=lambda: now[0])
    keys = KeyFolder(tmp_path / "keys")
    registry.ring.pin(keys.new("plant", now[0]))
    hashes = {}
    for version in ("1", "2", "3", "4", "unsigned"):
        file = tmp_path / f"{version}.model"
        save(file, package("a", product(), version=version))
        hashes[version] = registry.add(file).hash
    shelf = Shelf(Released(registry, lambda: now[0]), {})
    shelf.look()
    assert shelf.models == []
    for version in ("1", "2", "3", "4"):
        registry.sign(hashes[version], keys.private("plant"), keys=keys.ring.statements, until=now[0] + 10 if version == "4" else 0)
    shelf.look()
    assert _names(shelf) == [("a", "4"), ("a", "3"), ("a", "2")]
    now[0] += 11
    registry.withdraw(hashes["3"], "ann", "too slow")
    shelf.look()
    assert _names(shelf) == [("a", "2"), ("a", "1")]


def test_without_keys_only_for_this_machine(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.0.2.1", "example.org"):
        with pytest.raises(CloudError, match="this machine only"):
            Serving(tmp_path, None, host=host)
    tenants = Tenants(tmp_path / "t.sqlite")
    Serving(tmp_path, tenants, host="0.0.0.0")
    tenants.close()
