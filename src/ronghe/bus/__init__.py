"""Moving messages between nodes: an outbox on the disk of an edge node, a JetStream stream at the centre, one contract for both."""
