"""Every policy in `policies/` becomes the Dags of its model; this file is all that Airflow needs."""

from pathlib import Path

from airflow_provider_ifp.dag_factory import build_dags

globals().update(build_dags(Path(__file__).parent / "policies"))
