"""Ronghe (融合): one loop from device to measured value."""

__version__ = "0.1.0"
