"""Samples in columns: batches, quality, the latest values, windows on a grid. Knows nothing of where they come from."""

from ronghe.signals.batch import SCHEMA, Batch, TagIndex
from ronghe.signals.latest import Latest
from ronghe.signals.window import Grid, Window

__all__ = ["SCHEMA", "Batch", "Grid", "Latest", "TagIndex", "Window"]
