"""Model packages (contract 4)."""
