"""The API over a plant at work: live values, stream, trends, alarms, advice, kill switch, ledger, people."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import httpx
import msgspec
import pytest
from pump_station import PRESSURE, SPEED, TEMPERATURE, Station
from served import PASSWORD

from ronghe.console import Role
from ronghe.console.desk import Desk
from ronghe.console.factory import encoded_plant
from ronghe.console.throttle import Throttle


@pytest.fixture
def operator(station: Station) -> httpx.Client:
    """An operator's client."""
    return station.client(Role.OPERATOR)


def events(answer: httpx.Response) -> Any:
    """The events of a stream as (name, data)."""
    name = ""
    for line in answer.iter_lines():
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            yield name, msgspec.json.decode(line[6:]) if name != "" else None


def until(what: Any, seconds: float = 30) -> Any:
    """Asks until the answer is true."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_plant(operator: httpx.Client) -> None:
    plant = operator.get("/api/plant").json()
    assert plant["name"] == {"en": "Pump station", "zh": "泵站"}
    assert [(e["path"], e["parent"]) for e in plant["equipment"]] == [("line1", ""), ("line1/pump1", "line1"), ("line1/tank", "line1")]
    assert [e["name"]["zh"] for e in plant["equipment"]] == ["", "给水泵", ""]
    speed = next(t for t in plant["tags"] if t["tag"] == SPEED)
    assert (speed["unit"], speed["low"], speed["high"], speed["writable"]) == ("1/min", 0, 3000, True)
    assert speed["name"] == {"en": "Speed set-point", "zh": "转速设定值"}
    assert plant["guards"][SPEED]["envelope"] == "600..1450 1/min"
    assert [t["id"] for t in plant["tags"]] == list(range(len(plant["tags"])))


def test_the_plant_is_encoded_once_for_a_number_of_tags(station: Station) -> None:
    desk = Desk(station.node, station.users, Throttle(time.time_ns))
    first = encoded_plant(desk)
    assert encoded_plant(desk) is first
    desk.plant = (len(station.node.index) - 1, first)  # as when an app has added a tag since
    assert encoded_plant(desk) is not first


def test_the_plant_is_sent_small_to_who_can_read_it(operator: httpx.Client) -> None:
    small = operator.get("/api/plant")
    plain = operator.get("/api/plant", headers={"Accept-Encoding": "identity"})
    assert (small.headers.get("content-encoding"), plain.headers.get("content-encoding")) == ("gzip", None)
    assert small.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert small.json() == plain.json()


def test_dictionary(operator: httpx.Client) -> None:
    entries = operator.get("/api/dictionary").json()
    assert [e["property"]["property"] for e in entries] == ["level", "pressure", "speed", "temperature"]
    assert entries[1]["tags"] == [PRESSURE]


def test_live(operator: httpx.Client) -> None:
    plant = operator.get("/api/plant").json()
    rows = operator.get("/api/live").json()["d"]
    assert {r[0] for r in rows} == {t["id"] for t in plant["tags"]}
    ids = {t["tag"]: t["id"] for t in plant["tags"]}
    one = operator.get(f"/api/live?ids={ids[PRESSURE]}").json()["d"]
    assert len(one) == 1
    assert 7 <= one[0][2] <= 9
    assert one[0][3] == 0
    for wrong in ("x", "5-2", "-1", "0-99999", "1,,x"):
        assert operator.get(f"/api/live?ids={wrong}").status_code == 400


def test_stream_sends_all_then_changes(operator: httpx.Client) -> None:
    plant = operator.get("/api/plant").json()
    ids = {t["tag"]: t["id"] for t in plant["tags"]}
    asked = sorted([ids[PRESSURE], ids[SPEED]])
    with operator.stream("GET", f"/api/stream?boot={plant['boot']}&ids={asked[0]},{asked[1]}") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        told = events(answer)
        name, first = next(told)
        assert name == "live"
        assert sorted(r[0] for r in first["d"]) == asked
        assert set(first["rev"]) == {"alarms", "cases", "ledger", "tags"}
        values = {r[2] for r in first["d"] if r[0] == ids[PRESSURE]}
        for _ in range(20):
            _, message = next(told)
            assert {r[0] for r in message["d"]} <= set(asked)
            values |= {r[2] for r in message["d"] if r[0] == ids[PRESSURE]}
        assert len(values) > 3


def test_stream_beats_without_any_tag_and_tells_of_changes(station: Station, operator: httpx.Client) -> None:
    boot = operator.get("/api/plant").json()["boot"]
    with operator.stream("GET", f"/api/stream?boot={boot}") as answer:
        told = events(answer)
        _, first = next(told)
        assert first["d"] == []
        station.raise_alarm("line1/pump1/stream")
        message = next(m for _, m in told if m["rev"]["alarms"] != first["rev"]["alarms"])
        assert message["now"] >= first["now"]


def test_stream_of_another_run_only_says_so(operator: httpx.Client) -> None:
    boot = operator.get("/api/plant").json()["boot"]
    with operator.stream("GET", "/api/stream?boot=00000000&ids=0-3") as answer:
        assert list(events(answer)) == [("boot", boot)]


def test_stream_ends_with_the_session(station: Station) -> None:
    client = station.client(Role.VIEWER)
    boot = client.get("/api/plant").json()["boot"]
    with client.stream("GET", f"/api/stream?boot={boot}") as answer:
        told = events(answer)
        next(told)
        station.users.sign_out(client.cookies[station.cookie])
        assert sum(1 for _ in told) > 0  # comes to an end
    assert client.get("/api/me").status_code == 401


def test_trend_of_what_was_recorded(station: Station, operator: httpx.Client) -> None:
    def read() -> Any:
        trend = operator.get(f"/api/trend?tags={PRESSURE},{TEMPERATURE}&from=-1min&to=now").json()
        return trend if len(trend["series"][0]["t"]) > 10 else None

    trend = until(read)
    assert [s["tag"] for s in trend["series"]] == [PRESSURE, TEMPERATURE]
    pressure = trend["series"][0]
    assert pressure["mode"] == "raw"
    assert all(6.9 < v < 9.1 for v in pressure["v"] if v is not None)
    assert pressure["t"] == sorted(pressure["t"])
    week = operator.get(f"/api/trend?tags={PRESSURE}&from=-7d&points=200").json()["series"][0]
    assert week["mode"] == "aggregate"
    assert week["every"] == 3_600_000
    low, mean, high = week["min"][-1], week["v"][-1], week["max"][-1]
    assert low < mean < high


@pytest.mark.parametrize("query", ["from=0&to=0", "from=now&to=-1h", "from=yesterday", "points=1", "points=x"])
def test_trend_that_cannot_be(operator: httpx.Client, query: str) -> None:
    answer = operator.get(f"/api/trend?tags={PRESSURE}&{query}")
    assert answer.status_code == 400
    assert answer.json()["what"]["zh"]


def test_alarm_is_acknowledged_under_the_person_s_name(station: Station, operator: httpx.Client) -> None:
    key = "line1/pump1/ack"
    station.raise_alarm(key)
    alarm = next(a for a in operator.get("/api/alarms").json()["alarms"] if a["key"] == key)
    assert (alarm["state"], alarm["priority"]) == ("unacknowledged", "high")
    assert [e["share"] for e in alarm["evidence"]] == [0.8, 0.2]
    done = operator.post("/api/alarms/acknowledge", json={"key": key}).json()
    assert (done["state"], done["acknowledged_by"]) == ("acknowledged", "operator1")


def test_shelving_needs_a_reason_and_beyond_a_shift_an_engineer(station: Station, operator: httpx.Client) -> None:
    key = "line1/pump1/shelf"
    station.raise_alarm(key)
    for wrong in ({"minutes": 60, "why": " "}, {"minutes": 0, "why": "test"}, {"minutes": -5, "why": "test"}):
        assert operator.post("/api/alarms/shelve", json={"key": key, **wrong}).status_code == 400
    long = {"key": key, "minutes": 1000, "why": "bearing is ordered"}
    refused = operator.post("/api/alarms/shelve", json=long)
    assert refused.status_code == 403
    hidden = station.client(Role.ENGINEER).post("/api/alarms/shelve", json=long).json()["hidden"]
    assert (hidden["how"], hidden["user"], hidden["why"]) == ("shelved", "engineer1", "bearing is ordered")
    assert operator.post("/api/alarms/unshelve", json={"key": key}).json()["hidden"] is None
    assert operator.post("/api/alarms/shelve", json={"key": "no/such", "minutes": 5, "why": "x"}).status_code == 400


def test_an_approved_advice_is_written_to_the_device(station: Station, operator: httpx.Client) -> None:
    case = station.advise("approve-1", 850.0)
    assert case.state == "waiting", case
    told = operator.get(f"/api/cases/{case.id}").json()
    assert (told["state"], told["advice"]["value"]) == ("waiting", 850)
    answer = operator.post(f"/api/cases/{case.id}/approve")
    assert answer.status_code == 200, answer.text
    assert until(lambda: station.call(station.speed.read_value()) == 850.0)
    assert "operator1" in operator.get(f"/api/cases/{case.id}").json()["approvals"]
    kinds = {e["kind"] for e in operator.get("/api/ledger?without=alarm").json()["entries"]}
    assert any("write" in k for k in kinds)
    again = operator.post(f"/api/cases/{case.id}/approve")
    assert again.status_code == 400


def test_a_rejected_advice_is_not_written(station: Station, operator: httpx.Client) -> None:
    until(lambda: not any(c.open for c in station.node.guard.cases()))
    before = station.call(station.speed.read_value())
    case = station.advise("reject-1", before + 20)
    assert operator.post(f"/api/cases/{case.id}/reject", json={}).status_code == 400
    done = operator.post(f"/api/cases/{case.id}/reject", json={"why": "batch is running"}).json()
    assert done["state"] == "rejected"
    assert done["history"][-1]["who"] == "operator1"
    assert station.call(station.speed.read_value()) == before


def test_kill_switch_needs_no_writing_of_users(station: Station, operator: httpx.Client) -> None:
    """Two minutes after the last click, while nobody can write to the users' file."""
    other = sqlite3.connect(station.node.folder / "users.sqlite", isolation_level=None)
    other.execute("UPDATE session SET used = used - 120000000000")
    other.execute("BEGIN IMMEDIATE")
    try:
        assert "operator1" in operator.post("/api/kill", json={"why": "smoke in the hall"}).json()["killed"]
        answer = station.client().post("/api/session", json={"name": "operator1", "password": PASSWORD})
        assert answer.status_code == 503
        assert answer.json()["todo"] == {
            "en": "another program holds the file: end it or try again",
            "zh": "文件被其他程序占用：请结束该程序或稍后重试",
        }
    finally:
        other.execute("ROLLBACK")
        other.close()
        station.client(Role.ENGINEER).post("/api/kill/release", json={"why": "all clear"})


