"""What only a real MLflow can show: a server that is away, aliases moved past us, files changed at rest."""

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

import airflow_provider_ifp as ifp
from airflow_provider_ifp.adapters.registry.ledger import project, record
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.adapters.registry.protocol import ModelVersion
from airflow_provider_ifp.core.errors import (
    DigestMismatchError,
    IfpError,
    RegistryDeniedError,
    RegistryUnreachableError,
    VersionNotFoundError,
)
from airflow_provider_ifp.core.registry.moves import Attempt, Promotion, plan_promotion
from airflow_provider_ifp.demo.services import free_port
from airflow_provider_ifp.training.loading import fetch
from airflow_provider_ifp.training.model_files import save_model
from airflow_provider_ifp.training.registration import Registration, register

PERSON = Attempt(actor="anna", time="2026-01-02T03:04:05+00:00", nonce="n", by="person", reason="because")
server = pytest.mark.server


class Doubling:
    """A user's own model; unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __setstate__(self, state):
        Path(state["trace"]).touch()
        self.__dict__.update(state)

    def predict(self, frame):
        return frame["x"].to_numpy() * 2


@dataclass
class Trained:
    """Version 1, a real model, with where its files are at rest."""

    registry: MlflowRegistry
    version: ModelVersion
    files: Path
    trace: Path  # there once the model was unpickled

    def fetch(self, folder):
        fetch(self.registry, self.version, folder)

    def load(self, _):
        return ifp.load(self.version.model, self.version.version, tracking_uri=self.registry.uri)


@pytest.fixture
def trained(server_registry, model, mlflow_folder, tmp_path, mlflow_models):
    folder, trace = tmp_path / "trained", tmp_path / "unpickled"
    save_model(Doubling(str(trace)), folder, features=["x"])
    run_id = server_registry.start_run(model, name="a training", tags={})
    made = register(
        server_registry, Registration(model=model, run_id=run_id, folder=folder, provenance={}, nonce="n")
    )
    return Trained(server_registry, made, at_rest(mlflow_folder, made), trace)


def at_rest(mlflow_folder, version):
    """Where the server keeps the version's files."""
    return mlflow_folder / "artifacts" / version.stored.uri.removeprefix("mlflow-artifacts:/")


def size(folder):
    kept = [path for path in folder.rglob("*") if path.is_file()]
    return len(kept), sum(path.stat().st_size for path in kept)


def test_a_server_that_is_not_there_is_told_in_seconds_and_what_to_do():
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(RegistryUnreachableError) as told:
        MlflowRegistry(uri)
    assert time.monotonic() - started < 5
    assert str(told.value) == (
        f"MLflow at {uri} does not answer (ConnectionError); start it, or mend the connection 'ifp_default' "
        "or MLFLOW_TRACKING_URI"
    )


def test_a_server_that_refuses_the_credentials_is_told_apart():
    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(401)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Refusing) as away:
        thread = threading.Thread(target=away.serve_forever)
        thread.start()
        try:
            with pytest.raises(
                RegistryDeniedError, match=r"asks for credentials, and there are none \(HTTP 401\); set"
            ):
                MlflowRegistry(f"http://127.0.0.1:{away.server_port}")
        finally:
            away.shutdown()
            thread.join()


@server
def test_credentials_in_the_address_are_shown_nowhere(mlflow_uri):
    registry = MlflowRegistry(mlflow_uri.replace("http://", "http://anna:secret@"))
    with pytest.raises(VersionNotFoundError) as told:
        registry.version("nobody-trained-this", "1")
    assert "secret" not in registry.uri
    assert "secret" not in str(told.value)


