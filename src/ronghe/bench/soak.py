"""The autonomy soak: days of the demonstration's energy corner and furnace in auto, with everything failing in turn.

The devices live here, the node in a process of its own (`ronghe.bench.soak_node`) that is killed now and then; a pipe is the line between
them, and its time is simulated. What reached the devices is judged here, by code that shares nothing with the node (`soak_judge`).
"""

from __future__ import annotations

import csv
import json
import re
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from ronghe.bench.soak_faults import DAY, WEEK, Fault, Line, answer
from ronghe.bench.soak_judge import SETTABLE, Judge, hours, read, total, unaccounted
from ronghe.demo.battery import CAPACITY, EFFICIENCY, POWER, Battery
from ronghe.demo.learned import remember
from ronghe.demo.lights import NEW_YEAR, Corner
from ronghe.errors import MissingExtra
from ronghe.signals import quality as q
from ronghe.text import Text

EVERY: Final = 300  # s between two samples
BEGINS: Final = 31 * 86_400.0  # s since New Year: the first of February, a Thursday; January is there to learn from
DEMAND, SELL, WEAR = 40.0, 0.25, 0.05  # CNY per kW and month, per kWh fed in, per kWh discharged: as in the plant's tariff and options
DAY_S: Final = 86_400
LAST: Final = 2  # samples after the last midnight: the day that it ends is worth something only then
LOOKS: Final = 10  # at set-points, a second apart, after a write
TARIFF: Final = "tariff.toml"


def run(full: bool = False) -> dict[str, Any]:
    """A week; `full`: four of them, a month, each with its faults."""
    return soak(28 if full else 7, [Fault(f.kind, f.day + 7 * w, f.hour, f.hours, f.at) for w in range(4 if full else 1) for f in WEEK])


def soak(days: int, faults: Sequence[Fault] = DAY) -> dict[str, Any]:
    """`days` of the plant with these faults; see docs/lights-out.md for what each figure means."""
    if find_spec("highspy") is None:
        raise MissingExtra("energy", Text("the soak", "无人值守浸泡试验"))
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ronghe-soak-") as name:
        folder = Path(name)
        write_corner(folder)
        remember(folder / ".ronghe" / "apps" / "energy", BEGINS)
        works = Works(folder, faults)
        works.run(days)
        book = read(folder / ".ronghe" / "ledger" / "ledger.jsonl")
    judge, end = works.judge, works.now
    wild = unaccounted(judge.written, book.intents)
    return {
        "days": days,
        "faults": len(faults),
        "writes": len(judge.written),
        "unaccounted_writes": len(wild),
        "envelope_broken": len(judge.broken),
        "broken": judge.broken[:10],
        "protected_minutes": round(works.protected),
        "ledger_entries": book.entries,
        "ledger_sound": book.sound,
        "cases": dict(book.ended),
        "hours_on_rule": round(hours(book.alarms, "rule", end), 2),
        "worth": total(book.savings),
        "cost": round(works.ours.cost(), 2),
        "rule_cost": round(works.rule.cost(), 2),
        "gas_mj_per_t": {"first_day": round(works.gas[0], 1), "last_day": round(works.gas[-1], 1)},
        "restarts": works.starts - 1,
        "seconds": round(time.perf_counter() - began, 1),
    }


def write_corner(folder: Path) -> None:
    """The demonstration's plant folder, of it the energy corner and the furnace alone, in the plant's own time."""
    for source in files("ronghe.demo").joinpath("plant").iterdir():
        text = source.read_text(encoding="utf-8")
        if source.name == "plant.toml":
            tables = re.split(r"^(?=\[)", text, flags=re.M)
            text = "".join(t for t in tables if re.match(r"\[(plant\]|connections.meter|\w+\.\"(energy|furnace))", t) or "\nlapse = " in t)
            text = re.sub(r"^lapse = .*\n", "", text, flags=re.M).replace("@METER@", "1")
        elif source.name == "tags.csv":
            text = "".join(line for line in text.splitlines(keepends=True) if line.startswith(("tag,", "energy/", "furnace/")))
        (folder / source.name).write_text(text, encoding="utf-8")


