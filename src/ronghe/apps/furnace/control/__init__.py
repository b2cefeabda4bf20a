"""Nonlinear model-predictive control of small plants."""
