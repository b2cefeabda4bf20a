"""A node as people see it: what it said last, how long ago, and in what it differs from what is wanted."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ronghe.bus.fleet import Link, Report
from ronghe.text import Text

UP: Final = 30_000_000_000  # ns since the last report; one is sent every 10 s
LATE: Final = 120_000_000_000

METRICS: Final = {
    "cpu": "ronghe_process_cpu_ratio",
    "rss_mb": "ronghe_process_resident_bytes",
    "disk_free_mb": "ronghe_disk_free_bytes",
    "tags": "ronghe_tags",
    "points_per_s": "ronghe_points_per_second",
}
_OUTBOX: Final = {
    "messages": "ronghe_outbox_messages",
    "bytes": "ronghe_outbox_bytes",
    "oldest_s": "ronghe_outbox_oldest_seconds",
    "drain_x": "ronghe_outbox_drain_ratio",
}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A node in the register. Times in ns since 1970 UTC; 0 or None: never."""

    name: str
    plant: str
    title: Text
    invited: int
    joined: int
    removed: int
    configuration: str
    seen: int
    place: str
    certified: int | None
    report: Report | None
    log: tuple[tuple[int, str, str], ...]


def state_of(row: Row, now: int) -> str:
    """invited, up, late, gone or removed."""
    if row.removed or not row.joined:
        return "removed" if row.removed else "invited"
    age = now - max(row.seen, row.joined)
    return "up" if age <= UP and row.seen else "late" if age <= LATE else "gone"


def view_of(row: Row, now: int) -> dict[str, Any]:
    """One node of `/api/fleet`: times in ms since 1970 UTC, None where nothing is known."""
    report = row.report
    metrics = report.metrics if report else {}
    running = report.configuration if report else ""
    changed = list(report.changed) if report else []
    return {
        "name": row.name,
        "plant": row.plant,
        "title": _both(row.title) if row.title.en else {"en": row.name, "zh": row.name},
        "state": state_of(row, now),
        "since": _ms(row.removed or row.joined or row.invited),
        "seen": _ms(row.seen),
        "age_s": (now - row.seen) / 1e9 if row.seen else None,
        "version": report.version if report else None,
        "address": row.place or None,
        "certificate_until": _ms(row.certified or 0),
        "configuration": {
            "wanted": row.configuration or None,
            "running": running or None,
            "drift": bool(changed) or bool(row.configuration and running and row.configuration != running),
            "changed": changed,
            "text": _both(report.said) if report and report.said else None,
        },
        "models": [_model(m) for m in report.models] if report else [],
        "outbox": {key: metrics.get(name) for key, name in _OUTBOX.items()} if _OUTBOX["messages"] in metrics else None,
        "metrics": {key: _scaled(key, metrics.get(name)) for key, name in METRICS.items()},
        "alarms": {p: report.alarms.get(p, 0) for p in ("critical", "high", "medium", "low")} if report else None,
        "link": _link(report.link) if report and report.link else None,
        "log": [{"time": _ms(at), "level": level, "text": text} for at, level, text in row.log],
    }


def _model(model: Any) -> dict[str, Any]:
    return {**msgspec.to_builtins(model), "text": _both(model.text) if model.text else None}


def _link(link: Link) -> dict[str, Any]:
    return {"rtt_ms": link.rtt_ms, "p99_ms": link.p99_ms, "jitter_ms": link.jitter_ms, "loss": link.loss, "bps": link.bps}


def _scaled(key: str, value: float | None) -> float | None:
    return value / 1e6 if value is not None and key.endswith("_mb") else value


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.in_("zh")}


def _ms(ns: int) -> int | None:
    return ns // 1_000_000 if ns else None
