"""A live changeover over OPC UA and Modbus, with every step timed; then with each step made to fail, and the devices read by others to see
whether anything is half changed."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ronghe.apps.contract import Question
from ronghe.bench.changeover_devices import DOOR, MATERIAL, NEW, OLD, PIECE, Devices, until, write_plant
from ronghe.edge.node import Node
from ronghe.guard import ChangeCase
from ronghe.plant import load

_WRITTEN: Final = ("proving", "done")


@dataclass(frozen=True, slots=True)
class _Failure:
    """One way to fail: what is spoilt before it begins, while the change is in a state, and when it is mended again."""

    name: str
    before: str = ""  # a command to the feeder
    at: str = ""  # a state of the change in which …
    then: str = ""  # … this is told to the feeder, or "cancel" by a person
    mend: float = 0.0  # s after which the feeder behaves well again


FAILURES: Final = (
    _Failure("material not there", before=f"set coil {MATERIAL} 0", at="waiting", then="cancel"),
    _Failure("a device refuses a write", before="behave refuse"),
    _Failure("a device dies in the middle", before="behave die", mend=1.0),
    _Failure("a device says yes and does something else", before="behave clamp"),
    _Failure("a person calls it off while it is written", at="writing", then="cancel"),
    _Failure("the guard door opens while the first piece is awaited", at="proving", then=f"set coil {DOOR} 1"),
    _Failure("the first piece is not good"),
)


def live(full: bool) -> dict[str, Any]:
    """One changeover that comes through, and every way to fail; five times over when `full`.

    Keys: `changeover_s` (the slowest), `steps_s` by step, `state`, `in_force` (read from the devices by asyncua and modbus-serial),
    `failures`: [{"what", "state", "rolled_back": whether both devices hold exactly what they held before, "seconds", "why"}], `rolled_back`
    (all of them), `nothing_half_changed`.
    """
    with tempfile.TemporaryDirectory() as name:
        return asyncio.run(_live(Path(name), 5 if full else 1))


async def _live(folder: Path, times: int) -> dict[str, Any]:
    """Two lines side by side, since a read-back that differs is given its ten seconds."""
    slow = [f for f in FAILURES if f.before in ("behave clamp", "behave die")]
    rest = [f for f in FAILURES if f not in slow]
    (good, failures), (_, late) = await asyncio.gather(_line(folder / "a", times, rest), _line(folder / "b", 1, slow))
    failures += late
    rolled_back = all(f["rolled_back"] for f in failures)
    return {
        **max(good, key=lambda one: float(one["changeover_s"])),
        "changeovers": len(good),
        "failures": failures,
        "rolled_back": rolled_back,
        "nothing_half_changed": rolled_back and all(g["in_force"] for g in good),
        "protocol": "node-opcua press (3 set-points), modbus-serial feeder (2), 100 ms sampling; a person confirms the die at once and the "
        "first piece is measured 1 s after all is written; what the devices hold is read with asyncua and from modbus-serial itself",
    }


async def _line(folder: Path, times: int, failures: Sequence[_Failure]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(changeovers that come through, changeovers that are made to fail) of one line."""
    folder.mkdir()
    devices = await asyncio.to_thread(Devices, folder)
    try:
        write_plant(folder / "plant", devices.opcua, devices.modbus)
        await devices.reset(OLD)
        node = Node(load(folder / "plant"))
        await node.start()
        try:
            good = [await _good(node, devices) for _ in range(times)]
            return good, [await _fail(node, devices, f) for _ in range(times) for f in failures]
        finally:
            await node.stop()
    finally:
        devices.stop()


async def _good(node: Node, devices: Devices) -> dict[str, Any]:
    await _ready(node, devices)
    change = await _start(node)
    await _reach(node, change, _WRITTEN)
    await asyncio.sleep(1.0)
    devices.feeder(f"set coil {PIECE} 1")
    run = await _end(node)
    steps = {s["name"]: round((s["ended"] - s["began"]) / 1000, 2) for s in run["steps"] if s["ended"]}
    in_force = await devices.hold() == NEW
    return {"changeover_s": (run["ends"] - run["began"]) / 1000, "steps_s": steps, "state": run["state"], "in_force": in_force}


async def _fail(node: Node, devices: Devices, failure: _Failure) -> dict[str, Any]:
    await _ready(node, devices)
    if failure.before:
        devices.feeder(failure.before)
    change = await _start(node)
    if failure.at:
        await _reach(node, change, (failure.at,))
        if failure.then == "cancel":
            await asyncio.sleep(0.5 if failure.at == "waiting" else 0.0)
            await node.ask("changeover", Question(verb="cancel", who="wang"))
        else:
            devices.feeder(failure.then)
    if failure.mend:
        await asyncio.sleep(failure.mend)
        devices.feeder("behave well")
    run = await _end(node)
    return {
        "what": failure.name,
        "state": run["state"],
        "rolled_back": run["state"] in ("rolled_back", "refused", "rejected", "expired") and await devices.hold() == OLD,
        "seconds": round((run["ends"] - run["began"]) / 1000, 2),
        "why": run["outcome"]["en"],
    }


async def _ready(node: Node, devices: Devices) -> None:
    """As before, and seen by the node."""
    await devices.reset(OLD)

    def seen() -> bool:
        now = node.clock()
        shown = {t: node.latest.get(t, now) for t in OLD}
        material, door = (node.latest.get(f"line1/feeder/{n}", now)[0] for n in ("material", "door_open"))
        scale = {t: 10.0 if t.endswith("feed") else 1.0 for t in OLD}
        same = all(code == 0 and abs(v * scale[t] - OLD[t]) < 1e-6 for t, (v, code, _) in shown.items())
        return same and material == 1.0 and door == 0.0

    await until(seen, "the node to see the devices as they were set up")


async def _start(node: Node) -> str:
    """A person starts it and confirms the die; gives the id of its change."""
    state: Any = await node.ask("changeover", Question(verb="start", body={"recipe": "a-200"}, who="li"))
    await node.ask("changeover", Question(verb="confirm", body={"step": "die"}, who="li"))
    return str(state["running"]["id"])


async def _reach(node: Node, change: str, states: tuple[str, ...]) -> None:
    def there() -> bool:
        found: list[ChangeCase] = [c for c in node.guard.changes() if c.change.id == change]
        return bool(found) and (found[0].state in states or not found[0].open)

    await until(there, f"the change to be {states}")


async def _end(node: Node) -> dict[str, Any]:
    for _ in range(3000):
        state: Any = await node.ask("changeover", Question(verb="state"))
        if state["running"] is None:
            last: dict[str, Any] = state["last"][0]
            return last
        await asyncio.sleep(0.05)
    raise TimeoutError("the changeover does not end")
