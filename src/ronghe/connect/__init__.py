"""Drivers: one module a protocol, found by entry point `ronghe.drivers`; the protocol library stays behind it (contract 3)."""

from ronghe.connect.driver import Driver, Found, Health, Item, Sink, Still, Write, always

__all__ = ["Driver", "Found", "Health", "Item", "Sink", "Still", "Write", "always"]
