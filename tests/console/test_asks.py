"""The console's door to apps: who may ask what, pictures in both directions, and what the ledger says of it."""

from __future__ import annotations

import json
import time

import httpx
import numpy as np
import pytest
from asked import Shapes
from pump_station import Station

from ronghe.console import Role
from ronghe.picture import decode, encode

SHAPES = "/api/apps/shapes/ask"


def picture(height: int, width: int) -> bytes:
    return encode(np.full((height, width, 3), 120, np.uint8))


def test_reading_takes_nothing_but_a_sign_in(shapes: Shapes, station: Station) -> None:
    answer = station.client(Role.VIEWER).get(f"{SHAPES}/sizes", params={"count": 3, "名": "形"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["asked"] == {"count": "3", "名": "形"}
    assert answer.json()["who"] == "viewer1"
    assert station.client().get(f"{SHAPES}/sizes").status_code == 401


def test_a_question_may_have_a_shape(shapes: Shapes, station: Station) -> None:
    viewer = station.client(Role.VIEWER)
    moves = [{"operation": "A-1.10", "start": 3}]
    asked = {"moves": json.dumps(moves), "event": '{"kind": "rush"}', "name": "[open"}
    refused = viewer.get(f"{SHAPES}/sizes", params=asked)
    assert refused.status_code == 400
    assert "name is not JSON" in refused.json()["what"]["en"]
    assert viewer.get(f"{SHAPES}/sizes", params=asked | {"name": "3"}).json()["asked"] == {
        "moves": moves,
        "event": {"kind": "rush"},
        "name": "3",
    }


@pytest.mark.parametrize(
    ("verb", "role", "status"),
    [("note", Role.VIEWER, 403), ("note", Role.OPERATOR, 200), ("send", Role.OPERATOR, 403), ("send", Role.ENGINEER, 200)],
)
def test_a_verb_needs_its_right(shapes: Shapes, station: Station, verb: str, role: Role, status: int) -> None:
    headers = {"Content-Type": "image/jpeg"} if verb == "send" else {}
    answer = station.client(role).post(f"{SHAPES}/{verb}", params={"label": "good"}, content=picture(4, 6), headers=headers)
    assert answer.status_code == status, answer.text


def test_what_changes_something_is_no_get_and_needs_the_page_s_header(shapes: Shapes, station: Station) -> None:
    engineer = station.client(Role.ENGINEER)
    assert engineer.get(f"{SHAPES}/note").status_code == 405
    assert engineer.post(f"{SHAPES}/sizes").status_code == 405
    notes = len(shapes.notes)
    assert engineer.post(f"{SHAPES}/note", json={}, headers={"Origin": "http://elsewhere.example"}).status_code == 403
    del engineer.headers["X-Ronghe"]
    assert engineer.post(f"{SHAPES}/note", json={}).status_code == 403
    assert len(shapes.notes) == notes


def test_what_is_not_there(shapes: Shapes, station: Station) -> None:
    engineer = station.client(Role.ENGINEER)
    for address in ("/api/apps/nothing/ask/sizes", f"{SHAPES}/nothing", f"{SHAPES}/{'x' * 200}"):
        for answer in (engineer.get(address), engineer.post(address, json={})):
            assert answer.status_code == 404
            assert answer.json()["what"]["zh"]


def test_pictures_go_both_ways(shapes: Shapes, station: Station) -> None:
    engineer = station.client(Role.ENGINEER)
    sent = engineer.post(f"{SHAPES}/send", params={"label": "defective"}, content=picture(30, 50), headers={"Content-Type": "image/jpeg"})
    assert sent.json()["label"] == "defective"
    assert sent.json()["sizes"][-1] == [30, 50, 3]
    got = engineer.get(f"{SHAPES}/drawn", params={"height": 20, "width": 33})
    assert got.headers["content-type"] == "image/jpeg"
    assert decode(got.content).shape == (20, 33)
    kept = engineer.get(f"{SHAPES}/table")
    assert (kept.headers["content-type"], kept.content) == ("application/octet-stream", b"name,corners\n")


def test_a_large_picture_is_taken_and_a_huge_one_refused(shapes: Shapes, station: Station) -> None:
    engineer = station.client(Role.ENGINEER)
    noise = np.random.default_rng(1).integers(0, 256, (900, 1200, 3), np.uint8)
    large = encode(noise, quality=100)
    assert len(large) > 1_000_000  # ten times what other addresses take
    address, headers = f"{SHAPES}/send?label=good", {"Content-Type": "image/jpeg"}
    assert engineer.post(address, content=large, headers=headers).json()["sizes"][-1] == [900, 1200, 3]
    kept = len(shapes.sizes)
    refused = engineer.post(address, content=b"\xff" * (33 << 20), headers=headers)
    assert refused.status_code == 413
    assert refused.json()["what"]["zh"]
    assert len(shapes.sizes) == kept


def test_errors_say_what_is_wrong(shapes: Shapes, station: Station) -> None:
    engineer = station.client(Role.ENGINEER)
    broken = engineer.post(f"{SHAPES}/send?label=good", content=picture(40, 40)[:-2], headers={"Content-Type": "image/jpeg"})
    assert broken.status_code == 400
    assert "truncated" in broken.json()["what"]["en"]
    listed = engineer.post(f"{SHAPES}/note", content=b"[1, 2]", headers={"Content-Type": "application/json"})
    assert listed.status_code == 400
    assert "JSON" in listed.json()["what"]["en"]
    assert "not a picture" in engineer.post(f"{SHAPES}/send?label=good", content=b"{}", headers={"Content-Type": "image/png"}).text
    failed = engineer.get(f"{SHAPES}/fail")  # a bug in the app is told without its inside, and the app lives on
    assert failed.status_code == 400
    assert "ZeroDivision" not in failed.text
    assert engineer.get(f"{SHAPES}/sizes").status_code == 200


def test_the_ledger_says_who_told_an_app_what(shapes: Shapes, station: Station) -> None:
    operator: httpx.Client = station.client(Role.OPERATOR)
    operator.post(f"{SHAPES}/note", json={"label": "good", "id": "p7"})
    station.client(Role.VIEWER).get(f"{SHAPES}/sizes")
    deadline = time.monotonic() + 10
    while True:
        entries = operator.get("/api/ledger", params={"count": 20, "kind": "app.asked"}).json()["entries"]
        if any(e["body"]["body"].get("id") == "p7" for e in entries):
            break
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert next(e["body"] for e in entries if e["body"]["body"].get("id") == "p7") == {
        "app": "shapes",
        "verb": "note",
        "by": "operator1",
        "body": {"label": "good", "id": "p7"},
    }
    assert not any(e["body"]["verb"] == "sizes" for e in entries)
