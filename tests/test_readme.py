"""Every `ronghe` command of the README is run, in the order in which it stands there, in both languages' README the same."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.connect.opcua.servers import NodeServer

ROOT = Path(__file__).parent.parent
RONGHE = [sys.executable, "-m", "ronghe"]


def commands(readme: str) -> list[str]:
    """The lines of the indented blocks that begin with `ronghe`, without their comments."""
    lines = (ROOT / readme).read_text(encoding="utf-8").splitlines()
    return [re.split(r"\s{2,}#", line.strip())[0].strip() for line in lines if line.startswith("    ronghe ")]


def test_both_languages_document_the_same_commands() -> None:
    assert commands("README.md") == commands("README.zh.md")
    assert len(commands("README.md")) >= 9


def test_every_make_target_that_the_readme_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for readme in ("README.md", "README.zh.md"):
        for target in re.findall(r"make ([a-z]+)\b", (ROOT / readme).read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for readme in ("README.md", "README.zh.md"):
        for link in re.findall(r"\]\((?!https?://)([^)#]+)", (ROOT / readme).read_text(encoding="utf-8")):
            assert (ROOT / link).exists(), f"{readme}: {link}"


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    server = NodeServer(tmp_path / "pki")
    server.start()
    env = {**os.environ, "RONGHE_LANG": "en", "XDG_DATA_HOME": str(tmp_path / "data"), "HOME": str(tmp_path)}
    here = tmp_path / "work"
    here.mkdir()
    up: subprocess.Popen[bytes] | None = None
    cloud: subprocess.Popen[bytes] | None = None
    try:
        for command in commands("README.md"):
            words = shlex.split(command.replace("opc.tcp://plc1:4840", server.url))[1:]
            if words[0] == "up":
                up = subprocess.Popen([*RONGHE, *words, "--port", "0"], cwd=here, env=env, stdout=subprocess.DEVNULL)
                wait_for(here / "my-plant" / ".ronghe" / "ledger" / "ledger.jsonl", up)
                time.sleep(8)  # the plant runs for a while, so that there is something to query
                continue
            if words[:2] == ["cloud", "up"]:
                (here / "centre" / "cloud.toml").write_text("[fleet]\nport = 0\n[hub]\nport = 0\n[serving]\nport = 0\ngrpc = 0\n")
                cloud = subprocess.Popen([*RONGHE, *words, "--port", "0"], cwd=here, env=env, stdout=subprocess.DEVNULL)
                wait_for(here / "centre" / ".ronghe" / "fleet.url", cloud)
                continue
            if words[0] == "maintenance":
                write_recordings(here)
            done = subprocess.run([*RONGHE, *words], cwd=here, env=env, capture_output=True, text=True, timeout=120, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            assert done.stdout.strip(), command
            if words[:2] == ["fleet", "invite"]:
                (join,) = (line for line in done.stdout.splitlines() if "ronghe join" in line)
                words = shlex.split(join.replace("FOLDER", "my-plant"))[1:]
                assert subprocess.run([*RONGHE, *words], cwd=here, env=env, timeout=60, check=False).returncode == 0
        assert (here / "tags.csv").exists()
        assert (here / "pump.model").exists()
    finally:
        server.stop()
        for process in (up, cloud):
            if process is not None:
                process.send_signal(signal.SIGINT)
                process.wait(30)
    assert up is not None
    assert cloud is not None
    assert (up.returncode, cloud.returncode) == (0, 0)


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, "it ended by itself"
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.1)


def write_recordings(here: Path) -> None:
    """normal.csv and today.csv as a data logger would have written them."""
    import numpy as np

    for name, shift in (("normal.csv", 0.0), ("today.csv", 5.0)):
        rng = np.random.default_rng(len(name))
        load = rng.normal(0, 1, 900)
        values = np.stack([20 + load, 3 + 0.5 * load + rng.normal(0, 0.1, 900), 60 + rng.normal(0, 0.3, 900)], axis=1)
        values[450:, 2] += shift
        rows = [f"2026-01-01T00:{i // 60:02}:{i % 60:02}Z," + ",".join(f"{v:.3f}" for v in row) for i, row in enumerate(values)]
        (here / name).write_text("\n".join(["time,flow,power,temperature", *rows]) + "\n", encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help_lists_every_command_in_both_languages(language: str) -> None:
    done = subprocess.run([*RONGHE, "--help"], env={**os.environ, "RONGHE_LANG": language}, capture_output=True, text=True, check=True)
    for name in ("new", "check", "browse", "up", "query", "ledger", "maintenance", "user", "demo", "bench"):
        assert re.search(rf"^  {name}\s", done.stdout, re.MULTILINE), name
    assert ("校验" in done.stdout) == (language == "zh")
