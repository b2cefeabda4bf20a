"""Scheduling: which machine does what, and when; kept feasible through every disturbance, and changed over as one.

    formats.read(path) -> Problem                           JSPLIB, FJSP, CSV folder, Excel, B2MML-shaped JSON
    solve.first(problem), solve.solve(problem, seconds=) -> Plan     at once by dispatching; anytime by search/, makespan/, exact
    check.check(problem, plan) -> list[Text]                what does not hold; shares no code with what found the plan
    repair.breakdown(…), repair.rush(…) …, repair.repair(problem, old) -> Plan      after a disturbance, in milliseconds
    explain.why_late(problem, plan, job), explain.conflict(problem)                 causes, and what was found to help

`problem` says what the words mean; sound, arrays, bounds, dispatch and repair stand on it alone. On a node: `app` with live/ keeps a plan,
changeover/ carries a recipe through the guard.
"""
