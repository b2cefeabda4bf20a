"""Who may do what: every address times every role, from one table. An address that is not in the table fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar, get
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient
from pump_station import Station
from served import PASSWORD

from ronghe.console import Role, create_app
from ronghe.console.desk import needs

TABLE = {
    ("GET", "/"): Role.ANYONE,
    ("GET", "/assets/{name}"): Role.ANYONE,
    ("GET", "/api/session"): Role.ANYONE,
    ("POST", "/api/session"): Role.ANYONE,
    ("DELETE", "/api/session"): Role.ANYONE,
    ("POST", "/api/link"): Role.ANYONE,
    ("POST", "/api/link/use"): Role.ANYONE,
    ("GET", "/api/schema"): Role.VIEWER,
    ("GET", "/api/schema/{path}"): Role.VIEWER,
    ("GET", "/api/schema/openapi.json"): Role.VIEWER,
    ("GET", "/api/me"): Role.VIEWER,
    ("POST", "/api/me/password"): Role.VIEWER,
    ("GET", "/api/plant"): Role.VIEWER,
    ("GET", "/api/dictionary"): Role.VIEWER,
    ("GET", "/api/live"): Role.VIEWER,
    ("GET", "/api/stream"): Role.VIEWER,
    ("GET", "/api/trend"): Role.VIEWER,
    ("GET", "/api/connections"): Role.VIEWER,
    ("GET", "/api/apps"): Role.VIEWER,
    ("GET", "/api/apps/{name}/ask/{verb}"): Role.VIEWER,
    ("POST", "/api/apps/{name}/ask/{verb}"): Role.OPERATOR,
    ("GET", "/api/alarms"): Role.VIEWER,
    ("POST", "/api/alarms/acknowledge"): Role.OPERATOR,
    ("POST", "/api/alarms/shelve"): Role.OPERATOR,
    ("POST", "/api/alarms/unshelve"): Role.OPERATOR,
    ("GET", "/api/cases"): Role.VIEWER,
    ("GET", "/api/cases/{case}"): Role.VIEWER,
    ("POST", "/api/cases/{case}/approve"): Role.OPERATOR,
    ("POST", "/api/cases/{case}/reject"): Role.OPERATOR,
    ("GET", "/api/autonomy"): Role.VIEWER,
    ("POST", "/api/autonomy/switch"): Role.ENGINEER,
    ("POST", "/api/kill"): Role.OPERATOR,
    ("POST", "/api/kill/release"): Role.ENGINEER,
    ("GET", "/api/ledger"): Role.VIEWER,
    ("GET", "/api/ledger/verify"): Role.VIEWER,
    ("GET", "/api/users"): Role.ADMINISTRATOR,
    ("POST", "/api/users"): Role.ADMINISTRATOR,
    ("PATCH", "/api/users/{name}"): Role.ADMINISTRATOR,
    ("DELETE", "/api/users/{name}"): Role.ADMINISTRATOR,
    ("POST", "/api/users/{name}/link"): Role.ADMINISTRATOR,
}


def routes(app: Litestar) -> set[tuple[str, str]]:
    found = set()
    for route in app.routes:
        for handler in route.route_handlers if hasattr(route, "route_handlers") else []:
            if isinstance(handler, HTTPRouteHandler):
                path = route.path.replace(":str", "")
                found |= {(str(m), path) for m in handler.http_methods if m not in ("OPTIONS", "HEAD")}
    return found


@pytest.fixture(scope="module")
def clients(station: Station) -> Any:
    """One client a role."""
    return {role: station.client(role) for role in Role}


def test_every_address_is_in_the_table(station: Station) -> None:
    assert routes(create_app(station.node, station.users)) == set(TABLE)


@pytest.mark.parametrize(("method", "path"), list(TABLE))
def test_access(station: Station, clients: dict[Role, httpx.Client], method: str, path: str) -> None:
    """Allowed requests are made so that they do nothing: with an empty body, or about what does not exist."""
    needed = TABLE[(method, path)]
    url = path.replace("{name}", "nothing").replace("{case}", "nothing").replace("{path}", "nothing").replace("{verb}", "nothing")
    for role, client in clients.items():
        if path == "/api/session":
            client = station.client(role)
        with client.stream(method, url, json={} if method in ("POST", "PATCH") else None) as answer:
            if role >= needed:
                assert answer.status_code not in (401, 403, 500), (role, answer.read())
            else:
                assert answer.status_code == (401 if role is Role.ANYONE else 403), (role, answer.read())
                told = httpx.Response(answer.status_code, content=answer.read()).json()
                assert set(told) == {"what", "where", "todo"}
                assert told["what"]["en"]
                assert told["what"]["zh"]


def test_an_address_without_a_rule_is_refused_to_everybody(station: Station) -> None:
    @get("/api/forgotten")
    async def forgotten() -> None: ...

    app = create_app(station.node, station.users)
    app.register(forgotten)
    with TestClient(app) as client:
        client.cookies.set(station.cookie, station.users.open_session(station.person(Role.ADMINISTRATOR)))
        answer = client.get("/api/forgotten")
    assert answer.status_code == 403
    assert "rule" in answer.json()["what"]["en"]
    assert needs(Role.VIEWER) == {"role": Role.VIEWER}


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Ronghe": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_foreign_page_changes_nothing(station: Station, headers: dict[str, str]) -> None:
    client = station.client(Role.ADMINISTRATOR)
    if headers == {"X-Ronghe": ""}:
        del client.headers["X-Ronghe"]
        headers = {}
    answer = client.post("/api/kill", json={"why": "csrf"}, headers=headers)
    assert answer.status_code == 403
    assert station.node.guard.killed == ""


def test_our_own_page_may(station: Station) -> None:
    client = station.client(Role.VIEWER)
    headers = {"Origin": station.base.rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    assert client.request("DELETE", "/api/session", headers=headers).status_code == 204
    assert client.get("/api/me").status_code == 401


def test_sign_in_sets_a_cookie_that_scripts_and_other_sites_never_see(station: Station) -> None:
    name = station.person(Role.VIEWER)
    client = station.client()
    answer = client.post("/api/session", json={"name": name, "password": PASSWORD})
    assert answer.json() == {"name": name, "role": "viewer"}
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "secure" not in cookie  # over plain HTTP a browser would drop it
    assert client.get("/api/me").json()["name"] == name


def test_behind_tls_the_cookie_is_secure(station: Station) -> None:
    name = station.person(Role.VIEWER)
    headers = {"X-Forwarded-Proto": "https"}
    answer = station.client().post("/api/session", json={"name": name, "password": PASSWORD}, headers=headers)
    assert "secure" in answer.headers["set-cookie"].lower()


def test_wrong_passwords_are_slowed_down(station: Station) -> None:
    name = station.person(Role.OPERATOR, "guessed")
    client = station.client()
    codes = [client.post("/api/session", json={"name": name, "password": f"wrong {i}"}).status_code for i in range(6)]
    assert codes == [401] * 5 + [429]
    answer = client.post("/api/session", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 429  # the right one too: else guessing goes on
    assert int(answer.headers["retry-after"]) > 0


def test_headers_of_every_answer(station: Station) -> None:
    client = station.client()
    for path in ("/", "/api/me", "/assets/console.js", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers


def test_errors_are_json_in_both_languages(station: Station) -> None:
    client = station.client(Role.ADMINISTRATOR)
    cases = [
        client.get("/api/nothing"),
        client.post("/api/users", json={"name": "li", "role": "king"}),
        client.post("/api/users", content=b"{", headers={"Content-Type": "application/json"}),
        client.get("/api/trend?tags=no/such/tag"),
        client.put("/api/plant"),
        client.post("/api/users", content=b"x" * 200_000),
        client.get("/api/live?ids=99999"),
    ]
    assert [c.status_code for c in cases] == [404, 400, 400, 404, 405, 413, 400]
    for answer in cases:
        told = answer.json()
        assert set(told) == {"what", "where", "todo"}
        assert told["what"]["en"]
        assert told["what"]["zh"]


def test_schema(station: Station) -> None:
    schema = station.client(Role.VIEWER).get("/api/schema/openapi.json").json()
    described = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
    assert {(m, p) for m, p in TABLE if p.startswith("/api/")} == described


def test_the_table_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "console.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    told = {(m, p): role.strip() for addresses, role in rows for m, p in re.findall(r"`(\w+) (/api[^?`]*)", addresses)}
    meant = {key: role.word for key, role in TABLE.items() if key[1].startswith("/api/")}
    assert told == {k: r for k, r in meant.items() if k[1] not in ("/api/schema", "/api/schema/{path}")}
