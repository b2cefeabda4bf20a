"""`ronghe keys` and `ronghe models` as people call them: from a key to a model at work on a plant that no network reaches."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.edge.test_deploying import Site, site, until

from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import pack
from ronghe.cli.main import cli
from ronghe.errors import ModelError
from ronghe.models import save
from ronghe.models.delivery import Store
from ronghe.models.keys import PASSPHRASE
from ronghe.text import Text

__all__ = ["site"]


def ronghe(*words: Any) -> str:
    """What a command prints. Raises what it raises."""
    done = CliRunner().invoke(cli, [str(w) for w in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the keys of a person, two packages, and a centre's folder."""
    monkeypatch.setenv("RONGHE_LANG", "en")
    monkeypatch.setenv(PASSPHRASE, "three wheels")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "centre").mkdir()
    (tmp_path / "centre" / "cloud.toml").write_text("")
    rows = np.random.default_rng(1).normal(size=(400, 2)).cumsum(0)
    columns = [Measured(t, "level", Text(t), "") for t in ("line/a", "line/b")]
    for version in ("1", "2"):
        save(tmp_path / f"{version}.model", pack(learn(rows, window=5), columns, rows, name="normal", created=1, version=version))
    return tmp_path


KEYS, CENTRE = ("--keys", "keys"), ("--centre", "centre")


async def test_from_a_key_to_a_model_at_work_without_a_network(office: Path, site: Site) -> None:
    key = ronghe("keys", "new", "li", *KEYS).split()[0]
    assert "active" in ronghe("keys", "list", *KEYS)
    ronghe("keys", "trust", key, *CENTRE)
    plain = json.loads(ronghe("models", "add", "1.model", *CENTRE, "--json"))
    with pytest.raises(ModelError, match="not signed"):
        ronghe("models", "bundle", plain["hash"], "--to", office, *CENTRE)
    ronghe("models", "sign", plain["hash"], "--key", "li", *KEYS, *CENTRE)
    assert "normal 1 #1" in ronghe("models", "list", *CENTRE)
    assert "normal 1" in ronghe("models", "bundle", plain["hash"], "--to", office, *CENTRE)

    store = Store(site.folder / ".ronghe" / "models")
    with pytest.raises(ModelError, match="not trusted"):
        await asyncio.to_thread(ronghe, "models", "install", "models.bundle", "--plant", site.folder)
    assert store.current("state") is None
    ronghe("keys", "trust", "keys/ring.json", "--plant", site.folder)
    said = await asyncio.to_thread(ronghe, "models", "install", "models.bundle", "--plant", site.folder)
    assert "next start" in said
    node = await site.start()
    assert node.runners["state"].app.model == plain["hash"]  # type: ignore[attr-defined]

    # The node is at work: signed by a rotated key, on a machine where there is no registry.
    second = ronghe("keys", "rotate", "li", "wang", "--overlap", "1d", *KEYS).strip()
    ronghe("models", "sign", "2.model", "--serial", 2, "--key", "wang", *KEYS)
    with pytest.raises(ModelError, match="not trusted"):
        ronghe("models", "add", "2.model", "--centre", _other(office))
    two = json.loads(ronghe("models", "add", "2.model", *CENTRE, "--json"))
    assert two["signed_by"] == second
    ronghe("models", "bundle", two["hash"], "--to", office / "two.bundle", *CENTRE)
    said = await asyncio.to_thread(ronghe, "models", "install", "two.bundle", "--plant", site.folder)
    assert "at work" in said
    await until(lambda: site.running("state").version == "2", "the model from the stick")
    shown = ronghe("models", "show", "--plant", site.folder)
    assert all(word in shown for word in ("fetched", "trusted", "switched", f"state: normal 2 [{two['hash'][:12]}]"))
    await site.stop()

    ronghe("models", "withdraw", two["hash"], "--why", "blind", "--who", "li", *CENTRE)
    assert "withdrawn: blind (li)" in ronghe("models", "list", "normal", *CENTRE)
    ronghe("keys", "retire", "wang", "--why", "lost", *KEYS)
    assert "retired" in ronghe("keys", "list", *KEYS)


def _other(office: Path) -> Path:
    other = office / "other"
    other.mkdir()
    (other / "cloud.toml").write_text("")
    return other