def test_kill_switch_outranks_approval(station: Station, operator: httpx.Client) -> None:
    until(lambda: not any(c.open for c in station.node.guard.cases()))
    before = station.call(station.speed.read_value())
    case = station.advise("kill-1", before + 30)
    try:
        assert "operator1" in operator.post("/api/kill", json={"why": "smoke in the hall"}).json()["killed"]
        assert "smoke in the hall" in operator.get("/api/cases").json()["killed"]
        operator.post(f"/api/cases/{case.id}/approve")
        assert station.call(station.speed.read_value()) == before
    finally:
        answer = station.client(Role.ENGINEER).post("/api/kill/release", json={"why": "all clear"})
    assert answer.json() == {"killed": ""}


def test_ledger_pages_and_verifies(station: Station, operator: httpx.Client) -> None:
    for i in range(3):
        station.raise_alarm(f"line1/pump1/ledger{i}")
    until(lambda: "ledger2" in operator.get("/api/ledger?kind=alarm&count=1").text)  # alarms are journalled in a thread of their own
    first = operator.get("/api/ledger?count=2").json()
    assert [e["seq"] for e in first["entries"]] == [first["total"], first["total"] - 1]
    assert first["entries"][0]["hash"] == first["head"]
    second = operator.get(f"/api/ledger?count=2&before={first['entries'][-1]['seq']}").json()
    assert second["entries"][0]["seq"] == first["entries"][-1]["seq"] - 1
    only = operator.get("/api/ledger?kind=alarm&count=500").json()["entries"]
    assert only
    assert all(e["kind"].startswith("alarm.") for e in only)
    rest = operator.get("/api/ledger?without=alarm&count=500").json()["entries"]
    assert not any(e["kind"].startswith("alarm.") for e in rest)
    verdict = operator.get("/api/ledger/verify").json()
    assert verdict["ok"] is True
    assert verdict["entries"] >= first["total"]


