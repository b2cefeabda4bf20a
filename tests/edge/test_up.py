"""`ronghe up` on devices that are not ours: a libmodbus PLC and a node-opcua press, in one loop from sample to measured worth."""

from __future__ import annotations

import numpy as np
from tests.connect.modbus.modbus_servers import Server
from tests.edge.conftest import Process, Up

import ronghe
from ronghe.guard import Ledger
from ronghe.historian import Historian
from ronghe.signals import TagIndex
from ronghe.signals import quality as q


def store(up: Up) -> Historian:
    return Historian(up.folder / ".ronghe" / "historian", TagIndex(), readonly=True)


def last(up: Up, tag: str) -> tuple[float, int]:
    """The newest stored value and quality of a tag; (nan, waiting) before there is any."""
    try:
        with store(up) as found:
            batch = found.last([tag])
    except ronghe.errors.HistorianError:
        return float("nan"), q.BAD_WAITING
    return (float(batch.value[0]), int(batch.quality[0])) if len(batch) else (float("nan"), q.BAD_WAITING)


def test_the_loop_closes_over_foreign_devices(up: Up, cooler: Process) -> None:
    up.until(lambda: last(up, "apps/cooler-state/learned")[0] == 1.0, "the app to have learned")
    cooler.fault = 12.0
    alarm = up.until(lambda: up.ledger("alarm.raised"), "an alarm")[0]
    assert alarm["body"]["key"] == "line/cooler/temperature_high"
    assert "Temperature" in alarm["body"]["text"]["en"]
    assert "温度" in alarm["body"]["text"]["zh"]
    up.until(lambda: cooler.fan() == 80, "the guard to write the fan's set-point to the PLC")
    worth = up.until(lambda: up.ledger("guard.worth"), "a measured worth")[0]["body"]["worth"]
    assert worth["enough"]
    assert worth["effect"] < 0
    assert worth["high"] < 0  # 95 % sure that it is cooler than before
    up.stop()
    assert Ledger.verify(up.folder / ".ronghe" / "ledger").ok
    intent, answer = up.ledger("guard.write")[0], up.ledger("guard.answer")[0]
    assert intent["seq"] < answer["seq"]
    assert intent["body"]["written"] == 80.0
    plant = ronghe.open(up.folder)
    table = plant.read("line/press/temperature")
    assert table.num_rows > 20
    assert plant.sql("select count(distinct tag) from samples where tag like 'line/%'").column(0)[0].as_py() == 7


def test_a_dead_device_is_never_good_and_stops_no_other(up: Up, plc: Server, cooler: Process) -> None:
    up.until(lambda: last(up, "line/cooler/temperature")[1] == q.GOOD, "a value of the PLC")
    cooler.stop()
    plc.stop()
    up.until(lambda: last(up, "line/cooler/temperature")[1] == q.BAD_NO_COMMUNICATION, "the loss to be recorded")
    up.until(lambda: [e for e in up.ledger("alarm.raised") if e["body"]["key"] == "system/connection/plc"], "its alarm")
    with store(up) as found:
        before = found.last(["line/press/temperature"]).time[0]
    up.until(lambda: store_time(up) > before, "the press to be still acquired")
    plc.start()
    plc.set("input", 10, 5000)
    up.until(lambda: last(up, "line/cooler/temperature")[1] == q.GOOD, "its return")


def store_time(up: Up) -> int:
    with store(up) as found:
        return int(found.last(["line/press/temperature"]).time[0])


def test_killed_at_once_it_goes_on_where_it_was(up: Up, cooler: Process) -> None:
    up.until(lambda: last(up, "line/cooler/temperature")[1] == q.GOOD, "a value")
    with store(up) as found:
        kept = found.raw(["line/cooler/temperature"], 0, 2**62)
    up.process.kill()
    up.process.wait()
    again = Up(up.folder)
    try:
        again.until(lambda: len(_times(again)) > len(kept) + 5, "more samples")
        times = _times(again)
        assert np.isin(kept.time, times).all()
        assert len(np.unique(times)) == len(times)
        assert Ledger.verify(up.folder / ".ronghe" / "ledger").ok
    finally:
        again.stop()


def _times(up: Up) -> np.ndarray:
    with store(up) as found:
        return found.raw(["line/cooler/temperature"], 0, 2**62).time
