"""Nonlinear model-predictive control of small plants: what is not known of the model is learned while it controls."""
