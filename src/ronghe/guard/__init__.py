"""Advice in, action out: only the guard writes to a machine (contract 6)."""

from ronghe.guard.advice import Advice, Evidence, Expected

__all__ = ["Advice", "Evidence", "Expected"]
