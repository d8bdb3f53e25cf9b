"""The loop's steps: check, train, validate, move a stage. Each reads frozen records and writes one.

No Airflow here: operators, the command line and notebooks call the same functions.
"""
