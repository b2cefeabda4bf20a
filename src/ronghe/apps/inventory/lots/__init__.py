"""Lot sizes for a demand that is known."""
