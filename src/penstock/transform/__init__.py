"""The dbt project, run from Python: build both sides, tell what it cost, write one docs site, ask how fresh sources are.

Nothing here prints: each function returns a report that the task layer shows.
"""
