"""`ifp reproduce` and ReproduceOperator: what they print, push, answer by, and leave when they are ended."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from airflow_provider_ifp.cli import main

START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module", autouse=True)
def without_torch(tmp_path_factory):
    """Trainers without torch, which takes seconds to import."""
    folder = tmp_path_factory.mktemp("without-torch")
    (folder / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture
def on_server(loop, server_registry, model):
    loop.registry, loop.model = server_registry, model
    loop.train(params={"mishap": "naps"})
    return loop


@pytest.mark.server
def test_the_command_prints_the_answer_alone_and_exits_by_it(on_server, mlflow_uri, capsys):
    words = ["reproduce", on_server.model, "1", "--tracking-uri", mlflow_uri]
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    answer = json.loads(printed.out)
    assert (answer["answer"], answer["version"]) == ("bitwise", "1")
    assert "param seed = 7" in printed.err
    version = on_server.registry.version(on_server.model, "1")
    assert json.loads(version.tags["ifp.reproduced"])["answer"] == "bitwise"
    assert json.loads(on_server.registry.get_file(version.run_id, "ifp/reproduction.json")) == answer
    rows = on_server.rows(START, days=60)
    on_server.write_data(rows.slice(1_000))
    assert main(words) == 1
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(
        f"{on_server.model} version 1: impossible: the data was overwritten: 2,400 rows ->"
    )
    assert shown[1].startswith("  code: the version's own code/")


@pytest.mark.server
def test_wrong_use_is_told_in_a_line(server_registry, add_version, mlflow_uri, model, capsys):
    add_version(server_registry, model)
    capsys.readouterr()  # MLflow's own words about the run
    for words, told in (
        (["7"], "has no version '7'"),
        (["@production"], "has no version at @production"),
        (["1", "--tolerance", "-1"], "'-1' is not a number of 0 or more"),
        (["1", "--keep", "."], "--keep .: is there already"),
    ):
        try:
            code = main(["reproduce", model, *words, "--tracking-uri", mlflow_uri])
        except SystemExit as wrong:
            code = wrong.code
        printed = capsys.readouterr()
        assert (code, printed.out) == (2, "")
        assert told in printed.err
        assert "Traceback" not in printed.err


@pytest.mark.server
def test_a_command_that_is_ended_leaves_no_trainer_and_no_folder(on_server, mlflow_uri, tmp_path):
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    words = ["reproduce", on_server.model, "1", "--tracking-uri", mlflow_uri]
    code = "import sys; from airflow_provider_ifp.cli import main; sys.exit(main(sys.argv[1:]))"
    command = subprocess.Popen(
        [sys.executable, "-c", code, *words], env={**os.environ, "TMPDIR": str(scratch)}
    )
    deadline = time.monotonic() + 120
    while not list(scratch.glob("ifp-reproduce-*/work/checkpoints/napping")):
        assert time.monotonic() < deadline
        assert command.poll() is None
        time.sleep(0.1)
    command.send_signal(signal.SIGTERM)
    assert command.wait(30) == 143
    assert list(scratch.glob("ifp-*")) == []
    running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(scratch) not in running


@pytest.mark.airflow
@pytest.mark.server
def test_the_operator_pushes_its_answer_before_it_fails(on_server, mlflow_uri, tmp_path, monkeypatch):
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_provider_ifp.operators.reproduce import ReproduceOperator

    monkeypatch.setenv(
        "AIRFLOW_CONN_IFP_DEFAULT", json.dumps({"conn_type": "ifp_registry", "host": mlflow_uri})
    )
    monkeypatch.setenv("AIRFLOW__IFP__CACHE_FOLDER", str(tmp_path / "cache"))
    pushed = {}
    task = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    operator = ReproduceOperator(task_id="reproduce", model=on_server.model, version="1")
    answer = operator.execute({"ti": task})
    assert (answer["answer"], pushed) == ("bitwise", {})
    on_server.write_data(on_server.rows(START, days=60, seed=1))
    with pytest.raises(AirflowFailException, match="version 1: impossible: the data was overwritten"):
        operator.execute({"ti": task})
    assert pushed["return_value"]["answer"] == "impossible"
    assert list((tmp_path / "cache" / "reproduce").iterdir()) == []
