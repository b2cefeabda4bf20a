"""The books: energy performance indicators, carbon, and what was saved."""
