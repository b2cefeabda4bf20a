"""Alarms: the ISA-18.2 state machine, its memory, and what it says of itself."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ronghe.apps.contract import Finding
from ronghe.edge.alarms import Alarm, Alarms
from ronghe.errors import RongheError
from ronghe.text import Text

S = 1_000_000_000
KEY = "line1/pump1/pressure_low"


def finding(active: bool = True, key: str = KEY, **more: Any) -> Finding:
    return Finding(
        **{
            "key": key,
            "app": "health",
            "equipment": "line1/pump1",
            "time": 0,
            "active": active,
            "priority": "medium",
            "text": Text("Pressure is low", "压力偏低"),
            "action": Text("Open the valve", "打开阀门"),
            "score": 2.0 if active else 0.0,
            **more,
        }
    )


@pytest.fixture
def told() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def alarms(told: list[tuple[str, dict[str, Any]]]) -> Alarms:
    return Alarms(record=lambda event, body: told.append((event, body)), off_delay=2.0)


def end(alarms: Alarms, now: int) -> None:
    """Ends the condition at `now` and lets the off-delay pass."""
    alarms.take(finding(False), now)
    alarms.tick(now + 2 * S)


def test_raised_acknowledged_ended(alarms: Alarms, told: list[tuple[str, dict[str, Any]]]) -> None:
    alarms.take(finding(), 1 * S)
    assert alarms.get(KEY).state == "unacknowledged"
    alarms.acknowledge(KEY, "li", 2 * S, "on my way")
    got = alarms.get(KEY)
    assert (got.state, got.acknowledged_by, got.acknowledged_at, got.comment) == ("acknowledged", "li", 2 * S, "on my way")
    end(alarms, 3 * S)
    assert alarms.get(KEY).state == "normal"
    assert alarms.list() == []
    assert [e for e, _ in told] == ["raised", "acknowledged", "returned"]
    assert told[1][1] == {"key": KEY, "time": 2 * S, "state": "acknowledged", "user": "li", "comment": "on my way"}


def test_an_unacknowledged_alarm_stays_until_it_is_seen(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    end(alarms, 2 * S)
    assert [a.state for a in alarms.list()] == ["returned"]
    alarms.acknowledge(KEY, "li", 9 * S)
    assert alarms.list() == []


def test_raised_again_while_returned_counts(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    end(alarms, 2 * S)
    alarms.take(finding(score=3.0), 10 * S)
    got = alarms.get(KEY)
    assert (got.state, got.count, got.first, got.raised, got.score) == ("unacknowledged", 2, 1 * S, 10 * S, 3.0)


def test_a_new_alarm_after_an_acknowledged_one_wants_acknowledging_again(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    alarms.acknowledge(KEY, "li", 2 * S)
    end(alarms, 3 * S)
    alarms.take(finding(), 10 * S)
    got = alarms.get(KEY)
    assert (got.state, got.acknowledged_by) == ("unacknowledged", "")


def test_flicker_within_the_off_delay_is_one_alarm(alarms: Alarms, told: list[tuple[str, dict[str, Any]]]) -> None:
    for second in range(100):
        alarms.take(finding(second % 2 == 0), second * S)
        alarms.tick(second * S)
    assert [e for e, _ in told] == ["raised"]


def test_on_delay_keeps_a_short_condition_away() -> None:
    alarms = Alarms(on_delay=5.0)
    alarms.take(finding(), 0)
    alarms.tick(4 * S)
    assert alarms.list() == []
    assert alarms.is_active(KEY)
    alarms.tick(5 * S)
    assert alarms.get(KEY).state == "unacknowledged"
    alarms = Alarms(on_delay=5.0)
    alarms.take(finding(), 0)
    alarms.take(finding(False), 3 * S)
    alarms.tick(60 * S)
    assert alarms.get(KEY).count == 0


def test_the_end_of_what_never_began_is_nothing(alarms: Alarms) -> None:
    alarms.take(finding(False), 1)
    assert alarms.version == 0
    assert not alarms.is_active(KEY)


def test_a_standing_alarm_takes_news_without_being_raised_again(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    alarms.acknowledge(KEY, "li", 2 * S)
    before = alarms.version
    alarms.take(finding(score=9.0, text=Text("Pressure is very low", "压力很低"), priority="high"), 3 * S)
    got = alarms.get(KEY)
    assert (got.state, got.count, got.score, got.priority, got.text.en) == ("acknowledged", 1, 9.0, "high", "Pressure is very low")
    assert alarms.version > before
    before = alarms.version
    alarms.take(finding(score=9.0, text=Text("Pressure is very low", "压力很低"), priority="high"), 4 * S)
    assert alarms.version == before, "the same again is no change"


def test_the_end_keeps_what_it_was_about(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    alarms.take(finding(False, text=Text("back to normal", "已恢复")), 2 * S)
    alarms.tick(9 * S)
    assert alarms.get(KEY).text.en == "Pressure is low"


def test_shelving_hides_for_a_time_and_then_shows_what_is_so(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    alarms.shelve(KEY, "li", 60, "sensor is being changed", 2 * S)
    assert (alarms.get(KEY).shown, alarms.get(KEY).annunciated) == ("shelved", False)
    alarms.tick(61 * S)
    assert alarms.get(KEY).shown == "shelved"
    alarms.tick(62 * S)
    assert alarms.get(KEY).shown == "unacknowledged"


def test_an_alarm_that_comes_while_shelved_is_not_lost(alarms: Alarms) -> None:
    alarms.take(finding(), 1 * S)
    alarms.acknowledge(KEY, "li", 1 * S)
    end(alarms, 2 * S)
    alarms.shelve(KEY, "li", 60, "test", 5 * S)
    alarms.take(finding(), 10 * S)
    assert alarms.get(KEY).shown == "shelved"
    alarms.unshelve(KEY, "li", 20 * S)
    assert alarms.get(KEY).shown == "unacknowledged"


def test_shelving_wants_a_reason_and_a_limit(alarms: Alarms) -> None:
    alarms.take(finding(), 1)
    with pytest.raises(RongheError, match="reason"):
        alarms.shelve(KEY, "li", 60, "  ", 2)
    for seconds in (0, -1, 24 * 3600 + 1, float("nan")):
        with pytest.raises(RongheError, match="at most"):
            alarms.shelve(KEY, "li", seconds, "why", 2)
    with pytest.raises(RongheError, match="no alarm"):
        alarms.acknowledge("nothing", "li", 1)


def test_suppressed_and_out_of_service(alarms: Alarms) -> None:
    alarms.take(finding(), 1)
    alarms.suppress(KEY, "pump off", "means nothing while the pump is off", 2)
    assert alarms.get(KEY).shown == "suppressed"
    alarms.unshelve(KEY, "li", 3)
    assert alarms.get(KEY).shown == "suppressed", "unshelving is not unsuppressing"
    alarms.unsuppress(KEY, "pump off", 4)
    assert alarms.get(KEY).shown == "unacknowledged"
    alarms.out_of_service(KEY, "li", "overhaul", 5)
    alarms.tick(1000 * 24 * 3600 * S)
    assert alarms.get(KEY).shown == "out_of_service"
    alarms.in_service(KEY, "li", 6)
    assert alarms.get(KEY).shown == "unacknowledged"


def test_clear(alarms: Alarms, told: list[tuple[str, dict[str, Any]]]) -> None:
    alarms.take(finding(), 1)
    alarms.clear(KEY, "li", "the app was removed", 2)
    assert alarms.get(KEY).state == "normal"
    assert told[-1][0] == "cleared"


def test_order_of_the_list(alarms: Alarms) -> None:
    for i, (key, priority) in enumerate([("a", "low"), ("b", "critical"), ("c", "high"), ("d", "critical"), ("e", "critical")]):
        alarms.take(finding(key=key, priority=priority), i * S)
    alarms.shelve("e", "li", 60, "x", 9 * S)
    assert [a.key for a in alarms.list()] == ["d", "b", "c", "a", "e"]


def test_level_has_a_deadband(alarms: Alarms) -> None:
    disk = finding(key="system/disk")
    values = [0.85, 0.91, 0.899, 0.885, 0.91, 0.875, 0.89]
    seen = []
    for i, value in enumerate(values):
        alarms.level(disk, value, high=0.9, deadband=0.02, now=10 * i * S)
        alarms.tick((10 * i + 5) * S)
        seen.append(alarms.get("system/disk").standing if i else False)
    assert seen == [False, True, True, True, True, False, False]


def test_flood_chatter_and_stale(alarms: Alarms) -> None:
    for i in range(11):
        alarms.take(finding(key=f"k{i}", priority="low"), i * S)
    for i in range(3):
        alarms.take(finding(key="noisy"), (20 + 10 * i) * S)
        alarms.take(finding(False, key="noisy"), (22 + 10 * i) * S)
        alarms.tick((25 + 10 * i) * S)
    m = alarms.metrics(50 * S)
    assert (m.per_10_min, m.flood, m.chattering, m.standing) == (14, True, ("noisy",), 11)
    assert m.by_priority == {"critical": 0, "high": 0, "medium": 0, "low": 11}
    later = alarms.metrics(25 * 3600 * S)
    assert (later.per_10_min, later.peak_10_min, later.flood, len(later.stale)) == (0, 14, False, 11)


def test_json_round_trip(alarms: Alarms) -> None:
    alarms.take(finding(), 1)
    alarms.shelve(KEY, "li", 60, "x", 2)
    got = alarms.get(KEY)
    assert msgspec.json.decode(msgspec.json.encode(got), type=Alarm) == got


def test_memory(tmp_path: Path) -> None:
    one = Alarms(tmp_path)
    one.take(finding(), 1 * S)
    one.take(finding(key="b"), 2 * S)
    one.shelve("b", "li", 60, "x", 3 * S)
    two = Alarms(tmp_path)
    assert [a.shown for a in two.list()] == ["unacknowledged", "shelved"]
    two.tick(63 * S)
    assert two.get("b").shown == "unacknowledged", "a shelf ends across a restart"
    two.take(finding(False), 64 * S)
    three = Alarms(tmp_path)
    three.tick(66 * S)
    assert three.get(KEY).state == "returned", "a delay that was running goes on"


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    one = Alarms(tmp_path)
    one.take(finding(), 1)
    one.acknowledge(KEY, "li", 2)
    file = tmp_path / "alarms.jsonl"
    data = file.read_bytes()
    for cut in range(1, len(data.splitlines()[-1]) + 1):
        file.write_bytes(data[:-cut])
        again = Alarms(tmp_path)
        assert again.get(KEY).state in ("unacknowledged", "acknowledged")
        again.acknowledge(KEY, "wang", 3)
        assert Alarms(tmp_path).get(KEY).state == "acknowledged"


def test_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    alarms = Alarms(tmp_path, off_delay=0.0)
    for i in range(3000):
        alarms.take(finding(i % 2 == 0), i * S)
        if i % 100 == 0:
            alarms.tick(i * S)
    assert len((tmp_path / "alarms.jsonl").read_bytes().splitlines()) < 1500
    assert Alarms(tmp_path).get(KEY) == alarms.get(KEY)


def test_a_full_disk_stops_nothing_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = True
    told: list[str] = []

    def record(event: str, body: dict[str, Any]) -> None:
        if full:
            raise OSError(28, "No space left on device")
        told.append(event)

    alarms = Alarms(tmp_path, record=record)
    alarms.take(finding(), 1 * S)
    alarms.acknowledge(KEY, "li", 2 * S)
    assert alarms.get(KEY).state == "acknowledged"
    assert alarms.trouble is not None
    assert "No space left" in alarms.trouble.en
    full = False
    alarms.tick(3 * S)
    assert alarms.trouble is None
    assert told == ["raised", "acknowledged"]


def test_a_disk_that_fails_on_sync_is_said_until_it_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = Alarms(tmp_path)
    alarms.take(finding(), 1 * S)

    def failing(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", failing)
        alarms.sync()
        alarms.tick(2 * S)
        assert alarms.trouble == Text("alarms are not being written: Input/output error", "报警未能写入：Input/output error")
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    alarms.sync()
    assert alarms.trouble is None
    assert len(synced) == 1  # what was not safe before is now
    alarms.sync()
    assert len(synced) == 1  # nothing changed


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RongheError, match="cannot be kept"):
        Alarms(tmp_path / "file" / "alarms")


def test_kill_9_loses_nothing_that_was_told(tmp_path: Path) -> None:
    """A process raises and acknowledges as fast as it can and says each on its output; it is killed; every alarm it said is there."""
    program = textwrap.dedent("""
        import sys, pathlib
        from ronghe.apps.contract import Finding
        from ronghe.edge.alarms import Alarms
        from ronghe.text import Text
        alarms = Alarms(pathlib.Path(sys.argv[1]))
        for i in range(10**9):
            key = f"k{i}"
            alarms.take(Finding(key=key, app="a", equipment="e", time=i, active=True, priority="low", text=Text("t")), i)
            alarms.acknowledge(key, "li", i)
            print(key, flush=True)
    """)
    for at in (1, 40, 300):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = [process.stdout.readline().strip() for _ in range(at)]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.read().split("\n")[:-1]
        again = Alarms(tmp_path)
        assert all(again.get(key).state == "acknowledged" for key in said if key)


KEYS = ("a", "b", "c")


class Machine(RuleBasedStateMachine):
    """Random events against a plain account of what must be so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.alarms = Alarms(record=lambda event, body: self.events.append((event, body)), on_delay=1.0, off_delay=3.0)
        self.active = dict.fromkeys(KEYS, False)
        self.since = dict.fromkeys(KEYS, 0)
        self.known: set[str] = set()

    @rule(key=st.sampled_from(KEYS), active=st.booleans())
    def source(self, key: str, active: bool) -> None:
        self.alarms.take(finding(active, key=key), self.now)
        if active:
            self.known.add(key)
        if active != self.active[key]:
            self.active[key], self.since[key] = active, self.now

    @rule(seconds=st.floats(0, 5))
    def time_passes(self, seconds: float) -> None:
        self.now += round(seconds * S)
        self.alarms.tick(self.now)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), what=st.sampled_from(["acknowledge", "shelve", "unshelve", "out", "in", "suppress", "unsuppress"]))
    def person(self, data: st.DataObject, what: str) -> None:
        key = data.draw(st.sampled_from(sorted(self.known)))
        now, alarms = self.now, self.alarms
        {
            "acknowledge": lambda: alarms.acknowledge(key, "li", now),
            "shelve": lambda: alarms.shelve(key, "li", 4, "why", now),
            "unshelve": lambda: alarms.unshelve(key, "li", now),
            "out": lambda: alarms.out_of_service(key, "li", "why", now),
            "in": lambda: alarms.in_service(key, "li", now),
            "suppress": lambda: alarms.suppress(key, "rule", "why", now),
            "unsuppress": lambda: alarms.unsuppress(key, "rule", now),
        }[what]()

    @invariant()
    def states_are_legal(self) -> None:
        for a in self.alarms.list(all=True):
            assert a.shown in ("normal", "unacknowledged", "acknowledged", "returned", "shelved", "suppressed", "out_of_service")
            assert (a.state == "acknowledged") <= (a.acknowledged_by == "li")
            assert (a.count == 0) <= (a.state == "normal")
            assert (a.hidden is not None) == (a.shown in ("shelved", "suppressed", "out_of_service"))

    @invariant()
    def no_alarm_is_lost(self) -> None:
        self.alarms.tick(self.now)
        for key in self.known:
            a = self.alarms.get(key)
            if self.active[key] and self.now - self.since[key] >= 1 * S:
                assert a.standing
            if not self.active[key] and self.now - self.since[key] >= 3 * S:
                assert not a.standing
            raised = [b["time"] for e, b in self.events if e == "raised" and b["key"] == key]
            seen = [b["time"] for e, b in self.events if e == "acknowledged" and b["key"] == key]
            if raised and (not seen or seen[-1] < raised[-1]):
                assert a.state in ("unacknowledged", "returned"), "raised and not seen: it waits for a person"

    @invariant()
    def chatter_is_bounded(self) -> None:
        for key in KEYS:
            raised = [b["time"] for e, b in self.events if e == "raised" and b["key"] == key]
            assert all(b - a >= 4 * S for a, b in pairwise(raised)), "one cycle takes on-delay and off-delay"


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.booleans(), st.integers(0, 4)), max_size=30))
def test_what_is_on_disk_is_what_is_in_memory(tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, bool, int]]) -> None:
    folder = tmp_path_factory.mktemp("a")
    alarms, now = Alarms(folder), 0
    for key, active, seconds in events:
        now += seconds * S
        alarms.take(finding(active, key=key), now)
        alarms.tick(now)
    assert Alarms(folder).list(all=True) == alarms.list(all=True)
