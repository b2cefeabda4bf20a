"""The options of inspection on a line: what an `[apps.NAME]` table with `uses = "quality.inspect"` may hold."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ronghe.apps import advising
from ronghe.apps.contract import Priority


class DefectRule(advising.Rule, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to advise when a condition is found: `{ when = "mousebite", set = "line1/etcher/speed", step = -0.1 }`."""

    when: Annotated[
        str,
        Meta(
            description="a class of defect whose rate has risen; or reject, unreadable, score, light, contrast, focus, colour, position,"
            " missed, camera"
        ),
    ]


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of quality.inspect. All have defaults: an equipment with one camera is enough; it is then taught from its first pictures."""

    image: Annotated[str, Meta(description="image tag of the camera; empty: the only one under the equipment")] = ""
    model: Annotated[
        str, Meta(description="a model package made by `ronghe quality`; relative to the plant folder; empty: taught here")
    ] = ""
    recipe: Annotated[
        str, Meta(description="tag with the number of the recipe at work: each has its own model, see models; empty: one model")
    ] = ""
    models: Annotated[
        dict[str, str], Meta(description='with recipe: model packages by its number, e.g. { "1" = "a.model", "2" = "b.model" }')
    ] = {}
    classes: Annotated[
        str, Meta(description="a package of `ronghe quality classify fit` that names defects; empty: they have no class")
    ] = ""
    learn: Annotated[
        int, Meta(ge=0, description="without a model: teach itself from this many first pictures, which must be good; 0: only by a person")
    ] = 60
    false_reject: Annotated[float, Meta(gt=0, lt=0.5, description="share of good parts that may be rejected, when it is taught")] = 0.01
    review: Annotated[
        float,
        Meta(gt=0, lt=1, description="share of good parts that may go to a person, when it is taught; also the most that labels may ask"),
    ] = 0.05
    escape: Annotated[
        float, Meta(gt=0, lt=1, description="share of defective parts that may pass; labels of defective parts set the threshold by it")
    ] = 0.05
    confidence: Annotated[float, Meta(gt=0.5, lt=1, description="of the bound on escapes")] = 0.95
    audit: Annotated[
        float, Meta(ge=0, le=1, description="share of passed parts that a person is shown as well: without it nobody knows what escapes")
    ] = 0.0
    every_part: Annotated[bool, Meta(description="each picture number is a part: a gap is parts that nobody inspected, and is told")] = True
    usual: Annotated[
        float, Meta(ge=0, lt=0.5, description="reject rate that is usual; 0: learned from the first `base` parts, as those of classes are")
    ] = 0.0
    base: Annotated[int, Meta(ge=20, description="parts from which usual rates and the limits of charts are learned")] = 200
    group: Annotated[int, Meta(ge=5, description="parts in a point of the p chart")] = 50
    false_alarm: Annotated[
        float, Meta(gt=0, lt=0.1, description="false alarms a part, of each rate and each measure of the pictures that is watched")
    ] = 1e-5
    silent: Annotated[str, Meta(description="a camera whose pictures are bad for this long is said to be out of order")] = "10s"
    every: Annotated[str, Meta(description="how often set-points and the camera's quality are looked at")] = "1s"
    keep_parts: Annotated[int, Meta(ge=1000, description="records of parts that are kept")] = 200_000
    keep_gigabytes: Annotated[
        float, Meta(gt=0, description="pictures that are kept; those of passed parts go first, labelled ones last")
    ] = 2.0
    priority: Priority = "medium"
    advise: Annotated[tuple[DefectRule, ...], Meta(description="what to advise when a condition is found")] = ()
