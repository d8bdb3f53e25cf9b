"""Both gates on the holdout: scored anew, verified, and on record before anybody acts on the verdict."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_provider_ifp.adapters.data.datasets import read_window
from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_table
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DatasetError, DigestMismatchError, PolicyError
from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.windows import Window, training_windows
from airflow_provider_ifp.loop.train.prepare import prepare
from airflow_provider_ifp.training.provenance import window_facts

pytestmark = pytest.mark.usefixtures("warm_python")

NOW = datetime(2024, 2, 1, tzinfo=UTC)
FIRST = "first deployment: no production version to compare with; the absolute gate alone decides"


def answering(slope):
    """A model that is right where the slope is 3."""
    return lambda frame: 1 + slope * frame["x"] - frame["z"] + 2 * (frame["region"] == "north")


def holdout(loop):
    data, now = loop.policy().data, loop.order().now
    window = training_windows(now, data.train_window, data.holdout_window, data.label_delay).holdout
    return read_window(str(loop.home / "data"), time_column="ts", window=window)


def rmse(loop, slope):
    rows = holdout(loop).to_pandas()
    return float(np.sqrt(np.mean((answering(slope)(rows) - rows["y"]) ** 2)))


def kept(loop, version, name):
    return loop.registry.get_file(loop.registry.version("demand", version).run_id, name)


def judged_against(loop, production, candidate, **validation):
    """Judge a candidate with this slope while one with that slope is in production."""
    loop.put(loop.register(answering(production)))
    version = loop.register(answering(candidate))
    return loop.validate(version, policy=loop.policy(validation={"max_rmse": 5, **validation}))


def test_the_first_deployment_is_judged_by_the_absolute_gate_alone_and_says_so(loop):
    version = loop.register(answering(3))
    verdict = loop.validate(version)
    assert (verdict.verdict, verdict.enforced, verdict.compared_to) == ("pass", True, None)
    assert verdict.reason.endswith(FIRST)
    [check] = verdict.checks
    assert (check.name, check.rows, check.value) == ("max_rmse", 600, pytest.approx(rmse(loop, 3)))
    assert verdict.content_digest == loop.registry.version("demand", version).content_digest
    assert verdict.policy_digest == loop.policy().digest()
    key = [*loop.policy().data.key, "ts", "x", "z", "region", "y"]
    assert verdict.holdout_digest == fingerprint_table(holdout(loop).select(key)).digest


def test_a_verdict_is_on_record_and_the_ledger_has_its_digest_and_a_retry_adds_no_event(loop):
    version = loop.register(answering(1))
    verdict = loop.validate(version, nonce="the validate task of one run")
    assert verdict.verdict == "fail"
    assert f"rmse {rmse(loop, 1):.3g}"[:8] in verdict.reason
    record = json.loads(kept(loop, version, "ifp/validation.json"))
    assert record == json.loads(json.dumps(verdict.to_json()))
    assert verdict.reason.partition(";")[0].replace(">", "&gt;").encode() in kept(
        loop, version, "ifp/report.html"
    )
    [event] = loop.ledger.events
    assert (event.action, event.version, event.verdict, event.promotes) == ("judge", "1", "fail", False)
    assert event.verdict_digest == digest_json(record)
    assert loop.registry.aliases("demand") == {}
    assert loop.validate(version, nonce="the validate task of one run") == verdict
    assert loop.ledger.events == (event,)


@pytest.mark.parametrize(
    ("metric", "production", "candidate", "expected"),
    [("rmse", 2, 3, "pass"), ("rmse", 3, 2.8, "fail"), ("r2", 2, 3, "pass"), ("r2", 3, 2.8, "fail")],
)
def test_production_is_scored_again_and_better_means_the_metrics_own_direction(
    loop, metric, production, candidate, expected
):
    verdict = judged_against(loop, production, candidate, metric=metric)
    assert (verdict.verdict, verdict.compared_to) == (expected, "1")
    check = verdict.checks[-1]
    assert (check.name, check.metric, check.verdict, check.rows) == ("comparison", metric, expected, 600)
    if metric == "rmse":
        assert check.value == pytest.approx(rmse(loop, candidate))
        assert check.against == pytest.approx(rmse(loop, production))
    assert (check.interval[0] > 0) == (expected == "pass")
    assert (check.interval[1] < 0) == (expected == "fail")


def test_a_tolerance_lets_a_slightly_worse_candidate_through(loop):
    verdict = judged_against(loop, 3, 2.95, tolerance=-0.05)
    assert verdict.verdict == "pass"
    assert "within the tolerance -0.05" in verdict.reason


def test_in_dry_run_a_failed_comparison_is_on_record_and_stops_nothing(loop):
    verdict = judged_against(loop, 3, 2, mode="dry_run")
    assert (verdict.verdict, verdict.enforced, verdict.promotes) == ("fail", False, True)
    assert loop.ledger.judgement("2").promotes is True
    assert json.loads(kept(loop, "2", "ifp/validation.json"))["verdict"] == "fail"


def test_a_version_in_production_that_is_judged_again_is_named_as_what_it_is(loop):
    version = loop.register(answering(3))
    loop.put(version)
    verdict = loop.validate(version)
    assert (verdict.verdict, verdict.compared_to) == ("pass", "1")
    assert FIRST not in verdict.reason


def test_too_small_a_holdout_is_inconclusive_and_promotes_nothing(loop):
    verdict = loop.validate(loop.register(answering(3)), policy=loop.policy(data={"holdout_window": "2d"}))
    assert (verdict.verdict, verdict.promotes) == ("inconclusive", False)
    assert verdict.reason == "240 rows in the holdout, 500 needed"


@pytest.mark.parametrize("damaged", ["1", "2"])
def test_changed_files_of_either_version_leave_no_verdict(loop, damaged):
    loop.put(loop.register(answering(3)))
    version = loop.register(answering(2))
    stored = Path(loop.registry.version("demand", damaged).stored.uri)
    (stored / "data" / "model.pkl").write_bytes(b"changed")
    events = loop.ledger.events
    with pytest.raises(DigestMismatchError, match=f"demand version {damaged}: the stored files"):
        loop.validate(version)
    assert loop.ledger.events == events
    assert kept(loop, version, "ifp/validation.json") is None


def biased(slope, north):
    """A model that is wrong in the north by so much."""
    return lambda frame: answering(slope)(frame) + north * (frame["region"] == "north")


def test_a_slice_that_suffers_fails_and_a_slice_that_only_production_is_asked_about_is_named(loop):
    loop.put(loop.register(answering(2)))
    candidate = loop.register(biased(3, 2.5))
    rows = loop.rows(NOW - timedelta(days=5), days=2, seed=3)
    west = pa.array(["west" if place % 10 == 0 else "south" for place in range(rows.num_rows)])
    loop.write_log(rows.set_column(rows.schema.get_field_index("region"), "region", west))
    rules = {"max_rmse": 5, "slices": ["region"], "tolerance": -1}
    verdict = loop.validate(candidate, policy=loop.policy(validation=rules))
    assert verdict.verdict == "fail"
    assert [check.slice for check in verdict.checks if check.verdict == "fail"] == ["region=north"]
    assert (
        "region=west: 24 of 240 requests in the prediction log, and no row in the holdout" in verdict.warnings
    )
    page = kept(loop, candidate, "ifp/report.html").decode()
    assert "region=west: 24 of 240 requests" in page


def test_a_slice_column_that_the_data_lacks_is_refused(loop):
    candidate = loop.register(answering(3))
    with pytest.raises(DatasetError, match="shop"):
        loop.validate(candidate, policy=loop.policy(validation={"slices": ["shop"]}))


def trained_on(loop, *, window=None, rows=None):
    """A version that says it was trained on these days, or on other rows in their place."""
    prepared = prepare(loop.policy(), NOW, {})
    facts = prepared.data_facts()
    if window is not None:
        facts["window"] = window_facts(window)
    if rows is not None:
        (loop.home / "other").mkdir()
        pq.write_table(rows, loop.home / "other" / "rows.parquet")
        facts["uri"] = str(loop.home / "other")
    return loop.register(answering(3), provenance={"data": [facts]})


def test_training_rows_past_the_holdouts_start_fail_with_their_number_in_dry_run_too(loop):
    window = Window(NOW - timedelta(days=25), NOW - timedelta(days=3))
    verdict = loop.validate(
        trained_on(loop, window=window), policy=loop.policy(validation={"mode": "dry_run", "max_rmse": 5})
    )
    assert (verdict.verdict, verdict.promotes) == ("fail", False)
    assert "240 training rows of the candidate are from the holdout's own time" in verdict.reason
    assert "240 of the holdout's 600 keys are in the training data of the candidate" in verdict.reason


def test_keys_of_the_holdout_in_productions_training_data_fail_with_their_number(loop):
    data = loop.rows(datetime(2024, 1, 1, tzinfo=UTC), days=60)
    copied = data.slice(26 * 120, 12)
    early = pa.array([NOW - timedelta(days=10)] * 12, data.schema.field("ts").type)
    rows = pa.concat_tables([data.slice(0, 26 * 120), copied.set_column(0, "ts", early)])
    loop.put(trained_on(loop, rows=rows))
    verdict = loop.validate(loop.register(answering(3)))
    assert "12 of the holdout's 600 keys are in the training data of production version 1" in verdict.reason
    unrecorded = "leakage from the training of the candidate was not looked for: the rows that it was trained"
    assert verdict.warnings[0].startswith(unrecorded)


def test_equal_rows_without_a_key_are_warned_of(loop):
    data = loop.rows(datetime(2024, 1, 1, tzinfo=UTC), days=60)
    copied = data.slice(26 * 120, 12)
    early = pa.array([NOW - timedelta(days=10)] * 12, data.schema.field("ts").type)
    rows = pa.concat_tables([data.slice(0, 26 * 120), copied.set_column(0, "ts", early)])
    version = trained_on(loop, rows=rows.drop_columns(["request_id"]))
    loop.write_data(data.drop_columns(["request_id"]))
    verdict = loop.validate(version, policy=loop.policy(data={"key": []}))
    assert verdict.verdict == "pass"
    [warning] = verdict.warnings
    assert warning.startswith(
        "12 of the holdout's 600 rows are equal, in all columns, to training rows of the"
    )


def test_a_candidate_that_cannot_serve_fails_before_any_metric(loop):
    def one_at_a_time(frame):
        if len(frame) != 1:
            raise RuntimeError("expected input shape[0] to be 1")
        return frame["x"]

    candidate = loop.register(one_at_a_time)
    verdict = loop.validate(candidate, policy=loop.policy(validation={"mode": "dry_run"}))
    assert (verdict.verdict, verdict.promotes) == ("fail", False)
    assert [check.name for check in verdict.checks] == ["infrastructure"]
    assert verdict.reason.startswith(
        "the candidate cannot serve: ModelError: a batch of 2 rows: RuntimeError"
    )
    assert json.loads(kept(loop, candidate, "ifp/validation.json"))["verdict"] == "fail"
    small = loop.policy(validation={"infrastructure": {"max_memory_mb": 10}})
    reason = loop.validate(loop.register(answering(3)), policy=small).reason
    assert re.match(r"the candidate took \d+ MB of memory, over .*max_memory_mb = 10", reason)


def test_a_production_that_does_not_answer_decides_nothing(loop):
    def broken(frame):
        raise RuntimeError("no CUDA")

    loop.put(loop.register(broken))
    verdict = loop.validate(loop.register(answering(3)))
    assert verdict.verdict == "inconclusive"
    assert "production is version 1, but it did not answer the holdout" in verdict.reason


def test_an_own_metric_by_its_path_is_held_to_its_bound_and_compared(loop, monkeypatch):
    (loop.home / "own_metrics.py").write_text(
        "def profit(y_true, y_pred, frame):\n    return float((y_pred * frame['x']).mean())\n"
    )
    monkeypatch.syspath_prepend(str(loop.home))
    rules = {"min_profit": 0.5, "metrics": {"profit": "own_metrics:profit"}}
    canonical = loop.policy().to_json() | {"validation": rules}
    policy = Policy.from_json(canonical, folder=loop.home)
    loop.put(loop.register(answering(2)))
    verdict = loop.validate(loop.register(answering(3)), policy=policy)
    assert verdict.verdict == "pass"
    assert verdict.checks[1].finding == "better"
    wrong = Policy.from_json(
        canonical | {"validation": {**rules, "metrics": {"profit": "own_metrics:loss"}}}, folder=loop.home
    )
    with pytest.raises(PolicyError, match=r"validation.metrics.profit: own_metrics:loss does not import"):
        loop.validate("2", policy=wrong)
