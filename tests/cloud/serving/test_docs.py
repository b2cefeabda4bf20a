"""The lines of docs/serving.md, run as they stand against `ronghe serve`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from ronghe.apps.quality.boards import judge as boards
from ronghe.apps.quality.boards.template import Comparer
from ronghe.cli.tenant import tenant
from ronghe.cloud.spec import CloudSpec
from ronghe.models import save

from .test_kinds import board, png, state_model

DOCS = (Path(__file__).parents[3] / "docs" / "serving.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCS, re.DOTALL)


def _tenant(folder: Path, line: str) -> str:
    words = line.split()[2:]
    words[words.index("--centre") + 1] = str(folder)
    done = CliRunner().invoke(tenant, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str], str]]:
    """A folder of models that is served by the command; (folder, environment with the key, address)."""
    folder = tmp_path_factory.mktemp("workshop")
    save(folder / "pump.model", state_model())
    save(folder / "board.model", boards.pack(boards.Templates(["a"], board()[None], Comparer()), name="board", created=1))
    (folder / "part.png").write_bytes(png(board(spot=True)))
    rng = np.random.default_rng(5)
    rows = np.array([5.0, 80.0, 11.0]) + rng.normal(size=(40, 3)) * [0.05, 0.5, 0.1]
    (folder / "rows.json").write_text(json.dumps([[None, *rows[0, 1:]], *rows[1:].tolist()]))
    lines = [line.strip() for line in DOCS.splitlines() if line.startswith("    ronghe tenant")]
    _tenant(folder, lines[0])
    key = _tenant(folder, lines[1]).split()[-1]
    command = [sys.executable, "-m", "ronghe", "serve", str(folder), "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "RONGHE_LANG": "en"}
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().split()[3]
        yield folder, {**os.environ, "KEY": key}, address
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0


def _run(code: list[str], place: tuple[Path, dict[str, str], str]) -> str:
    folder, environment, address = place
    code[-1] = code[-1].replace("http://127.0.0.1:8200", address)
    assert address in code[-1]
    done = subprocess.run(code, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_picture_by_curl_and_by_five_lines(workshop: tuple[Path, dict[str, str], str]) -> None:
    said = json.loads(_run(["sh", "-c", _blocks("sh")[0]], workshop))
    assert {o["name"]: o["data"] for o in said["outputs"]}["verdict"] == ["reject"]
    lines = _blocks("python")[0]
    assert len(lines.strip().splitlines()) == 5
    verdict, score = _run([sys.executable, "-c", lines], workshop).split()
    assert verdict == "reject"
    assert float(score) > 1


def test_rows_by_five_lines(workshop: tuple[Path, dict[str, str], str]) -> None:
    lines = _blocks("python")[1]
    assert len(lines.strip().splitlines()) == 5
    said = eval(_run([sys.executable, "-c", lines], workshop))
    assert 0 < said["score"] < 1
    assert said["abnormal"] is False


def test_the_commands_of_tenants_and_what_was_used_so_far(workshop: tuple[Path, dict[str, str], str]) -> None:
    folder, environment, _ = workshop
    key = environment["KEY"].split("-")[1]
    _run(["sh", "-c", _blocks("sh")[0]], workshop)
    deadline = time.monotonic() + 20
    while "board" not in _tenant(folder, "ronghe tenant usage acme --centre x") and time.monotonic() < deadline:
        time.sleep(0.05)
    lines = [line.strip().replace("KEY", key) for line in DOCS.splitlines() if line.startswith("    ronghe tenant")][2:]
    said = {line.split()[2]: _tenant(folder, line) for line in lines}
    assert set(said) == {"quota", "price", "usage", "invoice", "list", "revoke"}
    assert "calls" in said["list"] or "调用" in said["list"]
    assert "board" in said["usage"]
    assert ",total" in said["invoice"]
    assert json.loads(_tenant(folder, "ronghe tenant list --json --centre x"))["tenants"][0]["keys"][0]["state"] == "revoked"


def test_the_settings_are_those_there_are() -> None:
    import tomllib

    import msgspec

    spec = msgspec.convert(tomllib.loads(_blocks("toml")[0]), CloudSpec)
    assert spec.serving.models["board"] == type(spec.serving.models["board"])()  # the defaults, as shown
