"""The loop under a real scheduler, triggerer and API server, over a real MLflow.

The tests of model `line` stand in the order in which its stages go on; meanwhile the others run, each a
model's own.
"""

import json

import psutil
import pytest

from airflow_provider_ifp.adapters.registry.ledger import read_ledger

pytestmark = [pytest.mark.server, pytest.mark.airflow, pytest.mark.timeout(400)]

LINE = "line-training-dag"
TASKS = ["drift", "train", "validate", "promote_staging", "promote_production"]
COUNTED_AHEAD = "the log is counted on the bins of line's production"


def asset_events(loop, uri):
    """The `extra` of each event of an asset, the oldest first."""
    (asset,) = loop.api._get(f"assets?uri_pattern={uri}")["assets"]
    path = f"assets/events?asset_id={asset['id']}&order_by=timestamp"
    # Airflow 3.3.2 answers 500 as long as a run that the event created is queued.
    loop.services.wait_until(
        lambda: loop.api._session.get(f"{loop.api._root}/{path}").ok, what="the asset's events", seconds=30
    )
    return [event["extra"] for event in loop.api._get(path)["asset_events"]]


@pytest.fixture(scope="module")
def first(loop, others):
    """The first run of `line`, and how its task `drift` looked while it was deferred."""
    seen = []

    def look(run_id):
        found = loop.api._get(f"dags/{LINE}/dagRuns/{run_id}/taskInstances/drift")
        if found["state"] == "deferred" and found["trigger"]:
            seen.append(found["trigger"]["classpath"])

    run = loop.run(LINE, on_look=look)
    run.seen = seen
    return run


def test_the_check_is_deferred_to_the_triggerer(first):
    assert set(first.seen) == {"airflow_provider_ifp.triggers.drift.DriftTrigger"}


def test_without_production_the_loop_fires_and_goes_to_production(loop, first):
    assert first.tasks == dict.fromkeys(TASKS, "success")
    drift = loop.api.result(LINE, first.id, "drift")
    assert (drift["fired"], drift["decided"], drift["reasons"]) == (True, True, ["no production version"])
    trained = loop.api.result(LINE, first.id, "train")
    assert set(trained) == {"model", "version", "run_id", "content_digest", "build_key", "reused"}
    assert loop.api.result(LINE, first.id, "promote_production") == {
        "model": "line",
        "version": "1",
        "stage": "production",
        "replaced": None,
        "event": 3,
    }
    assert loop.registry.aliases("line") == {"production": "1"}
    actors = {event.actor for event in read_ledger(loop.registry, "line").events}
    assert actors == {f"airflow:{LINE}/{first.id}/{task}" for task in TASKS[2:]}
    said = loop.api.log(LINE, first.id, "promote_production")
    assert "nothing is counted ahead of the next check: prediction log: " in said
    assert "Downloading artifacts" not in said


def test_the_trainers_output_stands_in_the_tasks_log_and_its_metrics_in_mlflow(loop, first):
    assert "metric rows = " in loop.api.log(LINE, first.id, "train")
    run_id = loop.api.result(LINE, first.id, "train")["run_id"]
    run = loop.registry._client.get_run(run_id)
    provenance = json.loads(loop.registry.get_file(run_id, "ifp/provenance.json"))
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == provenance["data"][0]["rows"] > 53 * 200
    assert provenance["airflow"]["run_id"] == first.id


def test_a_firing_and_a_promotion_to_production_are_asset_events(loop, first):
    assert asset_events(loop, "ifp://line/drift") == [{"reasons": ["no production version"]}]
    promoted = asset_events(loop, "ifp://line/production")
    assert [(event["version"], event["stage"]) for event in promoted] == [("1", "production")]


def test_a_dag_of_another_hand_follows_the_assets(loop, first):
    def followed():
        runs = loop.api._get("dags/follower/dagRuns")["dag_runs"]
        return bool(runs) and {run["run_type"] for run in runs} == {"asset_triggered"}

    loop.services.wait_until(followed, what="a run of the follower", seconds=30)


