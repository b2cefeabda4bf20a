"""The facts of the chain: one folder with `shop` (scheduling), `stock` (inventory), `trucks` (logistics) and chain.csv.

Each of the three is a folder of CSV files or an Excel workbook (shop.xlsx) in its own app's format; stock and trucks may be missing. They
belong together by name: a material of the shop is an item of the stock, an order of the shop is an order of the trucks. With tariff.toml
(`ronghe.apps.energy.tariff`) beside them, and factors.toml if one likes, what may wait goes to cheap and clean hours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from ronghe.apps.energy.account.factors import Factors
from ronghe.apps.energy.tariff import Tariff
from ronghe.apps.logistics import formats as trucks_formats
from ronghe.apps.logistics.problem import Problem as TrucksProblem
from ronghe.apps.scheduling import formats as shop_formats
from ronghe.apps.scheduling.problem import Problem as Shop
from ronghe.chain import terms
from ronghe.chain.stock import Item, items
from ronghe.chain.terms import Terms
from ronghe.errors import AppError
from ronghe.text import Text

__all__ = ["Facts", "Item", "read"]

_ENDINGS: Final = ("", ".xlsx", ".json")


class Facts(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What the chain is planned from. `items` by material."""

    folder: str
    shop: Shop
    items: dict[str, Item] = {}
    trucks: TrucksProblem | None = None
    terms: Terms = Terms()
    tariff: Tariff | None = None
    factors: Factors | None = None


def read(folder: Path) -> Facts:
    """The facts in a folder. Raises AppError for what cannot be read, and where nothing is to be made."""
    if not folder.is_dir():
        raise AppError(Text("there is no such folder", "文件夹不存在"), where=str(folder))
    shop, stock, trucks = (_part(folder, name) for name in ("shop", "stock", "trucks"))
    if shop is None:
        raise AppError(
            Text("holds neither a folder shop nor shop.xlsx", "其中既没有 shop 文件夹，也没有 shop.xlsx"),
            where=str(folder),
            todo=Text("write an example with: ronghe plan --example DIR", "可用 ronghe plan --example 目录 生成示例"),
        )
    made = shop_formats.read(shop)
    return Facts(
        folder=str(folder),
        shop=made,
        items=items(stock, made.start // 10**9) if stock is not None else {},
        trucks=trucks_formats.read(trucks) if trucks is not None else None,
        terms=terms.read(folder / "chain.csv"),
        tariff=Tariff.read(path) if (path := folder / "tariff.toml").exists() else None,
        factors=Factors.read(path) if (path := folder / "factors.toml").exists() else None,
    )


def _part(folder: Path, name: str) -> Path | None:
    return next((p for ending in _ENDINGS if (p := folder / f"{name}{ending}").exists()), None)
