"""What the inventory says of the shop's materials: what there is, what is under way, and what to order now."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ronghe.apps.inventory import plan as inventory
from ronghe.apps.inventory.formats import items as book
from ronghe.text import Text

_DAY, _YEAR = 86_400.0, 365.25 * 86_400.0


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One material as the chain needs it."""

    unit: str = ""
    on_hand: float
    on_order: float = 0.0
    due: int | None = None  # of what is on order, s since 1970
    order: float = 0.0  # to be ordered now
    lead: float = 0.0  # s until what is ordered now comes
    holding: float | None = None  # money a unit and second
    text: Text | None = None  # why so much


def items(path: Path, now: int) -> dict[str, Item]:
    """The items of a stock folder or workbook. `now`: s since 1970. Raises AppError for what cannot be read."""
    read = book.read(path)
    return {
        i.item: Item(
            unit=i.unit,
            on_hand=i.on_hand,
            on_order=i.on_order,
            due=i.due,
            order=p.order,
            lead=i.lead_time * _DAY,
            holding=i.cost * i.holding_rate / _YEAR,
            text=p.text,
        )
        for i, p in zip(read.items, inventory.plan(read, now), strict=True)
    }
