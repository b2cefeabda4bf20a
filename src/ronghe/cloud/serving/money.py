"""What a month costs: usage by the day, prices as they were on that day, exact decimal sums."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import msgspec

from ronghe.errors import CloudError
from ronghe.text import Text

_NO_MINOR: Final = frozenset({"JPY", "KRW", "VND", "CLP", "ISK"})  # ISO 4217: no hundredths


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """Of a model, from the day `since` (YYYY-MM-DD, the tenant's) until a later one; in `currency` (ISO 4217)."""

    model: str
    currency: str
    since: str
    per_call: Decimal
    per_compute_s: Decimal


class DayUse(msgspec.Struct, frozen=True, kw_only=True):
    """One day (the tenant's own, YYYY-MM-DD) of one model: calls answered, computing time in ns, requests refused."""

    day: str
    model: str
    calls: int
    compute_ns: int
    refused: int


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one price. `compute_s` and the amounts are exact decimals."""

    model: str
    since: str  # of the price
    calls: int
    compute_s: Decimal
    per_call: Decimal
    per_compute_s: Decimal
    amount: Decimal


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """A month of a tenant, in its currency, cut at midnight of its time zone. `final` once the month is over."""

    tenant: str
    title: str
    month: str  # YYYY-MM
    timezone: str
    currency: str
    final: bool
    lines: tuple[Line, ...]
    total: Decimal

    def csv(self) -> str:
        """A spreadsheet: a line a model and price, the total last."""
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\r\n").writerow
        write(
            ["tenant", "month", "timezone", "model", "price_since", "calls", "compute_s", "per_call", "per_compute_s", "amount", "currency"]
        )
        head = [self.tenant, self.month, self.timezone]
        for x in self.lines:
            write([*head, _cell(x.model), x.since, x.calls, x.compute_s, x.per_call, x.per_compute_s, x.amount, self.currency])
        write(
            [*head, "total" if self.final else "total so far", "", sum(x.calls for x in self.lines), "", "", "", self.total, self.currency]
        )
        return out.getvalue()


def lines(use: Sequence[DayUse], prices: Sequence[Price], currency: str) -> tuple[Line, ...]:
    """The lines of a bill. Raises CloudError for use without a price: nothing is charged by guess, and nothing given away by it."""
    sums: dict[tuple[str, str], tuple[Price, int, int]] = {}
    for u in use:
        if not u.calls:
            continue
        known = [p for p in prices if p.model == u.model and p.currency == currency and p.since <= u.day]
        if not known:
            raise CloudError(
                Text(f"{u.model} has no price in {currency} on {u.day}", f"{u.model} 在 {u.day} 没有 {currency} 价格"),
                todo=Text("set one with `ronghe tenant price`; 0 is a price too", "请用 `ronghe tenant price` 设定价格，免费请设为 0"),
            )
        price = max(known, key=lambda p: p.since)
        _, calls, ns = sums.get((u.model, price.since), (price, 0, 0))
        sums[u.model, price.since] = price, calls + u.calls, ns + u.compute_ns
    return tuple(_line(*found, currency) for _, found in sorted(sums.items()))


def _line(price: Price, calls: int, ns: int, currency: str) -> Line:
    seconds = Decimal(ns).scaleb(-9).quantize(Decimal("0.001"), ROUND_HALF_UP)
    cent = Decimal(1) if currency in _NO_MINOR else Decimal("0.01")
    return Line(
        model=price.model,
        since=price.since,
        calls=calls,
        compute_s=seconds,
        per_call=price.per_call,
        per_compute_s=price.per_compute_s,
        amount=(calls * price.per_call + seconds * price.per_compute_s).quantize(cent, ROUND_HALF_UP),
    )


def _cell(text: str) -> str:
    """A spreadsheet takes what begins like this for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
