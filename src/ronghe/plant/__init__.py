"""The factory on paper (contract 1): hierarchy, data dictionary, tags, units, and what runs on them. Read from a plant folder."""

from ronghe.plant.folder import load
from ronghe.plant.model import AppSpec, CentreSpec, Connection, Equipment, GuardSpec, HistorianSpec, Plant, Property, Tag, TwinSpec

__all__ = ["AppSpec", "CentreSpec", "Connection", "Equipment", "GuardSpec", "HistorianSpec", "Plant", "Property", "Tag", "TwinSpec", "load"]
