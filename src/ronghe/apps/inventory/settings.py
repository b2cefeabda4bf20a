"""The options of inventory.stock."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of inventory.stock: what is kept, for how long it lasts, and what to order (docs/inventory.md)."""

    folder: Annotated[
        str,
        Meta(min_length=1, description="items and demand, below the plant folder: a folder with items.csv and demand.csv, or a workbook"),
    ] = "stock"
    period: Annotated[str, Meta(description="demand is summed over this long, whole hours")] = "1d"
    stock: Annotated[
        dict[str, str], Meta(description="item → tag with its stock level, in the unit of items.csv; the others are as the file says")
    ] = {}
    every: Annotated[str, Meta(description="how often stock levels and files are looked at")] = "1min"
    hold: Annotated[int, Meta(ge=1, le=100, description="a state must stand for so many looks before it is told")] = 3
