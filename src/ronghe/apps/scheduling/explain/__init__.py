"""Why an order is late and what would help; which facts contradict one another when there is no plan."""

from __future__ import annotations

from ronghe.apps.scheduling.explain.conflicts import conflict
from ronghe.apps.scheduling.explain.lateness import Cause, Fix, Why, why_late

__all__ = ["Cause", "Fix", "Why", "conflict", "why_late"]
