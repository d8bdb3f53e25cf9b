"""On every kind of store: equal models are stored once, and each load finds files that were tampered with."""

import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient
from tests.s3_server import running_s3

from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.core.errors import DigestMismatchError, IfpError, RegistryError
from airflow_provider_ifp.demo.services import free_port, own_environment, running_services
from airflow_provider_ifp.demo.stack import wait_for_mlflow
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import Registration, register

pytestmark = pytest.mark.filterwarnings("ignore")  # SQLAlchemy 2.1 and MLflow, boto3 and Python


class Line:
    """A model whose weights depend on the data and the seed."""

    def fit(self, x, y, seed):
        start = np.random.default_rng(seed).normal(size=(x.shape[1], 2_000))
        self.weights = start + np.linalg.lstsq(x, y, rcond=None)[0][:, None]
        return self

    def predict(self, frame):
        return frame.to_numpy() @ self.weights[:, 0]


@dataclass
class Folder:
    """Files at rest in a folder, as a bucket shows its own."""

    path: Path

    def files(self):
        return {
            path.relative_to(self.path).as_posix(): path.read_bytes()
            for path in self.path.rglob("*")
            if path.is_file()
        }

    def write(self, key, content):
        if content is None:
            (self.path / key).unlink()
        else:
            (self.path / key).write_bytes(content)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    with running_s3(tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture(scope="module")
def s3_uri(bucket, tmp_path_factory):
    """An MLflow server that keeps files on S3, and does not tell its clients."""
    folder = tmp_path_factory.mktemp("mlflow-s3")
    uri = f"http://127.0.0.1:{free_port()}"
    command = [
        *("-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1"),
        *("--port", uri.rpartition(":")[2], "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"),
        *("--artifacts-destination", f"{bucket.uri}/proxied"),
    ]
    with running_services(folder / "logs") as services:
        environment = own_environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", **bucket.environment)
        services.start("mlflow", command, environment)
        wait_for_mlflow(services, uri)
        yield uri


@pytest.fixture
def local(tmp_path):
    return MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}"), Folder(tmp_path / "mlruns")


@pytest.fixture
def proxied(mlflow_uri, mlflow_folder):
    return MlflowRegistry(mlflow_uri), Folder(mlflow_folder / "artifacts")


@pytest.fixture
def s3_proxied(s3_uri, bucket):
    return MlflowRegistry(s3_uri), bucket


@pytest.fixture
def s3_direct(s3_uri, bucket, model, monkeypatch):
    """The experiment lies on S3 by its address, so the client goes there itself."""
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    MlflowClient(s3_uri).create_experiment(model, f"{bucket.uri}/direct/{model}")
    return MlflowRegistry(s3_uri), bucket


@pytest.fixture(
    params=[
        "local",
        *(pytest.param(name, marks=pytest.mark.server) for name in ("proxied", "s3_proxied", "s3_direct")),
    ]
)
def stored(request, model):
    return request.getfixturevalue(request.param)


def train(registry, model, folder, *, seed=7):
    """Train anew and register; returns the version."""
    random = np.random.default_rng(1)
    x = random.normal(size=(300, 3))
    trained = Line().fit(x, x @ [1.0, 2.0, 3.0], seed)
    target = folder / uuid.uuid4().hex
    save_model(trained, target, features=["a", "b", "c"])
    run_id = registry.start_run(model, name="a training", tags={})
    return register(
        registry, Registration(model=model, run_id=run_id, folder=target, provenance={}, nonce=target.name)
    )


def size_of(store, made):
    """Count and bytes of the model files in the part of the store where the version's are."""
    found = [content for key, content in store.files().items() if "/models/" in key]
    return len(found), sum(map(len, found))


def test_the_same_training_twice_stores_the_files_once(stored, model, tmp_path, mlflow_models):
    registry, store = stored
    first = train(registry, model, tmp_path)
    before = size_of(store, first)
    second = train(registry, model, tmp_path)
    assert (first.version, second.version) == ("1", "2")
    assert first.content_digest == second.content_digest
    assert first.stored == second.stored
    assert before[1] > 48_000
    assert size_of(store, second) == before
    third = train(registry, model, tmp_path, seed=8)
    assert third.content_digest != first.content_digest
    assert third.stored != first.stored
    assert size_of(store, third)[1] - before[1] > 48_000
    for version in (first, second, third):
        fetch(registry, version, tmp_path / f"fetched-{version.version}")


def change(content):
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def test_files_tampered_with_at_rest_are_found_by_every_load(stored, model, tmp_path, mlflow_models):
    registry, store = stored
    version = train(registry, model, tmp_path)
    whole = {key: content for key, content in store.files().items() if f"/{version.stored.id}/" in key}
    weights = next(key for key in whole if key.endswith("model.pkl"))
    tampered = {
        "changed": {weights: change(whole[weights])},
        "removed": {weights: None},
        "added": {f"{weights}.more": b"not registered"},
    }
    for name, edits in tampered.items():
        for key, content in edits.items():
            store.write(key, content)
        for load in range(2):
            with pytest.raises(DigestMismatchError, match="are not those that were registered"):
                fetch(registry, version, tmp_path / f"{name}-{load}")
        for key in edits:
            store.write(key, whole.get(key))
        fetch(registry, version, tmp_path / f"whole-after-{name}")
    for key in whole:
        store.write(key, None)
    with pytest.raises(IfpError, match=version.stored.id):
        fetch(registry, version, tmp_path / "gone")


@pytest.mark.server
def test_a_bucket_that_refuses_the_client_is_told_as_our_error(s3_direct, model, tmp_path, mlflow_models):
    registry, _ = s3_direct
    version = train(registry, model, tmp_path)
    client = MlflowClient(registry.uri)
    other = f"{model}-elsewhere"
    client.create_experiment(other, "s3://no-such-bucket/x")
    with pytest.raises(RegistryError, match="NoSuchBucket"):
        train(registry, other, tmp_path)
    assert registry.versions(model) == (version,)
