"""No tenant learns of another, limits hold, and what was used is written down once."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
import tritonclient.grpc as by_grpc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from ronghe.cloud.serving import Quota, Serving, Tenants
from ronghe.cloud.serving.refusal import Refusal
from ronghe.errors import CloudError

from .conftest import package, product, save, served

S = 1_000_000_000
NOON = 1_800_000_000 * S  # 2027-01-15 16:00 in Shanghai
X = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]}
NAMES = ("alpha", "beta", "gamma")


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenants(tmp_path: Path, clock: Clock) -> Iterator[Tenants]:
    made = Tenants(tmp_path / "tenants.sqlite", clock)
    made.add("acme", title="ACME 压铸")
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Serving, Tenants]]:
    folder = tmp_path_factory.mktemp("shared")
    for name in NAMES[:2]:  # gamma is not there
        save(folder / f"{name}.model", package(name, product()))
    tenants = Tenants(folder / "tenants.sqlite")
    with served(folder, tenants) as serving:
        yield serving, tenants
    tenants.close()


def _ask(client: httpx.Client, verb: str, model: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    if verb == "infer":
        return client.post(f"/v2/models/{model}/infer", json=X, headers=headers)
    return client.get(f"/v2/models/{model}{verb}", headers=headers)


@given(
    owned=st.dictionaries(st.sampled_from(["ta", "tb", "tc"]), st.sets(st.sampled_from(NAMES), min_size=1), min_size=1),
    asked=st.lists(
        st.tuples(st.sampled_from(["ta", "tb", "tc", ""]), st.sampled_from(NAMES), st.sampled_from(["infer", "", "/ready"])), max_size=8
    ),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nobody_crosses(shared: tuple[Serving, Tenants], owned: dict[str, set[str]], asked: list[tuple[str, str, str]]) -> None:
    serving, tenants = shared
    keys = {}
    for name, models in owned.items():
        if all(t["name"] != name for t in tenants.view()["tenants"]):
            tenants.add(name)
        keys[name] = tenants.key(name, models=sorted(models))
    with httpx.Client(base_url=serving.url) as client:
        for name, model, verb in asked:
            said = _ask(client, verb, model, keys.get(name, "rk-000000000000-x"))
            if name not in keys:
                assert said.status_code == 401
            elif model in owned[name] and model != "gamma":
                assert said.status_code == 200
            else:  # not theirs, or not there: the very same bytes
                assert said.status_code == 404
                assert said.content == '{"error":"no such model / 没有此模型"}'.encode()
                assert set(said.headers) == {"content-type", "content-length", "date"}


def test_what_cannot_be_read_is_held_to_the_rate_too(shared: tuple[Serving, Tenants]) -> None:
    serving, tenants = shared
    tenants.add("garbled")
    key = tenants.key("garbled", models=["alpha"])
    tenants.quota("garbled", Quota(rate_per_s=0.1))
    with httpx.Client(base_url=serving.url, headers={"authorization": f"Bearer {key}"}) as client:
        listed = client.post("/v2/repository/index").json()
        assert {m["name"] for m in listed} == {"alpha"}
        answers = [client.post("/v2/models/alpha/infer", content=b"{").status_code for _ in range(2)]
    assert answers == [400, 429]


def test_keys_end_and_are_kept_as_hashes_only(shared: tuple[Serving, Tenants], tmp_path: Path) -> None:
    serving, tenants = shared
    tenants.add("ends")
    key = tenants.key("ends", models=["alpha"])
    metadata = tenants.key("ends", models=["alpha"], scopes=["metadata"])
    with httpx.Client(base_url=serving.url) as client:
        assert _ask(client, "infer", "alpha", key).status_code == 200
        assert _ask(client, "infer", "alpha", metadata).status_code == 403
        assert _ask(client, "infer", "gamma", metadata).status_code == 403
        assert _ask(client, "", "alpha", metadata).status_code == 200
        wrong = [key[:-1] + ("A" if key[-1] != "A" else "B"), "rk", "rk--", key.replace("rk", "kr"), metadata[:16] + key[16:]]
        tenants.revoke("ends", key.split("-")[1])
        refused = {_ask(client, "infer", "alpha", k).content for k in (*wrong, key)}
        assert refused == {'{"error":"a valid key is needed / 需要有效的密钥"}'.encode()}
        assert client.get("/v2/models/alpha").status_code == 401
    with by_grpc.InferenceServerClient(serving.grpc_url) as grpc:
        with pytest.raises(InferenceServerException, match="UNAUTHENTICATED"):
            grpc.get_model_metadata("alpha", headers={"authorization": f"Bearer {key}"})
        headers = {"authorization": f"Bearer {metadata}"}
        assert grpc.get_model_metadata("alpha", headers=headers).name == "alpha"
        assert not grpc.is_model_ready("beta", headers=headers)
        assert not grpc.is_model_ready("gamma", headers=headers)
    kept = b"".join(p.read_bytes() for p in Path(tenants._file.path.parent).glob("tenants.sqlite*"))
    assert key.split("-", 2)[2].encode() not in kept


def test_the_rate_is_a_bucket(tenants: Tenants, clock: Clock) -> None:
    tenants.quota("acme", Quota(rate_per_s=2))
    grant = tenants.grant(tenants.key("acme", models=["m"]))
    for _ in range(2):
        tenants.admit(grant)
    with pytest.raises(Refusal) as e:
        tenants.admit(grant)
    assert (e.value.status, e.value.after) == (429, 1)
    clock.now += S // 2
    tenants.admit(grant)
    with pytest.raises(Refusal):
        tenants.admit(grant)
    clock.now += 3600 * S
    for _ in range(2):
        tenants.admit(grant)
    with pytest.raises(Refusal):
        tenants.admit(grant)


def test_a_days_quota_counts_what_is_under_way_and_ends_at_local_midnight(tenants: Tenants, clock: Clock) -> None:
    tenants.quota("acme", Quota(calls_per_day=2))
    grant = tenants.grant(tenants.key("acme", models=["m"]))
    tenants.admit(grant)
    tenants.admit(grant)
    with pytest.raises(Refusal) as e:
        tenants.admit(grant)
    assert e.value.after == 8 * 3600
    tenants.done(grant, "m", None)  # it failed: the call is not used
    tenants.done(grant, "m", 5 * S)
    tenants.admit(grant)
    tenants.done(grant, "m", 5 * S)
    clock.now += 8 * 3600 * S
    tenants.admit(grant)
    tenants.done(grant, "m", S)
    tenants.quota("acme", Quota(compute_s_per_day=1))
    with pytest.raises(Refusal, match="computing time"):
        tenants.admit(tenants.grant(tenants.key("acme", models=["m"])))
    assert [(u.day, u.calls, u.compute_ns // S, u.refused) for u in tenants.usage("acme")] == [
        ("2027-01-15", 2, 10, 1),
        ("2027-01-16", 1, 1, 0),
    ]


def test_what_was_used_today_is_known_after_a_restart_and_of_other_processes(tenants: Tenants, clock: Clock, tmp_path: Path) -> None:
    tenants.quota("acme", Quota(calls_per_day=3))
    key = tenants.key("acme", models=["m"])
    for _ in range(2):
        tenants.admit(tenants.grant(key))
        tenants.done(tenants.grant(key), "m", 1)
    tenants.meter.flush()
    other = Tenants(tmp_path / "tenants.sqlite", clock)
    try:
        other.admit(other.grant(key))
        other.done(other.grant(key), "m", 1)
        with pytest.raises(Refusal):
            other.admit(other.grant(key))
        other.meter.flush()
        tenants._look_again()
        with pytest.raises(Refusal):
            tenants.admit(tenants.grant(key))
        other.revoke("acme", key.split("-")[1])
        tenants._look_again()
        with pytest.raises(Refusal):
            tenants.grant(key)
    finally:
        other.close()


def test_a_batch_that_was_written_after_all_is_not_written_twice(tenants: Tenants, monkeypatch: pytest.MonkeyPatch) -> None:
    meter, add = tenants.meter, tenants._file.add_use
    meter.count(("acme", "k", "m", "2027-01-15"), calls=3, compute=7)

    def written_but_not_told(*args: object) -> None:
        add(*args)  # type: ignore[arg-type]
        raise CloudError("the answer was lost")

    monkeypatch.setattr(tenants._file, "add_use", written_but_not_told)
    with pytest.raises(CloudError):
        meter.flush()
    meter.count(("acme", "k", "m", "2027-01-15"), calls=1)
    monkeypatch.setattr(tenants._file, "add_use", add)
    meter.flush()
    meter.flush()
    assert [(u.calls, u.compute_ns) for u in tenants.usage("acme")] == [(4, 7)]


def test_what_cannot_be_written_is_kept_and_then_nothing_more_is_served(tenants: Tenants, clock: Clock, tmp_path: Path) -> None:
    grant = tenants.grant(tenants.key("acme", models=["m"]))
    tenants.admit(grant)
    tenants.done(grant, "m", 1)
    tenants._file.rows("PRAGMA busy_timeout=0")
    with sqlite3.connect(tmp_path / "tenants.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        tenants.meter.start()
        deadline = time.monotonic() + 20
        while not tenants.meter._failing and time.monotonic() < deadline:
            time.sleep(0.01)
        clock.now += 11 * S
        with pytest.raises(Refusal) as e:
            tenants.admit(grant)
        assert e.value.status == 503
        other.execute("ROLLBACK")
    other.close()
    tenants.meter.stop()
    assert [u.calls for u in tenants.usage("acme")] == [1]
    tenants.admit(grant)


_SERVER = """
import sys, threading
from pathlib import Path
from ronghe.cloud.serving import Tenants
tenants = Tenants(Path(sys.argv[1]))
grant = tenants.grant(sys.argv[2])
tenants.meter.start()
n = 0
while True:
    tenants.admit(grant)
    tenants.done(grant, "m", 1000)
    n += 1
    print(n, flush=True)
    threading.Event().wait(0.002)
