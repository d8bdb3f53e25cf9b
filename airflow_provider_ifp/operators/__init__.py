"""Airflow's operators: `execute` loads, lets `loop` decide, and records; some 20 lines each.

Constructors only store: a Dag file imports them, and nothing heavy comes along. Read `train` first, then
`gate` and `promote`.
"""
