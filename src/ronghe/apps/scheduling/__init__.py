"""Scheduling: which machine does what, and when; kept feasible through every disturbance, and changed over as one."""
