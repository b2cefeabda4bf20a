"""The demonstration as a newcomer meets it: one command, and the loop closes; and the rig behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import ronghe
from ronghe.demo.rig import LEVELS, NOMINAL_FAN, SENSORS, Rig, cycles, split
from ronghe.guard import Ledger


def test_cycles_played_are_not_those_learned_from() -> None:
    good = cycles()[1.0]
    learned, played = split(good)
    assert learned.shape[1:] == played.shape[1:] == (60, len(SENSORS))
    assert len(learned) + len(played) == len(good)
    assert not any((learned == p).all(axis=(1, 2)).any() for p in played)


def test_a_good_rig_plays_recorded_values_only() -> None:
    rig = Rig()
    _, played = split(cycles()[1.0])
    shown = np.array([[row[s] for s in SENSORS] for row in (rig.step() for _ in range(180))]).reshape(3, 60, -1)
    for cycle in shown:
        assert np.isclose(played, cycle, rtol=0, atol=1e-9).all(axis=(1, 2)).any()


def settled(**state: float) -> dict[str, float]:
    rig = Rig(**state)  # type: ignore[arg-type]
    rows = [rig.step() for _ in range(900)][-300:]
    return {s: float(np.mean([r[s] for r in rows])) for s in SENSORS}


def test_a_failing_cooler_heats_and_fan_and_pump_help() -> None:
    good, bad = settled(), settled(condition=0.32)
    helped, slowed = settled(condition=0.32, fan_setpoint=90.0), settled(condition=0.32, pump_setpoint=1300.0)
    assert bad["CE"] < 0.8 * good["CE"]
    assert bad["TS4"] > good["TS4"] + 4
    assert good["TS4"] < helped["TS4"] < bad["TS4"] - 1
    assert slowed["TS4"] < bad["TS4"] - 1
    assert settled(condition=LEVELS[0])["CE"] < bad["CE"]
    assert NOMINAL_FAN == 60.0


def test_one_command_closes_the_loop_from_device_to_measured_worth(tmp_path: Path) -> None:
    folder = tmp_path / "demo-plant"
    command = [sys.executable, "-m", "ronghe", "demo", "--folder", str(folder), "--port", "0"]
    env = {**os.environ, "RONGHE_LANG": "en", "XDG_DATA_HOME": str(tmp_path / "data")}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)
    try:
        worth = until(process, folder, "guard.worth", tmp_path / "log")
        said = (tmp_path / "log").read_text(encoding="utf-8")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode == 0
    assert re.search(r"http://127\.0\.0\.1:\d+/#/link/\S+", said)
    assert "Traceback" not in said
    kinds = [e.kind for e in Ledger.read(folder / ".ronghe" / "ledger")]
    story = ["alarm.raised", "guard.advice", "guard.write", "guard.answer", "guard.confirm", "guard.effect", "guard.worth"]
    assert [k for k in story if k in kinds] == story
    assert [kinds.index(k) for k in story] == sorted(kinds.index(k) for k in story)
    alarms = [e.body["key"] for e in Ledger.read(folder / ".ronghe" / "ledger") if e.kind == "alarm.raised"]
    assert all(key.startswith("hydraulics/rig/cooler") for key in alarms), alarms  # the cooler, and nothing else, is what failed
    assert worth["enough"]
    assert worth["high"] < 0  # the oil is cooler than before, with 95 % confidence
    assert worth["money_low"] > 0
    assert Ledger.verify(folder / ".ronghe" / "ledger").ok
    plant = ronghe.open(folder)
    assert plant.read("energy/meter/active_power", every="1min").num_rows >= 1
    assert plant.last("hydraulics/*").num_rows == 12


def until(process: subprocess.Popen[bytes], folder: Path, kind: str, log: Path) -> Any:
    """Waits for a ledger entry; the bound is for a demonstration that does not work, not a measure of one that does."""
    path, end = folder / ".ronghe" / "ledger" / "ledger.jsonl", time.monotonic() + 240
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            if f'"kind":"{kind}"' in line:
                return json.loads(line)["body"]["worth"]
        time.sleep(0.5)
    raise AssertionError(f"no {kind}:\n{log.read_text()}\n" + "\n".join(line[:200] for line in lines))
