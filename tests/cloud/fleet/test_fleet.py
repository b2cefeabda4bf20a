"""The fleet without a network: tokens, what is wanted, what is asked, versions of plant folders."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from tests.cloud.fleet.centres import PLANT, plant_folder

from ronghe.bus.fleet import Joining, Report, RunningModel, WantedModel
from ronghe.bus.invitation import Invitation
from ronghe.cloud.fleet.authority import Authority
from ronghe.cloud.fleet.fleet import Fleet
from ronghe.edge.joining import request_of
from ronghe.errors import CloudError, PlantError
from ronghe.plant.version import survey
from ronghe.text import Text

HOUR = 3_600_000_000_000
DAY = 24 * HOUR


class Clock:
    def __init__(self) -> None:
        self.now = 1_790_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fleet(tmp_path: Path, clock: Clock) -> Iterator[Fleet]:
    found = Fleet(tmp_path, Authority.create(tmp_path / "ca", clock), clock, url="https://127.0.0.1:8443")
    yield found
    found.close()


def asked(token: str, plant: str = PLANT) -> Joining:
    key = ec.generate_private_key(ec.SECP256R1())
    return Joining(secret=Invitation.read(token).secret, plant=plant, title=Text("Press", "冲压"), request=request_of(key, "x"))


def report(**changes: object) -> Report:
    whole = Report(node="press-1", plant=PLANT, at=0, version="1", started=0)
    return msgspec.structs.replace(whole, **changes)


def test_a_token_is_good_once_for_its_plant_and_for_a_day(fleet: Fleet, clock: Clock) -> None:
    token = fleet.invite("press-1", PLANT, "li")
    assert token not in (fleet._home / "fleet.sqlite").read_bytes().decode("latin1")
    with pytest.raises(CloudError, match="the token is for the plant acme/north/press"):
        fleet.join(asked(token, "acme/south/press"))
    joined = fleet.join(asked(token))
    assert joined.node == "press-1"
    with pytest.raises(CloudError, match="used, expired"):
        fleet.join(asked(token))
    late, replaced = fleet.invite("press-2", PLANT, "li"), fleet.invite("press-3", PLANT, "li")
    fleet.invite("press-3", PLANT, "li")
    with pytest.raises(CloudError, match="replaced by a newer"):
        fleet.join(asked(replaced))
    clock.now += DAY + 1
    with pytest.raises(CloudError, match="expired"):
        fleet.join(asked(late))


def test_who_is_removed_or_joins_again_is_known_by_no_older_certificate(fleet: Fleet, clock: Clock) -> None:
    def serial() -> str:
        return str(fleet.register.row("SELECT serial FROM certificate WHERE revoked = 0")["serial"])

    fleet.join(asked(fleet.invite("press-1", PLANT, "li")))
    first = serial()
    assert fleet.owner(first) == "press-1"
    fleet.join(asked(fleet.invite("press-1", PLANT, "li")))
    assert fleet.owner(first) is None
    assert fleet.owner(serial()) == "press-1"
    second = serial()
    fleet.remove("press-1", "li", "scrapped")
    assert fleet.owner(second) is None
    with pytest.raises(CloudError, match="no such node"):
        fleet.wanted("press-1")
    assert [n["state"] for n in fleet.view()["nodes"]] == ["removed"]
    kinds = [r["kind"] for r in fleet.register.rows("SELECT kind FROM event ORDER BY id")]
    assert kinds == ["fleet.invite", "fleet.join"] * 2 + ["fleet.remove"]
    with pytest.raises(CloudError, match="choose another name"):  # by its old key it could still come to the hub
        fleet.invite("press-1", PLANT, "li")
    clock.now += 90 * DAY
    assert fleet.join(asked(fleet.invite("press-1", PLANT, "li"))).node == "press-1"


def test_a_renewed_certificate_outlives_the_old_one_and_the_old_one_works_to_its_end(fleet: Fleet, clock: Clock) -> None:
    fleet.join(asked(fleet.invite("press-1", PLANT, "li")))
    old = str(fleet.register.rows("SELECT serial FROM certificate")[0]["serial"])
    clock.now += 61 * DAY
    key = ec.generate_private_key(ec.SECP256R1())
    renewed = fleet.renew("press-1", request_of(key, "x"))
    assert renewed.renew > clock.now + 59 * DAY
    assert fleet.owner(old) == "press-1"
    clock.now += 30 * DAY
    assert fleet.owner(old) is None


@pytest.mark.parametrize("name", ["", "centre", "a b", "../x", "press.1", "*", "x" * 64])
def test_names_that_cannot_be_subjects_or_files_are_refused(fleet: Fleet, name: str) -> None:
    with pytest.raises(CloudError):
        fleet.invite(name, PLANT, "li")


def test_the_revision_grows_only_when_something_else_is_wanted(fleet: Fleet, tmp_path: Path) -> None:
    fleet.join(asked(fleet.invite("press-1", PLANT, "li")))
    first = fleet.wanted("press-1").revision
    assert fleet.wanted("press-1").revision == first
    models = [WantedModel(app="a", name="m", version="1", hash="h", file="f", size=1, serial=1)]
    fleet.models = lambda node: models
    assert fleet.wanted("press-1").revision == first + 1
    id = fleet.order("press-1", "logs", {"lines": 5}, "li")
    wanted = fleet.wanted("press-1")
    assert (wanted.revision, wanted.orders[0].id, wanted.orders[0].options) == (first + 2, id, {"lines": 5})
    assert fleet.answer(id) is None
    fleet.heard("press-1", report(answers={id: ["a line"], "unknown": 1}))
    assert fleet.answer(id) == ["a line"]
    fleet.heard("press-1", report(answers={id: ["another"]}))
    assert fleet.answer(id) == ["a line"]
    assert fleet.wanted("press-1").orders == ()
    with pytest.raises(CloudError, match="cannot be asked"):
        fleet.order("press-1", "rm -rf", {}, "li")


def test_a_node_cannot_answer_for_another_nor_say_that_it_is_another(fleet: Fleet) -> None:
    for node in ("press-1", "press-2"):
        fleet.join(asked(fleet.invite(node, PLANT, "li")))
    id = fleet.order("press-1", "ping", {}, "li")
    fleet.heard("press-2", report(node="press-1", plant="other", answers={id: "forged"}))
    assert fleet.answer(id) is None
    by_name = {n["name"]: n for n in fleet.view()["nodes"]}
    assert by_name["press-1"]["seen"] is None
    assert (by_name["press-2"]["version"], by_name["press-2"]["plant"]) == ("1", PLANT)


def test_states_by_age_and_drift(fleet: Fleet, clock: Clock) -> None:
    def node() -> dict[str, object]:
        return dict(fleet.view()["nodes"][0])

    token = fleet.invite("press-1", PLANT, "li")
    assert node()["state"] == "invited"
    fleet.join(asked(token))
    refused = RunningModel(app="a", state="refused", text=Text("too slow", "过慢"), wanted="h2")
    fleet.heard("press-1", report(models=(refused,), configuration="c1", log=((clock.now, "warning", "hot"),)))
    seen = node()
    assert seen["state"] == "up"
    assert seen["models"][0]["text"] == {"en": "too slow", "zh": "过慢"}  # type: ignore[index]
    assert seen["log"] == [{"time": clock.now // 1_000_000, "level": "warning", "text": "hot"}]
    assert not seen["configuration"]["drift"]  # type: ignore[index]
    assert seen["outbox"] is None
    assert seen["metrics"]["cpu"] is None  # type: ignore[index]
    clock.now += 31_000_000_000
    assert node()["state"] == "late"
    clock.now += 90_000_000_000
    assert node()["state"] == "gone"
    fleet.heard("press-1", report(configuration="c1", changed=("tags.csv",)))
    assert node()["configuration"]["drift"]  # type: ignore[index]


def test_a_plant_folder_is_checked_kept_and_wanted_of_its_own_nodes_only(fleet: Fleet, tmp_path: Path) -> None:
    fleet.join(asked(fleet.invite("press-1", PLANT, "li")))
    fleet.join(asked(fleet.invite("oven-1", "acme/north/oven", "li"), "acme/north/oven"))
    folder = plant_folder(tmp_path / "press")
    (folder / ".ronghe").mkdir()
    (folder / ".ronghe" / "secret").write_text("stays here")
    hash = fleet.add_folder(folder, "li")
    assert hash == survey(folder).hash
    assert fleet.add_folder(folder, "wang") == hash
    assert [(f["hash"], f["plant"], f["by"], f["files"]) for f in fleet.folders()] == [(hash, PLANT, "li", 4)]
    assert fleet.want_configuration("press-1", hash[:8], "li") == hash
    assert fleet.wanted("press-1").configuration == hash
    assert fleet.folder_of("press-1", hash) is not None
    assert fleet.folder_of("oven-1", hash) is None
    with pytest.raises(CloudError, match="the node runs acme/north/oven"):
        fleet.want_configuration("oven-1", hash, "li")
    with pytest.raises(CloudError, match="no version"):
        fleet.want_configuration("press-1", "0" * 64, "li")
    (folder / "plant.toml").write_text("[plant]\npath = 5\n")
    with pytest.raises(PlantError):
        fleet.add_folder(folder, "li")


@given(st.binary(min_size=32, max_size=32))
def test_a_token_says_the_same_when_read_and_never_when_cut(fingerprint: bytes) -> None:
    made = Invitation.new(fingerprint)
    assert Invitation.read(f" {made.token}\n") == made
    for cut in (made.token[:-2], made.token[4:], made.token + "A", ""):
        with pytest.raises(CloudError):
            Invitation.read(cut)
