"""Plants written down once: their equations serve the twin that tries a set-point and the controller that plans it."""

from ronghe.twin.plants.process import Input, Parameter, Process, State, steady, trajectory

__all__ = ["Input", "Parameter", "Process", "State", "steady", "trajectory"]
