"""Statistics of a process: control charts, capability, gauge studies, and the chances and run lengths behind them."""
