"""Several set-points as one: all in force and proven, or all as before."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.guard.line import DOOR, FEED, FIRST, HEAT, MATERIAL, NEW, OLD, STROKE, Line, S

from ronghe.cli.guard import _line
from ronghe.errors import GuardError, LedgerError
from ronghe.guard import Advice, ChangeCase, Entry, Guard, Ledger, Setting
from ronghe.guard.changecase import ChangeEvent
from ronghe.signals import Batch
from ronghe.signals import quality as q
from ronghe.text import Text


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Callable[..., Line]]:
    made: list[Line] = []

    def make(**guard: Any) -> Line:
        made.append(Line(tmp_path / f"line{len(made)}", **guard))
        return made[-1]

    yield make
    for one in made:
        assert one.ledger is not None
        one.ledger.close()


def entries(line: Line, kind: str) -> list[Entry]:
    assert line.ledger is not None
    return line.ledger.entries(kind=kind)


async def test_all_is_written_in_order_each_after_the_one_before_was_read_back_and_proven(line: Callable[..., Line]) -> None:
    one = line()
    case = await one.start(ready=(MATERIAL,))
    intents: list[int] = []
    one.on_write = lambda tag, value: intents.append(len(entries(one, "change.intent")))
    await one.run(1)
    assert [w[0] for w in one.writes] == [HEAT]
    await one.run(8)
    assert [w[0] for w in one.writes] == [HEAT, STROKE, FEED]
    assert intents == [1, 1, 1], "one intent, before the first write"
    intent = entries(one, "change.intent")[0].body
    assert {p["tag"]: (p["old"], p["value"]) for p in intent["puts"]} == {t: (OLD[t], NEW[t]) for t in OLD}
    assert one.guard.change(case.id).state == "proving"
    one.seen[FIRST] = 1.0
    assert (await one.end(case)).state == "done"
    assert one.force == NEW
    assert [p.state for p in one.guard.change(case.id).puts] == ["written"] * 3


async def test_it_waits_for_what_must_be_ready_and_says_what_is_missing(line: Callable[..., Line]) -> None:
    one = line()
    one.seen[MATERIAL] = 0.0
    one.hear()
    case = await one.start(ready=(MATERIAL, f"{HEAT} < 200 Cel"))
    await one.run(20)
    view = one.guard.change(case.id)
    assert view.state == "waiting"
    assert [c.ok for c in view.awaited] == [False, True]
    assert one.writes == []
    one.seen[MATERIAL] = 1.0
    await one.run(1)
    assert one.guard.change(case.id).state == "writing"


async def test_what_was_not_ready_in_time_is_never_written(line: Callable[..., Line]) -> None:
    one = line()
    one.seen[MATERIAL] = 0.0
    case = await one.start(ready=(MATERIAL,), expires=one.now + 20 * S)
    ended = await one.end(case)
    assert ended.state == "expired"
    assert MATERIAL in ended.history[-1].text.en
    assert one.writes == []


async def test_what_is_in_force_already_is_read_back_and_not_written(line: Callable[..., Line]) -> None:
    one = line()
    one.force[STROKE] = NEW[STROKE]
    one.hear()
    one.seen[FIRST] = 1.0
    assert (await one.end(await one.start())).state == "done"
    assert [w[0] for w in one.writes] == [HEAT, FEED]
    one.force[STROKE] = OLD[STROKE]
    one.force[HEAT] = OLD[HEAT]
    one.hear()
    two = await one.start(settings=(Setting(tag=HEAT, value=185.0), Setting(tag=FEED, value=9.5)))
    await one.run(2)
    one.force[FEED] = 3.0  # a hand, on what was only kept
    ended = await one.end(two)
    assert ended.state == "rolled_back"
    assert one.force[HEAT] == OLD[HEAT]
    assert one.force[FEED] == 3.0, "a person's hand is left alone"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda one: one.seen.update({DOOR: 1.0}), "door"),
        (lambda one: (one.folder / "STOP").touch(), "kill switch"),
        (lambda one: one.faults.update({FEED: "dead"}), FEED),
        (lambda one: one.force.update({FEED: 60.0}), "put back"),  # the way back would be closed
    ],
)
async def test_a_check_of_one_that_fails_keeps_all_from_being_written(line: Callable[..., Line], spoil: Any, says: str) -> None:
    one = line()
    case = await one.start(ready=(MATERIAL, f"not {DOOR} or {DOOR}"))
    spoil(one)
    ended = await one.end(case)
    assert ended.state == "refused"
    assert says in ended.history[-1].text.en
    assert one.writes == []


@pytest.mark.parametrize(
    "fields",
    [
        {"settings": (Setting(tag=HEAT, value=185.0), Setting(tag=STROKE, value=90.0))},
        {"settings": (Setting(tag=HEAT, value=185.0), Setting(tag="line1/press/none", value=1.0))},
        {"settings": (Setting(tag=HEAT, value=185.0), Setting(tag=STROKE, value=float("nan")))},
        {"ready": ("line1/nothing > 1",)},
        {"proof": ("apps/nobody/first == 1",)},
        {"proof": (f"{HEAT} > 3",)},
    ],
)
async def test_what_can_never_be_written_is_refused_as_it_comes_in(line: Callable[..., Line], fields: dict[str, Any]) -> None:
    one = line()
    assert (await one.start(**fields)).state == "refused"
    assert one.guard.changes()[0].history[-1].text.in_("zh").startswith("拒绝")


async def test_no_change_at_all(line: Callable[..., Line]) -> None:
    one = line()
    for bad in ({"settings": ()}, {"settings": (Setting(tag=HEAT, value=1.0),) * 2}, {"id": ""}, {"within": float("nan")}):
        with pytest.raises(GuardError):
            await one.start(**bad)
    assert one.guard.changes() == []


@pytest.mark.parametrize("fault", ["refuses", "ignores", "clamps", "late", "breaks", "obeys and says nothing"])
@pytest.mark.parametrize("at", [HEAT, STROKE, FEED])
async def test_whatever_a_device_does_all_is_as_before(line: Callable[..., Line], fault: str, at: str) -> None:
    one = line()
    one.faults[at] = fault
    case = await one.start()
    await one.run(25)
    one.faults.clear()
    ended = await one.end(case)
    assert ended.state == "rolled_back"
    assert one.force == OLD
    first_back = {t: i for i, (t, v) in enumerate(one.writes) if v == OLD[t]}
    assert sorted(first_back, key=first_back.get) == [t for t in (FEED, STROKE, HEAT) if t in first_back], "the last first"


async def test_a_device_that_dies_midway_is_waited_for_and_holds_up_no_other(line: Callable[..., Line]) -> None:
    one = line()
    case = await one.start()
    one.on_write = lambda tag, value: one.faults.update({FEED: "dead"}) if tag == STROKE and value == NEW[STROKE] else None
    await one.run(60)
    assert one.force == OLD, "it never got the value"
    assert one.guard.change(case.id).state == "rolled_back"

    one.faults.clear()
    one.on_write = lambda tag, value: None
    one.faults[FEED] = "dies"
    case = await one.start()
    await one.run(60)
    assert one.guard.change(case.id).state == "rolling_back"
    assert one.force == {**OLD, FEED: NEW[FEED]}, "the others are back; the dead one is not known"
    one.faults.clear()
    assert (await one.end(case)).state == "rolled_back"
    assert one.force == OLD


async def test_proof_missed_interlock_broken_and_a_person_each_bring_it_back(line: Callable[..., Line]) -> None:
    one = line()
    assert (await one.end(await one.start())).why == (await one.end(one.guard.changes()[0])).why
    assert "not proven" in str(one.guard.changes()[0].why)
    case = await one.start()
    await one.run(6)
    assert one.guard.change(case.id).state == "proving"
    one.seen[DOOR] = 1.0
    ended = await one.end(case)
    assert (ended.state, one.force) == ("rolled_back", OLD)
    assert "door_open" in str(ended.why)
    one.seen[DOOR] = 0.0
    case = await one.start()
    await one.run(2)
    await one.guard.cancel_change(case.id, "li", "wrong order")
    ended = await one.end(case)
    assert (ended.state, one.force) == ("rolled_back", OLD)
    assert "wrong order" in str(ended.why)
    with pytest.raises(GuardError):
        await one.guard.cancel_change(case.id, "li", "again")


async def test_the_kill_switch_stops_the_way_back_as_well_and_a_person_must_look(line: Callable[..., Line]) -> None:
    one = line()
    case = await one.start()
    await one.run(2)
    one.guard.kill("li", "smoke")
    n = len(one.writes)
    ended = await one.end(case)
    assert ended.state == "failed"
    assert len(one.writes) == n
    assert {p.tag for p in ended.puts if p.state == "lost"} == {t for t in OLD if one.force[t] != OLD[t]}


async def test_different_people_approve_the_whole(line: Callable[..., Line]) -> None:
    one = line(mode="approve", approvals=2)
    one.seen[FIRST] = 1.0
    case = await one.start()
    assert case.needs == 2
    await one.run(3)
    assert one.writes == []
    await one.guard.approve_change(case.id, "li")
    with pytest.raises(GuardError):
        await one.guard.approve_change(case.id, "li")
    await one.run(3)
    assert one.writes == []
    await one.guard.approve_change(case.id, "wang")
    assert (await one.end(case)).state == "done"
    shown = line(mode="advise")
    assert (await shown.start()).state == "refused"
    called_off = line(mode="approve")
    case = await called_off.start()
    assert (await called_off.guard.cancel_change(case.id, "li", "no")).state == "rejected"


async def test_while_it_is_open_its_set_points_take_nothing_else_and_the_other_way_round(line: Callable[..., Line]) -> None:
    one = line(mode="approve")

    def advice(name: str) -> Advice:
        return Advice(id=name, app="x", tag=HEAT, value=170.0, time=one.now, expires=one.now + 600 * S, reason=Text("so", "如此"))

    change = await one.start()
    assert (await one.guard.submit(advice("a"))).state == "refused"
    assert (await one.start(id="other")).state == "refused"
    assert (await one.start(id=one.guard.changes()[-1].change.id)).id == change.id, "an id seen before gives its case"
    await one.guard.cancel_change(change.id, "li", "no")
    assert (await one.guard.submit(advice("b"))).state == "waiting"
    assert (await one.start(id="third")).state == "refused"


async def test_its_writes_count_for_the_rate_of_what_comes_after(line: Callable[..., Line]) -> None:
    one = line(rate="", hold="60s")
    one.seen[FIRST] = 1.0
    assert (await one.end(await one.start())).state == "done"
    two = await one.start(settings=(Setting(tag=HEAT, value=170.0),))
    ended = await one.end(two)
    assert ended.state == "refused"
    assert "held for" in ended.history[-1].text.en


async def test_every_line_of_the_ledger_can_be_read(line: Callable[..., Line]) -> None:
    one = line()
    one.faults[FEED] = "refuses"
    await one.end(await one.start())
    assert one.ledger is not None
    lines = [_line(e, {}) for e in one.ledger.entries(kind="change")]
    assert any("C1 [writing] guard: line1/press/heat: writing 185 °C, was 160 °C" in text for text in lines)
    assert "[rolled_back]" in lines[-1]


async def test_a_ledger_that_cannot_be_written_writes_nothing_and_is_told_once_a_second(line: Callable[..., Line]) -> None:
    one = line()
    case = await one.start()
    tries = 0

    def full(kind: str, body: Any) -> Entry:
        nonlocal tries
        tries += 1
        raise LedgerError(Text("the disk is full", "磁盘已满"))

    assert one.ledger is not None
    keep, one.ledger.append = one.ledger.append, full  # type: ignore[method-assign]
    with pytest.raises(LedgerError):
        await one.run(1)
    for _ in range(20):
        await one.guard.pulse()
        await asyncio.sleep(0.01)
    assert tries <= 2
    assert one.writes == []
    one.ledger.append = keep  # type: ignore[method-assign]
    one.seen[FIRST] = 1.0
    assert (await one.end(case)).state == "done"


async def test_two_changes_at_once_take_their_turn(line: Callable[..., Line]) -> None:
    one = line()
    forth = one.change(id="forth")
    back = one.change(id="back", settings=tuple(reversed(forth.settings)))
    cases = await asyncio.gather(one.guard.submit_change(forth), one.guard.submit_change(back))
    assert sorted(c.state for c in cases) == ["refused", "waiting"]


@pytest.mark.parametrize("what", ["door", "cancel"])
async def test_each_is_checked_once_more_as_it_is_sent(tmp_path: Path, what: str) -> None:
    world = World(tmp_path)
    case = await world.start()
    await world.run(1)
    assert [t for t, _ in world.writes] == [HEAT]
    world.about_to = what  # while the ledger keeps the intent of the next
    ended = await world.end(case)
    assert (ended.state, world.force, world.wrong) == ("rolled_back", OLD, [])
    assert STROKE not in dict(world.writes)


@pytest.mark.parametrize("written", [1, 2, 3])
async def test_killed_while_it_is_written_it_is_written_back_and_killed_after_it_may_still_be_proven(
    line: Callable[..., Line], written: int
) -> None:
    one = line()
    case = await one.start()
    one.on_write = lambda tag, value: one.restart() if tag == list(NEW)[written - 1] and value == NEW[tag] else None
    with contextlib.suppress(LedgerError):  # what the dead process would have done next
        await one.end(case, 10)
    one.on_write = lambda tag, value: None
    ended = await one.end(case)
    assert (ended.state, one.force) == ("rolled_back", OLD)
    assert "stopped while it was written" in str(ended.why)

    case = await one.start()
    await one.run(6)
    assert one.guard.change(case.id).state == "proving"
    one.restart()
    one.seen[FIRST] = 1.0
    assert (await one.end(case)).state == "done"
    assert one.force == NEW


# --- whatever fails and whenever -----------------------------------------------------------------------------------------------------

KINDS = ["asked", "intent", "send", "answer", "confirm", "written", "back", "restore", "restored", "close"]
DEVICE = ["refuses", "ignores", "clamps", "breaks", "obeys and says nothing", "late", "dies", "dead"]
FAULTS = [f"{what} {tag}" for what in DEVICE for tag in OLD] + [f"crash {when} {kind}" for when in ("before", "after") for kind in KINDS]
FAULTS += ["door", "no material", "cancel", "crash", "at send: door", "at send: cancel"]


class Crash(BaseException):
    """kill -9."""


class World(Line):
    """The line, with a device that judges and a process that may die."""

    def __init__(self, folder: Path) -> None:
        self.crash_at: tuple[str, str] | None = None
        self.wrong: list[str] = []
        self.about_to, self.cancelled = "", False
        self.mended: dict[str, int] = {}
        super().__init__(folder)
        self.wrap = self.watched
        self.on_write = self.judge
        self.open()

    def watched(self, append: Any) -> Any:
        def keep(kind: str, body: Any) -> Entry:
            for when in ("before", "after"):
                if when == "after":
                    entry: Entry = append(kind, body)
                if when == "after" and kind == "change.send":
                    self.surprise()
                if self.crash_at == (when, kind):
                    self.crash_at = None
                    raise Crash
            return entry

        return keep

    def surprise(self) -> None:
        """What may happen in the milliseconds of an fsync between intent and write."""
        if self.about_to == "door":
            self.seen[DOOR] = 1.0
            self.latest.update(Batch.of(self.index, [DOOR], self.now, 1.0, q.GOOD), self.now)
        elif self.about_to == "cancel":
            now = self.guard.changes()[0]
            self.guard._docket.add_change("cancel", ChangeEvent(change=now.id, state=now.state, who="li", text=Text("no", "取消")))
            self.cancelled = True
        self.about_to = ""

    def judge(self, tag: str, value: float) -> None:
        """From the ledger's file alone: nothing is written that could not be written back."""
        intents = [e.body for e in Ledger.read(self.folder / "ledger") if e.kind == "change.intent"]
        olds = {p["tag"]: p["old"] for p in intents[-1]["puts"]} if intents else {}
        if olds != OLD or value not in (OLD[tag], NEW[tag]) or (self.folder / "STOP").exists():
            self.wrong.append(f"{tag} {value} {olds}")
        if value == NEW[tag] and (self.seen[DOOR] or self.cancelled):
            self.wrong.append(f"{tag} {value} although the door is open, or it was called off")

    async def second(self) -> None:
        self.faults = {t: f for t, f in self.faults.items() if self.mended[t] > self.now}
        try:
            await self.run(1)
        except Crash:
            self.restart()

    async def spoil(self, what: str, case_id: str) -> None:
        word, _, rest = what.partition(" ")
        if rest in OLD or what.startswith("obeys"):
            tag = what.rpartition(" ")[2]
            if tag not in self.mended:  # once each, for so long that it is not asked three times in vain
                self.faults[tag], self.mended[tag] = what.rpartition(" ")[0], self.now + 12 * S
        elif what == "crash":
            self.restart()
        elif word == "at":
            self.about_to = rest.partition(" ")[2]
        elif word == "crash":
            when, kind = rest.split()
            self.crash_at = when, f"change.{kind}"
        elif what == "door":
            self.seen[DOOR] = 1.0
        elif what == "no material":
            self.seen[MATERIAL] = 0.0
        elif what == "cancel" and self.guard.change(case_id).open:
            self.cancelled = True
            try:
                await self.guard.cancel_change(case_id, "li", "no")
            except Crash:
                self.restart()

    def heal(self) -> None:
        self.faults.clear()
        self.crash_at, self.about_to = None, ""
        self.seen |= {DOOR: 0.0, MATERIAL: 1.0}


