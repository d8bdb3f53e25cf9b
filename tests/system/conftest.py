"""Real servers for the system tests."""

import json
import time

import pytest

from airflow_provider_ifp.adapters.mlflow_registry import MlflowRegistry
from airflow_provider_ifp.demo.airflow_api import AirflowApi
from airflow_provider_ifp.demo.services import running_services
from airflow_provider_ifp.demo.stack import start_airflow, start_mlflow

_DONE = {"success", "failed"}


class Loop:
    """A real Airflow over a real MLflow, and a user who triggers Dags."""

    def __init__(self, address, uri, api, registry, services):
        self.address = address
        self.uri = uri
        self.api = api
        self.registry = registry
        self.services = services

    def run(self, dag_id, *, seconds=120, on_look=lambda _: None, **params):
        """Trigger a Dag and wait for its end; returns the run's id and its tasks' states."""
        self.services.wait_until(lambda: self.api.knows(dag_id), what=dag_id, seconds=60)
        self.api.unpause(dag_id)
        run_id = self.api.trigger(dag_id, params)
        self.wait(dag_id, run_id, seconds=seconds, on_look=on_look)
        return run_id, self.api.task_states(dag_id, run_id)

    def wait(self, dag_id, run_id, *, seconds=120, on_look=lambda _: None):
        """Wait until a run has ended."""
        deadline = time.monotonic() + seconds
        while self.api.run_state(dag_id, run_id) not in _DONE:
            assert time.monotonic() < deadline, f"{dag_id}: {self.api.task_states(dag_id, run_id)}"
            on_look(run_id)
            time.sleep(0.3)


@pytest.fixture(scope="session")
def start_loop(tmp_path_factory):
    """Start the two servers over a Dags folder; they end with the session."""
    held = []

    def start(dags, **environment):
        home = tmp_path_factory.mktemp("loop")
        services = held_services(home)
        uri = start_mlflow(services, home / "mlflow")
        connection = json.dumps({"conn_type": "ifp_registry", "host": uri})
        address = start_airflow(
            services,
            home / "airflow",
            dags=dags,
            environment={"AIRFLOW_CONN_IFP_DEFAULT": connection, **environment},
        )
        return Loop(address, uri, AirflowApi(address), MlflowRegistry(uri), services)

    def held_services(home):
        block = running_services(home / "logs")
        held.append(block)
        return block.__enter__()

    yield start
    for block in held:
        block.__exit__(None, None, None)
