"""The policy: defaults, canonical form, names of Dags, and what values stand for."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.metrics.bounds import Bound
from airflow_provider_ifp.core.metrics.names import METRIC_DIRECTIONS
from airflow_provider_ifp.core.policy.model import Policy, require_training_keys

FULL = {
    "model": "fares",
    "data": {"source": "sales", "time_column": "ts", "label": "revenue"},
    "train": {"entrypoint": "train.py"},
}


def policy_of(**keys):
    return Policy.from_json({"model": "fares", **keys})


def test_a_policy_of_nothing_has_the_contracts_defaults():
    policy = policy_of()
    assert policy.data.holdout_window == timedelta(days=7)
    assert policy.data.label_delay == timedelta(0)
    assert policy.data.train_window is None
    assert policy.watch.evaluation_window == timedelta(days=7)
    assert policy.watch.min_rows == 500
    assert policy.psi_threshold == 0.10
    assert policy.watch.prediction is True
    assert [leaf.type for leaf in policy.trigger.leaves()] == ["drift"]
    assert policy.cooldown == timedelta(0)
    assert (policy.train, policy.monitor, policy.job, policy.budget) == (None, None, None, None)
    assert policy.validation.compare_to == "production"
    assert (policy.validation.tolerance, policy.validation.min_rows) == (0.0, 500)
    assert policy.validation.promote_on_pass == "production"
    assert policy.shadow.mode == "off"
    assert policy.shadow.max_latency_ratio.p95 == 1.5
    assert policy.promotion.approval == "none"


def test_bounds_are_read_from_min_and_max_and_the_first_is_compared():
    section = policy_of(validation={"max_rmse": 14, "min_r2": 0.2, "max_r2": 0.9}).validation
    assert section.bounds == (
        Bound("rmse", maximum=14.0),
        Bound("r2", minimum=0.2, maximum=0.9),
    )
    assert section.compared_metric == "rmse"


def test_the_named_metric_is_compared_instead_of_the_first_bounds():
    section = policy_of(validation={"max_rmse": 14, "metric": "mae"}).validation
    assert section.compared_metric == "mae"
    assert section.bounds == (Bound("rmse", maximum=14.0),)


def test_a_policy_without_bounds_and_metric_compares_nothing():
    assert policy_of().validation.compared_metric is None
    assert policy_of().validation.bounds == ()


def test_own_metrics_may_be_bounds():
    section = policy_of(
        validation={"metrics": {"profit": "my_pkg.metrics:profit"}, "min_profit": 3}
    ).validation
    assert section.bounds == (Bound("profit", minimum=3.0),)


def test_a_policy_is_frozen():
    policy = policy_of()
    with pytest.raises(ValidationError, match="frozen"):
        policy.model = "other"
    with pytest.raises(ValidationError, match="frozen"):
        policy.validation.tolerance = 1.0


def test_the_triggers_threshold_and_window_go_before_the_monitors():
    trigger = {"any": [{"type": "drift", "metric": "psi", "threshold": 0.2, "window": "3d"}]}
    monitor = {"evaluation_window": "30d", "methods": {"psi": {"threshold": 0.15}}}
    watched, fired = policy_of(monitor=monitor), policy_of(monitor=monitor, trigger=trigger)
    assert (watched.psi_threshold, fired.psi_threshold) == (0.15, 0.2)


def test_an_automatic_threshold_has_no_number():
    with pytest.raises(PolicyError, match=r"monitor\.methods\.psi\.threshold"):
        _ = policy_of(monitor={"methods": {"psi": {"threshold": "auto"}}}).psi_threshold


def test_the_dags_of_a_policy_that_trains():
    policy = policy_of(train={"entrypoint": "t.py"})
    assert (policy.makes_training_dag, policy.makes_monitor_dag) == (True, False)
    assert policy.dag_ids == ("fares-training-dag", "fares-rollback", "fares-promote")
    assert policy.job_dag_id is None


def test_with_train_a_pipeline_names_the_training_dag():
    monitor = {"on_trigger": {"pipeline": "nightly"}}
    policy = policy_of(train={"entrypoint": "t.py"}, monitor=monitor)
    assert (policy.training_dag_id, policy.job_dag_id) == ("nightly", None)


def test_without_train_a_pipeline_names_the_dag_that_is_started():
    policy = policy_of(monitor={"on_trigger": {"pipeline": "nightly"}})
    assert (policy.makes_training_dag, policy.makes_monitor_dag) == (False, True)
    assert (policy.job_dag_id, policy.monitor_dag_id) == ("nightly", "fares-monitor")
    assert policy_of(monitor={}, job={"type": "airflow_dag", "dag_id": "x"}).job_dag_id == "x"


def test_a_policy_with_neither_train_nor_monitor_makes_no_dag():
    policy = policy_of(validation={"min_f1": 0.9})
    assert (policy.makes_training_dag, policy.makes_monitor_dag, policy.dag_ids) == (False, False, ())


def test_start_dates_are_in_utc_and_written_as_they_were():
    policy = policy_of(start_date="2026-01-01", catchup=True)
    assert policy.start_date == datetime(2026, 1, 1, tzinfo=UTC)
    assert policy.to_json()["start_date"] == "2026-01-01"
    assert policy_of(start_date="2026-01-01T06:00:00+02:00").start_date.hour == 4


def test_missing_training_keys_are_listed_together():
    assert Policy.from_json(FULL).missing_for_training() == []
    require_training_keys(Policy.from_json(FULL))
    policy = policy_of(train={})
    assert policy.missing_for_training() == [
        "data.source",
        "data.time_column",
        "data.label",
        "train.entrypoint",
    ]
    with pytest.raises(
        PolicyError, match=r"data\.label, train\.entrypoint: missing; the training Dag of fares"
    ):
        require_training_keys(policy)


def test_relative_paths_stand_against_the_policys_folder(tmp_path, monkeypatch):
    policy = Policy.from_json(FULL, folder=tmp_path)
    monkeypatch.setenv("LAKE", "s3://lake")
    monkeypatch.setenv("HOME", "/home/someone")
    assert policy.folder == tmp_path
    assert policy.resolve("data/../sales") == str(tmp_path / "sales")
    assert policy.resolve("/abs/sales") == "/abs/sales"
    assert policy.resolve("s3://lake/sales") == "s3://lake/sales"
    assert policy.resolve("file:/abs") == "file:/abs"
    assert policy.resolve("${LAKE}/sales") == "s3://lake/sales"
    assert policy.resolve("~/sales") == "/home/someone/sales"


def test_an_unset_variable_is_named(monkeypatch):
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(PolicyError, match=r"'\$\{NOWHERE\}/x': the environment variable NOWHERE is not set"):
        policy_of().resolve("${NOWHERE}/x")
    with pytest.raises(PolicyError, match="begins no such name"):
        policy_of().resolve("/x/${unclosed")


def test_a_relative_path_of_a_policy_without_a_file_is_refused():
    with pytest.raises(
        PolicyError, match=r"'sales': a relative path, and the policy of fares is from no file"
    ):
        policy_of().resolve("sales")


def test_secrets_stay_as_they_are_written(monkeypatch):
    monkeypatch.setenv("PD", "secret-key")
    policy = policy_of(notify=[{"channel": "pagerduty", "routing_key": "${PD}", "on": ["failed"]}])
    assert "secret-key" not in json.dumps(policy.to_json())
    assert "${PD}" in repr(policy)


def test_the_folder_is_no_part_of_form_and_digest(tmp_path):
    here, nowhere = Policy.from_json(FULL, folder=tmp_path), Policy.from_json(FULL)
    assert here.to_json() == nowhere.to_json()
    assert here.digest() == nowhere.digest()
    assert here.digest().startswith("sha256:")
    assert len(here.digest()) == 71


def test_any_change_of_a_value_changes_the_digest():
    policies = [
        policy_of(),
        policy_of(cooldown="1d"),
        policy_of(validation={"min_f1": 0.9}),
        policy_of(tags=["a"]),
    ]
    assert len({policy.digest() for policy in policies}) == len(policies)
    assert policy_of(cooldown="48h").digest() == policy_of(cooldown="2d").digest()


DURATIONS = st.integers(1, 10**6).map(lambda minutes: f"{minutes}m")
NAMES = st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=3)
CONDITIONS = st.recursive(
    st.one_of(
        st.just("drift"),
        st.fixed_dictionaries(
            {"type": st.just("drift"), "metric": st.sampled_from(["psi", "wasserstein", "ks_pvalue"])},
            optional={"threshold": st.floats(0.001, 0.999), "window": DURATIONS},
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("metric_threshold"),
                "metric": st.sampled_from(sorted(METRIC_DIRECTIONS)),
                "operator": st.sampled_from(["lt", "gt", "lte", "gte"]),
                "value": st.one_of(st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False)),
            }
        ),
        st.fixed_dictionaries({"type": st.just("data_freshness"), "max_age": DURATIONS}),
        st.fixed_dictionaries({"type": st.just("new_labeled_rows"), "min": st.integers(1, 10**9)}),
        st.just({"type": "schedule", "cron": "0 2 * * 1"}),
    ),
    lambda inner: st.one_of(
        st.fixed_dictionaries({group: st.lists(inner, min_size=1, max_size=3)}) for group in ("any", "all")
    ),
    max_leaves=6,
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)
POLICIES = st.fixed_dictionaries(
    {"model": st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)},
    optional={
        "description": st.text(max_size=9),
        "tags": NAMES,
        "schedule": st.sampled_from([None, "on_drift", "0 * * * *", "@daily"]),
        "start_date": st.dates().map(str),
        "cooldown": DURATIONS,
        "data": st.fixed_dictionaries(
            {},
            optional={
                "source": st.one_of(
                    st.text(min_size=1),
                    st.just({"conn_id": "w", "table": "t"}),
                    st.just({"conn_id": "w", "query": "q"}),
                ),
                "positive": st.one_of(st.booleans(), st.integers(), st.text(), st.floats(0, 1)),
                "key": NAMES,
                "holdout_window": DURATIONS,
                "train_window": st.one_of(st.none(), DURATIONS),
            },
        ),
        "train": st.fixed_dictionaries({}, optional={"params": st.dictionaries(st.text(), JSON, max_size=3)}),
        "monitor": st.fixed_dictionaries(
            {},
            optional={
                "baseline_window": st.one_of(st.just("training"), DURATIONS),
                "methods": st.fixed_dictionaries(
                    {
                        "psi": st.fixed_dictionaries(
                            {"threshold": st.one_of(st.just("auto"), st.floats(0.01, 1))}
                        )
                    }
                ),
            },
        ),
        "trigger": st.fixed_dictionaries({"all": st.lists(CONDITIONS, min_size=1, max_size=3)}),
        "validation": st.dictionaries(
            st.sampled_from([f"min_{name}" for name in METRIC_DIRECTIONS]), st.floats(-1, 1), max_size=4
        ),
        "job": st.just({"type": "github_actions", "repo": "a/b", "inputs": {"x": 1}}),
    },
)


@settings(max_examples=150, deadline=None)
@given(POLICIES)
def test_the_canonical_form_gives_the_same_policy_whatever_the_order_of_keys(mapping):
    policy = Policy.from_json(mapping)
    again = Policy.from_json(json.loads(json.dumps(policy.to_json(), sort_keys=True)))
    assert again == policy
    assert again.to_json() == policy.to_json()
    assert again.digest() == policy.digest()
    assert again.validation.bounds == policy.validation.bounds
    assert again.validation.compared_metric == policy.validation.compared_metric
    assert list(again.trigger.leaves()) == list(policy.trigger.leaves())


def test_reading_policies_imports_nothing_heavy():
    program = (
        "import sys, airflow_provider_ifp.adapters.policy.files, airflow_provider_ifp.core.policy.support; "
        "heavy = {'numpy', 'scipy', 'pyarrow', 'pandas', 'mlflow', 'torch', 'airflow'} & set(sys.modules); "
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
