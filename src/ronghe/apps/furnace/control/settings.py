"""The options of furnace.control."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of furnace.control: a model of the process, where its values are, and what is wanted (docs/furnace-control.md)."""

    model: Annotated[
        str,
        Meta(description='"cstr", "tanks", "tanks-nonminimum", a function of a file in the plant folder ("kiln.py:build") or of a module'),
    ] = "tanks"
    tags: Annotated[
        dict[str, str], Meta(description="state or input of the model → its tag; every measured state and every input needs one")
    ] = {}
    target: Annotated[
        dict[str, float | str],
        Meta(description="state or input → what it is to be, in the unit of its tag: a number, or a tag that holds it"),
    ] = {}
    weights: Annotated[dict[str, float], Meta(description="state or input → how much its target matters beside the others; 1")] = {}
    moves: Annotated[dict[str, float], Meta(description="input → how much its changes are to be avoided; 0.5")] = {}
    limits: Annotated[dict[str, str], Meta(description='state → limits instead of the model\'s, with unit, e.g. "2..18 cm"')] = {}
    parameters: Annotated[dict[str, float], Meta(description="parameter → value instead of the model's, in the model's unit")] = {}
    every: Annotated[str, Meta(description="a step this often")] = "5s"
    horizon: Annotated[int, Meta(ge=2, le=200, description="steps that are looked ahead")] = 30
    sigmas: Annotated[float, Meta(ge=0, le=10, description="limits are kept clear by so many standard deviations of what is predicted")] = (
        3.0
    )
    deadline: Annotated[str, Meta(description="longest time for one plan; then the one before goes on; empty: a fifth of every")] = ""
    look: Annotated[int, Meta(ge=1, le=10_000, description="steps that it only watches before it advises anything")] = 20
    least: Annotated[float, Meta(ge=0, le=0.5, description="changes below this part of an input's range are not worth a write")] = 0.002
