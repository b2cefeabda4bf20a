"""What the centre may ask of a node, and the numbers a node tells of itself: a fixed list, and nothing in it changes anything."""

from __future__ import annotations

import logging
import math
import os
import platform
import shutil
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import msgspec

import ronghe
from ronghe.bus.fleet import Order
from ronghe.edge.node import Node

_LINES: Final = 1_000  # of the log, kept in memory
_LONGEST: Final = 2_000  # characters of a line
_WORTH: Final = 300_000  # bytes of an answer


class LogRing(logging.Handler):
    """The newest lines of the log, and which of them the centre has not been told."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(logging.WARNING)
        self._clock = clock
        self._lines: deque[tuple[int, str, str]] = deque(maxlen=_LINES)
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one."""
        text = f"{record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self._lines.append((self._clock(), record.levelname.lower(), text[:_LONGEST]))
        self._count += 1

    def since(self, mark: int, most: int = _LINES) -> tuple[int, list[tuple[int, str, str]]]:
        """(mark for the next time, the lines after `mark`, the newest `most` of them)."""
        lines = list(self._lines)
        fresh = min(self._count - mark, len(lines), most)
        return self._count, lines[len(lines) - fresh :] if fresh > 0 else []


class Gauges:
    """What a node measures of itself, by Prometheus name. Rates are over the time since the last look."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._last = (time.monotonic(), time.process_time(), node.recorder.recorded)

    def look(self) -> dict[str, float]:
        """In the node's loop; a few system calls."""
        node, now = self._node, time.monotonic()
        at, cpu, points = self._last
        self._last = (now, time.process_time(), node.recorder.recorded)
        passed = max(now - at, 1e-3)
        found = {
            "ronghe_process_cpu_ratio": (self._last[1] - cpu) / passed,
            "ronghe_process_threads": float(threading.active_count()),
            "ronghe_disk_free_bytes": float(shutil.disk_usage(node.folder).free),
            "ronghe_tags": float(len(node.plant.tags)),
            "ronghe_points_per_second": (self._last[2] - points) / passed,
            "ronghe_recorder_waiting": float(node.recorder.waiting),
            "ronghe_recorder_dropped": float(node.recorder.dropped),
            "ronghe_connections_up": float(sum(d.health.state == "up" for d in node.drivers.values())),
            "ronghe_connections": float(len(node.plant.connections)),
        }
        memory = resident()
        if memory is not None:
            found["ronghe_process_resident_bytes"] = memory
        sending = node.uplink.state if node.uplink is not None else None
        if sending is not None:
            found["ronghe_outbox_messages"] = float(sending.waiting)
            found["ronghe_outbox_bytes"] = float(sending.waiting_bytes)
            found["ronghe_outbox_oldest_seconds"] = max(0.0, (node.clock() - sending.oldest) / 1e9) if sending.oldest else 0.0
            if sending.drain_x is not None:
                found["ronghe_outbox_drain_ratio"] = sending.drain_x
        return {name: value for name, value in found.items() if math.isfinite(value)}  # JSON has no others


def resident() -> float | None:
    """Bytes of memory that this process holds; None where the system does not say (no /proc)."""
    try:
        with open("/proc/self/statm") as file:
            return float(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def answer(order: Order, node: Node, ring: LogRing, gauges: dict[str, float]) -> Any:
    """The answer to an order, as JSON; {"error": …} for one that is not known here, or would be too long."""
    kinds: dict[str, Callable[[], Any]] = {
        "ping": lambda: {"time": node.clock(), "version": ronghe.__version__},
        "logs": lambda: [{"time": t, "level": level, "text": text} for t, level, text in ring.since(0, _number(order, "lines", 200))[1]],
        "metrics": lambda: gauges,
        "drivers": lambda: {name: {"driver": node.plant.connections[name].driver, **_plain(d.health)} for name, d in node.drivers.items()},
        "apps": lambda: {name: _plain(state, "pages", "tags") for name, state in node.apps.items()},
        "disk": lambda: _disk(node),
        "threads": lambda: _threads(),
    }
    if order.what not in kinds:
        return {"error": f"not known here: {order.what[:40]}"}
    try:
        found = kinds[order.what]()
        size = len(msgspec.json.encode(found))
    except (OSError, ValueError, TypeError) as e:
        return {"error": str(e)}
    return found if size <= _WORTH else {"error": f"{size} bytes are too many"}


def _number(order: Order, key: str, usual: int) -> int:
    return max(1, min(int(order.options.get(key, usual)), _LINES))


def _plain(thing: msgspec.Struct, *without: str) -> dict[str, Any]:
    return {k: v for k, v in msgspec.to_builtins(thing).items() if k not in without}


def _disk(node: Node) -> dict[str, Any]:
    usage = shutil.disk_usage(node.folder)
    return {"total": usage.total, "used": usage.used, "free": usage.free, "historian": _plain(node.historian.stats())}


def _threads() -> dict[str, Any]:
    """Where every thread is now: its last frames, without any value."""
    frames = sys._current_frames()
    stacks = {t.name: [f"{f.filename.rpartition('/')[2]}:{f.lineno} {f.name}" for f in traceback.extract_stack(frames[t.ident], limit=12)]
              for t in threading.enumerate() if t.ident in frames}  # fmt: skip
    return {"python": platform.python_version(), "threads": stacks}
