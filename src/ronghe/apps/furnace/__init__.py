"""Furnaces and processes, tuned inside limits that are never broken."""