def production_run(loop):
    return loop.registry.version("line", "1").run_id


def report_of(loop, run, task, dag=LINE):
    """The address behind the task's button `Report` in Airflow's pages."""
    [address] = loop.api._get(f"dags/{dag}/dagRuns/{run.id}/taskInstances/{task}/links")[
        "extra_links"
    ].values()
    return address


def test_a_quiet_check_skips_what_follows_and_the_run_succeeds(loop, first):
    loop.answer("line", "1")
    quiet = loop.run(LINE)
    assert quiet.state == "success"
    assert quiet.tasks == {"drift": "success", **dict.fromkeys(TASKS[1:], "skipped")}
    drift = loop.api.result(LINE, quiet.id, "drift")
    assert (drift["fired"], drift["decided"]) == (False, True)
    assert drift["rows"]["current"] == 1_200
    assert {feature["name"] for feature in drift["features"]} == {"x", "prediction"}
    assert report_of(loop, quiet, "drift").endswith(f"/runs/{production_run(loop)}/artifacts/ifp/drift.html")
    page = loop.registry.get_file(production_run(loop), "ifp/drift.html")
    assert b'<span class="pass">no drift</span>' in page
    assert len(asset_events(loop, "ifp://line/drift")) == 1


def test_a_forced_run_that_stops_at_staging_leaves_the_new_version_waiting_there(loop, first):
    forced = loop.run(LINE, force=True, reason="try", stop_at="staging", train_params={"other": 1})
    assert forced.state == "success"
    assert forced.tasks == {**dict.fromkeys(TASKS, "success"), "promote_production": "skipped"}
    assert loop.registry.aliases("line") == {"production": "1", "staging": "2"}
    verdict = loop.api.result(LINE, forced.id, "validate")
    assert (verdict["verdict"], verdict["compared_to"]) == ("pass", "1")
    after = loop.run(LINE)
    assert loop.api.result(LINE, after.id, "drift")["reasons"] == ["version 2 waits in staging"]
    assert after.tasks["train"] == "skipped"


def test_a_person_promotes_by_hand_with_a_reason(loop, first):
    moved = loop.run("line-promote", version="2", to="production", reason="looked at it")
    assert moved.state == "success"
    assert loop.registry.aliases("line") == {"production": "2"}
    event = read_ledger(loop.registry, "line").events[-1]
    assert (event.by, event.reason, event.replaced) == ("person", "looked at it", "1")
    assert event.actor.startswith("admin (airflow:line-promote/")
    assert asset_events(loop, "ifp://line/production")[-1]["version"] == "2"
    assert COUNTED_AHEAD in loop.api.log("line-promote", moved.id, "promote")


def test_the_rollback_dag_puts_the_last_good_version_back(loop, first):
    back = loop.run("line-rollback")
    assert back.state == "success"
    assert loop.registry.aliases("line") == {"production": "1"}
    assert loop.api.result("line-rollback", back.id, "rollback")["replaced"] == "2"
    assert asset_events(loop, "ifp://line/production")[-1]["version"] == "1"
    assert COUNTED_AHEAD in loop.api.log("line-rollback", back.id, "rollback")
    refused = loop.run("line-promote", version="9", to="staging", reason="no such version")
    assert refused.state == "failed"
    assert "line has no version '9'" in loop.api.log("line-promote", refused.id, "promote")


