"""Schedules in the shape of B2MML, MESA's form of ISA-95 (IEC 62264-2), as JSON: what an ERP hands down and an MES hands back.

    OperationsSchedule → OperationsRequest (an order) → SegmentRequirement (an operation)
        → EquipmentRequirement (with EquipmentUse "Alternative" where one of several is needed), PersonnelRequirement, MaterialRequirement
    OperationsCapability → EquipmentCapability (CapabilityType "Unattainable": when off), PersonnelCapability, MaterialCapability
    ResourceRelationshipNetwork → ResourceNetworkConnection (set-up from family to family; ISA-95 has no other place for it)

Identifiers may stand bare or as {"Value": …}, quantities as numbers or as {"QuantityString": …}; one element may stand for a list of one.
What the standard leaves to properties is read from and written to these: Duration, SetupFamily, Pauses, BatchSize, Power, Weight.
"""

from ronghe.apps.scheduling.formats.b2mml.compose import document, write
from ronghe.apps.scheduling.formats.b2mml.parse import read

__all__ = ["document", "read", "write"]
