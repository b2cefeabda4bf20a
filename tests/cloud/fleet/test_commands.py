"""`ronghe fleet …` on a centre that does not run at the moment: the file is what both share."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.cloud.fleet.centres import PLANT, plant_folder
from tests.cloud.fleet.test_fleet import asked

from ronghe.bus.fleet import Report, RunningModel
from ronghe.cli.fleet import fleet
from ronghe.cloud import folder
from ronghe.cloud.centre import open_fleet
from ronghe.errors import CloudError
from ronghe.text import Text


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    folder.make(tmp_path / "centre", "127.0.0.1", time.time_ns)
    return tmp_path / "centre"


def run(centre: Path, *arguments: str, lang: str = "en") -> Result:
    env = {"RONGHE_LANG": lang}
    return CliRunner().invoke(fleet, [*arguments, "--centre", str(centre)], env=env, catch_exceptions=False)


def joined(centre: Path, models: tuple[RunningModel, ...] = (), changed: tuple[str, ...] = ()) -> None:
    found = open_fleet(centre)
    found.join(asked(run(centre, "invite", "press-1", "--plant", PLANT).output.split()[3]))
    found.heard(
        "press-1", Report(node="", plant="", at=1, version="0.1", started=1, configuration="c" * 64, models=models, changed=changed)
    )
    found.close()


def test_versions_are_added_listed_and_wanted(centre: Path, tmp_path: Path) -> None:
    joined(centre)
    hash = run(centre, "add", str(plant_folder(tmp_path / "press"))).output.strip()
    assert len(hash) == 64
    assert hash[:12] in run(centre, "folders").output
    assert json.loads(run(centre, "folders", "--json").output)[0]["hash"] == hash
    assert hash in run(centre, "configure", "press-1", hash[:10]).output
    drift = run(centre, "drift")
    assert drift.exit_code == 1
    assert drift.output == f"press-1: wanted {hash[:12]}\n"
    assert run(centre, "drift", lang="zh").output == f"press-1：期望 {hash[:12]}\n"
    assert "as it is" in run(centre, "configure", "press-1", "-").output
    assert run(centre, "drift").exit_code == 0


def test_drift_names_files_and_models(centre: Path) -> None:
    too_slow = RunningModel(app="eye", hash="a" * 64, wanted="b" * 64, state="refused", text=Text("too slow here", "此处过慢"))
    joined(centre, (too_slow,), ("tags.csv",))
    told = run(centre, "drift").output
    assert "changed by hand: tags.csv" in told
    assert "eye: bbbbbbbbbbbb ≠ aaaaaaaaaaaa  refused  too slow here" in told
    assert "此处过慢" in run(centre, "drift", lang="zh").output
    assert json.loads(run(centre, "drift", "--json").output)[0]["name"] == "press-1"


def test_a_node_is_shown_listed_asked_and_removed(centre: Path) -> None:
    joined(centre)
    assert json.loads(run(centre, "show", "press-1").output)["state"] == "up"
    row = run(centre, "list", lang="zh").output.splitlines()[1].split()
    assert row[:3] == ["press-1", PLANT, "在线"]
    silent = run(centre, "order", "press-1", "logs", "-o", "lines=3", "--wait", "0.1")
    assert silent.exit_code == 1
    assert run(centre, "remove", "press-1", "--why", "sold").output == "press-1 is removed\n"
    assert json.loads(run(centre, "list", "--json").output)["nodes"][0]["state"] == "removed"
    for command in (("show", "press-9"), ("order", "press-1", "ping"), ("remove", "press-1")):
        with pytest.raises(CloudError, match="no such node"):
            run(centre, *command)
