"""The Tennessee Eastman process (Downs & Vogel 1993) under Ricker's controller, as a plant to tune. Needs the extra `tep`."""
