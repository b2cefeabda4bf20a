"""What to order now, and why: for each item a forecast, a policy that gives the service asked for, and where its stock stands.

A policy is chosen by simulation of what demand may be: where most periods have a demand, the forecast and an error drawn from those it
made; else the demands that were seen, more or fewer of them as the forecast says. Errors of one period are drawn independently: where
demand stays high or low for longer than the forecast follows, the service given is less than the service simulated.

A reorder point is never below the demand expected in the lead time and a review: where orders are large, service is then better than was
asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import msgspec
import numpy as np

from ronghe.apps.inventory.choose import Draws, lead_times, tune
from ronghe.apps.inventory.distributions import Floats
from ronghe.apps.inventory.forecast.backtest import LEAST, Tested, backtest, predict
from ronghe.apps.inventory.formats.items import DAY, Book, Item
from ronghe.apps.inventory.simulate import Costs, Estimate, Outcome, Policy, simulate
from ronghe.apps.inventory.wording import drifted, old, reason, unknown
from ronghe.text import Text

State = Literal["ok", "order", "short", "excess", "unknown"]
_DRAWN = 60_000  # periods that a policy is chosen on, and again as many that it is measured on; twice that where most have no demand
_WORLDS = 240  # that few demands are stretched to
_YEAR = 365.25 * DAY
_EXCESS = 30  # days of demand above the order-up-to level, and a whole order, are more than is of use
_DRIFT = 3.5  # standard errors of the mean of the last errors
_OLD = 7  # days that the demand may have ended ago
_LAST = 20  # errors that a drift is looked for in


class Expected(msgspec.Struct, frozen=True):
    """A forecast per period: float64[horizon] each."""

    mean: Floats
    low: Floats
    high: Floats


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """One item. Quantities in its unit, times in days; None where it has no value: too little demand to say."""

    item: str
    facts: Item
    state: State
    text: Text
    order: float = 0.0  # now
    position: float  # on hand and on order
    reorder_at: float | None = None
    order_up_to: float | None = None
    days_of_cover: float | None = None  # None: lasts for ever, or is not known
    service: Estimate | None = None  # fill rate, on draws that the policy was not chosen on
    cost: float | None = None  # of holding and ordering, a year
    rate: float | None = None  # forecast demand per period
    policy: Policy | None = None
    outcome: Outcome | None = None
    tested: Tested | None = None
    expected: Expected | None = None
    old: Text | None = None  # that the demand it was planned on ends long ago
    drift: Text | None = None
    drift_score: float = 0.0  # mean of the last errors in standard errors, over the limit; 1 is the limit


def season_of(period: int) -> int:
    """Periods in a season: a week of days, a year of weeks; 1: none."""
    return {DAY: 7, 7 * DAY: 52}.get(period, 1)


def lead_periods(item: Item, book: Book) -> tuple[float, float]:
    """Mean and standard deviation of its lead time, in periods."""
    return item.lead_time * DAY / book.period, item.lead_time_sd * DAY / book.period


def plan(book: Book, now: int | None = None, *, seed: int = 0, told: Callable[[int], None] = lambda _: None) -> list[Planned]:
    """Every item, in the order of the book; `told` of each how many are done. `now`: s since 1970 UTC, see `plan_item`."""
    out = []
    for item in book.items:
        out.append(plan_item(item, book, now, seed=seed))
        told(len(out))
    return out


def plan_item(item: Item, book: Book, now: int | None = None, *, seed: int = 0) -> Planned:
    """One item; the same seed gives the same plan. With `now`, demand that ends long before it is said to be old."""
    y = book.demand[item.item]
    if len(y) < LEAST or not y.any():
        text = unknown(item, len(y), LEAST)
        return Planned(item=item.item, facts=item, state="unknown", text=text, position=item.on_hand + item.on_order)
    lead, _ = lead_periods(item, book)
    season = season_of(book.period)
    tested = backtest(y, horizon=max(1, math.ceil(lead) + 1), season=season)
    expected = forecast(item, book, tested)
    rate = _rate(expected, season)
    policy, outcome = _policy(item, book, tested, rate, np.random.default_rng([seed, *item.item.encode()]))
    planned = stand(item, book, tested, expected, rate, policy, outcome)
    if now is None or now < book.end + max(_OLD * DAY, 2 * book.period):
        return planned
    return msgspec.structs.replace(planned, old=old((now - book.end) / DAY))


def forecast(item: Item, book: Book, tested: Tested) -> Expected:
    """Over its lead time and a review, and at least 30 periods."""
    lead, _ = lead_periods(item, book)
    horizon = max(30, math.ceil(lead) + 1)
    return Expected(*predict(book.demand[item.item], tested, horizon=horizon, season=season_of(book.period)))


def _rate(expected: Expected, season: int) -> float:
    whole = max(1, len(expected.mean) // season) * season
    return float(expected.mean[:whole].mean())


def possible(y: Floats, tested: Tested, rate: float, n: int, rng: np.random.Generator) -> Floats:
    """Demands that may come: float64[n], around `rate` per period."""
    whole = bool((y == np.round(y)).all())
    if tested.pattern.kind in ("smooth", "erratic"):
        errors = np.array([*tested.errors, *tested.recent])
        drawn = np.maximum(rate + rng.choice(errors, n), 0.0)
        return np.asarray(np.floor(drawn + rng.random(n)) if whole else drawn, np.float64)
    sizes = y[y > 0]
    # few demands say little of how often and how large: each world draws its own sizes from those seen, and its own chance (Rubin 1981)
    worlds = min(_WORLDS, n)
    length = -(-n // worlds)
    mean = float(sizes.mean())
    out = np.empty((worlds, length))
    for w in range(worlds):
        seen = rng.choice(sizes, len(sizes))
        chance = min(1.0, rate / mean * rng.gamma(len(sizes)) / len(sizes))
        out[w] = np.where(rng.random(length) < chance, rng.choice(seen, length), 0.0)
    return out.ravel()[:n]


def costs_of(item: Item, book: Book) -> Costs:
    """Per period."""
    return Costs(holding=item.cost * item.holding_rate * book.period / _YEAR, order=item.order_cost)


def draws_of(item: Item, book: Book, tested: Tested, rate: float, n: int, rng: np.random.Generator) -> Draws:
    """What may come in n periods."""
    y = book.demand[item.item]
    lead, lead_sd = lead_periods(item, book)
    return Draws(possible(y, tested, rate, n, rng), lead_times(lead, lead_sd, n, rng), bool((y == np.round(y)).all()))


def order_size(item: Item, costs: Costs, rate: float, whole: bool) -> float:
    """The economic order quantity, at least a period's demand and the supplier's minimum."""
    economic = math.sqrt(2 * costs.order * rate / costs.holding) if costs.holding > 0 else 0.0
    size = max(economic, rate, item.moq, 1.0 if whole else 0.0)
    return float(math.ceil(size)) if whole else size


def _policy(item: Item, book: Book, tested: Tested, rate: float, rng: np.random.Generator) -> tuple[Policy, Outcome]:
    costs = costs_of(item, book)
    drawn = _DRAWN if tested.pattern.kind in ("smooth", "erratic") else 2 * _DRAWN
    draws = draws_of(item, book, tested, rate, drawn, rng)
    wanted = Policy(point=0.0, level=order_size(item, costs, rate, draws.whole), lot=item.lot, least=item.moq)
    policy, _ = tune(item.service, wanted, draws, costs)
    # a large order gives the fill rate with a shortage before each delivery: no safety stock below zero (Silver, Pyke & Peterson, §7.7)
    least = float(draws.demand.mean()) * (lead_periods(item, book)[0] + 1)
    if policy.point < least:
        policy = policy.moved(float(math.ceil(least)) if draws.whole else least)
    fresh = draws_of(item, book, tested, rate, drawn, rng)
    return policy, simulate(policy, fresh.demand, fresh.lead, costs)


def stand(item: Item, book: Book, tested: Tested, expected: Expected, rate: float, policy: Policy, outcome: Outcome) -> Planned:
    """Where the stock of an item stands against its policy."""
    lead, _ = lead_periods(item, book)
    cover = math.ceil(lead) + 1
    whole = bool((book.demand[item.item] == np.round(book.demand[item.item])).all())
    ahead = float(expected.mean[:cover].sum()) - rate * cover  # how far the next periods are from the average that was simulated
    point, level = policy.point + ahead, policy.level + ahead
    if whole:
        point, level = float(math.ceil(point)), float(math.ceil(level))
    position = item.on_hand + item.on_order
    in_lead = float(expected.mean[: math.ceil(lead)].sum())
    order = quantity(item, position, level, whole) if position <= point else 0.0
    state: State = "ok"
    if position < in_lead - rate or (item.on_hand <= 0 and rate > 0):  # without stock for more than a period before an order is here
        state = "short"
    elif position <= point:
        state = "order"
    elif position > level + max(level - point, rate * _EXCESS * DAY / book.period):
        state = "excess"
    days = book.period / DAY
    last = _lasts(item.on_hand, expected.mean, rate)
    score = _drift(tested)
    return Planned(
        item=item.item,
        facts=item,
        state=state,
        text=reason(item, state, order, point, level, in_lead),
        order=order,
        position=position,
        reorder_at=point,
        order_up_to=level,
        days_of_cover=None if math.isinf(last) else last * days,
        service=outcome.fill,
        cost=outcome.cost.mean * _YEAR / book.period,
        rate=rate,
        policy=policy,
        outcome=outcome,
        tested=tested,
        expected=expected,
        drift=drifted(tested.recent[-_LAST:], rate) if abs(score) > 1 else None,
        drift_score=score,
    )


def restand(p: Planned, book: Book, on_hand: float) -> Planned:
    """The same plan with another stock on hand; nothing is simulated anew."""
    item = msgspec.structs.replace(p.facts, on_hand=on_hand)
    if p.tested is None or p.expected is None or p.rate is None or p.policy is None or p.outcome is None:
        return msgspec.structs.replace(p, facts=item, position=on_hand + item.on_order)
    return msgspec.structs.replace(stand(item, book, p.tested, p.expected, p.rate, p.policy, p.outcome), old=p.old)


def quantity(item: Item, position: float, level: float, whole: bool) -> float:
    """An order that lifts the position to the level, in lots and at least the supplier's minimum."""
    wanted = max(level - position, item.moq)
    if item.lot > 0:
        return math.ceil(wanted / item.lot - 1e-9) * item.lot
    return float(math.ceil(wanted)) if whole else wanted


def _lasts(on_hand: float, mean: Floats, rate: float) -> float:
    """Periods until the stock is used up as forecast."""
    used = np.cumsum(mean)
    if on_hand <= used[-1] and used[-1] > 0:
        n = int(np.searchsorted(used, on_hand))
        before = float(used[n - 1]) if n else 0.0
        return n + (on_hand - before) / float(mean[n]) if mean[n] > 0 else float(n)
    return len(mean) + (on_hand - float(used[-1])) / rate if rate > 0 else math.inf


def _drift(tested: Tested) -> float:
    """Mean of the last errors in standard errors, over the limit."""
    last = np.array(tested.recent[-_LAST:])
    spread = float(np.std(tested.errors))
    return float(last.mean()) / (spread / math.sqrt(len(last))) / _DRIFT if spread > 0 else 0.0
