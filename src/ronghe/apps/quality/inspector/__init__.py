"""Good from bad, learned from good pictures alone: `learn` makes an `Inspector`, `packing` keeps it, `evaluate` measures it."""
