"""How well the zones are watched on a labelled sequence.

An event is a stay: a maximal run of pictures in which the labels say that somebody is in a zone; stays with less than `MERGE` between
them are one. It is found when the zone is told to be occupied during it. An alarm is false when nobody was in its zone from `NEAR` before
it began until it ended. Pictures: recall is the part of those with somebody inside in which the zone was told occupied; precision the part
of those told occupied in which somebody was, the `release` of the zone and its vote after a stay not counted against it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import msgspec
import numpy as np

from ronghe.apps.safety.labels import Labels
from ronghe.apps.safety.letterbox import overlaps
from ronghe.apps.safety.trial import Judged
from ronghe.signals.when import parse_duration

MERGE = 0.5  # s
NEAR = 0.5  # s
_FOUND = 0.5  # IoU of a detection with a labelled box


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Median and 99 % point; NaN, as null, where there is nothing."""

    p50: float | None
    p99: float | None


class ZoneReport(msgspec.Struct, frozen=True, kw_only=True):
    """Of a labelled sequence. Times in the unit that their names end in."""

    pictures: int
    seconds: float
    events: int
    events_found: int
    event_recall: float
    picture_recall: float
    picture_precision: float
    false_alarms: int
    false_alarms_per_hour: float
    false_alarms_per_hour_upper95: float  # exact Poisson bound: so many an hour could there be, given what was seen
    unmonitored_alarms: int  # the camera was said not to see, though nothing was wrong with it
    people: int  # labelled, at least half of them visible
    people_found: int
    people_recall: float
    people_precision: float
    reaction_s: Spread  # from the first picture of a stay that was found to the finding, and the request with it where one is needed
    picture_to_request_ms: Spread  # wall, from the picture that led to a request to the request
    picture_to_result_ms: Spread  # wall, of every picture judged
    cpu_ms: Spread  # processor time of every picture judged
    load: float  # wall time spent on judging a second of pictures; above 1 this machine does not keep up with them


def report(labels: Labels, judged: Sequence[Judged], release: float) -> ZoneReport:
    """`judged`: what a `Trial` gave for all the pictures of the sequence. `release`: s, the longest of the zones'."""
    shown = [j for j in judged if j.picture is not None]
    n, fps = len(shown), labels.fps
    zones = [z.name for z in labels.zones]
    truth = {z: np.array([any(z in p.zones for p in labels.frames[i].people) for i in range(n)], np.bool_) for z in zones}
    told = {z: np.array([z in j.occupied for j in shown], np.bool_) for z in zones}
    events = [(z, a, b) for z in zones for a, b in _runs(truth[z], round(MERGE * fps))]
    found = [(z, a, b) for z, a, b in events if told[z][a : b + 1].any()]
    false = sum(not truth[z][max(0, a - round(NEAR * fps)) : b + 1].any() for z in zones for a, b in _runs(told[z], 0))
    after = round(release * fps) + 3
    near = {z: _spread(truth[z], 0, after) for z in zones}
    inside = sum(int(t.sum()) for t in truth.values())
    alarmed = sum(int(t.sum()) for t in told.values())
    hours = n / fps / 3600
    reactions = [_reaction(shown, told[z], a, b) for z, a, b in found]
    hits, people, detections, right = _detector(labels, shown)
    busy = [j for j in shown if j.cpu > 0]
    return ZoneReport(
        pictures=n,
        seconds=n / fps,
        events=len(events),
        events_found=len(found),
        event_recall=_share(len(found), len(events)),
        picture_recall=_share(sum(int((truth[z] & told[z]).sum()) for z in zones), inside),
        picture_precision=_share(sum(int((near[z] & told[z]).sum()) for z in zones), alarmed),
        false_alarms=false,
        false_alarms_per_hour=false / hours,
        false_alarms_per_hour_upper95=_poisson_upper(false) / hours,
        unmonitored_alarms=sum(f.active and f.key.endswith("/unmonitored") for j in judged for f in j.findings),
        people=people,
        people_found=hits,
        people_recall=_share(hits, people),
        people_precision=_share(right, detections),
        reaction_s=_points(reactions, 1.0),
        picture_to_request_ms=_points([j.wall for j in judged if j.requests and j.picture is not None], 1e3),
        picture_to_result_ms=_points([j.wall for j in busy], 1e3),
        cpu_ms=_points([j.cpu for j in busy], 1e3),
        load=round(sum(j.wall for j in shown) / (n / fps), 3),
    )


def longest_release(labels: Labels) -> float:
    """Of the zones, s."""
    return max(parse_duration(z.release) for z in labels.zones) / 1e9


def _runs(on: np.ndarray[tuple[int], np.dtype[np.bool_]], merge: int) -> list[tuple[int, int]]:
    """First and last index of each run; runs with at most `merge` between them are one."""
    out: list[tuple[int, int]] = []
    for value, group in itertools.groupby(range(len(on)), key=lambda i: bool(on[i])):
        if value:
            at = list(group)
            if out and at[0] - out[-1][1] - 1 <= merge:
                out[-1] = out[-1][0], at[-1]
            else:
                out.append((at[0], at[-1]))
    return out


def _spread(on: np.ndarray[tuple[int], np.dtype[np.bool_]], before: int, after: int) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    out = on.copy()
    for a, b in _runs(on, 0):
        out[max(0, a - before) : b + after + 1] = True
    return out


def _reaction(shown: Sequence[Judged], told: np.ndarray[tuple[int], np.dtype[np.bool_]], a: int, b: int) -> float:
    """s from the first picture of a stay to the result in which the zone is told to be occupied."""
    first = a + int(np.flatnonzero(told[a : b + 1])[0])
    return (shown[first].time - shown[a].time) / 1e9 + shown[first].wall


def _detector(labels: Labels, shown: Sequence[Judged]) -> tuple[int, int, int, int]:
    """People found, people to be found, detections, detections of somebody. People hidden by half or more are neither missed nor wrong."""
    hits = people = detections = right = 0
    size = np.array([labels.width, labels.height] * 2, np.float64)
    for i, j in enumerate(shown):
        boxes = np.array([p.box for p in labels.frames[i].people], np.float64).reshape(-1, 4)
        clear = np.array([p.visible >= 0.5 for p in labels.frames[i].people], np.bool_)
        found = np.array([b for b, _ in j.people], np.float64).reshape(-1, 4) * size
        taken = np.zeros(len(found), np.bool_)
        for k in range(len(boxes)):
            share = np.where(taken, 0.0, overlaps(boxes[k], found)) if len(found) else np.zeros(0)
            if len(share) and share.max() >= _FOUND:
                taken[int(share.argmax())] = True
                hits += int(clear[k])
        people += int(clear.sum())
        detections += len(found)
        right += int(taken.sum())
    return hits, people, detections, right


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def _points(values: Sequence[float], scale: float) -> Spread:
    if not values:
        return Spread(p50=None, p99=None)
    p50, p99 = np.percentile(np.array(values) * scale, [50, 99])
    return Spread(p50=round(float(p50), 3), p99=round(float(p99), 3))


def _poisson_upper(count: int) -> float:
    """One-sided 95 % upper bound of a Poisson mean, given `count` (Garwood 1936): P(X <= count) = 0.05, by bisection."""
    low, high = 0.0, count + 10.0 * math.sqrt(count + 1.0)
    for _ in range(60):
        mean = (low + high) / 2
        at_most = sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(count + 1)) if mean else 1.0
        low, high = (mean, high) if at_most > 0.05 else (low, mean)
    return high
