"""The fleet: who may join, what is wanted of each node, how each is."""
