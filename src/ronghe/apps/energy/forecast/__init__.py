"""Forecasts that learn from what was measured before, and nothing else."""
