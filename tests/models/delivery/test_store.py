"""The store of a node under attack: whatever comes, what is there stays valid, and what happened is said."""

from __future__ import annotations

import http.server
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.models.conftest import DAY, NOW, Clock, Works, changed

from ronghe.bus.fleet import WantedModel
from ronghe.errors import ModelError, Unreachable
from ronghe.historian import disk
from ronghe.models import load
from ronghe.models.delivery import Cut, HttpSource, Store
from ronghe.models.delivery.store import NoRoom
from ronghe.models.keys import KeyFolder
from ronghe.models.registry import prove
from ronghe.text import Text


@pytest.fixture
def store(tmp_path: Path, clock: Clock, works: Works) -> Store:
    made = Store(tmp_path / "node" / "models", clock=clock, reserve=0)
    made.ring.pin(works.keys.named("first").key)
    return made


def bring(store: Store, works: Works, wanted: WantedModel) -> None:
    store.vet(wanted)
    store.fetch(wanted, works)
    store.check(wanted)
    store.switch(wanted)


def version(store: Store) -> str:
    """Of what runs: read from the disk as after a start, and proved."""
    path = Store(store.folder, clock=store._clock).current("watch")
    return load(path).manifest.version if path is not None else ""


def events(store: Store) -> list[str]:
    return [e.event for e in store.journal.read()]


