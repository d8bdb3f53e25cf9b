#!/bin/sh
# PostgreSQL's image runs this once, when its volume is still empty. POSTGRES_DB has made Airflow's database.
set -eu
createdb --username "$POSTGRES_USER" mlflow
