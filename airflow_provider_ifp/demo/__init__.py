"""`ifp demo`: the loop on a year of real flights; MLflow, Airflow and `ifp serve` run as processes.

Uses the provider as its users do: a policy, the Dag made from it, the REST API, the command line. Read `run`
first.
"""
