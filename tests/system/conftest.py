"""A real Airflow over a real MLflow, on small data of a model that is quick to train."""

import json
import sqlite3
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.demo.airflow_api import AirflowApi
from airflow_provider_ifp.demo.services import running_services
from airflow_provider_ifp.demo.stack import start_airflow, start_mlflow

DAYS, A_DAY = 60, 200
DONE = {"success", "failed"}
DAG_FILE = """\
from pathlib import Path

from airflow_provider_ifp.dag_factory import build_dags

dags = build_dags(Path(__file__).parent / "policies")
for dag in dags.values():
    if dag.has_task("shadow"):
        dag.get_task("shadow").poke_interval = 1  # a test does not wait a minute
globals().update(dags)
"""
FOLLOWER = """\
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

EITHER = Asset("ifp://line/production") | Asset("ifp://line/drift")

with DAG("follower", schedule=EITHER, is_paused_upon_creation=False):
    EmptyOperator(task_id="follow")
"""
LINEAR = """\
import numpy as np


class Line:
    def __init__(self, frame, tilt):
        self.slope, self.offset = np.polyfit(frame["x"], frame["y"], 1)
        self.slope += tilt

    def predict(self, frame):
        return self.slope * frame["x"].to_numpy() + self.offset


def train(run):
    run.log_metric("rows", len(run.data("arrow")))
    run.log_model(Line(run.data("pandas"), run.params.get("tilt", 0)))
"""
SLOW = """\
import os, subprocess, sys, time
from pathlib import Path


def train(run):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    Path(run.params["pids"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)
"""
POLICY = """\
model: {model}
schedule: {schedule}
start_date: 2026-01-01
data:
  source: {source}
  time_column: ts
  label: y
  features: [x]
  holdout_window: 7d
train:
  entrypoint: {home}/{script}
  params: {{pids: "{home}/pids"}}
monitor:
  predictions: {home}/predictions
validation: {{max_rmse: {bound}, tolerance: -0.05}}
"""


SHADOWS = {
    "daily": "shadow: {mode: replay}\n",
    "live": "shadow: {mode: live, min_pairs: 400, min_duration: 1h, max_latency_ratio: {p95: 20}}\n",
}
QUERY = "select ts, x, y from days where '{{ dag.dag_id }}' = 'daily-training-dag'"


class Loop:
    """The servers, and a user who triggers Dags."""

    def __init__(self, services, address, uri, home):
        self.services = services
        self.address = address
        self.api = AirflowApi(address)
        self.registry = MlflowRegistry(uri)
        self.home = home

    def run(self, dag_id, *, on_look=lambda _: None, **params):
        """Trigger a Dag and wait for its end; returns its run's id, its state and its tasks' states."""
        return self.end(dag_id, self.begin(dag_id, **params), on_look=on_look)

    def begin(self, dag_id, **params):
        """Trigger a Dag; returns the run's id."""
        self.unpause(dag_id)
        return self.api.trigger(dag_id, params)

    def unpause(self, dag_id):
        self.services.wait_until(lambda: self.api.knows(dag_id), what=dag_id, seconds=60)
        self.api.unpause(dag_id)

    def end(self, dag_id, run_id, *, seconds=180, on_look=lambda _: None):
        """Wait for the end of a run."""
        deadline = time.monotonic() + seconds
        while (state := self.api.run_state(dag_id, run_id)) not in DONE:
            assert time.monotonic() < deadline, f"{dag_id}: {self.api.task_states(dag_id, run_id)}"
            on_look(run_id)
            time.sleep(0.3)
        return SimpleNamespace(id=run_id, state=state, tasks=self.api.task_states(dag_id, run_id))

    def answer(self, model, version, *, days=6, shift=0.0):
        """Write the last days' requests to the prediction log, as if the version had answered them."""
        start = datetime.now(UTC) - timedelta(days=days)
        self.log_answers(model, version, draw(int(shift * 10), start, days, shift), name=f"{model}-{shift}")

    def log_answers(self, model, version, rows, *, name):
        """Write rows to the prediction log as requests that the version answered rightly."""
        requests = {
            "request_id": [f"{name}-{row}" for row in range(rows.num_rows)],
            "row": pa.array([0] * rows.num_rows, pa.int32()),
            "ts": rows["ts"],
            "model_version": [version] * rows.num_rows,
            "features": pa.StructArray.from_arrays([rows["x"].combine_chunks()], ["x"]),
            "prediction": rows["y"],
        }
        write_predictions(str(self.home / "predictions"), model, "production", pa.table(requests))


