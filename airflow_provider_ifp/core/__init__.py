"""Pure decisions and records: no Airflow, no MLflow, no files, no clock."""
