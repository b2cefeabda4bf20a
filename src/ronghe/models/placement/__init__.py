"""Placement: a model with a deadline runs on device, edge, workshop server or centre, by what compute and link were measured to be."""

from ronghe.models.placement.placer import HERE, Pace, Placer
from ronghe.models.placement.session import PlacedSession

__all__ = ["HERE", "Pace", "PlacedSession", "Placer"]
