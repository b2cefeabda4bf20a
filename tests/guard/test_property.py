"""Whatever happens, the device sees no write that it must not see.

A state machine plays advice, live values, time, people, crashes and faults against a real guard with a real ledger. The device judges every
write by itself, from its own record of what was true, with none of the guard's code.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.guard.station import HEAT, PRESSURE, SPEED, START, TRIP, S, make_plant

from ronghe.errors import GuardError
from ronghe.guard import Advice, Case, Entry, Guard, Ledger
from ronghe.signals import Batch, Latest, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

LOW, HIGH, RATE, WINDOW, HOLD, FRESH, MAX_PRESSURE, WITHIN = 600.0, 1450.0, 120.0, 180, 20, 10, 8.0, 30
ORDER = ["advise", "approve", "auto"]
QUALITIES = [q.GOOD] * 8 + [q.UNCERTAIN_LAST_USABLE, q.BAD_NO_COMMUNICATION]
KINDS = ["advice", "write", "answer", "confirm", "effect", "restore", "close"]
SPEEDS = [540.0, 599.0, 600.0, 640.0, 1380.0, 1440.0, 1450.0, 1460.0, float("nan"), float("inf")]
SPOILT = [
    "kill",
    "wait",
    "trip",
    "lost",
    "hand",
    "pressure",
    "pressure lost",
    "heat lost",
    "trip lost",
    "edge",
    "beyond",
    "restart",
    "lower",
]
SPOILT += [f"at {when}: {what}" for when in ("intent", "line") for what in ("kill", "wait", "trip", "lost", "hand", "lower")]
SPOILT += ["crash before guard.answer", "crash after guard.write", "crash before guard.confirm", "crash after guard.restore"]
SPOILT += ["slow", "ignores", "refuses", "breaks", "obeys and says nothing"]


class Crash(BaseException):
    """kill -9."""


class World:
    """The world around a guard."""

    def __init__(self) -> None:
        super().__init__()  # a machine's, in `NearlyGood`
        self.folder = Path(tempfile.mkdtemp())
        self.now, self.count = START, itertools.count(1)
        self.index = TagIndex()
        self.latest = Latest(self.index)
        self.heard: dict[str, tuple[int, float, int]] = {}  # what really arrived: time, value, quality
        self.force = 1000.0  # what the device holds
        self.wrong: list[str] = []  # what the device saw and must not see
        self.writes: list[tuple[int, float, float]] = []  # time, old, new
        self.advice: dict[str, Advice] = {}
        self.approved: dict[str, set[str]] = {}  # advice id → people
        self.spent: set[str] = set()  # advice that was written
        self.behaviour = "obeys"
        self.about_to: dict[str, str] = {}  # what happens while an intent is put into the ledger ("intent"), or the line is waited for
        self.crash_at: tuple[str, str] | None = None
        self.mode, self.needs = "auto", 1
        self.said = "auto"  # what a person said last
        self.came_under: dict[str, str] = {}  # advice id → the mode that was in force
        self.loop = asyncio.new_event_loop()
        self.ledger: Ledger | None = None
        self.open()
        self.hear_everything()

    def teardown(self) -> None:
        assert self.ledger is not None
        self.ledger.close()
        self.loop.close()
        assert Ledger.verify(self.folder / "ledger").ok
        shutil.rmtree(self.folder)

    def open(self) -> None:
        self.plant = make_plant(
            mode=self.mode,
            approvals=self.needs,
            envelope=f"{LOW:g}..{HIGH:g} 1/min",
            rate=f"{RATE:g} 1/min per {WINDOW} s",
            hold=f"{HOLD}s",
            fresh=f"{FRESH}s",
            interlock=f"{PRESSURE} < {MAX_PRESSURE} bar and not {TRIP}",
            watch=f"{HEAT} falls by 2 K within {WITHIN} s",
        )
        if self.ledger is not None:
            self.ledger.close()
        self.ledger = Ledger(self.folder / "ledger", clock=lambda: self.now)
        append = self.ledger.append

        def watched_append(kind: str, body: Any) -> Entry:
            if self.crash_at == ("before", kind):
                self.crash_at = None
                raise Crash
            entry = append(kind, body)
            if kind in ("guard.write", "guard.restore"):
                # In the loop, as a driver would: were the loop waiting for the disk, nothing could happen.
                asyncio.run_coroutine_threadsafe(self.disturbed(), self.loop).result(30)
            if self.crash_at == ("after", kind):
                self.crash_at = None
                raise Crash
            return entry

        self.ledger.append = watched_append  # type: ignore[method-assign]
        self.guard = Guard(self.plant, self.latest, self.ledger, self.device, clock=lambda: self.now, folder=self.folder)

    def disturb(self, when: str) -> None:
        """What may happen in the milliseconds of an fsync, or while a write waits for its line."""
        self.happen(self.about_to.pop(when, ""))

    async def disturbed(self) -> None:
        self.disturb("intent")

    def in_force(self) -> str:
        """The lower of what is permitted and what was said last."""
        return min(self.mode, self.said, key=ORDER.index)

    def switch(self, mode: str) -> None:
        """A person turns the switch; above what is permitted it is not turned."""
        if ORDER.index(mode) > ORDER.index(self.mode):
            with pytest.raises(GuardError):
                self.guard.switch(SPEED, mode, "li", "so")
        else:
            self.guard.switch(SPEED, mode, "li", "so")
            self.said = mode

    def happen(self, what: str) -> None:
        if what == "kill":
            (self.folder / "STOP").touch()
        elif what == "wait":
            self.now += (FRESH + 1) * S
        elif what == "trip":
            self.hear(TRIP, 1.0, q.GOOD)
        elif what == "lost":
            self.hear(SPEED, self.force, q.BAD_NO_COMMUNICATION)
        elif what == "lower":
            self.switch(ORDER[max(ORDER.index(self.in_force()) - 1, 0)])
        elif what == "hand":
            self.force = 900.0
            self.hear(SPEED, self.force, q.GOOD)

    def do(self, what: Coroutine[Any, Any, Case | None]) -> Case | None:
        """Runs one thing to its end; a crash brings a new process."""
        try:
            return self.loop.run_until_complete(what)
        except Crash:
            self.restart()
        return None

    def restart(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.latest = Latest(self.index)
        self.heard.clear()
        self.open()

    # --- the device, which judges ---------------------------------------------------------------------------------------------------

    async def device(self, tag: str, value: float, still: Callable[[], bool]) -> int:
        await asyncio.sleep(0)
        self.disturb("line")
        if not still():
            return q.BAD_NOT_SENT
        try:
            self.judge(tag, value)
        except AssertionError as e:  # the guard takes what a device raises for a failed write
            self.wrong.append(str(e))
        self.writes.append((self.now, self.force, value))
        behaviour = self.behaviour
        if behaviour == "slow":
            await asyncio.sleep(0.001)
        if behaviour in ("obeys", "slow", "obeys and says nothing"):
            self.force = value
        if behaviour == "breaks":
            raise OSError("cable")
        return {"refuses": q.BAD_NOT_WRITABLE, "obeys and says nothing": q.BAD_TIMEOUT}.get(behaviour, q.GOOD)

    def judge(self, tag: str, value: float) -> None:
        assert tag == SPEED, "only what has a guard is written"
        assert not (self.folder / "STOP").exists(), "written while killed"
        assert LOW <= value <= HIGH, f"{value} is outside the envelope"
        assert self.known(SPEED) == pytest.approx(self.force), "written without knowing what is in force"
        if not self.is_rollback(value):
            self.judge_advice(value)

    def is_rollback(self, value: float) -> bool:
        """Only to what was in force before the last write of an advice, of which its effect stayed away for long enough."""
        first = next((w for w in reversed(self.writes) if w[2] != value), None)
        if first is None or first[1] != value or self.force != first[2]:
            return False
        return self.now > first[0] + WITHIN * S

    def judge_advice(self, value: float) -> None:
        fits = [a for i, a in self.advice.items() if a.value == value and i not in self.spent and a.expires > self.now]
        if self.in_force() == "approve":
            fits = [a for a in fits if len(self.approved.get(a.id, set())) >= self.needs]
        fits = [a for a in fits if self.came_under.get(a.id) != "approve" or self.approved.get(a.id)]
        assert self.in_force() != "advise", "written in mode advise"
        assert fits, f"{value} without a valid and approved advice that was not written before"
        self.spent.add(fits[0].id)
        assert next(c for c in self.guard.cases() if c.open).old == self.force, "what would be put back is not what is in force"
        recent = sum(abs(new - old) for at, old, new in self.writes if self.now - at < WINDOW * S)
        assert recent + abs(value - self.force) <= RATE + 1e-6, "changed too fast"
        assert all(self.now - at >= HOLD * S for at, _, _ in self.writes), "written again too soon"
        pressure, trip = self.known(PRESSURE), self.known(TRIP)
        assert pressure is not None, "written without knowing the pressure"
        assert pressure < MAX_PRESSURE, "interlock"
        assert trip == 0.0, "interlock"
        assert self.known(HEAT) is not None, "written without knowing what the effect is to be measured against"

    def known(self, tag: str) -> float | None:
        """What was really heard, if it is Good and young."""
        at, value, code = self.heard.get(tag, (0, 0.0, q.BAD))
        return value if code < 0x40000000 and self.now - at <= FRESH * S else None

    # --- what may happen ------------------------------------------------------------------------------------------------------------

    def hear(self, tag: str, value: float, code: int) -> None:
        self.latest.update(Batch.of(self.index, [tag], self.now, value, code), self.now)
        self.heard[tag] = (self.now, value, code)

    def hear_everything(self) -> None:
        for tag, value in ((PRESSURE, 5.0), (TRIP, 0.0), (HEAT, 60.0)):
            if self.heard.get(tag, (0, value, 0))[0] != self.now:
                self.hear(tag, value, q.GOOD)
        self.hear(SPEED, self.force, q.GOOD)

    def hear_set_point(self, code: int) -> None:
        self.hear(SPEED, self.force, code)

    def hear_pressure(self, value: float, code: int) -> None:
        self.hear(PRESSURE, value, code)

    def hear_trip(self, value: float, code: int) -> None:
        self.hear(TRIP, value, code)

    def hear_heat(self, value: float, code: int) -> None:
        self.hear(HEAT, value, code)

    def time_passes(self, seconds: int) -> None:
        self.now += seconds * S

    def advice_comes(self, values: list[float], life: int) -> None:
        new = []
        for value in values:
            advice = Advice(
                id=f"a{next(self.count)}",
                app="x",
                tag=SPEED,
                value=value,
                time=self.now,
                expires=self.now + life * S,
                reason=Text("so", "如此"),
            )
            self.advice[advice.id] = advice
            self.came_under[advice.id] = self.in_force()
            new.append(advice)

        async def submit() -> None:
            results = await asyncio.gather(*(self.guard.submit(a) for a in new), return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

        self.do(submit())

    def advice_near_what_is_in_force_comes(self, steps: list[float], life: int) -> None:
        self.advice_comes([self.force + step for step in steps], life)

    # Most of what is random is refused for many reasons at once. So these begin with a plant in order and spoil it in a few ways.

    def put_in_order(self, seconds: int) -> None:
        """Lets open cases come to their end, then everything is well."""
        self.behaviour, self.about_to, self.crash_at = "obeys", {}, None
        self.guard.release("li", "go")
        self.switch(self.mode)
        self.now += seconds * S
        self.life_goes_on(2)

    def spoil(self, how: str) -> None:
        if how in ("kill", "wait", "trip", "lost", "hand", "lower"):
            self.happen(how)
        elif how.startswith("at "):
            when, what = how.removeprefix("at ").split(": ")
            self.about_to[when] = what
        elif how.startswith("crash "):
            self.crash_at = ("after" if "after" in how else "before", how.split()[-1])
        elif how == "pressure":
            self.hear(PRESSURE, MAX_PRESSURE, q.GOOD)
        elif how in ("pressure lost", "heat lost", "trip lost"):
            tag = {"pressure lost": PRESSURE, "heat lost": HEAT, "trip lost": TRIP}[how]
            self.hear(tag, self.heard[tag][1], q.UNCERTAIN_LAST_USABLE)
        elif how == "edge":
            self.force = HIGH - 20
            self.hear_everything()
        elif how == "beyond":
            self.force = HIGH + 50
            self.hear_everything()
        elif how == "restart":
            self.restart()
            self.hear_everything()
        else:
            self.behaviour = how

    def nearly_good_advice_comes(
        self, step: float, spoilt: list[str], wait: int, life: int, people: list[str], then: str, heat: float
    ) -> None:
        self.put_in_order(wait)
        for how in spoilt:
            self.spoil(how)
        self.advice_comes([self.force + step], life)
        for user in people:
            self.somebody_approves(user, 0)
        for second in range(WITHIN + 5):
            self.now += S
            self.hear_everything()
            self.hear(HEAT, heat, q.GOOD)
            if second == 10 and then:
                self.spoil(then)
            self.do(self.guard.tick())  # type: ignore[arg-type]

    def the_same_advice_comes_again(self, pick: Any) -> None:
        self.do(self.guard.submit(pick.choice(list(self.advice.values()))))

    def somebody_approves(self, user: str, pick: int) -> None:
        cases = self.guard.cases()
        if pick >= len(cases):
            return
        case = cases[pick]
        had = set(self.approved.get(case.advice.id, set()))
        if case.state == "waiting":
            self.approved.setdefault(case.advice.id, set()).add(user)
        try:
            self.do(self.guard.approve(case.id, user))
        except GuardError:
            assert case.state != "waiting" or user in had

    def somebody_rejects(self, pick: int) -> None:
        cases = [c for c in self.guard.cases() if c.state in ("waiting", "advised")]
        if pick < len(cases):
            self.do(self.guard.reject(cases[pick].id, "li", "no"))
            if self.guard.case(cases[pick].id).state == "rejected":  # else the process died before it was in the ledger
                self.advice.pop(cases[pick].advice.id)

    def somebody_turns_the_set_point(self, value: float) -> None:
        self.force = value
        self.hear(SPEED, self.force, q.GOOD)

    def kill(self) -> None:
        self.guard.kill("li", "stop")

    def release(self) -> None:
        self.guard.release("li", "go")

    def a_hand_on_the_stop_file(self, on: bool) -> None:
        if on:
            (self.folder / "STOP").touch()
        else:
            (self.folder / "STOP").unlink(missing_ok=True)

    def life_goes_on(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += S
            self.hear_everything()
            self.do(self.guard.tick())  # type: ignore[arg-type]

    def tick(self) -> None:
        self.do(self.guard.tick())  # type: ignore[arg-type]

    def the_device_changes(self, how: str) -> None:
        self.behaviour = how

    def something_is_about_to_happen(self, when: str, what: str) -> None:
        self.about_to[when] = what

    def a_crash_is_near(self, when: str, kind: str) -> None:
        self.crash_at = (when, f"guard.{kind}")

    def new_start_with_another_mode(self, mode: str, needs: int) -> None:
        self.mode, self.needs = mode, needs
        self.restart()

    # --- what always holds ----------------------------------------------------------------------------------------------------------

    def check(self) -> None:
        assert self.wrong == []
        assert sum(c.open for c in self.guard.cases()) <= 1
        fresh = Guard(self.plant, self.latest, self.ledger, self.device, clock=lambda: self.now, folder=self.folder)  # type: ignore[arg-type]
        assert repr(fresh.cases()) == repr(self.guard.cases())  # memory is what the ledger says (by repr: NaN is not itself)


class NearlyGood(World, RuleBasedStateMachine):
    """Advice that would be carried out, but for one thing or two."""

    r_nearly_good_advice_comes = rule(
        step=st.sampled_from([30.0, -30.0, 50.0, -60.0, 60.0, 120.0, -120.0, 121.0, -121.0, float("nan")]),
        spoilt=st.lists(st.sampled_from(["beyond", "restart", *SPOILT]), max_size=2),
        wait=st.sampled_from([200, 200, 200, 60, 15, 0]),
        life=st.sampled_from([600, 600, 600, 1, 0]),
        people=st.sampled_from([["li", "wang"], ["li"], ["li", "li"], []]),
        then=st.sampled_from(["", "", "kill", *SPOILT]),
        heat=st.sampled_from([60.0, 60.0, 57.0]),
    )(World.nearly_good_advice_comes)
    r_new_start_with_another_mode = rule(mode=st.sampled_from(["auto", "auto", "approve", "advise"]), needs=st.sampled_from([1, 2]))(
        World.new_start_with_another_mode
    )
    r_the_same_advice_comes_again = precondition(lambda self: self.advice)(
        rule(pick=st.randoms(use_true_random=False))(World.the_same_advice_comes_again)
    )
    always = invariant()(World.check)


def walk(world: World, chance: random.Random, steps: int) -> None:
    """Anything, at any time; but what is in order is more frequent than what is not, or nothing would ever be written."""
    some = chance.choice
    events: list[tuple[float, Callable[[], object]]] = [
        (30, world.hear_everything),
        (15, lambda: world.life_goes_on(some([1, 3, 40]))),
        (8, lambda: world.time_passes(some([1, 2, 4, 9, 11, 31, 61, 200, 400]))),
        (
            20,
            lambda: world.advice_near_what_is_in_force_comes([some([20, -20, 40, -40, 60, -60, 100]) for _ in range(some([1, 1, 3]))], 600),
        ),
        (2, lambda: world.advice_comes([some(SPEEDS)], some([1, 600]))),
        (10, lambda: world.somebody_approves(some(["li", "wang", "zhao"]), some([0, 0, 1]))),
        (1, lambda: world.somebody_rejects(some([0, 1]))),
        (5, lambda: world.advice and world.the_same_advice_comes_again(chance)),
        (2, lambda: world.hear_set_point(some(QUALITIES))),
        (2, lambda: world.hear_pressure(some([2.0, 7.9, 8.0, 9.0]), some(QUALITIES))),
        (2, lambda: world.hear_trip(some([0.0, 1.0]), some(QUALITIES))),
        (4, lambda: world.hear_heat(some([50.0, 57.0, 60.0]), some(QUALITIES))),
        (1, lambda: world.somebody_turns_the_set_point(some([700.0, 1000.0, 1300.0, 1500.0]))),
        (0.5, world.kill),
        (3, world.release),
        (1, lambda: world.a_hand_on_the_stop_file(some([True, False, False, False]))),
        (3, lambda: world.the_device_changes(some(["obeys"] * 6 + ["slow", "ignores", "refuses", "breaks", "obeys and says nothing"]))),
        (3, lambda: world.something_is_about_to_happen(some(["intent", "line"]), some(["kill", "wait", "trip", "lost", "hand", "lower"]))),
        (2, lambda: world.switch(some(["auto", "auto", "approve", "advise"]))),
        (2, lambda: world.a_crash_is_near(some(["before", "after"]), some(KINDS))),
        (2, lambda: world.new_start_with_another_mode(some(["auto", "auto", "approve", "advise"]), some([1, 2]))),
    ]
    for event in chance.choices([e for _, e in events], [w for w, _ in events], k=steps):
        event()
        world.check()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_a_long_walk_through_everything_that_may_happen(seed: int) -> None:
    world = World()
    try:
        walk(world, random.Random(seed), 150)
    finally:
        world.teardown()


def test_advice_that_is_good_but_for_a_thing_or_two() -> None:
    run_state_machine_as_test(
        NearlyGood,
        settings=settings(max_examples=80, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True),
    )
