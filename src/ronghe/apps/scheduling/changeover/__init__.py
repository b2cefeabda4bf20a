"""Changeover: a recipe applied to a line through the guard, as one transaction, with its minute counted."""

from ronghe.apps.scheduling.changeover.app import Changeover

__all__ = ["Changeover"]
