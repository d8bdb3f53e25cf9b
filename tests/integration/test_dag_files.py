"""Dag files as Airflow reads them: what they load, which Dags they make, and what a wrong policy does."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from airflow.sdk import DAG
from tests import seed

from airflow_provider_ifp.dag_factory import build_dags
from airflow_provider_ifp.demo.services import own_environment

pytestmark = pytest.mark.airflow

DAGS = Path(__file__).parents[2] / "dags"
HEAVY = {"mlflow", "torch", "pandas", "pyarrow", "scipy"}


def tasks_in_order(dag: DAG):
    """Task ids from the first to the last; each comes after all before it."""
    before = {task.task_id: len(task.get_flat_relative_ids(upstream=True)) for task in dag.tasks}
    assert sorted(before.values()) == list(range(len(before)))
    return sorted(before, key=before.get)


def optional_params(dag):
    """Each param of the form, and whether it may be left empty."""
    schemas = {name: dag.params.get_param(name).schema for name in dag.params}
    return {name: "null" in schema["type"] for name, schema in schemas.items()}


def dags_of(folder, text, name="policy.yaml"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return build_dags(folder)


def policy_text(**changes):
    """The demo's policy with some of its keys laid over."""
    policy = yaml.safe_load((DAGS / "policies" / "flight-time.yaml").read_text(encoding="utf-8"))
    return yaml.safe_dump({**policy, **changes})


@pytest.fixture
def dags_folder(tmp_path):
    """The repository's Dag file over ten policies; the tenth, on its fourth line, has a misspelt key."""
    folder = tmp_path / "dags"
    (folder / "policies").mkdir(parents=True)
    shutil.copy(DAGS / "ifp_loop.py", folder)
    for number in range(1, 10):
        (folder / "policies" / f"model-{number}.yaml").write_text(policy_text(model=f"model-{number}"))
    broken = "model: model-10\nmonitor:\n  evaluation_window: 7d\n  min_row: 500\n"
    (folder / "policies" / "model-10.yaml").write_text(broken)
    return folder


@pytest.fixture
def loop(tmp_path):
    return dags_of(tmp_path / "policies", policy_text())


@pytest.fixture
def in_fresh_airflow(tmp_path):
    """Run code in a fresh process with an Airflow home of its own; gives what it left in `answer`."""

    def run(code):
        script = f"{code}\nimport json\nopen('answer.json', 'w').write(json.dumps(answer))"
        environment = own_environment(AIRFLOW_HOME=str(tmp_path), AIRFLOW__CORE__LOAD_EXAMPLES="False")
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
        return json.loads((tmp_path / "answer.json").read_text(encoding="utf-8"))

    return run


def test_a_dag_file_with_ten_policies_is_parsed_without_anything_heavy(dags_folder, in_fresh_airflow):
    shutil.copy(dags_folder / "policies" / "model-1.yaml", dags_folder / "policies" / "model-10.yaml")
    text = (dags_folder / "policies" / "model-10.yaml").read_text().replace("model-1", "model-10")
    (dags_folder / "policies" / "model-10.yaml").write_text(text)
    answer = in_fresh_airflow(f"""
import runpy, sys
from airflow.sdk import DAG
made = runpy.run_path({str(dags_folder / "ifp_loop.py")!r})
dags = [name for name, value in made.items() if isinstance(value, DAG)]
answer = {{"dags": dags, "loaded": sorted({{name.split(".")[0] for name in sys.modules}})}}
""")
    assert len(answer["dags"]) == 30
    assert "airflow" in answer["loaded"]
    assert HEAVY & set(answer["loaded"]) == set()


def test_a_broken_policy_is_an_import_error_of_its_own_and_the_nine_others_have_their_dags(
    dags_folder, in_fresh_airflow
):
    answer = in_fresh_airflow(f"""
from airflow.dag_processing.dagbag import DagBag
bag = DagBag({str(dags_folder)!r})
errors = {{str(file): text for file, text in bag.import_errors.items()}}
answer = {{"dags": sorted(bag.dags), "errors": errors}}
""")
    assert len(answer["dags"]) == 27
    assert {name.rpartition("-")[0] for name in answer["dags"]} == {
        f"model-{number}{kind}" for number in range(1, 10) for kind in ("-training", "")
    }
    broken = dags_folder / "policies" / "model-10.yaml"
    assert len(answer["errors"]) == 1
    message = next(iter(answer["errors"].values()))
    assert f"{broken}:4:3: " in message
    assert "did you mean 'min_rows'?" in message


def test_the_seeds_validation_policy_makes_no_dag(tmp_path):
    assert dags_of(tmp_path / "policies", seed.VALIDATION) == {}


