"""What was written before modules moved is read after it: the same digests, the same answers.

`tests/written_before/write.py` says what lies there and how it came there; `expected.json` has what the code
that wrote it said of it.
"""

import asyncio
import json
import math
import os
import shutil
import sqlite3
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
import requests

import airflow_provider_ifp as ifp
from airflow_provider_ifp.cli import main
from airflow_provider_ifp.demo.services import free_port, own_environment, running_services
from airflow_provider_ifp.demo.stack import start_mlflow

pytestmark = pytest.mark.server

WRITTEN = Path(__file__).parents[1] / "written_before"
EXPECTED = json.loads((WRITTEN / "expected.json").read_text())
ASKED = pd.DataFrame(EXPECTED["asked"])
OTHERS_MAY_WRITE = 0o022


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with running_services(tmp_path_factory.mktemp("services")) as services:
        yield services


@pytest.fixture(scope="module")
def uri(services, tmp_path_factory):
    """The tracking URI of a real MLflow server over the registry that was written."""
    folder = tmp_path_factory.mktemp("registry")
    with closing(sqlite3.connect(folder / "mlflow.db")) as database:
        database.executescript((WRITTEN / "registry.sql").read_text())
    shutil.copytree(WRITTEN / "artifacts", folder / "artifacts")
    return start_mlflow(services, folder)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of all files, where this process works: with the times and rights that git does not keep."""
    shutil.copytree(WRITTEN, tmp_path, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "counts", tmp_path / "cache" / "counts")
    for path in (tmp_path / "log").rglob("*.parquet"):
        as_written(path)
    shutil.copytree(tmp_path / "log", tmp_path / "spare")
    for path in (tmp_path / "serving", *(tmp_path / "serving").rglob("*")):
        path.chmod(path.stat().st_mode & ~OTHERS_MAY_WRITE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def written(folder, uri, monkeypatch):
    """The copy, and the registry beside it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("AIRFLOW__IFP__CACHE_FOLDER", str(folder / "cache"))
    connection = {"conn_type": "ifp_registry", "host": uri}
    monkeypatch.setenv("AIRFLOW_CONN_IFP_DEFAULT", json.dumps(connection))
    return folder


def as_written(path):
    os.utime(path, ns=(EXPECTED["changed_ns"], EXPECTED["changed_ns"]))


def same(found, expected):
    """Whether a record has all that was expected: more keys may come, and logarithms differ by processor."""
    if isinstance(expected, dict):
        return found.keys() >= expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, float):
        return math.isclose(found, expected, rel_tol=1e-12)
    return (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize("said", EXPECTED["commands"], ids=lambda said: said["words"])
def test_a_command_answers_what_it_answered(written, capsys, said):
    code = main([*said["words"].split(), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == said["code"]
    assert same(found, said["answer"]), (found, said["answer"])


def test_a_dataset_has_the_profile_that_it_had(folder):
    assert main(["profile", "reference.parquet", "-o", "again.json"]) == 0
    assert Path("again.json").read_bytes() == Path("profile.json").read_bytes()


@pytest.mark.parametrize("version", EXPECTED["loaded"])
def test_a_version_loads_and_answers_what_it_answered(written, mlflow_models, version):
    answers = ifp.load("demand", version).predict(ASKED)["prediction"]
    assert same(answers.tolist(), EXPECTED["loaded"][version])


def test_what_the_pickle_of_a_version_names_is_found_where_it_was():
    assert len(EXPECTED["named_by_pickle"]) > 30
    for path in EXPECTED["named_by_pickle"]:
        module, _, name = path.rpartition(".")
        assert getattr(import_module(module), name)


def test_a_baseline_stands_and_answers_what_it_answered(written):
    watched = ifp.monitor("fares")
    stands = watched.baseline
    found = {"label": stands.label, "frozen": stands.frozen, "digest": stands.digest}
    assert found == EXPECTED["baseline"]
    assert same(watched.check("current.parquet").to_json(), EXPECTED["baseline_check"])


def check():
    """What the check answers whose trigger was written down, as a triggerer makes it again."""
    path, arguments = EXPECTED["trigger"]["path"], EXPECTED["trigger"]["arguments"]
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**arguments)
    assert trigger.serialize() == (path, arguments)
    return asyncio.run(anext(trigger.run())).payload


@pytest.mark.airflow
@pytest.mark.parametrize("cache", ["cache", "empty"])
def test_the_check_of_a_log_answers_what_it_answered(written, monkeypatch, cache):
    monkeypatch.setenv("AIRFLOW__IFP__CACHE_FOLDER", str(written / cache))
    result = check()["result"]
    assert result.pop("report")
    assert same(result, EXPECTED["trigger"]["result"]), result
    assert {path.name for path in written.glob(f"{cache}/counts/demand/*")} == {
        path.name for path in written.glob("counts/demand/*")
    }


@pytest.mark.airflow
def test_the_counts_that_a_check_left_are_used_and_no_row_of_the_log_is_read(written, monkeypatch):
    for path in (written / "log").rglob("*.parquet"):
        hollow_out(path)
    assert same(check()["result"]["features"], EXPECTED["trigger"]["result"]["features"])
    monkeypatch.setenv("AIRFLOW__IFP__CACHE_FOLDER", str(written / "empty"))
    assert "cannot be read" in check()["error"]


def hollow_out(path):
    """Leave nothing of a Parquet file but its footer; its size and its time of change stay."""
    content = path.read_bytes()
    footer = int.from_bytes(content[-8:-4], "little") + 8
    path.write_bytes(content[:4] + bytes(len(content) - footer - 4) + content[-footer:])
    as_written(path)


def test_a_server_answers_from_its_cache_while_the_registry_is_away_and_logs_what_a_spool_holds(
    folder, services
):
    url = f"http://127.0.0.1:{free_port()}"
    command = ("serve", "demand", "--port", url.rpartition(":")[2], "--tracking-uri", EXPECTED["registry"])
    places = ("--cache", "serving", "--log", EXPECTED["spooled"])
    services.start("serve", ["-m", "airflow_provider_ifp", *command, *places], own_environment())
    services.wait_until(lambda: requests.get(f"{url}/ping", timeout=5).ok, what="the server", seconds=60)
    records = {"dataframe_records": EXPECTED["asked"]}
    reply = requests.post(f"{url}/invocations", json=records, timeout=30)
    assert reply.headers["x-model-version"] == "1"
    assert same(reply.json()["predictions"], EXPECTED["served"])
    services.wait_until(lambda: any(folder.glob("spooled/**/*.parquet")), what="the spool", seconds=60)
    (path,) = folder.glob("spooled/model=demand/stage=production/date=2024-02-03/hour=00/*.parquet")
    logged = pq.ParquetFile(path).read().to_pylist()
    assert [(row["request_id"], row["row"]) for row in logged] == [("last", 0), ("last", 1), ("last", 2)]
    assert same([{"prediction": row["prediction"]} for row in logged], EXPECTED["served"])