def test_drift_fires_and_a_build_like_production_s_own_is_reused_and_ends_the_run(loop, first):
    loop.answer("line", "1", shift=2.0)
    # As of the time of the first run, so that training's window and with it the build key is the same.
    fired = loop.run(LINE, as_of=loop.api._get(f"dags/{LINE}/dagRuns/{first.id}")["run_after"])
    drift = loop.api.result(LINE, fired.id, "drift")
    assert drift["fired"]
    # The answers drift with x, and may have drifted farther.
    assert " x drifted: PSI " in drift["reasons"][0]
    assert {one["name"]: one["verdict"] for one in drift["features"]}["x"] == "drifted"
    assert loop.api.result(LINE, fired.id, "train")["reused"] is True
    assert fired.tasks == {"drift": "success", **dict.fromkeys(TASKS[1:], "skipped")}
    assert "version 1, which is in production already" in loop.api.log(LINE, fired.id, "train")


def test_a_gate_that_says_no_fails_its_task_at_once_and_nothing_is_promoted(loop, others):
    run = loop.end("strict-training-dag", others["strict"])
    assert run.state == "failed"
    assert run.tasks == {
        "drift": "success",
        "train": "success",
        "validate": "failed",
        "promote_staging": "upstream_failed",
        "promote_production": "upstream_failed",
    }
    task = loop.api._get(f"dags/strict-training-dag/dagRuns/{run.id}/taskInstances/validate")
    assert (task["try_number"], task["max_tries"]) == (1, 1)
    verdict = loop.api.result("strict-training-dag", run.id, "validate")
    assert verdict["verdict"] == "fail"
    assert verdict["reason"].startswith("rmse 0.")
    assert report_of(loop, run, "validate", "strict-training-dag").endswith("/artifacts/ifp/validation.html")
    ledger = read_ledger(loop.registry, "strict")
    assert [(event.action, event.verdict) for event in ledger.events] == [("judge", "fail")]
    assert ledger.stages == {}


def test_killing_the_training_task_ends_its_process_tree_and_registers_nothing(loop, others):
    dag, pids = "slow-training-dag", loop.home / "pids"
    killed = []

    def kill_once_it_trains(run_id):
        if killed or not pids.exists() or len(pids.read_text().split()) < 2:
            return
        killed.extend(psutil.Process(int(pid)) for pid in pids.read_text().split())
        answer = loop.api._session.patch(
            f"{loop.api._root}/dags/{dag}/dagRuns/{run_id}/taskInstances/train",
            json={"new_state": "failed"},
        )
        assert answer.ok, answer.text

    run = loop.end(dag, others["slow"], on_look=kill_once_it_trains)
    assert run.state == "failed"
    assert len(killed) == 2
    _, alive = psutil.wait_procs(killed, timeout=20)
    assert not alive
    assert loop.registry.versions("slow") == ()
    assert "slow" not in [entry.name for entry in loop.registry._client.search_registered_models()]


def test_a_scheduled_policy_runs_by_itself_once_its_dag_is_unpaused(loop, others):
    assert loop.end("daily-training-dag", others["daily"]).state == "success"
    assert loop.registry.aliases("daily") == {"production": "1"}
    # The time of the run is the end of its interval, the midnight before: the holdout ends there.
    verdict = loop.api.result("daily-training-dag", others["daily"], "validate")
    assert verdict["checks"][0]["rows"] == 7 * 200
    # Its policy has the shadow on; nobody answers yet, so there is nothing to hold the candidate against.
    shadow = loop.api.result("daily-training-dag", others["daily"], "shadow")
    assert (shadow["gate"], shadow["verdict"], shadow["compared_to"]) == ("shadow", "pass", None)
    moves = [event.target for event in read_ledger(loop.registry, "daily").events if event.target]
    assert moves == ["staging", "shadow", "production"]


def test_a_wrong_policy_shows_as_import_error_of_its_own_file_and_takes_no_other_dag_away(loop):
    # Airflow drops it at each refresh of the bundle, and has it again once the Dag file is read again.
    loop.services.wait_until(lambda: bool(loop.api.import_errors()), what="the import error", seconds=30)
    ((file, text),) = loop.api.import_errors().items()
    assert file == "policies/wrong.yaml"
    assert "wrong.yaml:2:1: validaton: unknown key; did you mean 'validation'?" in text
    assert loop.api.knows(LINE)
