"""The life of the centre: many plants in one store, models released and rolled out, a fleet of nodes, models as a service."""
