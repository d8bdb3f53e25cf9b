"""Messages to people, by Airflow's own providers."""
