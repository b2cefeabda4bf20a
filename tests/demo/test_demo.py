"""The demonstration as a newcomer meets it: one command, and the loop closes; and the rig behind it."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ronghe
from ronghe.apps.quality.boards.template import NAMES
from ronghe.apps.quality.line.records import Records
from ronghe.demo.press import STROKES
from ronghe.demo.rig import LEVELS, NOMINAL_FAN, SENSORS, Rig, cycles, split
from ronghe.guard import Ledger
from ronghe.guard.ledger import Entry


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


BATTERY, HEATING = "energy/battery/setpoint", "furnace/reheating/heating_setpoint"
FAN, CONVEYOR = "hydraulics/rig/cooler/fan_setpoint", "etching/etcher/conveyor_setpoint"
IN_ZONE = "press/press-zone/press"


class Told:
    """What a whole run of the demonstration left behind."""

    def __init__(self, folder: Path, said: str) -> None:
        self.folder, self.said = folder, said
        self.entries = list(Ledger.read(folder / ".ronghe" / "ledger"))

    def case(self, tag: str) -> list[Entry]:
        """The entries of the first advice on a set-point."""
        numbers = [e.body["case"] for e in self.entries if e.kind == "guard.advice" and e.body["advice"]["tag"] == tag]
        return [e for e in self.entries if e.body.get("case") == numbers[0]]

    def written(self, tag: str) -> list[Entry]:
        """The entries of the first advice on a set-point that was written: on a busy machine one may come too late, and is refused."""
        number = next(e.body["case"] for e in self.entries if e.kind == "guard.write" and self._tag(e.body["case"]) == tag)
        return [e for e in self.entries if e.body.get("case") == number]

    def _tag(self, case: str) -> str:
        return next(e.body["advice"]["tag"] for e in self.entries if e.kind == "guard.advice" and e.body["case"] == case)

    def raised(self, under: str) -> list[Entry]:
        """The alarms of an equipment."""
        return [e for e in self.entries if e.kind == "alarm.raised" and e.body["key"].startswith(under)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """`ronghe demo` as a newcomer starts it, until each of its stories has come to its end."""
    place = tmp_path_factory.mktemp("demo")
    folder, log = place / "demo-plant", place / "log"
    command = [sys.executable, "-m", "ronghe", "demo", "--folder", str(folder), "--port", "0"]
    env = {**os.environ, "RONGHE_LANG": "en", "XDG_DATA_HOME": str(place / "data")}
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=env)
    try:
        until(process, folder, log, over)
        said = log.read_text(encoding="utf-8")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
    assert process.returncode == 0
    assert "Traceback" not in said
    assert Ledger.verify(folder / ".ronghe" / "ledger").ok
    return Told(folder, said)


def test_one_command_closes_the_loop_from_device_to_measured_worth(told: Told) -> None:
    assert re.search(r"http://127\.0\.0\.1:\d+/#/link/\S+", told.said)
    case = told.case(FAN)
    assert [e.kind for e in case] == ["guard.advice", "guard.write", "guard.answer", "guard.confirm", "guard.effect", "guard.worth"]
    alarms = told.raised("hydraulics")
    assert all(e.body["key"].startswith("hydraulics/rig/cooler") for e in alarms)  # the cooler, and nothing else, is what failed
    assert alarms[0].time <= case[0].time
    worth = case[-1].body["worth"]
    assert worth["enough"]
    assert worth["high"] < 0  # the oil is cooler than before, with 95 % confidence
    assert worth["money_low"] > 0
    plant = ronghe.open(told.folder)
    assert plant.read("energy/meter/active_power", every="1min").num_rows >= 1
    assert plant.last("hydraulics/*").num_rows == 12


def test_boards_are_seen_the_conveyor_is_sped_up_and_fewer_are_rejected(told: Told) -> None:
    keys = {e.body["key"] for e in told.raised("etching")}
    assert "etching/etcher/reject_rate" in keys
    assert keys & {"etching/etcher/open_rate", "etching/etcher/mousebite_rate"}
    case = told.case(CONVEYOR)
    assert [e.kind for e in case] == ["guard.advice", "guard.write", "guard.answer", "guard.confirm", "guard.worth"]
    assert case[0].body["advice"]["finding"] in keys
    worth = case[-1].body["worth"]
    assert (worth["tag"], worth["enough"]) == ("apps/boards/rejected", True)
    assert worth["high"] < 0
    assert worth["money_low"] > 0
    setpoint = ronghe.open(told.folder).read("etching/etcher/conveyor_setpoint")["value"].to_pylist()
    assert (setpoint[0], setpoint[-1]) == (1.2, 1.5)


def test_each_board_is_on_record_with_the_class_of_its_defects(told: Told) -> None:
    records = Records(told.folder / ".ronghe" / "apps" / "boards" / "parts.sqlite")
    parts = records.recent(1000)
    records.close()
    assert len(parts) > 100
    assert {p.verdict for p in parts} <= {"pass", "review", "reject"}
    bad = [p for p in parts if p.verdict == "reject"]
    assert {"open", "mousebite"} <= {kind for p in bad for kind in p.kinds} <= {name.en for name in NAMES.values()}
    assert all(p.where for p in bad)


def test_a_person_in_a_zone_takes_the_presss_permit_until_the_zone_is_free(told: Told) -> None:
    assert IN_ZONE in {e.body["key"] for e in told.raised("press")}
    left = next(e for e in told.entries if e.kind == "alarm.returned" and e.body["key"] == IN_ZONE)
    permit, strokes = (ronghe.open(told.folder).read(f"press/{name}") for name in ("permit", "stroke_rate"))
    before = [v for t, v in zip(permit["time"].cast("int64").to_pylist(), permit["value"].to_pylist(), strict=True) if t <= left.time]
    assert before[-1] == 0.0
    assert changes(permit["value"].to_pylist())[:3] == [1.0, 0.0, 1.0]
    assert changes(strokes["value"].to_pylist())[:3] == [STROKES, 0.0, STROKES]
    case = told.written("press/permit")
    assert [e.kind for e in case] == ["guard.advice", "guard.write", "guard.answer", "guard.confirm"]
    assert case[0].body["advice"]["finding"].startswith("press/press-zone/")
    assert "orders/standing/press" in {e.body["key"] for e in told.raised("orders")}  # the schedule goes round the press meanwhile


def test_the_battery_runs_by_itself_by_the_tariff(told: Told) -> None:
    case = told.written(BATTERY)
    assert [e.kind for e in case] == ["guard.advice", "guard.write", "guard.answer", "guard.confirm"]
    assert case[0].body["advice"]["finding"] == "energy/plan"  # by the optimiser, which knows the days before
    assert 0 < case[1].body["written"] <= 150  # the night is cheap
    plant = ronghe.open(told.folder)
    power, soc = (plant.read(f"energy/battery/{name}")["value"].to_pylist() for name in ("power", "soc"))
    assert max(power) > 10
    assert max(soc) > soc[0] + 1


def test_the_furnace_is_tuned_by_itself(told: Told) -> None:
    case = told.written(HEATING)
    assert [e.kind for e in case] == ["guard.advice", "guard.write", "guard.answer", "guard.confirm"]
    setpoints = ronghe.open(told.folder).read(HEATING)["value"].to_pylist()
    assert setpoints[0] == 1220.0
    assert 0 < abs(setpoints[-1] - 1220.0) < 100
    zone = ronghe.open(told.folder).read("furnace/reheating/heating")["value"].to_pylist()
    assert abs(zone[-1] - setpoints[-1]) < abs(1220.0 - setpoints[-1]) + 12  # it follows


def changes(values: list[float]) -> list[float]:
    """Without repetitions."""
    return [v for v, _ in itertools.groupby(values)]


def over(entries: list[Any]) -> bool:
    """Whether every story has come to its end: two actions have their worth, nobody is in the press zone any more, and the corner acts."""
    cases = {e["body"]["case"]: e["body"]["advice"]["tag"] for e in entries if e["kind"] == "guard.advice"}
    valued = {cases[e["body"]["case"]] for e in entries if e["kind"] == "guard.worth"}
    left = any(e["kind"] == "alarm.returned" and e["body"]["key"] == IN_ZONE for e in entries)
    written = {cases[e["body"]["case"]] for e in entries if e["kind"] == "guard.confirm"}
    return {FAN, CONVEYOR} <= valued and left and {BATTERY, HEATING} <= written


def until(process: subprocess.Popen[bytes], folder: Path, log: Path, done: Callable[[list[Any]], bool]) -> None:
    """Waits for entries of the ledger; the bound is for a demonstration that does not work, not a measure of one that does."""
    path, end, lines = folder / ".ronghe" / "ledger" / "ledger.jsonl", time.monotonic() + 240, []
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if done([json.loads(line) for line in lines if line.endswith("}")]):
            return
        time.sleep(0.5)
    raise AssertionError(f"not done:\n{log.read_text()}\n" + "\n".join(line[:200] for line in lines))
