"""What Airflow's tasks need of the outside: connections, the run's facts, assets, links.

Turns Airflow's own values into those of `loop` and `adapters`, and imports Airflow when used. Read `registry`
first.
"""
