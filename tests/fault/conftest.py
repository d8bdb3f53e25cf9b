"""The MLflows under attack: a server on SQLite, a server on PostgreSQL, and none but a SQLite file."""

import json
import os
import random
import warnings
from dataclasses import asdict, dataclass, field

import pytest
from tests.fault.invariants import Figures
from tests.fault.killing import CLIENT, KILLS, Place
from tests.fault.server import KillableMlflow
from tests.postgres import running_postgres

from airflow_provider_ifp.demo.services import running_services


@dataclass(frozen=True, slots=True)
class Attack:
    """What a test may do, and what it counts."""

    kills: int
    seed: int
    choice: random.Random
    figures: Figures = field(default_factory=Figures)


@pytest.fixture
def attack(request, record_property, tmp_path):
    """A failing test tells its seed, which repeats its choices."""
    seed = int(os.environ.get("IFP_FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    attack = Attack(KILLS, seed, random.Random(seed))
    yield attack
    row = {"test": request.node.callspec.id, **asdict(attack.figures)}
    (tmp_path / "figures.json").write_text(json.dumps(row))
    record_property("faults", row)


@pytest.fixture
def attacked(request):
    """The place that the test names, and its server, or None."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module", autouse=True)
def quick_client():
    """What looks at the registry here is as quick to give up as the jobs."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in CLIENT.items():
            patch.setenv(key, value)
        yield


@pytest.fixture(scope="module")
def sqlite_server(tmp_path_factory):
    yield from _attacked("SQLite server", tmp_path_factory.mktemp("sqlite-server"), None)


@pytest.fixture(scope="module")
def postgres_server(tmp_path_factory):
    with running_postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield from _attacked("PostgreSQL server", tmp_path_factory.mktemp("postgres-server"), url)


@pytest.fixture
def sqlite_file(tmp_path, monkeypatch):
    """A place without a server; its artifacts go to the working directory."""
    monkeypatch.chdir(tmp_path)
    place = Place("SQLite file", f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path)
    with warnings.catch_warnings():
        # MLflow's tables use a loader that SQLAlchemy 2.1 calls deprecated.
        warnings.simplefilter("ignore")
        place.registry().aliases("nothing")  # the tables, before several processes would make them
    return place, None


def _attacked(name, folder, store):
    with running_services(folder / "logs") as services:
        server = KillableMlflow(services, folder / "mlflow", store)
        server.start()
        yield Place(name, server.uri, folder), server
