"""MLflow's database without a server: made by many processes at once, used from any folder."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient

from airflow_provider_ifp.adapters.registry.mlflow.database import database_file, opening
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.demo.services import own_environment

# MLflow's tables use a loader that SQLAlchemy 2.1 calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore")

PROCESSES = 8
WRITER = """\
import sys
from pathlib import Path
from airflow_provider_ifp.adapters.registry.mlflow.registry import MlflowRegistry
from airflow_provider_ifp.training.registration import Registration, register

def write(address, name):
    registry = MlflowRegistry(address)
    folder = Path(name)
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\\n")
    (folder / "weights").write_text(name)
    run_id = registry.start_run("demand", name=name, tags={})
    made = register(
        registry, Registration(model="demand", run_id=run_id, folder=folder, provenance={}, nonce=name)
    )
    registry.put_entry("demand", "training", name, made.version)
    registry.finish_run(run_id, "FINISHED")

"""
AT_ONCE = f"""\
import os, traceback
import mlflow.store.tracking.sqlalchemy_store, mlflow.store.model_registry.sqlalchemy_store

for number in range({PROCESSES}):
    if os.fork() == 0:
        try:
            write(sys.argv[1], f"process-{{number}}")
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
sys.exit(any(os.wait()[1] for _ in range({PROCESSES})))
"""


def run_in(folder, script, *arguments):
    """Run a script in a folder of its own; returns its output if it fails."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *arguments],
        cwd=folder, env=own_environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_many_processes_at_once_make_one_database_and_lose_nothing(tmp_path):
    address = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    run_in(tmp_path / "work", WRITER + AT_ONCE, address)
    registry = MlflowRegistry(address)
    versions = registry.versions("demand")
    assert [entry.version for entry in versions] == [str(number + 1) for number in range(PROCESSES)]
    assert len(registry.entries("demand", "training")) == PROCESSES
    assert len({entry.content_digest for entry in versions}) == PROCESSES


def test_processes_in_other_folders_find_the_files_beside_the_database(tmp_path, monkeypatch):
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    run_in(tmp_path / "first", f"{WRITER}\nwrite(sys.argv[1], 'one')", address)
    monkeypatch.chdir(tmp_path)
    [made] = MlflowRegistry("sqlite:///mlflow.db").versions("demand")
    MlflowRegistry(address).download(made.stored, tmp_path / "fetched")
    assert (tmp_path / "fetched" / "weights").read_text() == "one"
    assert Path(made.stored.uri).is_relative_to(tmp_path / "mlruns" / "demand")
    assert {path.name for path in (tmp_path / "first").iterdir()} == {"one"}


def test_an_experiment_that_was_there_before_keeps_its_place(tmp_path, monkeypatch):
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tmp_path / "their").mkdir()
    monkeypatch.chdir(tmp_path / "their")
    MlflowClient(address).create_experiment("demand")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        [mode] = database.execute("PRAGMA journal_mode").fetchone()
    monkeypatch.chdir(tmp_path)
    registry = MlflowRegistry(address)
    run_id = registry.start_run("demand", name="a training", tags={})
    registry.put_file(run_id, "ifp/a.json", b"{}")
    assert [path.name for path in (tmp_path / "their" / "mlruns").rglob("a.json")] == ["a.json"]
    assert not (tmp_path / "mlruns").exists()
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == (mode,) == ("delete",)


def test_a_new_database_lets_readers_and_a_writer_work_side_by_side(tmp_path):
    MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}")
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_no_database_in_a_file_needs_no_lock(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in ("http://mlflow:5000", "postgresql://me@host/mlflow", "sqlite://", "sqlite:///:memory:"):
        assert database_file(address) is None
        with opening(address):
            pass
    assert list(tmp_path.iterdir()) == []
