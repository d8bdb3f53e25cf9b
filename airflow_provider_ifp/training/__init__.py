"""Training: the run that user code sees, the trainer process, registration. No Airflow."""