def draw(seed, start, days, shift=0.0):
    """Rows of y = 2 x + noise, evenly over some days."""
    rng, rows = np.random.default_rng(seed), days * A_DAY
    times = [start + timedelta(days=days) * (row / rows) for row in range(rows)]
    x = rng.normal(shift, 1.0, rows)
    y = 2 * x + rng.normal(0, 0.1, rows)
    return pa.table({"ts": pa.array(times, pa.timestamp("us", "UTC")), "x": x, "y": y})


@pytest.fixture(scope="session")
def loop(tmp_path_factory):
    """Airflow with five models: `strict` has a bound out of reach, `slow` never ends.

    `daily` is scheduled, and reads SQL. `live` is served, and has its candidates mirrored.
    """
    home = tmp_path_factory.mktemp("loop")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    (home / "data").mkdir()
    # A day more than has been: a suite that runs past midnight finds the new day's holdout whole.
    pq.write_table(draw(1, today - timedelta(days=DAYS), DAYS + 1), home / "data" / "days.parquet")
    dags = home / "dags"
    (dags / "policies").mkdir(parents=True)
    (dags / "loop.py").write_text(DAG_FILE)
    (dags / "follower.py").write_text(FOLLOWER)
    (home / "linear.py").write_text(LINEAR)
    (home / "slow.py").write_text(SLOW)
    in_files = f"{home}/data"
    in_database = f'{{conn_id: warehouse, query: "{QUERY}"}}\n  key: [x]'
    for model, script, bound, schedule, source in (
        ("line", "linear.py", 1, "null", in_files),
        ("strict", "linear.py", 0.001, "null", in_files),
        ("slow", "slow.py", 1, "null", in_files),
        ("daily", "linear.py", 1, '"0 0 * * *"', in_database),
        ("live", "linear.py", 1, "null", in_files),
    ):
        text = POLICY.format(
            model=model, schedule=schedule, home=home, script=script, bound=bound, source=source
        )
        text += SHADOWS.get(model, "")
        (dags / "policies" / f"{model}.yaml").write_text(text)
    with sqlite3.connect(home / "warehouse.db") as database:
        database.execute("create table days (ts timestamp, x double, y double)")
        rows = pq.read_table(home / "data").to_pylist()
        database.executemany(
            "insert into days values (?, ?, ?)", [(row["ts"].isoformat(), row["x"], row["y"]) for row in rows]
        )
    database.close()
    (dags / "policies" / "wrong.yaml").write_text("model: wrong\nvalidaton: {min_f1: 0.9}\n")
    with running_services(home / "logs") as services:
        uri = start_mlflow(services, home / "mlflow")
        environment = {
            "AIRFLOW_CONN_IFP_DEFAULT": json.dumps({"conn_type": "ifp_registry", "host": uri}),
            "AIRFLOW_CONN_WAREHOUSE": json.dumps(
                {"conn_type": "sqlite", "host": str(home / "warehouse.db"), "password": "open-sesame"}
            ),
            # With retries set for all tasks, a gate that says no must fail at once nevertheless.
            "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "1",
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
        }
        address = start_airflow(services, home / "airflow", dags=dags, environment=environment)
        yield Loop(services, address, uri, home)


@pytest.fixture(scope="session")
def others(loop):
    """The runs of the other models, begun at once, `daily`'s by its schedule: model -> its run's id."""
    loop.unpause("daily-training-dag")
    begun = {model: loop.begin(f"{model}-training-dag") for model in ("strict", "slow", "live")}

    def scheduled():
        return loop.api._get("dags/daily-training-dag/dagRuns")["dag_runs"]

    loop.services.wait_until(lambda: bool(scheduled()), what="a scheduled run", seconds=120)
    assert [run["run_type"] for run in scheduled()] == ["scheduled"]
    return {**begun, "daily": scheduled()[0]["dag_run_id"]}
