"""Real data and real registries for the integration tests."""

import uuid
import warnings

import numpy as np
import pyarrow as pa
import pytest
from tests.auth_server import TRAINER, running_auth_server
from tests.postgres import running_postgres

from airflow_provider_ifp.adapters.registry.memory import MemoryRegistry
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.demo.flights import model_rows, read_flights
from airflow_provider_ifp.demo.services import running_services
from airflow_provider_ifp.demo.stack import launch_mlflow, start_mlflow, wait_for_mlflow
from airflow_provider_ifp.training.registration import Registration, register

SAMPLE_ROWS = 30_000


@pytest.fixture(scope="session")
def data_sample(request) -> str:
    """`small` or `full`, as `--data-sample` says."""
    return request.config.getoption("--data-sample")


@pytest.fixture(scope="session")
def flights(data_sample) -> pa.Table:
    """The rows of model flight-time: all of 2013's, or a seeded sample over the whole year."""
    rows = model_rows(read_flights())
    if data_sample == "full":
        return rows
    chosen = np.random.default_rng(0).choice(rows.num_rows, SAMPLE_ROWS, replace=False)
    return rows.take(pa.array(np.sort(chosen)))


@pytest.fixture(scope="session")
def mlflow_folder(tmp_path_factory):
    """Where the server keeps its database and its artifacts."""
    return tmp_path_factory.mktemp("mlflow-server")


@pytest.fixture(scope="session")
def mlflow_uri(mlflow_folder):
    """The tracking URI of a real MLflow server, which ends with the tests."""
    with running_services(mlflow_folder / "logs") as services:
        yield start_mlflow(services, mlflow_folder)


@pytest.fixture(scope="session")
def sqlite_registry(tmp_path_factory):
    """MLflow inside this process, on a database that several tests share."""
    folder = tmp_path_factory.mktemp("mlflow-embedded")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        # MLflow's tables use a loader that SQLAlchemy 2.1 calls deprecated.
        warnings.simplefilter("ignore")
        patch.chdir(folder)
        registry = MlflowRegistry(f"sqlite:///{folder / 'mlflow.db'}")
        registry.aliases("nothing")
    return registry


@pytest.fixture
def server_registry(mlflow_uri):
    return MlflowRegistry(mlflow_uri)


@pytest.fixture(scope="session")
def postgres_uri(tmp_path_factory):
    """The tracking URI of a real MLflow server on a real PostgreSQL."""
    folder = tmp_path_factory.mktemp("mlflow-postgres")
    with running_postgres(folder / "database") as url, running_services(folder / "logs") as services:
        uri = launch_mlflow(services, folder, store=url)
        wait_for_mlflow(services, uri)
        yield uri


@pytest.fixture
def postgres_registry(postgres_uri):
    return MlflowRegistry(postgres_uri)


@pytest.fixture(scope="session")
def auth_server(tmp_path_factory):
    """A real MLflow server that asks for a login."""
    with running_auth_server(tmp_path_factory.mktemp("mlflow-auth")) as server:
        yield server


@pytest.fixture(autouse=True)
def mlflow_environment(monkeypatch):
    """A registry with a login of its own sets these for its process; no test is to inherit them."""
    for name in ("MLFLOW_TRACKING_AUTH", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def auth_registry(auth_server):
    """As an ordinary user, who owns what it makes."""
    return MlflowRegistry(auth_server.uri, *TRAINER)


@pytest.fixture
def memory_registry():
    registry = MemoryRegistry()
    yield registry
    registry.close()


@pytest.fixture(
    params=[
        pytest.param("memory_registry", id="memory"),
        pytest.param("server_registry", id="server", marks=pytest.mark.server),
        pytest.param("sqlite_registry", id="sqlite"),
        pytest.param("postgres_registry", id="postgres", marks=pytest.mark.server),
        pytest.param("auth_registry", id="auth", marks=pytest.mark.server),
    ]
)
def registry(request):
    """The same promises on each of them."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def model():
    """A registered model that no other test knows."""
    return f"model-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def add_version(tmp_path):
    """Register a small folder as a version of a model, as training does; returns the version."""

    def add(registry, model, *, content="weights", tags=None, nonce=None, **recorded):
        folder = tmp_path / uuid.uuid4().hex
        (folder / "data" / "deep").mkdir(parents=True)
        (folder / "MLmodel").write_text(f"flavors: {{}}\nrun_id: {folder.name}\n")
        (folder / "data" / "deep" / "weights.bin").write_bytes(content.encode() * 1000)
        run_id = registry.start_run(model, name="a training", tags={"ifp.model": model})
        made = register(
            registry,
            Registration(
                model=model,
                run_id=run_id,
                folder=folder,
                provenance={"code": {"commit": "c0ffee"}},
                tags=tags or {},
                nonce=nonce or uuid.uuid4().hex,
                **recorded,
            ),
        )
        registry.finish_run(run_id, "FINISHED")
        return made

    return add
