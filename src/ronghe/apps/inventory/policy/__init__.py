"""Single-stage policies. `cost` is per period or per year, as the demand rate is."""
