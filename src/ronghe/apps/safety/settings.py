"""The options of the safety apps: what an `[apps.NAME]` table with `uses = "safety.zone"` or `uses = "safety.limits"` may hold."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ronghe.apps.safety.interlock import Request
from ronghe.picture.health import Kind


class ZoneSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One danger zone over the picture."""

    name: Annotated[str, Meta(min_length=1, max_length=60, description="what it is called, unique, e.g. press")]
    polygon: Annotated[
        tuple[tuple[float, float], ...],
        Meta(description="corners [x, y] in parts of the picture's width and height, 0..1, from the upper left"),
    ]
    active_while: Annotated[
        str, Meta(description="condition over tags, as in an interlock; unknown counts as active; empty: always active")
    ] = ""
    rule: Annotated[
        Literal["feet", "overlap"], Meta(description="feet: the lower edge of a person's box; overlap: a part of the box is inside")
    ] = "feet"
    share: Annotated[float, Meta(gt=0, le=1, description="with rule overlap: this part of the box")] = 0.1
    dwell: Annotated[str, Meta(description="a person must be inside this long")] = "0s"
    release: Annotated[str, Meta(description="nobody must be inside for this long before it ends")] = "1s"


class Vote(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """n of the last m pictures that were judged."""

    n: Annotated[int, Meta(ge=1, le=50)] = 2
    m: Annotated[int, Meta(ge=1, le=50)] = 3


class Health(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a camera does not see (docs/camera.md); then the zones are not monitored, and that is an alarm."""

    silent: Annotated[str, Meta(description="no picture for this long")] = "500ms"
    within: Annotated[str, Meta(description="frozen, dark, over-exposed, covered, out of focus or moved for this long")] = "400ms"
    ignore: Annotated[tuple[Kind, ...], Meta(description="what is not watched for, e.g. frozen where a picture is replayed")] = ()


class ZoneOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of safety.zone. Advisory: it replaces no safety PLC, light curtain or scanner (IEC 61508, ISO 13849, IEC 61496)."""

    picture: Annotated[str, Meta(description="image tag of the camera; empty: the only one below the equipment")] = ""
    zones: Annotated[tuple[ZoneSpec, ...], Meta(description="danger zones; those set in the console come before these")] = ()
    request: Annotated[tuple[Request, ...], Meta(description="interlock requests while a person is in a zone")] = ()
    fail_safe: Annotated[bool, Meta(description="request also while the camera does not see")] = True
    sure: Annotated[float, Meta(gt=0, lt=1, description="score of a detection that begins a track")] = 0.55
    doubtful: Annotated[float, Meta(gt=0, lt=1, description="score of a detection that continues one")] = 0.3
    vote: Annotated[Vote, Meta(description="a person counts as inside when found inside in n of the last m pictures")] = Vote()
    fps: Annotated[float, Meta(gt=0, le=60, description="judge at most this many pictures a second")] = 10.0
    late: Annotated[str, Meta(description="a picture judged later than this after it was taken counts as not seen; empty: not watched")] = (
        "1s"
    )
    every: Annotated[str, Meta(description="how often tags and a silent camera are looked at")] = "100ms"
    health: Annotated[Health, Meta(description="when a camera does not see")] = Health()
    keep: Annotated[int, Meta(ge=0, le=1000, description="pictures of intrusions kept, faces blurred; 0: none")] = 50


class Group(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Redundant sensors of one quantity, and its limit."""

    name: Annotated[str, Meta(min_length=1, max_length=60, description="what it is called, unique, e.g. h2s")]
    tags: Annotated[tuple[str, ...], Meta(min_length=1, max_length=9, description="the sensors; below the equipment or from the root")]
    vote: Annotated[str, Meta(pattern="^[1-9]oo[1-9]$", description="M-out-of-N, e.g. 2oo3; N is the number of tags")]
    high: Annotated[float | None, Meta(description="a sensor at or above votes to trip; in the unit of the tags")] = None
    low: Annotated[float | None, Meta(description="a sensor at or below votes to trip")] = None
    deadband: Annotated[float, Meta(ge=0, description="a vote ends this far on the safe side of the limit")] = 0.0
    bad: Annotated[
        Literal["vote", "degrade"],
        Meta(
            description="a sensor without a good, fresh value votes to trip; or the vote degrades to the good ones: 2oo3, 1oo2, 1oo1, trip"
        ),
    ] = "vote"
    hold: Annotated[str, Meta(description="the vote must stand this long")] = "0s"
    reset: Annotated[Literal["manual", "auto"], Meta(description="manual: a trip is latched until a person resets it")] = "manual"
    discrepancy: Annotated[float | None, Meta(description="good sensors further apart than this are told; none: not watched")] = None
    discrepancy_hold: Annotated[str, Meta(description="for this long")] = "10s"


class LimitsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of safety.limits. Advisory: it replaces no safety instrumented function (IEC 61511)."""

    groups: Annotated[tuple[Group, ...], Meta(description="the limits")] = ()
    request: Annotated[tuple[Request, ...], Meta(description="interlock requests while a group has tripped")] = ()
    every: Annotated[str, Meta(description="how often the sensors are judged")] = "200ms"
    max_age: Annotated[str, Meta(description="an older value is not known")] = "3s"
