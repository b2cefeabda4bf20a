"""The judge of the autonomy soak: what reached the devices, and whether it may have. It shares no code with guard, optimiser or ledger.

It stands at the devices: it sees every register that is written and, once a minute, the physics behind them. Its limits are written down
here and not read from the plant folder; the ledger it reads as the lines of JSON that it is, and checks each line's hash by itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SETTABLE = {  # tag: least and greatest value that its register may ever hold
    "energy/battery/setpoint": (-150.0, 150.0),
    "furnace/reheating/heating_setpoint": (1080.0, 1240.0),
    "furnace/reheating/soaking_setpoint": (1210.0, 1285.0),
    "furnace/reheating/air_setpoint": (1.05, 1.3),
}
PHYSICS = {  # least and greatest value at any time
    "state of charge": (0.02, 0.98),
    "battery power": (-150.0, 150.0),
    "battery temperature": (-20.0, 45.0),
    "roof temperature": (0.0, 1340.0),
    "billet temperature": (1160.0, 1400.0),
    "oxygen": (0.5, 21.0),
}
SLACK = 1e-6  # of a limit: a float32 register rounds


@dataclass(frozen=True, slots=True)
class Written:
    """What a device took."""

    time: int  # ns
    tag: str
    value: float


@dataclass
class Judge:
    """Counts what must not be."""

    written: list[Written] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def register(self, time: int, tag: str, value: float) -> None:
        """A device took a value."""
        self.written.append(Written(time, tag, value))
        self._within(time, tag, value, SETTABLE[tag])

    def look(self, time: int, shown: dict[str, float]) -> None:
        """The physics at a moment, by the names in `PHYSICS`."""
        for name, value in shown.items():
            self._within(time, name, value, PHYSICS[name])

    def _within(self, time: int, name: str, value: float, limits: tuple[float, float]) -> None:
        low, high = limits
        slack = SLACK * max(abs(low), abs(high))
        if not low - slack <= value <= high + slack:
            self.broken.append(f"{time} {name} {value:g}")


@dataclass
class Book:
    """The ledger as its file tells it."""

    entries: int = 0
    sound: bool = True  # every line's hash fits, and follows the one before
    intents: list[Written] = field(default_factory=list)  # writes and restores, in order
    savings: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[tuple[int, str, str]] = field(default_factory=list)  # time, event, key
    advised: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # tag → how often
    ended: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # state of a case at its end → how often


def read(path: Path) -> Book:
    """Goes through a ledger's file."""
    book, before = Book(), "0" * 64
    cases: dict[str, dict[str, Any]] = {}
    with path.open("rb") as file:
        for line in file:
            entry = json.loads(line)
            body, mark = entry["body"], line.rindex(b',"hash":"')
            fits = hashlib.sha256(line[:mark] + b"}").hexdigest() == entry["hash"]
            book.sound &= fits and entry["prev"] == before
            before = entry["hash"]
            book.entries += 1
            kind, time = entry["kind"], int(entry["time"])
            if kind == "guard.advice":
                cases[body["case"]] = {"tag": body["advice"]["tag"]}
                book.advised[body["advice"]["tag"]] += 1
            if kind.startswith("guard.") and "case" in body:
                case = cases[body["case"]]
                case.update({k: body[k] for k in ("state", "old", "written") if k in body})
                if kind in ("guard.write", "guard.restore"):
                    value = case["written"] if kind == "guard.write" else case["old"]
                    book.intents.append(Written(time, case["tag"], float(value)))
            elif kind.startswith("change."):
                cases[body["change"]] = {"state": "change " + body["state"]}
                if kind in ("change.send", "change.restore"):
                    put = body["put"]
                    book.intents.append(Written(time, put["tag"], float(put["value" if kind == "change.send" else "old"])))
            elif kind == "saving":
                book.savings.append(body)
            elif kind.startswith("alarm."):
                book.alarms.append((time, kind.removeprefix("alarm."), body["key"]))
    for case in cases.values():
        book.ended[case["state"]] += 1
    return book


def unaccounted(written: list[Written], intents: list[Written]) -> list[Written]:
    """What devices took without an entry of its own: each write takes the oldest entry that says so and was made no later."""
    open_: dict[str, list[Written]] = defaultdict(list)
    for intent in intents:
        open_[intent.tag].append(intent)
    missing = []
    for w in written:
        told = open_[w.tag]
        i = next((i for i, t in enumerate(told) if t.time <= w.time and _float32(t.value) == _float32(w.value)), None)
        if i is None:
            missing.append(w)
        else:
            del told[: i + 1]  # what was intended before it never reached the device
    return missing


def total(savings: list[dict[str, Any]]) -> dict[str, Any]:
    """The savings in money: sums, with the root of the sum of squares of each side's distance (periods as independent)."""
    money = [s["money"] for s in savings if s.get("money")]
    value = math.fsum(m["value"] for m in money)
    below, above = (math.sqrt(math.fsum((m[side] - m["value"]) ** 2 for m in money)) for side in ("low", "high"))
    return {
        "value": value,
        "low": value - below,
        "high": value + above,
        "currency": savings[0]["currency"] if money else "",
        "days": len(money),
    }


def hours(alarms: list[tuple[int, str, str]], key: str, end: int) -> float:
    """How long an alarm whose key ends so stood."""
    since, lasted = 0, 0
    for time, event, name in alarms:
        if name.endswith(key) and event == "raised":
            since = since or time
        elif name.endswith(key) and event == "returned" and since:
            lasted, since = lasted + time - since, 0
    return (lasted + (end - since if since else 0)) / 3.6e12


def _float32(value: float) -> bytes:
    return struct.pack(">f", value)
