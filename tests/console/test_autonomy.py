"""/api/autonomy: the switch, what set-points did, and what was saved."""

from __future__ import annotations

import time
from typing import Any

from pump_station import SPEED, Station

from ronghe.apps.contract import Result
from ronghe.console import Role
from ronghe.guard import Interval, Saving
from ronghe.text import Text

HOUR = 3_600_000_000_000


def guard_of(body: dict[str, Any]) -> dict[str, Any]:
    (found,) = (g for g in body["guards"] if g["tag"] == SPEED)
    return dict(found)


def test_the_switch(station: Station) -> None:
    engineer, viewer = station.client(Role.ENGINEER), station.client(Role.VIEWER)
    before = guard_of(viewer.get("/api/autonomy").json())
    assert (before["permitted"], before["mode"]) == ("approve", "approve")
    assert before["title"] == {"en": "Speed set-point", "zh": "转速设定值"}
    assert before["unit"] == "1/min"
    assert before["value"] == station.call(station.speed.read_value())  # what the device holds, whatever was written before

    turned = engineer.post("/api/autonomy/switch", json={"tag": SPEED, "mode": "advise", "why": "being serviced"}).json()
    assert (turned["mode"], turned["by"], turned["why"]) == ("advise", "engineer1", "being serviced")
    assert abs(turned["since"] / 1e3 - time.time()) < 60
    case = station.advise("autonomy-1", 860.0)
    assert case.state == "advised"
    now = guard_of(viewer.get("/api/autonomy").json())
    assert now["night"]["advised"] == before["night"]["advised"] + 1
    assert now["last"]["state"] == "advised"
    assert "test" in now["apps"]
    ahead = guard_of(viewer.get("/api/autonomy", params={"from": now["night"]["to"] + 10**9, "to": now["night"]["to"] + 2 * 10**9}).json())
    assert ahead["night"]["advised"] == 0

    refused = engineer.post("/api/autonomy/switch", json={"tag": SPEED, "mode": "auto", "why": "let it"})
    assert refused.status_code == 400
    assert "more than is permitted" in refused.json()["what"]["en"]
    assert engineer.post("/api/autonomy/switch", json={"tag": SPEED, "mode": "approve", "why": "back"}).json()["mode"] == "approve"
    kinds = [e["body"]["mode"] for e in viewer.get("/api/ledger", params={"kind": "mode"}).json()["entries"]]
    assert kinds[:2] == ["approve", "advise"]
    station.call(station.node.guard.reject(case.id, "engineer1", "a test"))


def test_savings_come_from_apps_once(station: Station) -> None:
    def saving(hour: int, value: float) -> Saving:
        return Saving(
            key="line1/other pumps",
            app="test",
            equipment="line1",
            name=Text("Pumps", "水泵"),
            start=hour * HOUR,
            end=(hour + 1) * HOUR,
            method="option_b",
            baseline=Text("last year", "去年"),
            money=Interval(value=value, low=value - 3, high=value + 4),
            energy=Interval(value=2 * value, low=value, high=3 * value),
        )

    async def give(*savings: Saving) -> None:
        station.node._from_app("test", Result(savings=savings), time.time_ns())

    before = station.client(Role.VIEWER).get("/api/autonomy").json()
    station.call(give(saving(0, 10.0)))
    station.call(give(saving(0, 10.0), saving(1, 6.0)))
    station.call(station.pause(0.3))
    body = station.client(Role.VIEWER).get("/api/autonomy").json()
    (one,) = (s for s in body["savings"] if s["key"] == "line1/other pumps")
    assert one["money"] == {"value": 16.0, "low": 16 - 18**0.5, "high": 16 + 32**0.5}
    assert (one["currency"], one["carbon"]) == ("CNY", None)
    assert one["last"]["start"] == 3_600_000
    assert body["total"]["CNY"]["value"] == 16.0 + before["total"].get("CNY", {"value": 0})["value"]
    assert body["kwh"]["value"] == 32.0 + (before["kwh"] or {"value": 0})["value"]
    assert body["kg"] == before["kg"]
    entries = station.client(Role.VIEWER).get("/api/ledger", params={"kind": "saving"}).json()["entries"]
    assert [e["body"]["start"] for e in entries if e["body"]["key"] == "line1/other pumps"] == [HOUR, 0]
