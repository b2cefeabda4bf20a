"""The lake: the samples of all plants, for long periods, as a Delta table that other tools open too (docs/lake.md)."""

from ronghe.cloud.lake.table import Lake

__all__ = ["Lake"]