def test_the_seeds_monitor_policy_makes_a_dag_that_watches_and_triggers(tmp_path):
    dags = dags_of(tmp_path / "policies", seed.MONITOR)
    assert {name: tasks_in_order(dag) for name, dag in dags.items()} == {
        "revenue-forecast-monitor": ["drift", "trigger"],
        "revenue-forecast-rollback": ["rollback"],
        "revenue-forecast-promote": ["promote"],
    }
    trigger = dags["revenue-forecast-monitor"].get_task("trigger")
    assert trigger.trigger_dag_id == "revenue-forecast-training-dag"


def test_the_training_dag_goes_from_drift_to_production(loop):
    assert tasks_in_order(loop["flight-time-training-dag"]) == [
        "drift",
        "train",
        "validate",
        "promote_staging",
        "promote_shadow",
        "shadow",
        "promote_production",
    ]


def test_the_forms_ask_only_for_what_must_be_given(loop):
    assert {name: optional_params(dag) for name, dag in loop.items()} == {
        "flight-time-training-dag": {
            "force": False,
            "reason": True,
            "train_params": True,
            "stop_at": False,
            "as_of": True,
        },
        "flight-time-rollback": {"to_version": True, "reason": True},
        "flight-time-promote": {"version": False, "to": False, "reason": False},
    }
    # A param that is not optional has a default, but for what only the person who promotes can know.
    empty = {
        (name, param)
        for name, dag in loop.items()
        for param, optional in optional_params(dag).items()
        if not optional and not dag.params.get_param(param).has_value
    }
    assert empty == {("flight-time-promote", "version"), ("flight-time-promote", "reason")}


@pytest.mark.parametrize(
    ("last", "stages"), [("staging", ["staging"]), ("production", ["staging", "production"])]
)
def test_stop_at_offers_the_stages_that_the_policy_allows_and_the_dag_has_a_task_for_each(
    tmp_path, last, stages
):
    validation = {"max_rmse": 14, "promote_on_pass": last}
    text = policy_text(validation=validation, shadow={"mode": "off"})
    dag = dags_of(tmp_path / "policies", text)["flight-time-training-dag"]
    stop_at = dag.params.get_param("stop_at")
    assert (stop_at.schema["enum"], stop_at.value) == (stages, last)
    assert tasks_in_order(dag)[3:] == [f"promote_{stage}" for stage in stages]


@pytest.mark.parametrize("mode", ["replay", "live"])
def test_with_the_shadow_on_its_gate_stands_before_production_and_production_asks_for_its_verdict(
    tmp_path, mode
):
    text = policy_text(shadow={"mode": mode})
    dag = dags_of(tmp_path / "policies", text)["flight-time-training-dag"]
    assert tasks_in_order(dag)[2:] == [
        "validate",
        "promote_staging",
        "promote_shadow",
        "shadow",
        "promote_production",
    ]
    judges = {
        stage: dag.get_task(f"promote_{stage}").verdict.operator.task_id
        for stage in ("staging", "shadow", "production")
    }
    assert judges == {"staging": "validate", "shadow": "validate", "production": "shadow"}
    assert dag.params.get_param("stop_at").schema["enum"] == ["staging", "shadow", "production"]


def test_a_path_that_ends_in_shadow_ends_with_its_gate(tmp_path):
    text = policy_text(shadow={"mode": "replay"}, validation={"max_rmse": 14, "promote_on_pass": "shadow"})
    dag = dags_of(tmp_path / "policies", text)["flight-time-training-dag"]
    assert tasks_in_order(dag)[3:] == ["promote_staging", "promote_shadow", "shadow"]


def test_one_run_at_a_time_and_a_dag_that_is_run_by_hand_waits_for_nobody_to_unpause_it(loop):
    assert {dag.max_active_runs for dag in loop.values()} == {1}
    assert {name: dag.is_paused_upon_creation for name, dag in loop.items()} == {
        "flight-time-training-dag": None,
        "flight-time-rollback": False,
        "flight-time-promote": False,
    }
    assert {dag.schedule for dag in loop.values()} == {None}


@pytest.mark.parametrize("place", ["top", "on_trigger"])
def test_pipeline_names_the_training_dag(tmp_path, place):
    monitor = yaml.safe_load(policy_text())["monitor"]
    changes = (
        {"pipeline": "retrain-flights"}
        if place == "top"
        else {"monitor": {**monitor, "on_trigger": {"action": "retrain", "pipeline": "retrain-flights"}}}
    )
    dags = dags_of(tmp_path / "policies", policy_text(**changes))
    assert set(dags) == {"retrain-flights", "flight-time-rollback", "flight-time-promote"}


def test_what_the_policy_says_of_its_dag_stands_in_the_dag(tmp_path):
    changes = {"owner": "ml-team", "schedule": "0 6 * * *", "tags": ["travel"]}
    dag = dags_of(tmp_path / "policies", policy_text(**changes))["flight-time-training-dag"]
    assert {task.owner for task in dag.tasks} == {"ml-team"}
    assert (dag.schedule, dag.tags) == ("0 6 * * *", {"ifp", "flight-time", "travel"})
