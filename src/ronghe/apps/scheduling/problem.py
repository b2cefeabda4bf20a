"""A scheduling problem: the facts alone, in ticks since its start. A flexible job shop with what real shops add to it.

An operation occupies one of its machines for its duration, after a set-up where the machine was last left in another family. Machines and
people work only where their calendars say so. What these words mean exactly stands beside each field; the checker
(`ronghe.apps.scheduling.check`) holds every plan to just that:

1. *Working tick* of an operation on a machine: neither that machine nor a pool it needs people from is off (pause or stop).
   Its set-up takes as many working ticks in [setup_start, start) as the set-up lasts, and it takes as many in [start, end) as it lasts:
   neither more nor fewer. setup_start and start are working ticks, and so is end − 1: a set-up is followed at once, pauses aside, by its
   operation. No tick of [setup_start, end) is a stop; where the operation does not pause, every tick is a working tick. What lasts 0
   starts where it ends, anywhere.
2. A machine is taken in [setup_start, end), people too, pauses included. Two things on one machine follow one another (end <= next
   setup_start), also where one lasts 0; those that begin together stand in the order of their ends, then of the plan.
3. Set-up of an operation: from the family of the last one before it on that machine which has a family, else from the machine's. It may lie
   before the release, before the predecessors' ends and before its material comes: only `start` waits for those.
4. A batch is one thing: one set-up, as long as its longest operation there, pauses if all its operations do, needs of each pool the most
   that one of them needs; every operation takes its own material. All its operations have the same family ("" too).
5. What has *begun* (fixed, start < now) is only held to be stated as it is: no calendar, set-up length, release, order or material is held
   against it (its set-up counts 0), but it is in the way of the others, they wait for its end, and it takes people and material.
   A fixed `end` is taken as it is, whatever the calendar and the duration say; without one it ends when its duration is worked off, a stop
   being to it like a pause.
6. Make-span: the latest end. A job ends with its last operation to end. Set-up: Σ of the set-ups' own lengths (pauses left out), once a
   batch. Objective: Σ weight · figure.
7. Energy: a machine takes its power in every working tick of [setup_start, end), and none in others; a batch takes it once.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Tick = int
"""Time since the problem's start, in its tick. Durations too."""


class Off(msgspec.Struct, frozen=True):
    """When something is not there: start <= t < end. Nothing may lie across a `stop` (breakdown, maintenance window); a pause (the end of
    a shift) may be crossed by an operation that `pauses`, whose end moves by as much. Several may overlap: off is where any is."""

    start: Tick
    end: Tick
    why: str = ""
    stop: bool = False


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """One machine does one operation at a time, or one batch."""

    name: str
    off: tuple[Off, ...] = ()
    family: str = ""  # what it is set up for at tick 0; "": nothing, and the first set-up is free
    batch: Annotated[
        int, Meta(ge=1, description="at most so many operations of one family are done together, starting and ending as one (a furnace)")
    ] = 1
    power: float = 0.0  # kW while it works, for energy and carbon


class Choice(msgspec.Struct, frozen=True):
    """One machine that can do an operation, and how long it takes there."""

    machine: str
    duration: Tick


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a job. Its name is unique in the problem."""

    name: str
    choices: tuple[Choice, ...]
    family: str = ""  # "": needs no set-up and leaves the machine as it is
    pauses: bool = True  # may lie across a pause of its machine or people; its set-up may too
    people: dict[str, int] = {}  # pool → how many, from the start of its set-up to its end
    uses: dict[str, float] = {}  # material → quantity, taken at its start (after the set-up) from what has come by then
    after: tuple[str, ...] | None = None  # operations (of any job) that have ended by its start; None: the one before it in its job


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """An order. No operation of it starts before its release (set-ups may). Late by max(0, end − due), at `weight` a tick."""

    name: str
    operations: tuple[Operation, ...]
    release: Tick = 0
    due: Tick | None = None
    weight: float = 1.0
    product: str = ""
    quantity: float = 1.0


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """How long a machine takes from one family to another (both named; the same family twice is a pair like others). The line of that
    machine counts before the line of machine ""; a pair that no line names takes 0."""

    before: str
    after: str
    duration: Tick
    machine: str = ""  # "": every machine


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """People of one skill, or a tool of which there are several: at every tick at most `size` are in use; none where it is off (what needs
    them stands still there, or may not lie there: like a machine's)."""

    name: str
    size: int
    off: tuple[Off, ...] = ()


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """Material comes in: from this tick on there is so much more. What is there at the start comes at tick 0."""

    material: str
    at: Tick
    quantity: float
    source: str = ""  # order, supplier or truck, for explanations


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that has begun, or must not be moved: where and when. `end` where it is known better than by its duration. Fixed ones
    that start together on a machine with batches are one batch."""

    operation: str
    machine: str
    start: Tick  # of the operation, after its set-up
    end: Tick | None = None


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """What is minimised: the weighted sum of make-span, weighted tardiness Σ w max(0, C − d), and time spent on set-ups."""

    makespan: float = 0.0
    tardiness: float = 0.0
    setup: float = 0.0


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """What electricity costs and emits, by slots of equal length from tick 0 on; the last goes on for ever."""

    slot: Tick  # > 0
    money: tuple[float, ...]  # per kWh
    carbon: tuple[float, ...] = ()  # kg CO2e per kWh, as many; none: not known
    carbon_price: float = 0.0  # money per kg CO2e, for choosing only: no part of `Plan.energy_cost`


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a plan is computed from. Names are unique within their kind; `ronghe.apps.scheduling.sound` says what does not fit."""

    machines: tuple[Machine, ...]
    jobs: tuple[Job, ...]
    setups: tuple[Setup, ...] = ()
    pools: tuple[Pool, ...] = ()
    arrivals: tuple[Arrival, ...] = ()
    fixed: tuple[Fixed, ...] = ()
    now: Tick = 0  # nothing that is not fixed starts, set-up included, before
    weights: Weights = Weights(makespan=1.0)
    prices: Prices | None = None  # no part of the objective: `timing` moves what may be moved to where it costs least
    start: int = 0  # ns since 1970 UTC of tick 0; 0: abstract, as in benchmarks
    tick: float = 1.0  # s
    name: str = ""


class Assigned(msgspec.Struct, frozen=True, kw_only=True):
    """One operation in a plan. The set-up lies right before it: setup_start <= start <= end, and start == setup_start where there is none
    (with pauses in between it may take longer than its duration)."""

    operation: str
    machine: str
    setup_start: Tick
    start: Tick
    end: Tick
    batch: int = 0  # operations with the same number (> 0) on a machine go together


Status = Literal["optimal", "feasible", "infeasible", "unknown"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `objective` is that of the problem's weights; `lower_bound` is proven for it, None where nothing was proven."""

    assigned: tuple[Assigned, ...]
    objective: float
    lower_bound: float | None = None
    status: Status = "feasible"
    makespan: Tick = 0
    tardiness: float = 0.0  # weighted
    setup: Tick = 0
    energy: float | None = None  # kWh; these three are None where not stated
    energy_cost: float | None = None
    carbon: float | None = None  # kg CO2e of the energy
    seconds: float = 0.0  # that were spent
    by: str = ""  # which method found it

    @property
    def gap(self) -> float | None:
        """(objective − bound) / objective, 0..1; None without a bound."""
        if self.lower_bound is None:
            return None
        return 0.0 if self.objective <= self.lower_bound else (self.objective - self.lower_bound) / abs(self.objective)
