"""The package without extras, so with `mlflow-skinny` alone, as client of a server that asks for a login."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.auth_server import TRAINER

from airflow_provider_ifp.demo.services import own_environment

ROOT = Path(__file__).parents[2]
SCRIPT = """\
import importlib.util, json, sys
from pathlib import Path
import numpy, pandas
import airflow_provider_ifp as ifp
from airflow_provider_ifp.adapters.registry.ledger import record, read_ledger
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.errors import RegistryError
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, plan_promotion, plan_rollback
from airflow_provider_ifp.training.loading import fetch, open_model
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import Registration, register

class Times:
    def __init__(self, factor):
        self.factor = factor
    def predict(self, frame):
        return frame["x"].to_numpy() * self.factor

def attempt(nonce):
    time = "2026-01-02T03:04:05+00:00"
    return Attempt(actor="anna", time=time, nonce=nonce, by="person", reason="because")

uri, model = sys.argv[1:]
registry = MlflowRegistry(uri, *json.load(sys.stdin))
for factor in (2, 3):
    folder = Path(f"trained-{factor}")
    save_model(Times(factor), folder, features=["x"])
    run_id = registry.start_run(model, name="a training", tags={})
    registry.log_params(run_id, {"factor": str(factor)})
    made = register(
        registry, Registration(model=model, run_id=run_id, folder=folder, provenance={}, nonce=folder.name)
    )
    registry.finish_run(run_id, "FINISHED")
    change = Promotion(version=made.version, target="production")
    record(registry, model, lambda ledger: plan_promotion(ledger, attempt(folder.name), change))
record(registry, model, lambda ledger: plan_rollback(ledger, attempt("back")))
held = registry.version(model, registry.aliases(model)["production"])
fetch(registry, held, Path("fetched"))
try:
    MlflowRegistry("sqlite:///mlflow.db")
    told = "it works"
except RegistryError as error:
    told = str(error)
print(json.dumps({
    "version": held.version,
    "answer": open_model(Path("fetched")).predict(pandas.DataFrame({"x": [5.0]}))["prediction"].tolist(),
    "events": len(read_ledger(registry, model).events),
    "full": [name for name in ("flask", "sqlalchemy", "airflow") if importlib.util.find_spec(name)],
    "database": told,
}))
"""


@pytest.fixture(scope="module")
def skinny_python(tmp_path_factory):
    """The interpreter of an environment in which only this package was installed."""
    folder = tmp_path_factory.mktemp("skinny")
    uv = Path(sys.executable).with_name("uv")
    where = {
        "UV_FIND_LINKS": ",".join(os.environ.get("PIP_FIND_LINKS", "").split()),
        "UV_DEFAULT_INDEX": os.environ.get("PIP_INDEX_URL", ""),
    }
    environment = {**{name: value for name, value in where.items() if value}, **os.environ}
    python = folder / "venv" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    for command in (
        [uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"],
        [uv, "pip", "install", "--quiet", "--python", python, "-c", constraints, ROOT],
    ):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return python


@pytest.mark.server
def test_without_extras_a_model_is_registered_promoted_rolled_back_verified_and_loaded(
    skinny_python, auth_server, model, tmp_path
):
    done = subprocess.run(
        [skinny_python, "-W", "ignore", "-c", SCRIPT, auth_server.uri, model],
        cwd=tmp_path,
        env=own_environment(),
        input=json.dumps(TRAINER),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("database").endswith(
        "A database needs the full MLflow: pip install 'airflow-provider-ifp[mlflow]'"
    )
    assert told == {"version": "1", "answer": [10.0], "events": 3, "full": []}
    assert TRAINER[1] not in done.stderr
