"""Packages on a node: fetched in pieces, proved, switched so that a valid one always runs."""

from ronghe.models.delivery.bundle import Bundle
from ronghe.models.delivery.pointer import Placed
from ronghe.models.delivery.source import Cut, HttpSource, Source
from ronghe.models.delivery.store import Store

__all__ = ["Bundle", "Cut", "HttpSource", "Placed", "Source", "Store"]
