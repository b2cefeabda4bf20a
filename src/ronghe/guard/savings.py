"""The savings of a plant as its ledger tells them: added up by key, and no hour of one key counted twice."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from typing import Final

import msgspec

from ronghe.guard.condition import number
from ronghe.guard.saving import Interval, Saving, total
from ronghe.signals.when import format_time
from ronghe.text import Text

KIND: Final = "saving"
"""The kind of its entries in the ledger."""
_DAY: Final = 86_400_000_000_000  # ns


class Account(msgspec.Struct, kw_only=True):
    """All savings of one key. What is unknown of a period is left out of the sum: `money` is the sum of the periods that have it."""

    last: Saving  # the latest by its end
    days: float = 0.0  # covered
    energy: Interval | None = None  # kWh
    money: Interval | None = None  # in `currency`
    currency: str = ""
    carbon: Interval | None = None  # kg CO2e


class Total(msgspec.Struct, frozen=True, kw_only=True):
    """The sum over keys: money by currency, kWh, kg CO2e. None: nothing of it was booked."""

    money: dict[str, Interval]
    energy: Interval | None
    carbon: Interval | None


class Savings:
    """Every key's account. Booked in the order of the ledger; reading is safe from any thread."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self._periods: dict[str, list[tuple[int, int]]] = {}  # per key, sorted

    def refuse(self, saving: Saving) -> Text | None:
        """Why it may not be booked; None when it may."""
        parts = (saving.energy, saving.money, saving.carbon)
        if not saving.key or saving.start >= saving.end:
            return Text("a saving needs a key, and a period that begins before it ends", "节约记录须有键，且时段的起点早于终点")
        if not any(parts) or not all(p.sound for p in parts if p is not None):
            return Text("neither kWh nor money nor kg with a sound interval", "没有区间有效的电量、金额或碳排放")
        account = self.accounts.get(saving.key)
        if account is not None and saving.money and account.currency not in ("", saving.currency):
            return Text(f"{saving.currency}, but {account.currency} so far", f"币种为 {saving.currency}，此前为 {account.currency}")
        if (other := self._overlap(saving)) is not None:
            start, end = map(format_time, other)
            return Text(f"{start}..{end} is booked already", f"{start}..{end} 已入账")
        return None

    def book(self, saving: Saving) -> None:
        """Counts a saving that `refuse` has nothing against, or that the ledger holds."""
        bisect.insort(self._periods.setdefault(saving.key, []), (saving.start, saving.end))
        account = self.accounts.get(saving.key)
        if account is None:
            account = self.accounts[saving.key] = Account(last=saving)
        elif saving.end >= account.last.end:
            account.last = saving
        if saving.money is not None:
            account.currency = saving.currency
        account.days += (saving.end - saving.start) / _DAY
        for name in ("energy", "money", "carbon"):
            setattr(account, name, total(p for p in (getattr(account, name), getattr(saving, name)) if p is not None))

    def total(self) -> Total:
        """The sum over all keys."""
        return sum_of(self.accounts)

    def _overlap(self, saving: Saving) -> tuple[int, int] | None:
        periods = self._periods.get(saving.key, [])
        i = bisect.bisect_left(periods, (saving.end,))
        return periods[i - 1] if i and periods[i - 1][1] > saving.start else None


def sum_of(accounts: Mapping[str, Account]) -> Total:
    """The sum over accounts."""
    money: dict[str, list[Interval]] = {}
    for account in accounts.values():
        if account.money is not None:
            money.setdefault(account.currency, []).append(account.money)
    return Total(
        money={currency: one for currency, parts in sorted(money.items()) if (one := total(parts)) is not None},
        energy=total(a.energy for a in accounts.values() if a.energy is not None),
        carbon=total(a.carbon for a in accounts.values() if a.carbon is not None),
    )


def shown(interval: Interval | None, unit: str) -> str:
    """A sum as people read it: "+12.3 CNY (+9.1..+15.5)"; a dash for nothing."""
    if interval is None:
        return "—"
    value, low, high = (f"{'+' if v > 0 else ''}{number(v)}" for v in (interval.value, interval.low, interval.high))
    return f"{value} {unit} ({low}..{high})"
