"""The shadow gate in the loop: requests are answered again, the verdict is on record, then it counts."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.log.predictions import read_log, write_predictions
from airflow_provider_ifp.core.errors import PredictionLogError, PromotionRefusedError
from airflow_provider_ifp.core.windows import Window
from airflow_provider_ifp.loop.shadow.gate import shadow
from airflow_provider_ifp.loop.shadow.log import Log
from airflow_provider_ifp.loop.shadow.mirrored import count_mirrored

NOW = datetime(2024, 2, 1, tzinfo=UTC)
PERIOD = Window(NOW - timedelta(days=5), NOW)
FEATURES = ("x", "z", "region")


def answering(slope, west=1.0):
    """A model whose answers grow by this slope; in the west, which no holdout has, by this factor besides."""

    def predict(frame):
        plain = 20 + slope * frame["x"] - frame["z"] + 2 * (frame["region"] == "north")
        return np.where(frame["region"] == "west", west * plain, plain)

    return predict


def raising_in_the_west(frame):
    if (frame["region"] == "west").any():
        raise ValueError("no west in my vocabulary")
    return answering(3)(frame)


def requests(loop, west=0):
    """Five days of requests, the first of them from the west."""
    table = loop.rows(PERIOD.start, days=5, seed=1)
    region = np.array(table["region"].to_pylist(), dtype=object)
    region[np.arange(west) * 7] = "west"
    return table.set_column(table.schema.get_field_index("region"), "region", pa.array(region, pa.string()))


def log(loop, predict, version, table, stage="production", **columns):
    """Log what a version answers to the requests."""
    features = pa.StructArray.from_arrays([table[name].combine_chunks() for name in FEATURES], list(FEATURES))
    rows = {
        "request_id": table["request_id"],
        "row": pa.array([0] * table.num_rows, pa.int32()),
        "ts": table["ts"],
        "model_version": [version] * table.num_rows,
        "features": features,
        "prediction": pa.array(np.asarray(predict(table.to_pandas()), dtype=float)),
        **columns,
    }
    write_predictions(str(loop.home / "log"), loop.model, stage, pa.table(rows))


def policy(loop, mode="replay", **sections):
    limits = {"min_pairs": 500, "max_latency_ratio": {"p50": 20.0}, **sections.pop("shadow", {})}
    return loop.policy(shadow={"mode": mode, **limits}, **sections)


def judged(loop, candidate, **sections):
    version = loop.register(candidate) if callable(candidate) else candidate
    return shadow(loop.registry, policy(loop, **sections), version, now=NOW, attempt=loop.attempt())


def checks(verdict):
    return {check.name: check for check in verdict.checks}


def kept(loop, version, name):
    return loop.registry.get_file(loop.registry.version("demand", version).run_id, name)


def replayed(loop):
    root = str(loop.home / "log")
    return read_log(root, "demand", "replay", PERIOD, [], log_columns=["model_version", "prediction"])


@pytest.fixture(scope="module")
def production(module_loop):
    """A loop with a production of an old slope, and its log, a tenth of it from the west."""
    table = requests(module_loop, west=60)
    old = answering(2)
    module_loop.put(module_loop.register(old))
    log(module_loop, old, "1", table)
    return module_loop


def test_a_retrained_candidate_passes_and_is_on_record_and_its_answers_are_in_the_log(production):
    version = production.register(answering(2.2))
    verdict = judged(production, version, shadow={"max_disagreement": 0.2})
    assert (verdict.verdict, verdict.gate, verdict.compared_to) == ("pass", "shadow", "1")
    found = checks(verdict)
    assert found["fidelity"].reason == "production answers 600 of 600 logged requests as it did"
    assert found["error_rate"].value < 0.01
    assert found["latency_p50"].rows == 300
    assert json.loads(kept(production, version, "ifp/shadow.json")) == verdict.to_json()
    assert kept(production, version, "ifp/shadow.html") == kept(production, version, "ifp/report.html")
    event = production.ledger.judgement(version)
    assert (event.verdict, event.promotes) == ("pass", True)
    rows = replayed(production)
    assert rows.num_rows == 600
    assert set(rows["model_version"].to_pylist()) == {version}


def test_a_candidate_that_answers_wildly_where_the_holdout_has_nothing_fails_and_is_not_promoted(production):
    version = production.register(answering(2.2, west=10.0))
    production.judge(version)
    verdict = judged(production, version)
    assert verdict.verdict == "fail"
    assert checks(verdict)["slice_alarm"].slice == "region=west"
    assert "region=west: 60 requests, none like them in the holdout (60 expected)" in verdict.reason
    with pytest.raises(PromotionRefusedError, match="its gate said fail"):
        loop_promotes(production, version)
    assert production.ledger.waiting() is None


def loop_promotes(loop, version):
    from airflow_provider_ifp.loop.registry.move import promote

    promote(loop.registry, loop.model, version, "production", attempt=loop.attempt(), expected="1")


def test_requests_that_the_candidate_cannot_answer_are_errors_by_number(production):
    verdict = judged(production, raising_in_the_west)
    check = checks(verdict)["error_rate"]
    assert (check.verdict, check.rows) == ("fail", 600)
    assert check.reason.startswith("60 of 600 answers are errors")


def test_with_no_production_yet_the_gate_passes_and_says_why(loop):
    verdict = judged(loop, answering(3))
    assert (verdict.verdict, verdict.compared_to) == ("pass", None)
    assert verdict.reason.startswith("no production version yet")


def test_a_log_that_production_does_not_answer_to_decides_nothing(loop):
    loop.put(loop.register(answering(2)))
    with pytest.raises(PredictionLogError, match="log"):
        judged(loop, answering(2))
    log(loop, answering(1.5), "1", requests(loop))
    verdict = judged(loop, "1")
    assert (verdict.verdict, verdict.promotes) == ("inconclusive", False)
    assert "of 600 logged requests as it did; 99.9% needed" in verdict.reason


def test_live_pairs_are_judged_as_the_server_logged_them(loop):
    table = requests(loop, west=60)
    loop.put(loop.register(answering(2)))
    version = loop.register(answering(2.0, west=10.0))
    took = pa.array([900] * 600, pa.int32())
    log(loop, answering(2), "1", table, compute_us=took)
    where = Log(str(loop.home / "log"), "demand", FEATURES)
    assert count_mirrored(where, (version, "1"), PERIOD).pairs == 0
    mirrored = table.slice(0, 590)
    status = pa.array([500] + [200] * 589, pa.int16())
    log(loop, answering(2.0, west=10.0), version, mirrored, "shadow", status=status, compute_us=took[:590])
    assert count_mirrored(where, (version, "1"), PERIOD).pairs == 590
    verdict = judged(loop, version, mode="live")
    assert verdict.verdict == "fail"
    found = checks(verdict)
    assert found["slice_alarm"].slice == "region=west"
    assert found["error_rate"].reason.startswith("1 of 590 answers is an error")
    assert found["latency_p50"].value == 1.0
    assert "fidelity" not in found
