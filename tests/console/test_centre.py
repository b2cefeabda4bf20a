"""The centre's console over a centre at work: who may do what, and what people and nodes do to one another through it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from centred import REAL, TOLD, Centred, centred
from test_access import routes
from tests.cloud.fleet.centres import until

from ronghe.console import Role
from ronghe.console.centre import create_centre_app

DOCS = Path(__file__).parents[2] / "docs"
SHARED = ("/api/session", "/api/link", "/api/me", "/api/users", "/api/ledger", "/api/schema", "/assets")
TABLE = {
    ("GET", "/api/centre"): Role.VIEWER,
    ("GET", "/api/fleet"): Role.VIEWER,
    ("GET", "/api/fleet/folders"): Role.VIEWER,
    ("GET", "/api/fleet/answer/{order}"): Role.VIEWER,
    ("POST", "/api/fleet/invite"): Role.ENGINEER,
    ("POST", "/api/fleet/order"): Role.ENGINEER,
    ("POST", "/api/fleet/configuration"): Role.ENGINEER,
    ("POST", "/api/fleet/remove"): Role.ADMINISTRATOR,
    ("GET", "/api/models"): Role.VIEWER,
    ("GET", "/api/rollouts"): Role.VIEWER,
    ("POST", "/api/rollouts"): Role.ENGINEER,
    ("POST", "/api/rollouts/{rollout}/{how}"): Role.ENGINEER,
    ("GET", "/api/placement"): Role.VIEWER,
    ("GET", "/api/tenants"): Role.VIEWER,
    ("GET", "/api/tenants/{name}/usage"): Role.VIEWER,
    ("GET", "/api/tenants/{name}/invoice"): Role.VIEWER,
    ("POST", "/api/tenants"): Role.ADMINISTRATOR,
    ("POST", "/api/tenants/{name}/keys"): Role.ADMINISTRATOR,
    ("POST", "/api/tenants/{name}/keys/{key}/revoke"): Role.ADMINISTRATOR,
    ("PUT", "/api/tenants/{name}/quota"): Role.ADMINISTRATOR,
}


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centred]:
    """A centre, two nodes, a package."""
    with centred(tmp_path_factory.mktemp("centred")) as found:
        yield found


def test_every_address_has_its_role_and_is_documented(centre: Centred) -> None:
    found = {r for r in routes(create_centre_app(centre.centre, centre.users)) if r[1] != "/" and not r[1].startswith(SHARED)}
    assert found == set(TABLE)
    told = re.findall(r"^\| `(\w+) (/api[^?`]*)[^|]*\| (\w+) \|", (DOCS / "centre-console.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert {(m, p): r for m, p, r in told} == {key: role.word for key, role in TABLE.items()}


@pytest.mark.parametrize("role", list(Role))
def test_who_may_do_what(centre: Centred, role: Role) -> None:
    """What a role is the first to be allowed is made so that it does nothing; all that needs more is refused."""
    with centre.client(role) as client:
        for (method, path), needed in TABLE.items():
            if role > needed:
                continue
            answer = client.request(method, re.sub(r"{\w+}", "nothing", path), json={} if method != "GET" else None)
            if role < needed:
                assert answer.status_code == (401 if role is Role.ANYONE else 403), path
            else:
                assert answer.status_code not in (401, 403, 500), path
            if answer.status_code >= 400:
                assert answer.json()["what"]["zh"], path


def test_a_page_is_told_that_it_is_a_centre_s(centre: Centred) -> None:
    with centre.client(Role.VIEWER) as client:
        assert client.get("/api/session").json() == {"of": "centre", "me": {"name": "viewer1", "role": "viewer"}}
        assert client.get("/api/centre").json()["failed"] == []
    with centre.client(Role.ANYONE) as client:
        assert client.get("/api/session").json() == {"of": "centre", "me": None}
        assert client.post("/api/session", json={"name": "viewer1", "password": "not the password"}).status_code == 401


def test_what_people_change_is_in_the_ledger_with_who_and_why(centre: Centred) -> None:
    with centre.client(Role.ADMINISTRATOR) as client:
        made = client.post("/api/fleet/invite", json={"node": "press-9", "plant": "acme/north/press"}).json()
        assert made["command"] == f"ronghe join {centre.centre.url} {made['token']} --plant FOLDER"
        assert client.post("/api/fleet/remove", json={"node": "press-9", "why": "sold"}).status_code == 204
        assert client.post("/api/tenants", json={"name": "tools", "title": "Tools Ltd"}).status_code == 204
        key = client.post("/api/tenants/tools/keys", json={"scopes": ["infer"], "models": ["pump"]}).json()["key"]
        assert centre.centre.tenants.grant(key).may("infer", "pump")
        assert client.put("/api/tenants/tools/quota", json={"calls_per_day": 5}).status_code == 204
        assert client.post(f"/api/tenants/tools/keys/{key.split('-')[1]}/revoke").status_code == 204
        assert (
            client.post("/api/tenants/tools/keys", json={"scopes": ["all"], "models": ["pump"]}).json()["what"]["en"]
            == "no such scope: all"
        )
    who = "administrator1"
    until(lambda: centre.noted("fleet.remove"), "the ledger")
    assert centre.noted("fleet.remove")[-1].items() >= {"who": who, "node": "press-9", "why": "sold"}.items()
    assert centre.noted("fleet.invite")[-1]["who"] == who
    assert [n["who"] for kind in ("added", "key", "quota", "revoked") for n in centre.noted(f"tenant.{kind}")] == [who] * 4
    assert key not in str(centre.noted("tenant"))


def test_a_roll_out_goes_by_what_nodes_say_and_the_ledger_knows_who(centre: Centred) -> None:
    plan = {"hash": centre.release, "app": "watch", "nodes": [TOLD], "waves": [1.0], "gate": {"minutes": 0}}
    with centre.client(Role.ENGINEER) as client:
        unknown = client.post("/api/rollouts", json=plan | {"nodes": ["nobody"]})
        assert (unknown.status_code, unknown.json()["what"]["en"]) == (400, "no such node: nobody")
        id = client.post("/api/rollouts", json=plan).json()["id"]
        assert client.post(f"/api/rollouts/{id}/pause", json={"why": "the shift changes"}).status_code == 204
        assert client.get("/api/rollouts").json()[0]["why"]["en"] == "the shift changes (engineer1)"
        assert client.post(f"/api/rollouts/{id}/go_on", json={"why": "it has"}).status_code == 204
        centre.runs()
        centre.tell()
        assert client.get("/api/rollouts").json()[0]["state"] == "done"
        assert client.post(f"/api/rollouts/{id}/roll_back", json={"why": "noise"}).status_code == 204
        assert client.post(f"/api/rollouts/{id}/anything", json={"why": "noise"}).status_code == 400
    noted = [
        (n["kind"], n["why"]) for n in ({"kind": k, **b} for k in ("pause", "go_on", "roll_back") for b in centre.noted(f"rollout.{k}"))
    ]
    assert noted == [("pause", "the shift changes"), ("go_on", "it has"), ("roll_back", "noise")]
    assert centre.noted("rollout.start")[-1].items() >= {"who": "engineer1", "id": id, "app": "watch"}.items()


def test_a_node_answers_what_it_is_asked(centre: Centred) -> None:
    with centre.client(Role.ENGINEER) as client:
        id = client.post("/api/fleet/order", json={"node": REAL, "what": "ping"}).json()["id"]
        answer = until(lambda: client.get(f"/api/fleet/answer/{id}").json()["answer"], "the node's answer")
        assert answer
        wrong = client.post("/api/fleet/order", json={"node": REAL, "what": "rm -rf /"})
        assert wrong.status_code == 400
