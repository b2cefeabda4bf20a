"""Advice by rule, for every app: a condition is named, a set-point is moved one step, and no faster than its effect can be seen."""

from ronghe.apps.advising.adviser import Adviser, resolve
from ronghe.apps.advising.rule import Expect, Rule

__all__ = ["Adviser", "Expect", "Rule", "resolve"]
