"""What people and other programs keep their items, demand and instances in."""
