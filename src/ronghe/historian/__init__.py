"""The time-series store of a plant: durable appends, sealed into sorted Parquet segments, with queries that respect quality."""

from ronghe.historian.store import Historian, Stats

__all__ = ["Historian", "Stats"]
