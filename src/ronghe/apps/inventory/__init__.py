"""Inventory: how much will be asked for, how much to keep, when to order, and whether the promised service is kept.

    items.read(folder) -> Book                            items.csv + demand.csv, or one Excel workbook (formats/items.py)
    backtest.backtest(series, horizon, season) -> ...     every method against seasonal naive, rolling origin (forecast/)
    plan.plan(book, now) -> list[Planned]                 for each item: forecast, policy, simulated service, what to order now and why
    stockpyl.solve(path) -> Report                        named instances of Snyder & Shen, each by its own exact method

Each room knows the ones before it only: distributions → policy/, lots/, network/ → forecast/ → simulate → formats/ → plan → app.
Time is counted in periods inside; money and quantities keep the unit they came in.
"""
