"""The loop over an Airflow connection, in real Dag runs: a query that Airflow renders, to production."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

pytestmark = [pytest.mark.server, pytest.mark.airflow, pytest.mark.timeout(400)]

DAG = "stored-training-dag"


def test_a_model_trained_on_a_rendered_query_goes_to_production_and_no_log_has_the_password(loop):
    run = loop.run(DAG)
    assert set(run.tasks.values()) == {"success"}
    trained = loop.api.result(DAG, run.id, "train")
    provenance = loop.registry.get_file(trained["run_id"], "ifp/provenance.json")
    (data,) = json.loads(provenance)["data"]
    assert data["query"] == f"select ts, x, y from days where '{DAG}' = 'stored-training-dag'"
    assert (data["conn_id"], data["dialect"]) == ("warehouse", "sqlite")
    assert data["rows"] > 53 * 200
    logs = [loop.api.log(DAG, run.id, task) for task in ("train", "validate")]
    assert "open-sesame" not in "".join([*logs, provenance.decode()])
    assert loop.registry.aliases("stored") == {"production": "1"}

    # What was true of the answers lies in the same database, which the triggerer asks.
    now = datetime.now(UTC)
    within = (pc.field("ts") >= now - timedelta(days=5)) & (pc.field("ts") < now)
    answered = pq.read_table(loop.home / "data").filter(within)
    loop.log_answers("stored", "1", answered, name="stored")
    quiet = loop.run(DAG)
    assert (quiet.tasks["drift"], quiet.tasks["train"]) == ("success", "skipped")
    record = json.loads(loop.registry.get_file(trained["run_id"], "ifp/drift.json"))
    error = record["error"]
    assert (error["labelled"], error["answered"]) == (answered.num_rows, answered.num_rows)
    assert error["rmse"]["current"] == 0
    assert "open-sesame" not in loop.api.log(DAG, quiet.id, "drift") + json.dumps(record)
