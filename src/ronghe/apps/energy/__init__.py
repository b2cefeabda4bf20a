"""Energy: forecasts, a plan that is made anew every quarter of an hour, books of energy and carbon, and what it saved."""
