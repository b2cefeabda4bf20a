"""Whether the service promised is kept: policies chosen on some draws, measured on others, for every kind of demand and lead time."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from ronghe.apps.inventory.choose import Draws, lead_times, tune
from ronghe.apps.inventory.generate import KINDS, STATIONARY, WHOLE
from ronghe.apps.inventory.simulate import Costs, Outcome, Policy, simulate

TARGETS = (0.90, 0.95, 0.98)
LEADS = ((5.0, 0.0), (5.0, 2.0))
NEAR = 0.5  # points of fill rate
CHOSEN_ON = 400_000  # periods
MEASURED_ON = 1_000_000
_PERIODS = 10  # of demand in an order; the cost of one is that which makes this the economic quantity


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One case. `off` is in points of fill rate, measured − target; `promised` is the fill rate that a user is told, from the draws it was
    chosen on: whole units may give more than the target at the least cost, and then that is said."""

    demand: str
    lead: float
    lead_sd: float
    form: str  # "(s, S)" or "(s, nQ)"
    target: float
    policy: Policy
    outcome: Outcome
    off: float
    promised: float


def trials(seed: int, *, targets: tuple[float, ...] = TARGETS, chosen_on: int = CHOSEN_ON, measured_on: int = MEASURED_ON) -> list[Trial]:
    """Every case: kinds × lead times × forms × targets; the draws a policy is measured on are independent of those it was chosen on."""
    out = []
    for kind in STATIONARY:
        for lead, lead_sd in LEADS:
            fit, test = (np.random.default_rng([seed, which, *kind.encode(), int(lead_sd)]) for which in (0, 1))
            draws = _draws(kind, lead, lead_sd, chosen_on, fit)
            fresh = _draws(kind, lead, lead_sd, measured_on, test)
            mean = float(draws.demand.mean())
            costs = Costs(holding=1.0, order=_PERIODS**2 * mean / 2)
            size = _PERIODS * mean
            size = math.ceil(size) if draws.whole else size
            for form, wanted in (("(s, S)", Policy(point=0.0, level=size)), ("(s, nQ)", Policy(point=0.0, quantity=size))):
                for target in targets:
                    policy, chosen = tune(target, wanted, draws, costs)
                    outcome = simulate(policy, fresh.demand, fresh.lead, costs)
                    off = 100 * (outcome.fill.mean - target)
                    out.append(
                        Trial(
                            demand=kind,
                            lead=lead,
                            lead_sd=lead_sd,
                            form=form,
                            target=target,
                            policy=policy,
                            outcome=outcome,
                            off=off,
                            promised=chosen.fill.mean,
                        )
                    )
    return out


def _draws(kind: str, lead: float, lead_sd: float, n: int, rng: np.random.Generator) -> Draws:
    return Draws(KINDS[kind](n, rng), lead_times(lead, lead_sd, n, rng), kind in WHOLE)
