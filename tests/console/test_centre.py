"""The centre's console over a centre at work with two nodes: who may do what, what comes of it, and its pages in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import axe
from centred import REAL, TOLD, Centred, centred
from conftest import Open
from playwright.sync_api import expect
from test_access import routes
from tests.cloud.fleet.centres import until

from ronghe.console import Role
from ronghe.console.centre import create_centre_app
from ronghe.text import Text

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
JUDGED = ["#/", f"#/node/{REAL}", "#/models", "#/placement", "#/tenants/huaxin"]
PLACES = ["#/", f"#/node/{REAL}", "#/models", "#/placement", "#/tenants", "#/tenants/huaxin", "#/ledger", "#/users"]


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centred]:
    """A centre, two nodes, a package, and a tenant who has called a model."""
    with centred(tmp_path_factory.mktemp("centred")) as found:
        tenants = found.centre.tenants
        tenants.add("huaxin", title="Huaxin Bearings")
        tenants.price("pump", currency="CNY", since="2020-01-01", per_call="0.10")
        grant = tenants.grant(tenants.key("huaxin", models=["pump"]))
        for _ in range(3):
            tenants.admit(grant)
            tenants.done(grant, "pump", 200_000_000)
        found.placement = placed()
        found.tell()
        yield found


def placed() -> dict[str, Any]:
    """What a node says of where its models run: one whose deadline only the workshop meets, one that misses its own."""
    now = time.time_ns() // 1_000_000
    link = {"rtt_ms": 8.0, "p99_ms": 14.0, "jitter_ms": 2.0, "loss": 0.0, "bps": 9e7, "up": True}
    sites = [
        {"site": "here", "kind": "edge", "title": {"en": "This node", "zh": "本节点"}, **link, "rtt_ms": 0.0, "bps": None},
        {"site": "hall", "kind": "workshop", "title": {"en": "Hall server", "zh": "车间服务器"}, **link},
    ]

    def model(name: str, at: str, deadline: float, p99: dict[str, float]) -> dict[str, Any]:
        options = [
            {"site": s, "compute_ms": p / 2, "link_ms": p / 2, "p99_ms": p, "cost": 1.0, "meets": p <= deadline, "why": Text("p99", "p99")}
            for s, p in p99.items()
        ]
        return {
            "model": name,
            "app": "eye",
            "deadline_ms": deadline,
            "site": at,
            "since": now,
            "why": Text("it fits", "满足"),
            "options": options,
        }

    models = [model("weld-eye", "hall", 50, {"here": 72, "hall": 24}), model("surface", "here", 30, {"here": 44, "hall": 43})]
    move = {"time": now, "model": "weld-eye", "from": "here", "to": "hall", "why": Text("72 ms is beyond 45 ms", "72 ms 超出 45 ms")}
    return {"sites": sites, "models": models, "moves": [move]}


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


def test_the_fleet_says_what_is_wrong_and_what_to_do(centre: Centred, open_page: Open) -> None:
    centre.alarms = {"critical": 2}
    centre.tell()
    watched = open_page(Role.VIEWER, of=centre)
    page = watched.go("#/")
    needs = page.get_by_role("listitem")
    expect(needs.filter(has_text=f"{TOLD}: critical alarms (2)")).to_contain_text("Open the node's own console")
    expect(needs.filter(has_text=f"{TOLD}: changed by hand: tags.csv")).to_be_visible()
    expect(needs.filter(has_text=f"surface at {TOLD} misses its deadline of 30 ms")).to_be_visible()
    map = page.get_by_role("region", name="Fleet map")
    expect(map.get_by_role("link", name=re.compile(f"^{REAL} ?: up"))).to_be_visible()
    expect(map.get_by_role("link", name=re.compile(f"^{TOLD} ?: up.*Drift.*Critical.*2.*12 ms"))).to_be_visible()
    expect(page.locator(f'tr[data-node="{TOLD}"]')).to_contain_text("12 ms · p99 31 ms")
    expect(page.get_by_role("button", name="Invite a node")).to_have_count(0)  # a viewer
    centre.alarms = {}
    centre.tell()
    expect(needs.filter(has_text="critical alarms")).to_have_count(0)  # without reloading
    assert watched.errors == []
    assert watched.foreign == []


def test_a_node_is_invited_asked_and_removed(centre: Centred, open_page: Open) -> None:
    watched = open_page(Role.ADMINISTRATOR, of=centre)
    page = watched.go("#/")
    page.get_by_role("button", name="Invite a node").click()
    page.get_by_label("Name of the node").fill("press-3")
    page.get_by_label("Path of its plant").fill("acme/north/press")
    page.get_by_role("button", name="Make the command").click()
    command = page.get_by_label("Command").input_value()
    assert command.startswith(f"ronghe join {centre.centre.url} ")
    page.keyboard.press("Escape")
    expect(page.locator('tr[data-node="press-3"]')).to_contain_text("waits to join")
    page.get_by_role("region", name="Nodes").get_by_role("link", name=REAL).click()
    expect(page.get_by_role("heading", name=REAL)).to_be_focused()
    page.get_by_role("button", name="Drivers").click()
    expect(page.get_by_role("region", name="Remote diagnosis")).to_contain_text("replay", timeout=15_000)
    page = watched.go("#/node/press-3")
    page.get_by_role("button", name="Remove this node").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Remove this node").click()
    expect(dialog).to_be_visible()  # not without a reason
    dialog.get_by_label("Why").fill("never delivered")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    until(lambda: any(n["why"] == "never delivered" for n in centre.noted("fleet.remove")), "the ledger")
    page = watched.go("#/ledger")
    expect(page.get_by_text("“never delivered”")).to_be_visible()
    assert watched.errors == []


def test_a_roll_out_is_started_and_its_refusal_is_told(centre: Centred, open_page: Open) -> None:
    watched = open_page(Role.ENGINEER, of=centre)
    page = watched.go("#/models")
    page.get_by_role("button", name="Start a roll-out").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Package").select_option(centre.release)
    dialog.get_by_label("App").fill("watch")
    dialog.get_by_label("Waves").fill("50")
    expect(dialog.get_by_role("button", name="Start a roll-out")).to_be_disabled()  # the waves do not reach everybody
    dialog.get_by_label("Waves").fill("100")
    expect(dialog.get_by_role("status")).to_contain_text("1 nodes")
    dialog.get_by_role("button", name="Start a roll-out").click()
    card = page.get_by_role("region", name="pump 7")
    expect(card).to_contain_text("under way")
    card.get_by_role("button", name="Hold it").click()
    page.get_by_label("Why").fill("the shift changes")
    page.get_by_role("dialog").get_by_role("button", name="Hold it").click()
    expect(card).to_contain_text("the shift changes (engineer1)")
    centre.runs("refused", Text("one run takes 41 ms, more than 20 ms", "单次运行 41 ms，超过 20 ms"))
    row = page.get_by_role("row", name=re.compile("pump 7.*rolled back")).first
    expect(row).to_contain_text(f"{TOLD}: one run takes 41 ms")
    chinese = open_page(Role.VIEWER, of=centre, language="zh").go("#/")
    expect(chinese.get_by_role("listitem").filter(has_text=f"{TOLD} 拒绝了 watch 的新模型")).to_contain_text("单次运行 41 ms")
    assert watched.errors == []


def test_placement_shows_each_site_against_the_deadline(centre: Centred, open_page: Open) -> None:
    watched = open_page(Role.VIEWER, of=centre)
    page = watched.go("#/placement")
    weld = page.get_by_role("region", name="weld-eye")
    expect(weld).to_contain_text("runs at Hall server")
    expect(weld.get_by_role("img", name="p99 72 ms against a deadline of 50 ms").locator(".over")).to_have_count(1)
    expect(weld.get_by_role("img", name="p99 24 ms against a deadline of 50 ms").locator(".over")).to_have_count(0)
    expect(page.get_by_role("region", name="surface")).to_contain_text("Misses its deadline")
    expect(page.get_by_role("region", name="Moves")).to_contain_text("This node → Hall server")
    assert watched.errors == []


def test_a_tenant_gets_a_key_once_limits_and_a_bill(centre: Centred, open_page: Open) -> None:
    watched = open_page(Role.ADMINISTRATOR, of=centre)
    page = watched.go("#/tenants")
    page.get_by_label("Short name").fill("li-tools")
    page.get_by_label("What people call it").fill("Li Tools")
    page.get_by_role("button", name="Add tenant").click()
    expect(page.get_by_role("heading", name="Li Tools")).to_be_visible()
    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("pump").check()
    dialog.get_by_role("button", name="New key").click()
    key = dialog.get_by_label("Key").input_value()
    assert centre.centre.tenants.grant(key).may("infer", "pump")
    page.keyboard.press("Escape")
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("button", name="Change limits").click()
    page.get_by_label("Calls a day").fill("5")
    page.get_by_role("button", name="Set limits").click()
    expect(page.get_by_text("0 / 5")).to_be_visible()
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("revoked")).to_be_visible()
    page = watched.go("#/tenants/huaxin")
    used = page.get_by_role("region", name="Use")
    expect(used.get_by_role("row", name=re.compile("pump 3 0.60 s 0"))).to_be_visible()
    with page.expect_download() as bill:
        used.get_by_role("button", name="Invoice").click()
    assert "total so far,,3,,,,0.30,CNY" in bill.value.path().read_text(encoding="utf-8")
    assert watched.errors == []


def test_every_page_is_accessible_and_fits(centre: Centred, open_page: Open) -> None:
    """WCAG 2.2 A and AA as far as axe-core can judge, in both lights; and 360 px are enough."""
    found = []
    for theme, language in (("grey", "en"), ("dark", "zh")):
        watched = open_page(Role.ADMINISTRATOR, of=centre, theme=theme, language=language)
        for place in PLACES if theme == "grey" else PLACES[:1]:  # only the colours differ, and Chinese is the shorter one
            page = watched.go(place)
            page.wait_for_timeout(150)
            if (theme == "grey" and place in JUDGED) or place == "#/":
                page.evaluate(axe())
                tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
                run = "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
                found += [(place, theme, v["id"], v["nodes"][0]["html"][:160]) for v in page.evaluate(run, tags)["violations"]]
            page.set_viewport_size({"width": 360, "height": 860})
            page.wait_for_timeout(60)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [(place, language, "wider than the screen", str(over))] if over > 0 else []
            page.set_viewport_size({"width": 1400, "height": 860})
        assert watched.errors == []
    assert found == []
