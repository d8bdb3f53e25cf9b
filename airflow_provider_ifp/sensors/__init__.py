"""Airflow's sensors: `drift`, which is also the first task of every training Dag."""