"""


def test_a_killed_server_loses_less_than_a_second_and_counts_nothing_twice(tmp_path: Path) -> None:
    tenants = Tenants(tmp_path / "tenants.sqlite")
    tenants.add("acme")
    key = tenants.key("acme", models=["m"])
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(tmp_path / "tenants.sqlite"), key], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        told: list[tuple[float, int]] = []
        for line in server.stdout:
            told.append((time.monotonic(), int(line)))
            if told[-1][0] - told[0][0] > 3.0:
                os.kill(server.pid, signal.SIGKILL)
                break
        told += [(time.monotonic(), int(line)) for line in server.stdout]
    (used,) = tenants.usage("acme")
    tenants.close()
    assert 0 < used.calls <= told[-1][1] + 1
    assert used.compute_ns == 1000 * used.calls
    killed = told[-1][0]
    assert used.calls >= max((n for at, n in told if at < killed - 1.0), default=0)


def test_a_month_is_billed_by_the_prices_of_its_days(tenants: Tenants, clock: Clock) -> None:
    grant = tenants.grant(tenants.key("acme", models=["*"]))
    for _day in range(3):
        for _ in range(3):
            tenants.admit(grant)
            tenants.done(grant, "wear", S // 2)
        tenants.refused(grant, "wear")
        clock.now += 24 * 3600 * S
    with pytest.raises(CloudError, match="wear has no price in CNY on 2027-01-15"):
        tenants.invoice("acme", "2027-01")
    tenants.price("wear", currency="CNY", since="2027-01-01", per_call="0.1", per_compute_s="1")
    tenants.price("wear", currency="EUR", since="2027-01-01", per_call="99")
    tenants.price("wear", currency="CNY", since="2027-01-17", per_call="0.105")
    with pytest.raises(CloudError, match="later day"):
        tenants.price("wear", currency="CNY", since="2027-01-17", per_call="0")
    bill = tenants.invoice("acme", "2027-01")
    assert [(x.since, x.calls, x.compute_s, x.amount) for x in bill.lines] == [
        ("2027-01-01", 6, Decimal("3.000"), Decimal("3.60")),
        ("2027-01-17", 3, Decimal("1.500"), Decimal("0.32")),  # 0.315, half up
    ]
    assert (bill.total, bill.currency, bill.final) == (Decimal("3.92"), "CNY", False)
    clock.now += 31 * 24 * 3600 * S
    rows = tenants.invoice("acme", "2027-01").csv().splitlines()
    assert rows[1] == "acme,2027-01,Asia/Shanghai,wear,2027-01-01,6,3.000,0.1,1,3.60,CNY"
    assert rows[-1] == "acme,2027-01,Asia/Shanghai,total,,9,,,,3.92,CNY"
    assert tenants.invoice("acme", "2027-02").total == 0
    day = tenants.usage_view("acme")["days"][0]
    assert (day["time"], day["calls"], day["refused"]) == (1_799_942_400_000, 3, 1)


def test_what_cannot_be_is_refused_in_words(tenants: Tenants) -> None:
    for call in (
        lambda: tenants.add("acme"),
        lambda: tenants.add("A b"),
        lambda: tenants.add("b", timezone="Mars/Olympus"),
        lambda: tenants.add("b", currency="yuan"),
        lambda: tenants.key("nobody", models=["m"]),
        lambda: tenants.key("acme", models=[]),
        lambda: tenants.key("acme", models=["m"], scopes=["root"]),
        lambda: tenants.revoke("acme", "nothing"),
        lambda: tenants.quota("acme", Quota(rate_per_s=float("nan"))),
        lambda: tenants.price("m", currency="CNY", since="2027-13-01"),
        lambda: tenants.price("m", currency="CNY", since="2027-01-01", per_call="-1"),
        lambda: tenants.price("m", currency="CNY", since="2027-01-01", per_call="a"),
        lambda: tenants.invoice("acme", "January"),
    ):
        with pytest.raises(CloudError) as e:
            call()
        assert e.value.what.zh
