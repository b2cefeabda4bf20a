"""Hot-metal silicon and the heat of a blast furnace."""
