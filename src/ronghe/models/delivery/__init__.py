"""Packages on a node: fetched in pieces, proved, switched so that a valid one always runs."""

from ronghe.models.delivery.source import Cut, FolderSource, HttpSource, Source
from ronghe.models.delivery.store import Placed, Store

__all__ = ["Cut", "FolderSource", "HttpSource", "Placed", "Source", "Store"]
