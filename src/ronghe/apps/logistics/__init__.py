"""Logistics: which vehicle serves which orders, in which order; kept feasible through every late change.

from ronghe.apps.logistics import formats, replan, solve, check
problem = formats.read(Path(...))                                    # VRPLIB file, CSV folder, Excel book → problem.Problem
plan = solve.solve(problem, seconds=30, seed=0, workers=2, start=None, told=None, stop=None)      # → problem.Plan
wrong = check.check(problem, plan)                                   # → list[Text], [] where the plan holds
"""
