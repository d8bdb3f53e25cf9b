"""`ifp replay` and ShadowGateOperator: what they print, push, and answer by."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from tests.integration.loop.shadow.test_gate import FEATURES, log

from airflow_provider_ifp.cli import main
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.gates.scoring import score_versions

pytestmark = pytest.mark.server

NOW = datetime(2024, 2, 1, tzinfo=UTC)
HOLDOUT = Window(NOW - timedelta(days=5), NOW)


@pytest.fixture
def served(loop, server_registry, model, mlflow_uri, monkeypatch):
    """Version 1 is in production, and answered the holdout's rows; Airflow's connection is there."""
    monkeypatch.setenv(
        "AIRFLOW_CONN_IFP_DEFAULT", json.dumps({"conn_type": "ifp_registry", "host": mlflow_uri})
    )
    loop.registry, loop.model = server_registry, model
    version = loop.train()["version"]
    loop.put(version)
    table = loop.rows(HOLDOUT.start, days=5, seed=1)
    answers = score_versions(loop.registry, [loop.registry.version(model, version)], table, list(FEATURES))
    log(loop, lambda _: answers[version].prediction, version, table)
    return loop


def write_policy(loop, model, **shadow):
    path = loop.home / f"{model}.yaml"
    path.write_text(json.dumps({"model": model, "shadow": {"min_pairs": 500, **shadow}}))
    return path


def context(task_id, pushed):
    """What a task of Airflow is handed; what it pushes is in `pushed`."""
    task = SimpleNamespace(
        xcom_push=lambda key, value: pushed.update({key: value}),
        dag_id="d",
        run_id="r",
        task_id=task_id,
        map_index=-1,
    )
    return {"ti": task, "dag_run": SimpleNamespace(triggering_user_name=None)}


@pytest.mark.airflow
def test_the_command_prints_the_verdict_alone_and_the_operator_pushes_it_before_it_fails(
    served, mlflow_uri, capsys
):
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_provider_ifp.operators.shadow import ShadowGateOperator

    words = ["replay", served.model, "--candidate", "1", "--production", "@production"]
    words += ["--log", str(served.home / "log"), "--tracking-uri", mlflow_uri]
    events = served.ledger.events
    latency = {"max_latency_ratio": {"p50": 20}, "max_disagreement": 0.05}
    passing = write_policy(served, served.model, **latency)
    assert main([*words, "--policy", str(passing), "--json"]) == 0
    verdict = json.loads(capsys.readouterr().out)
    assert (verdict["verdict"], verdict["gate"], verdict["compared_to"]) == ("pass", "shadow", "1")
    assert main(words) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{served.model} version 1: inconclusive: 600 pairs, 1,000 needed")
    assert served.ledger.events == events

    pushed = {}
    operator = ShadowGateOperator(
        task_id="shadow", policy=served.policy(shadow={"mode": "replay"}), version="1", as_of=NOW.isoformat()
    )
    with pytest.raises(AirflowFailException, match="version 1: inconclusive: 600 pairs, 1,000 needed"):
        operator.execute(context("shadow", pushed))
    assert pushed["return_value"]["verdict"] == "inconclusive"
    assert operator.report.endswith("/artifacts/ifp/shadow.html")
    assert served.ledger.events[-1].verdict == "inconclusive"


@pytest.mark.airflow
@pytest.mark.parametrize("mode", ["dry_run", "enforce"])
def test_word_is_sent_of_a_gate_that_says_no_whether_it_stops_anything_or_not(served, monkeypatch, mode):
    from airflow.sdk.exceptions import AirflowFailException

    from airflow_provider_ifp.notifications import slack
    from airflow_provider_ifp.operators.validation import ValidationGateOperator

    sent, pushed = [], {}
    monkeypatch.setattr(slack, "post", lambda *message: sent.append(message))
    rules = {"max_rmse": 0.001, "mode": mode, "notify_on_fail": [{"slack": "#ml-ops"}]}
    operator = ValidationGateOperator(
        task_id="validate", policy=served.policy(validation=rules), version="1", as_of=NOW.isoformat()
    )
    if mode == "dry_run":
        assert operator.execute(context("validate", pushed))["verdict"] == "fail"
    else:
        with pytest.raises(AirflowFailException, match="version 1: fail: rmse"):
            operator.execute(context("validate", pushed))
        assert pushed["return_value"]["verdict"] == "fail"
    ((channel, text),) = sent
    assert channel == "#ml-ops"
    stops = " (dry_run: nothing is stopped)" if mode == "dry_run" else ""
    assert text.startswith(f"validation gate{stops}: {served.model} version 1: fail: rmse")


def test_wrong_use_is_told_in_a_line(loop, server_registry, add_version, model, capsys):
    add_version(server_registry, model)
    base = ["replay", model, "--log", str(loop.home / "log"), "--tracking-uri", server_registry.uri]
    other = write_policy(loop, "another")
    for words, told in (
        (["--candidate", "1", "--production", "7"], "has no version '7'"),
        (["--candidate", "1", "--production", "1", "--policy", str(other)], "is of model 'another'"),
        (["--candidate", "1", "--production", "1"], "on record"),
        (["--candidate", "1"], "the following arguments are required: --production"),
    ):
        capsys.readouterr()
        try:
            code = main([*base, *words])
        except SystemExit as wrong:
            code = wrong.code
        printed = capsys.readouterr()
        assert (code, printed.out) == (2, "")
        assert told in printed.err
        assert "Traceback" not in printed.err
