"""Local search where set-ups, due dates, calendars, people and materials rule: `improve(problem, plan, seconds, …)`."""

from __future__ import annotations

from ronghe.apps.scheduling.search.improve import improve

__all__ = ["improve"]
