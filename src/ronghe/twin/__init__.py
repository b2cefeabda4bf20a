"""A set-point is tried here before the plant feels it."""

from ronghe.twin.contract import Twin

__all__ = ["Twin"]
