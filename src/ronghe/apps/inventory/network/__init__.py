"""Several stages: serial, assembly and distribution systems under stochastic and guaranteed service."""
