"""Both gates on the holdout: scored anew, verified, and on record before anybody acts on the verdict."""

import json
from pathlib import Path

import numpy as np
import pytest

from airflow_provider_ifp.adapters.datasets import read_window
from airflow_provider_ifp.adapters.fingerprint import fingerprint_table
from airflow_provider_ifp.core.digest import digest_json
from airflow_provider_ifp.core.errors import DigestMismatchError
from airflow_provider_ifp.core.windows import training_windows

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