def bare(case: ChangeCase) -> ChangeCase:
    """Without what is of the moment; what two wrote into the ledger at once may be told in either order."""
    history = tuple(sorted(case.history, key=lambda s: (s.time, s.kind, s.tag, s.state)))
    return msgspec.structs.replace(case, awaited=(), history=tuple(msgspec.structs.replace(s, state="waiting") for s in history))


async def play(folder: Path, spoilt: list[tuple[int, str]], good_at: int, after: int) -> tuple[ChangeCase, World]:
    """What becomes of one change when this happens in these seconds; `after` s later all is mended."""
    world, healed = World(folder), max((at for at, _ in spoilt), default=0) + after
    try:
        case = await world.start(ready=(MATERIAL,))
        for second in range(300):
            for at, what in spoilt:
                if at == second:
                    await world.spoil(what, case.id)
            if second == good_at:
                world.seen[FIRST] = 1.0
            if second == healed:
                world.heal()
            was = world.guard.change(case.id).state
            await world.second()
            if was == "proving" and world.seen[DOOR] and world.guard.change(case.id).state in ("proving", "done"):
                world.wrong.append("proven with the door open")
            if second > healed and not world.guard.change(case.id).open:
                break
        fresh = Guard(world.plant, world.latest, world.ledger, world.write, clock=world.clock, folder=folder)  # type: ignore[arg-type]
        assert list(map(bare, fresh.changes())) == list(map(bare, world.guard.changes())), "memory is what the ledger says"
        return world.guard.change(case.id), world
    finally:
        assert world.ledger is not None
        world.ledger.close()


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@example(spoilt=[(0, f"clamps {HEAT}"), (1, "door")], good_at=0, after=1)  # called off before the value it made of it was judged
@given(
    spoilt=st.lists(st.tuples(st.one_of(st.integers(0, 7), st.integers(0, 20)), st.sampled_from(FAULTS)), max_size=3),
    good_at=st.sampled_from([0, 5, 12, 400]),
    after=st.integers(1, 25),
)
def test_whatever_fails_and_whenever_it_is_all_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, spoilt: list[tuple[int, str]], good_at: int, after: int
) -> None:
    case, world = asyncio.run(play(tmp_path_factory.mktemp("world"), spoilt, good_at, after))
    assert world.wrong == []
    assert not case.open, "with everything mended it comes to an end"
    assert world.force == (NEW if case.state == "done" else OLD), (case.state, [s.text.en for s in case.history])
    assert case.state != "failed", [s.text.en for s in case.history]
    if good_at == 400:
        assert case.state != "done", "never without its proof"