@dataclass
class Bill:
    """What a way of running the battery costs."""

    money: float = 0.0
    quarter: float = 0.0  # kWh so far
    peak: float = 0.0  # kW, of the dearest quarter of an hour
    stored: float = 0.0  # kWh less in the battery than in the beginning

    def add(self, at: float, seconds: float, grid: float, battery: float) -> None:
        """What began at `at` (s since New Year), within a minute, powers in kW."""
        energy = grid * seconds / 3600
        self.money += energy * price(at) if energy > 0 else energy * SELL
        self.money += max(-battery, 0.0) * seconds / 3600 * WEAR
        self.quarter += energy
        if (at + seconds) % 900 < 1e-6:
            self.peak, self.quarter = max(self.peak, self.quarter * 4), 0.0

    def cost(self) -> float:
        """CNY: energy, wear, the month's demand charge so far, and what the battery holds less, at the flat price."""
        return self.money + self.peak * DEMAND + self.stored * 0.67


def price(at: float) -> float:
    """CNY per kWh at `at` (s since New Year)."""
    hour = at / 3600 % 24
    return 1.10 if 8 <= hour < 11 or 17 <= hour < 20 else 0.32 if hour >= 23 or hour < 7 else 0.67


@dataclass
class Works:
    """The devices, and the node that is told of them."""

    folder: Path
    faults: Sequence[Fault]
    judge: Judge = field(default_factory=Judge)
    ours: Bill = field(default_factory=Bill)
    rule: Bill = field(default_factory=Bill)
    gas: list[float] = field(default_factory=list)  # MJ/t, a mean of each day
    protected: float = 0.0  # minutes in which the battery's own protection held something back
    starts: int = 0  # of the node

    def __post_init__(self) -> None:
        self.corner, self.by_rule, self.line = Corner(BEGINS), Battery(), Line()
        with (self.folder / "tags.csv").open(encoding="utf-8") as f:
            self.points = {row["tag"]: Point.of(row["address"]) for row in csv.DictReader(f)}
        self._node: subprocess.Popen[str] | None = None
        self._fell = {f for f in self.faults if f.kind == "killed"}  # still to come
        self._begun: set[Fault] = set()

    @property
    def now(self) -> int:
        """ns since 1970 UTC."""
        return round((NEW_YEAR + self.corner.time) * 1e9)

    def run(self, days: int) -> None:
        """`days` in steps of a sample."""
        try:
            for step in range(1, days * DAY_S // EVERY + LAST):
                self._pass_time(BEGINS + step * EVERY)
                if step % (DAY_S // EVERY) == 1 and len(self.gas) < days:
                    self.gas.append(0.0)
                self.gas[-1] += self.corner.furnace.fuel * EVERY / DAY_S
                self._tell()
            self._stop()
        finally:
            self._kill()
        self.ours.stored = (0.5 - self.corner.battery.soc) * CAPACITY
        self.rule.stored = (0.5 - self.by_rule.soc) * CAPACITY

    # --- the devices ----------------------------------------------------------------------------------------------------------------

    def _pass_time(self, to: float) -> None:
        while (at := self.corner.time) < to:
            c, f, held_back = self.corner, self.corner.furnace, self.corner.battery.held_back
            seconds = min(60 - at % 60, to - at)
            c.advance(at + seconds)
            self.protected += seconds / 60 * (c.battery.held_back > held_back + 1e-3)
            shown = {
                "state of charge": c.battery.soc,
                "battery power": c.battery.power,
                "battery temperature": c.battery.temperature,
                "roof temperature": f.roof,
                "billet temperature": f.coldest,
                "oxygen": f.oxygen,
            }
            self.judge.look(self.now, shown)
            self.ours.add(at, seconds, c.grid, c.battery.power)
            rest = c.load - c.roof.power(c.time)
            self.by_rule.hear()
            self.by_rule.setpoint = by_rule(at, rest, self.by_rule.soc)
            self.by_rule.step(seconds)
            self.rule.add(at, seconds, rest + self.by_rule.power, self.by_rule.power)

    def _take(self, tag: str, value: float) -> int:
        """A write that has come down the line."""
        takes, code = answer(tag, self._present())
        if not takes:
            return code
        point = self.points[tag]
        words = struct.unpack(">2H", struct.pack(">f", value))
        if not self.corner.write(point.unit, point.start, words):
            return q.BAD_OUT_OF_RANGE
        (held,) = struct.unpack(">f", struct.pack(">f", value))
        self.judge.register(self.now, tag, held)
        return code

    def _present(self) -> list[Fault]:
        since = self.corner.time - BEGINS
        return [f for f in self.faults if f.start <= since < f.end]

    # --- the node -------------------------------------------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tells the node what the devices show now, and does what it writes; kills and starts it where that is due."""
        present = self._present()
        self._tariff(present)
        if any(f.kind == "dark" for f in present):
            self._kill()
            return
        if self._node is None:
            self._start()
        busy = self._round(present, self.points)
        for _ in range(LOOKS):  # set-points are sampled more often, for what was written must show itself soon
            if not busy or self._node is None:
                break
            self._pass_time(self.corner.time + 1)
            busy = self._round(present, SETTABLE)

    def _round(self, present: Sequence[Fault], tags: Iterable[str]) -> bool:
        """Samples of some tags and what the node makes of them; whether it waits for a device to show what it wrote."""
        units = {p.unit: self.corner.read(p.unit) for p in self.points.values()}
        values = {tag: self.points[tag].value(units[self.points[tag].unit]) for tag in tags}
        kinds = {f.kind for f in present}
        samples = self.line.samples(values, present)
        self._say({"now": self.now, "samples": samples, "solver": "solver" in kinds, "app": "app" in kinds})
        while "done" not in (said := self._hear()):
            code = self._take(said["write"], said["value"])
            due = {f for f in self._fell if f.start <= self.corner.time - BEGINS}
            if due:  # between the device's taking it and the node's hearing so
                self._fell -= due
                self._kill()
                self._start()
                return True
            self._say({"code": code})
        return bool(said["busy"])

    def _tariff(self, present: Sequence[Fault]) -> None:
        """Takes the tariff away or brings it back."""
        gone, path = any(f.kind == "tariff" for f in present), self.folder / TARIFF
        if gone == path.exists():
            aside = path.with_suffix(".aside")
            (path.rename(aside) if gone else aside.rename(path))

    def _start(self) -> None:
        command = [sys.executable, "-m", "ronghe.bench.soak_node", str(self.folder)]
        self._node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.starts += 1
        self._say({"now": self.now})
        self._hear()

    def _stop(self) -> None:
        if self._node is not None:
            self._say({"stop": True})
            self._gone(self._node)

    def _kill(self) -> None:
        if self._node is not None:
            self._node.kill()
            self._gone(self._node)

    def _gone(self, node: subprocess.Popen[str]) -> None:
        node.wait(60)
        for pipe in (node.stdin, node.stdout):
            assert pipe is not None
            pipe.close()
        self._node = None

    def _say(self, message: dict[str, Any]) -> None:
        assert self._node is not None
        assert self._node.stdin is not None
        self._node.stdin.write(json.dumps(message) + "\n")
        self._node.stdin.flush()

    def _hear(self) -> dict[str, Any]:
        assert self._node is not None
        assert self._node.stdout is not None
        line = self._node.stdout.readline()
        if not line:
            raise RuntimeError(f"the node ended by itself, with {self._node.wait()}")
        found: dict[str, Any] = json.loads(line)
        return found


@dataclass(frozen=True, slots=True)
class Point:
    """Where a tag's value lies in its device."""

    unit: int
    start: int
    kind: str

    @classmethod
    def of(cls, address: str) -> Point:
        """By an address of tags.csv."""
        found = re.fullmatch(r"(?:(\d+)/)?(?:input|holding):(\d+):(\w+)", address)
        assert found is not None
        return cls(int(found[1] or 1), int(found[2]), found[3])

    def value(self, registers: list[int]) -> float:
        """As the device holds it."""
        code = {"float32": ">f", "uint16": ">H", "uint32": ">I"}[self.kind]
        words = registers[self.start : self.start + struct.calcsize(code) // 2]
        return float(struct.unpack(code, struct.pack(f">{len(words)}H", *words))[0])


def by_rule(at: float, rest: float, soc: float) -> float:
    """The rule that everybody knows, for a battery between 10 and 90 %: it fills evenly over the cheap hours, and again between two dear
    stretches, and empties evenly over the dear ones, never more than the works take (`rest`, kW). kW, + charges."""
    hours = 0.25  # until the price changes
    while hours < 24 and price(at + hours * 3600) == price(at):
        hours += 0.25
    if price(at) > 1.0:
        return -min(max(soc - 0.1, 0.0) * CAPACITY * EFFICIENCY / hours, max(rest, 0.0), POWER)
    if price(at) < 0.5 or price(at + hours * 3600) > 1.0:
        return min(max(0.9 - soc, 0.0) * CAPACITY / EFFICIENCY / hours, POWER)
    return 0.0