def test_connections_and_apps(operator: httpx.Client) -> None:
    def read() -> Any:
        found = operator.get("/api/connections").json()
        return found if all(c["health"]["state"] == "up" for c in found["connections"]) else None

    found = until(read)
    assert [(c["name"], c["driver"], c["tags"]) for c in found["connections"]] == [("plc", "opcua", 1), ("recording", "file", 3)]
    assert until(lambda: operator.get("/api/connections").json()["connections"][1]["per_s"] > 1)
    assert found["recorder"]["trouble"] is None
    assert operator.get("/api/apps").json() == []


def test_people(station: Station) -> None:
    admin = station.client(Role.ADMINISTRATOR)
    link = admin.post("/api/users", json={"name": "zhao", "role": "operator"}).json()
    assert link["fragment"].startswith("#/link/")
    token = link["fragment"].removeprefix("#/link/")
    person = next(p for p in admin.get("/api/users").json() if p["name"] == "zhao")
    assert (person["role"], person["ready"]) == ("operator", False)
    zhao = station.client()
    assert zhao.post("/api/link", json={"token": token}).json() == {"name": "zhao"}
    assert zhao.post("/api/link/use", json={"token": token, "password": "short"}).status_code == 400
    assert zhao.post("/api/link/use", json={"token": token, "name": "mallory", "password": PASSWORD}).json()["name"] == "zhao"
    assert zhao.get("/api/me").json() == {"name": "zhao", "role": "operator"}
    assert station.client().post("/api/link/use", json={"token": token, "password": PASSWORD}).status_code == 400
    assert admin.patch("/api/users/zhao", json={"role": "viewer"}).json()["role"] == "viewer"
    assert zhao.get("/api/me").status_code == 401  # a change of role ends the sessions
    assert admin.delete("/api/users/administrator1").status_code == 400
    assert admin.delete("/api/users/zhao").status_code == 204
    assert all(p["name"] != "zhao" for p in admin.get("/api/users").json())


def test_own_password(station: Station) -> None:
    station.person(Role.VIEWER, "sun")
    client = station.client()
    client.post("/api/session", json={"name": "sun", "password": PASSWORD})
    assert client.post("/api/me/password", json={"old": "wrong wrong wrong", "new": "another password 2"}).status_code == 400
    assert client.post("/api/me/password", json={"old": PASSWORD, "new": "another password 2"}).status_code == 200
    assert client.get("/api/me").json()["name"] == "sun"
    assert station.client().post("/api/session", json={"name": "sun", "password": PASSWORD}).status_code == 401


def test_page_is_compressed_and_asked_for_again(station: Station) -> None:
    client = station.client()
    page = client.get("/")
    assert "<!doctype html>" in page.text
    script = client.get("/assets/console.js")
    assert script.headers["content-encoding"] == "gzip"
    assert client.get("/assets/console.js", headers={"If-None-Match": script.headers["etag"]}).status_code == 304
    assert client.get("/assets/../server.py").status_code == 404
    assert client.get("/assets/%2e%2e%2fserver.py").status_code == 404