def test_a_release_is_switched_proved_and_taken_back(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    store.prove("watch")
    bring(store, works, works.wanted("2"))
    assert version(store) == "2"
    assert [p.name for p in store.choices("watch") if p] == [store.path(works.registry.list()[i].hash).name for i in (0, 1)]
    store.back("watch", Text("it fails"))
    assert version(store) == "1"
    assert store.pointer("watch").spoilt == works.registry.list()[0].hash
    assert events(store) == ["fetched", "switching", "switched", "proved", "fetched", "switching", "switched", "rolled_back"]
    assert store.collect() == [works.registry.list()[0].hash]


# --- what is refused before a byte is fetched -------------------------------------------------------------------------------------


def forged(works: Works, w: WantedModel) -> WantedModel:
    """The thief's own key, which introduces itself and signs for the right name and hash."""
    thief = KeyFolder(works.folder / "thief")
    thief.new("first", NOW)
    proof = prove(works.registry.path(w.hash), thief.private("first"), serial=9, floor=1, since=NOW, until=0, keys=thief.ring.statements)
    return changed(w, serial=9, proof=msgspec.json.encode(proof).decode())


ATTACKS: dict[str, tuple[str, Callable[[Works, WantedModel], WantedModel]]] = {
    "unsigned": ("not signed", lambda works, w: changed(w, proof="")),
    "wrong key": ("not trusted", forged),
    "another hash": ("something else", lambda works, w: changed(w, hash="0" * 64)),
    "another file": ("something else", lambda works, w: changed(w, file="0" * 64)),
    "a serial that was not signed": ("something else", lambda works, w: changed(w, serial=99)),
    "larger than signed": ("something else", lambda works, w: changed(w, size=1 << 40)),
    "proof of another release": ("something else", lambda works, w: changed(w, proof=works.wanted("3").proof)),
    "statement changed": ("not true", lambda works, w: changed(w, proof=w.proof.replace('serial\\":2', 'serial\\":8'))),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_not_signed_as_it_stands_is_refused_and_the_old_runs(attack: str, store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    says, change = ATTACKS[attack]
    wanted = works.wanted("2")
    attacked = change(works, wanted)
    assert attacked != wanted
    with pytest.raises(ModelError, match=says):
        store.vet(attacked)
    with pytest.raises(ModelError):
        store.switch(attacked)
    assert version(store) == "1"


def test_an_old_version_is_not_brought_back_but_by_a_new_release_of_it(store: Store, works: Works, clock: Clock) -> None:
    one, two, three = works.wanted("1"), works.wanted("2"), works.wanted("3")
    for wanted in (one, two, three):
        bring(store, works, wanted)
    for old in (one, two, changed(one, back=True)):
        with pytest.raises(ModelError, match="old version"):
            store.vet(old)
    # What the centre takes back is what ran before, and is still here.
    store.switch(changed(two, back=True))
    assert version(store) == "2"
    with pytest.raises(ModelError, match="old version"):
        store.vet(changed(one, back=True))
    with pytest.raises(ModelError, match="no way back"):
        store.drop("watch")
    release = works.registry.sign(one.hash, works.keys.private("first"))
    bring(store, works, works.registry.wanted(release.hash, "watch"))
    assert version(store) == "1"


def test_what_ran_before_the_first_release_comes_back_as_long_as_nothing_else_did(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    store.drop("watch")
    assert version(store) == ""
    bring(store, works, works.wanted("2"))
    bring(store, works, works.wanted("3"))
    with pytest.raises(ModelError, match="no way back"):
        store.drop("watch")
    assert version(store) == "3"


def test_after_a_final_release_there_is_no_way_back(store: Store, works: Works) -> None:
    one = works.wanted("1")
    bring(store, works, one)
    bring(store, works, works.wanted("2", final=True))
    with pytest.raises(ModelError, match="old version"):
        store.switch(changed(one, back=True))


def test_the_highest_serial_outlives_its_file(store: Store, works: Works) -> None:
    one = works.wanted("1")
    bring(store, works, one)
    bring(store, works, works.wanted("2"))
    accepted = store.folder / "accepted"
    accepted.write_bytes(accepted.read_bytes().replace(b'"highest":2', b'"highest":0'))
    with pytest.raises(ModelError, match="old version"):
        store.vet(one)


def test_outside_its_dates_it_is_refused_and_what_runs_already_runs_on(store: Store, works: Works, clock: Clock) -> None:
    wanted = works.wanted("1", until=NOW + DAY)
    bring(store, works, wanted)
    clock.now += 2 * DAY
    assert version(store) == "1"
    with pytest.raises(ModelError, match="dates"):
        store.vet(wanted)


def test_the_centre_takes_keys_away_and_brings_none_in(store: Store, works: Works, tmp_path: Path) -> None:
    thief = KeyFolder(tmp_path / "thief")
    key = thief.new("thief", NOW)
    wanted = works.wanted("1")
    with pytest.raises(ModelError, match="not trusted"):
        store.vet(forged(works, wanted), [key, works.keys.named("first").key])
    with pytest.raises(ModelError, match="not trusted"):
        store.vet(wanted, [key])
    store.vet(wanted, [works.keys.named("first").key])


def test_a_release_by_a_rotated_key_is_believed_by_what_comes_with_it(store: Store, works: Works, clock: Clock) -> None:
    works.keys.rotate("first", "second", NOW, overlap=DAY)
    clock.now += 2 * DAY
    bring(store, works, works.wanted("1", key="second"))
    assert version(store) == "1"
    assert "trusted" in events(store)


def test_a_node_that_trusts_nobody_takes_the_keys_of_its_first_contact_and_no_others_after(
    tmp_path: Path, works: Works, clock: Clock
) -> None:
    new, first = Store(tmp_path / "new", clock=clock), works.keys.named("first").key
    with pytest.raises(ModelError, match="not trusted"):
        new.vet(works.wanted("1"))
    new.vet(works.wanted("1"), [first])
    with pytest.raises(ModelError, match="not trusted"):
        new.vet(forged(works, works.wanted("2")), [KeyFolder(works.folder / "thief").named("first").key, first])


# --- the way ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def server(data: bytes, *, most: int = 1 << 30, ranges: bool = True, status: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Serves one file over HTTP, at most so many bytes a connection; says which ranges were asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int((self.headers.get("Range") or "bytes=0-")[6:-1]) if ranges else 0
            asked.append(self.headers.get("Range") or "")
            self.send_response(status or (206 if start else 200))
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + most])

        def log_message(self, *args: Any) -> None: ...

    running = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_port}/fleet/models", asked
    finally:
        running.shutdown()
        running.server_close()
        thread.join()


def test_a_transfer_that_is_cut_goes_on_where_it_ended(store: Store, works: Works) -> None:
    wanted = works.wanted("1", size=100_000)
    data = works.registry.file(wanted.file).read_bytes()
    with server(data, most=40_000) as (url, asked):
        for _ in range(2):
            with pytest.raises(Unreachable):
                store.fetch(wanted, HttpSource(url))
            assert store.current("watch") is None
        store.fetch(wanted, HttpSource(url))
    assert asked == ["", "bytes=40000-", "bytes=80000-"]
    store.check(wanted)
    store.switch(wanted)
    assert version(store) == "1"


def test_a_server_without_ranges_and_one_that_says_no(store: Store, works: Works) -> None:
    wanted = works.wanted("1", size=100_000)
    data = works.registry.file(wanted.file).read_bytes()
    with server(data, most=70_000, ranges=False) as (url, _), pytest.raises(Unreachable):
        store.fetch(wanted, HttpSource(url))
    with server(data, ranges=False) as (url, _):
        store.fetch(wanted, HttpSource(url))
    store.check(wanted)
    other = works.wanted("2")
    for status, error in ((404, ModelError), (500, Unreachable)):
        with server(b"", status=status) as (url, _), pytest.raises(error):
            store.fetch(other, HttpSource(url))
    with pytest.raises(Unreachable):
        store.fetch(other, HttpSource(url))  # nobody listens there any more


class Given:
    """A source that gives what it was told to."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces

    def read(self, file: str, start: int) -> Iterator[bytes]:
        yield from self.pieces


def test_what_is_changed_on_the_way_is_not_kept(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    wanted = works.wanted("2")
    data = bytearray(works.registry.file(wanted.file).read_bytes())
    data[len(data) // 2] ^= 1
    with pytest.raises(ModelError, match="on the way"):
        store.fetch(wanted, Given(bytes(data)))
    with pytest.raises(ModelError, match="on the way"):
        store.fetch(wanted, Given(bytes(data) * 9))  # no end: it is not written beyond what was signed
    assert not list((store.folder / "fetching").iterdir())
    with pytest.raises(ModelError, match="damaged"):
        store.switch(wanted)
    assert version(store) == "1"
    with pytest.raises(Cut):
        store.fetch(wanted, Given(bytes(data)[:1500]))  # and a rest that was damaged begins anew, once it is whole
    with pytest.raises(ModelError, match="on the way"):
        store.fetch(wanted, works_after(works, b"\0"))
    bring(store, works, wanted)
    assert version(store) == "2"


def works_after(works: Works, first: bytes) -> Any:
    class Source:
        def read(self, file: str, start: int) -> Iterator[bytes]:
            yield first
            yield from works.read(file, start + len(first))

    return Source()


# --- a full disk ------------------------------------------------------------------------------------------------------------------


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond, as it does when the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_with_a_full_disk_nothing_half_stays_and_the_old_runs(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    wanted = works.wanted("2", size=50_000)
    with no_file_above(20_000), pytest.raises(NoRoom, match="disk is full"):
        store.fetch(wanted, works)
    assert not list((store.folder / "fetching").iterdir())
    assert version(store) == "1"
    modest = Store(store.folder, clock=store._clock, reserve=1 << 60)
    with pytest.raises(NoRoom):  # asked before a byte is written
        modest.fetch(wanted, Given())
    bring(store, works, wanted)
    assert version(store) == "2"


def test_a_switch_that_the_disk_does_not_take_is_none(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    store.prove("watch")
    wanted = works.wanted("2")
    store.fetch(wanted, works)
    for room in (0, 200, 600, store.journal.path.stat().st_size + 100):
        with no_file_above(room), pytest.raises(ModelError):
            store.switch(wanted)
        store.recover()
        assert version(store) == "1"
    with no_file_above(0):
        store.back("watch", Text("it fails"))  # what must be, is: the node goes on with it, and says it when it can
        assert store.current("watch") is None
    assert version(store) == "1"


# --- a flipped byte on the disk ---------------------------------------------------------------------------------------------------


def test_a_package_that_rots_is_passed_over_for_the_one_before(store: Store, works: Works) -> None:
    for wanted in (works.wanted("1"), works.wanted("2")):
        bring(store, works, wanted)
    for left in ("1", ""):
        path = Store(store.folder).current("watch")
        assert path is not None
        data = bytearray(path.read_bytes())
        data[700] ^= 1
        path.write_bytes(data)
        assert version(store) == left
        assert events(store)[-1] == "damaged"
    bring(store, works, works.wanted("3"))
    assert version(store) == "3"


@settings(deadline=None, max_examples=16, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), bit=st.integers(0, 7), what=st.sampled_from(["pointer", "journal", "accepted"]))
def test_a_bit_that_flips_anywhere_leaves_a_valid_model(at: int, bit: int, what: str, store: Store, works: Works) -> None:
    if not store.apps():
        for wanted in (works.wanted("1"), works.wanted("2")):
            bring(store, works, wanted)
        store.prove("watch")
    path = {"pointer": store.folder / "apps" / "watch", "journal": store.journal.path, "accepted": store.folder / "accepted"}[what]
    whole = path.read_bytes()
    data = bytearray(whole)
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(data)
    again = Store(store.folder, clock=store._clock)
    again.recover()
    assert version(store) == "2"
    if what == "pointer":
        assert events(store)[-1] == "damaged"
        assert path.read_bytes() == whole
    else:
        path.write_bytes(whole)
    with pytest.raises(ModelError, match="old version"):
        again.vet(works.registry.wanted(works.registry.list()[1].hash, "other"))


def test_a_pointer_and_a_journal_that_are_gone_leave_the_plants_own(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    (store.folder / "apps" / "watch").write_bytes(b"")
    store.journal.path.write_bytes(os.urandom(400))
    assert version(store) == ""
    bring(store, works, works.registry.wanted(works.registry.list()[0].hash, "watch"))
    assert version(store) == "1"


# --- a start ----------------------------------------------------------------------------------------------------------------------


def test_a_model_with_which_the_node_keeps_ending_is_taken_back(store: Store, works: Works) -> None:
    bring(store, works, works.wanted("1"))
    store.prove("watch")
    bring(store, works, works.wanted("2"))
    for start in range(4):
        again = Store(store.folder, clock=store._clock)
        told = again.recover()
        assert version(store) == ("2" if start < 3 else "1")
    assert told[-1].event == "rolled_back"
    assert "ended 3 times" in told[-1].text.en


def test_what_is_renamed_over_was_synced_before_and_its_folder_after(store: Store, works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut leaves, other than a kill: a name without content, or content without a name."""
    done: list[tuple[str, str]] = []
    fsync, replace = os.fsync, os.replace

    def synced(fd: int) -> None:
        done.append(("sync", os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    def replaced(old: Any, new: Any) -> None:
        done.append(("rename", f"{old} {new}"))
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(disk.os, "replace", replaced)
    bring(store, works, works.wanted("1"))
    mine = [(i, *what.split(" ")) for i, (kind, what) in enumerate(done) if kind == "rename" and str(store.folder) in what]
    assert [Path(new).name for _, _, new in mine] == ["trusted.json", f"{works.registry.list()[0].hash}.model", "accepted", "watch"]
    for i, old, new in mine:
        assert ("sync", old) in done[:i]
        assert ("sync", str(Path(new).parent)) in done[i:]
