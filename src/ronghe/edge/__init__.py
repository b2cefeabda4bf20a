"""The life of one edge node (floor 5)."""