@server
def test_an_alias_moved_by_another_client_is_put_back_and_logged(
    server_registry, model, mlflow_uri, add_version, caplog
):
    for number in range(2):
        add_version(server_registry, model, content=f"weights {number}")
    change = Promotion(version="1", target="production")
    record(server_registry, model, lambda ledger: plan_promotion(ledger, PERSON, change))
    client = MlflowClient(mlflow_uri)
    client.set_registered_model_alias(model, "production", "2")
    client.set_registered_model_alias(model, "their-own", "2")
    project(server_registry, model)
    assert (
        f"{model}: alias production was at 2, not 1: moved by hand, or left by a killed writer; put back"
        in (caplog.messages)
    )
    aliases = client.get_registered_model(model).aliases
    assert {name: str(version) for name, version in aliases.items()} == {"production": "1", "their-own": "2"}
    client.delete_registered_model_alias(model, "production")
    project(server_registry, model)
    assert server_registry.aliases(model) == {"production": "1"}


@server
def test_versions_of_the_same_content_share_the_stored_files(
    server_registry, model, mlflow_folder, add_version
):
    first = add_version(server_registry, model, content="x" * 10_000)
    models = at_rest(mlflow_folder, first).parents[1]
    before = size(models)
    second = add_version(server_registry, model, content="x" * 10_000)
    third = add_version(server_registry, model, content="x" * 10_000)
    assert [entry.version for entry in (first, second, third)] == ["1", "2", "3"]
    assert first.stored == second.stored == third.stored
    assert before[1] > 10_000_000
    assert size(models) == before
    other = add_version(server_registry, model, content="y" * 10_000)
    assert other.stored != first.stored
    assert size(models)[1] > 2 * 10_000_000


@server
def test_a_twin_is_whole_though_its_own_files_were_never_stored(
    server_registry, model, add_version, tmp_path
):
    add_version(server_registry, model)
    second = add_version(server_registry, model)
    fetch(server_registry, second, tmp_path / "second")
    assert (tmp_path / "second" / "data" / "deep" / "weights.bin").read_bytes() == b"weights" * 1000


@server
def test_a_whole_version_loads_and_answers(trained):
    answers = trained.load(None).predict(pd.DataFrame({"x": [1.5, 2.0]}))
    assert answers["prediction"].tolist() == [3.0, 4.0]
    assert trained.trace.exists()


def changed(folder):
    weights = next(folder.rglob("model.pkl"))
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)


def removed(folder):
    next(folder.rglob("model.json")).unlink()


def added(folder):
    (folder / "data" / "more.pkl").write_bytes(b"not registered")


def renamed(folder):
    (folder / "requirements.txt").rename(folder / "Requirements.txt")


@server
@pytest.mark.parametrize("load", [Trained.fetch, Trained.load])
@pytest.mark.parametrize("tamper", [changed, removed, added, renamed])
def test_files_tampered_with_at_rest_are_found_before_anything_is_unpickled(trained, tamper, load, tmp_path):
    version = trained.version
    tamper(trained.files)
    with pytest.raises(DigestMismatchError) as told:
        load(trained, tmp_path / "fetched")
    message = str(told.value)
    assert f"{version.model} version 1: the stored files are not those that were registered" in message
    assert f"expected {version.files_digest}, found sha256:" in message
    assert f"roll back to another version and look who may write to {version.stored.uri}" in message
    assert not trained.trace.exists()


@server
@pytest.mark.parametrize("load", [Trained.fetch, Trained.load])
def test_stored_files_that_are_gone_altogether_load_nothing(trained, load, tmp_path):
    trained.files.rename(trained.files.with_name("away"))
    with pytest.raises(IfpError, match=trained.version.stored.id):
        load(trained, tmp_path / "fetched")
    assert not trained.trace.exists()


@server
def test_a_version_made_by_another_hand_is_not_loaded(trained, mlflow_uri):
    model, stored = trained.version.model, trained.version.stored
    MlflowClient(mlflow_uri).create_model_version(model, source=stored.uri, model_id=stored.id)
    with pytest.raises(
        DigestMismatchError, match=r"version 2 has no tag 'ifp.files_digest': .* train and register it with"
    ):
        ifp.load(model, "2", tracking_uri=mlflow_uri)
    assert not trained.trace.exists()
