"""A whole loop on small data, for the tests of its steps: real trainer, real scorers, registry in memory."""

import json
import shutil
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.warm_python import running_warm_python

from airflow_provider_ifp.adapters.counting.profiling import profile_table
from airflow_provider_ifp.adapters.launch.local import LocalLauncher
from airflow_provider_ifp.adapters.log.predictions import write_predictions
from airflow_provider_ifp.adapters.registry.ledger import read_ledger, record
from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.registry.moves import Attempt, plan_judgement
from airflow_provider_ifp.loop.drift.check import check
from airflow_provider_ifp.loop.drift.reference import PROFILE
from airflow_provider_ifp.loop.gates.validate import validate
from airflow_provider_ifp.loop.registry.move import promote
from airflow_provider_ifp.loop.train.claim import Patience
from airflow_provider_ifp.loop.train.training import Order, train
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import Registration, register

# Scripts that trainers run; they import their neighbours.
collect_ignore = ["train/entrypoint_wobbly.py", "train/wobble.py"]

FEATURES = ["x", "z", "region"]
HOUR = timedelta(hours=1)
NOW = datetime(2024, 2, 1, tzinfo=UTC)


class Loop:
    """One model's loop on small data: a folder with a dataset, a training script and a prediction log.

    A row every twelve minutes of January and February 2024; y = 1 + 3 x - z + 2 (region is north) + noise.
    As of Feb 1 training has Jan 7 to 26, the holdout Jan 27 to 31.
    """

    def __init__(self, home, registry):
        self.home = home
        self.registry = registry
        self.model = "demand"
        self.launcher = LocalLauncher()
        self.write_data(self.rows(datetime(2024, 1, 1, tzinfo=UTC), days=60))
        shutil.copy(Path(__file__).with_name("entrypoint_linear.py"), home)

    def rows(self, start, days, *, seed=0, shift=0.0):
        """Rows of the world from `start`; `shift` moves x."""
        random = np.random.default_rng(seed)
        count = days * 120
        x, z = random.normal(shift, 1, count), random.normal(0, 1, count)
        north = random.random(count) < 0.3
        return pa.table(
            {
                "ts": pa.array(
                    [start + number * HOUR / 5 for number in range(count)], pa.timestamp("us", "UTC")
                ),
                "request_id": [f"{start:%Y%m%d}-{number}" for number in range(count)],
                "x": x,
                "z": z,
                "region": np.where(north, "north", "south"),
                "y": 1 + 3 * x - z + 2 * north + random.normal(0, 0.5, count),
            }
        )

    def write_data(self, table):
        (self.home / "data").mkdir(exist_ok=True)
        pq.write_table(table, self.home / "data" / "rows.parquet")

    def write_log(self, table, stage="production", names=FEATURES, version="1"):
        """Log the rows as requests that a version answered."""
        features = pa.StructArray.from_arrays([table[name].combine_chunks() for name in names], list(names))
        requests = {
            "request_id": table["request_id"],
            "row": pa.array([0] * table.num_rows, pa.int32()),
            "ts": table["ts"],
            "model_version": [version] * table.num_rows,
            "features": features,
            "prediction": table["y"],
        }
        write_predictions(str(self.home / "log"), self.model, stage, pa.table(requests))

    def policy(self, **sections):
        """The policy; what is given is laid over its sections."""
        canonical = {
            "data": {
                "source": "data",
                "time_column": "ts",
                "label": "y",
                "key": ["request_id"],
                "train_window": "20d",
                "holdout_window": "5d",
            },
            "train": {"entrypoint": "entrypoint_linear.py", "seed": 7},
            "monitor": {"predictions": "log", "evaluation_window": "5d"},
            "validation": {"max_rmse": 0.8},
        }
        laid = {name: {**canonical.get(name, {}), **keys} for name, keys in sections.items()}
        return Policy.from_json({"model": self.model, **canonical, **laid}, folder=self.home)

    def order(self, *, policy=None, now=NOW, params=None, nonce=None, owner=None, work="work"):
        return Order(
            policy=policy or self.policy(),
            now=now,
            params=params or {},
            work=self.home / work,
            checkpoints=self.home / "checkpoints",
            owner=owner or uuid.uuid4().hex,
            nonce=nonce or uuid.uuid4().hex,
            patience=Patience(look=0.1, beat=0.2, dead=2.0),
        )

    def train(self, **order):
        """Train in a real trainer's process; returns the XCom."""
        return train(self.registry, self.order(**order), self.launcher)

    def register(self, predict, *, profiled=None, provenance=None, requirements=(), **methods):
        """Register a model by its predict function alone, without a training; returns the version."""
        folder = self.home / uuid.uuid4().hex
        model = SimpleNamespace(predict=predict, **methods)
        save_model(model, folder, features=FEATURES, requirements=requirements)
        run_id = self.registry.start_run(self.model, name="by hand", tags={})
        profile = {} if profiled is None else profile_table(profiled, FEATURES, ["region"]).to_json()
        return register(
            self.registry,
            Registration(
                model=self.model,
                run_id=run_id,
                folder=folder,
                provenance=provenance or {},
                files={} if profiled is None else {PROFILE: json.dumps(profile).encode()},
                nonce=folder.name,
            ),
        ).version

    def validate(self, version, *, policy=None, now=NOW, nonce=None, layers=None):
        policy, attempt = policy or self.policy(), self.attempt(nonce=nonce)
        return validate(self.registry, policy, version, now=now, attempt=attempt, layers=layers)

    def check(self, *, policy=None, now=NOW, **wish):
        return check(self.registry, policy or self.policy(), now=now, **wish)

    def judge(self, version, *, promotes=True, reason="rmse 0.5 <= 0.8 = maximum"):
        """Record a verdict without scoring anything."""
        attempt = self.attempt(reason=reason)
        answer = "pass" if promotes else "fail"
        record(
            self.registry,
            self.model,
            lambda ledger: plan_judgement(
                ledger, attempt, version=version, verdict=answer, promotes=promotes, verdict_digest="sha256:v"
            ),
        )

    def put(self, version, stage="production"):
        """Promote by a person's hand."""
        return promote(self.registry, self.model, version, stage, attempt=self.attempt(by="person"))

    def attempt(self, *, nonce=None, by="loop", reason="as its gate said"):
        return Attempt(
            actor=f"a {by}",
            time="2024-02-01T00:00:00+00:00",
            nonce=nonce or uuid.uuid4().hex,
            by=by,
            reason=reason,
        )

    @property
    def ledger(self):
        return read_ledger(self.registry, self.model)

    @property
    def statuses(self):
        """How each run of the model ended."""
        return [run["status"] for run in self.registry.runs.values()]

    def require_untouched(self, statuses=()):
        """Nothing half-done: no version, no event, no alias, no work left, and runs that ended as said."""
        assert self.registry.versions(self.model) == ()
        assert read_ledger(self.registry, self.model).events == ()
        assert self.registry.aliases(self.model) == {}
        assert self.statuses == list(statuses)
        assert not (self.home / "work").exists()


@pytest.fixture
def loop(tmp_path, memory_registry, mlflow_models):
    return Loop(tmp_path, memory_registry)


@pytest.fixture(scope="module")
def module_loop(tmp_path_factory, mlflow_models):
    """A loop that a module's tests share."""
    registry = MemoryRegistry()
    yield Loop(tmp_path_factory.mktemp("loop"), registry)
    registry.close()


@pytest.fixture(scope="session")
def warm_program(tmp_path_factory):
    with running_warm_python(tmp_path_factory.mktemp("warm")) as program:
        yield program


@pytest.fixture
def warm_python(warm_program, monkeypatch):
    """Trainers and scorers are forks of a process that has imported MLflow: seconds less each."""
    monkeypatch.setattr(sys, "executable", warm_program)
