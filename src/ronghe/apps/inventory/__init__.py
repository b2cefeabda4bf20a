"""Inventory: how much will be asked for, how much to keep, when to order, and whether the promised service is kept.

    formats.items.read(path) -> Book                        items.csv + demand.csv of a folder, or one Excel workbook
    forecast.backtest.backtest(y, horizon=, season=)        every method against seasonal naive, rolling origin → Tested
    plan.plan(book, now) -> list[Planned]                   for each item: forecast, policy, simulated service, what to order now and why
    formats.stockpyl.solve(path, clock) -> Report           named instances of the literature, each by its own exact method

Each room knows the ones before it only: distributions → policy/, lots/, network/ → forecast/ → simulate → formats/ → plan → app.
Time is counted in periods inside; money and quantities keep the unit they came in.
"""
