"""The serving process, and what it logs; never Airflow."""
