"""Dialects: other spellings become the canonical form, and keep their places in the file."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.policy.dialects import translate_dialect
from airflow_provider_ifp.core.policy.model import Policy

PSI = {"type": "drift", "metric": "psi", "threshold": 0.1}


def canonical(raw):
    before = copy.deepcopy(raw)
    translation = translate_dialect(raw)
    assert translation.problems == []
    assert raw == before
    Policy.model_validate({"model": "m", **translation.mapping})
    return translation.mapping


def complaints(raw):
    return [str(problem) for problem in translate_dialect(raw).problems]


def test_a_canonical_mapping_comes_back_as_it_was():
    raw = Policy.from_json(
        {"model": "m", "train": {}, "monitor": {}, "trigger": {"all": [PSI, {"any": ["drift"]}]}, "job": None}
    ).to_json()
    translation = translate_dialect(raw)
    assert (translation.mapping, translation.moved, translation.problems) == (raw, {}, [])


def test_the_documentations_wrapper_is_lifted_to_the_top():
    mapping = canonical(
        {
            "policy": {
                "name": "weekly refresh",
                "model": "fares",
                "trigger": {"any": [PSI]},
                "job": {"type": "airflow_dag", "dag_id": "x", "run_config": {"auto_promote": False}},
                "cooldown": "48h",
            }
        }
    )
    assert mapping == {
        "model": "fares",
        "description": "weekly refresh",
        "trigger": {"any": [PSI]},
        "job": {"type": "airflow_dag", "dag_id": "x", "run_config": {"auto_promote": False}},
        "cooldown": "48h",
        "monitor": {},
        "validation": {"promote_on_pass": "staging"},
    }


def test_a_wrapper_with_train_needs_no_monitor_of_its_own():
    assert "monitor" not in canonical({"policy": {"train": {}, "job": {"type": "airflow_dag"}}})


def test_the_product_pages_policy_watches_and_starts_the_pipeline():
    mapping = canonical(
        {
            "model": "fares",
            "trigger": {"condition": "ALL", "rules": ["psi > 0.10", "new_labeled_rows > 5000"]},
            "pipeline": "nightly",
            "validation": {"min_f1": 0.90, "promote_on_pass": "staging"},
        }
    )
    assert mapping["trigger"] == {"all": [PSI, {"type": "new_labeled_rows", "min": 5001}]}
    policy = Policy.from_json(mapping)
    assert (policy.makes_monitor_dag, policy.job_dag_id) == (True, "nightly")


def test_with_train_a_pipeline_at_the_top_names_the_training_dag():
    policy = Policy.from_json({"model": "m", **canonical({"train": {}, "pipeline": "nightly"})})
    assert policy.training_dag_id == "nightly"


@pytest.mark.parametrize(
    ("rule", "condition"),
    [
        ("psi>0.10", PSI),
        ("drift", "drift"),
        ("ks_pvalue < 5e-2", {"type": "drift", "metric": "ks_pvalue", "threshold": 0.05}),
        ("new_labeled_rows >= 5000", {"type": "new_labeled_rows", "min": 5000}),
        ("data_freshness > 30d", {"type": "data_freshness", "max_age": "30d"}),
        ("rmse > 12", {"type": "metric_threshold", "metric": "rmse", "operator": "gt", "value": 12.0}),
        (
            "precision_at_threshold_0.5 <= .85",
            {
                "type": "metric_threshold",
                "metric": "precision_at_threshold_0.5",
                "operator": "lte",
                "value": 0.85,
            },
        ),
    ],
)
def test_text_rules_become_conditions(rule, condition):
    assert canonical({"trigger": {"condition": "any", "rules": [rule]}})["trigger"] == {"any": [condition]}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("psi", "trigger.rules[0]: expected a rule such as 'psi > 0.10', found 'psi'"),
        ("psi < 0.1", "trigger.rules[0]: 'psi < 0.1': a firing needs psi > a threshold"),
        ("ks_pvalue > 0.1", "trigger.rules[0]: 'ks_pvalue > 0.1': a firing needs ks_pvalue < a threshold"),
        ("psi > lots", "trigger.rules[0]: 'psi > lots': expected a number after >, found 'lots'"),
        ("new_labeled_rows > 0.5", "trigger.rules[0]: 'new_labeled_rows > 0.5': a firing needs"),
        (
            "data_freshness < 3d",
            "trigger.rules[0]: 'data_freshness < 3d': a firing needs data_freshness > an age",
        ),
    ],
)
def test_a_text_rule_that_cannot_be_read_is_told(rule, message):
    assert [
        line[: len(message)] for line in complaints({"trigger": {"condition": "ALL", "rules": [rule]}})
    ] == [message]


def test_rules_need_a_condition_and_nothing_else():
    assert complaints({"trigger": {"rules": ["psi > 1"], "metric": "psi"}}) == [
        "trigger.metric: unknown key beside condition and rules",
        "trigger.condition: expected ALL or ANY beside rules, found None",
    ]
    assert complaints({"trigger": {"condition": "ALL"}}) == [
        "trigger.rules: expected a list of rules such as 'psi > 0.10', found None"
    ]


@given(st.floats(min_value=1e-6, max_value=1e6), st.sampled_from(["psi", "wasserstein", "js"]))
def test_a_rules_number_is_kept_exactly(value, metric):
    rules = translate_dialect({"trigger": {"condition": "ALL", "rules": [f"{metric} > {value!r}"]}}).mapping
    assert rules["trigger"]["all"][0]["threshold"] == value


def test_the_articles_bare_performance_condition():
    raw = {
        "trigger": {
            "type": "performance",
            "metric": "precision_at_threshold_0.5",
            "threshold": 0.85,
            "evaluation_window": "3d",
            "min_labeled_samples": 500,
        }
    }
    assert canonical(raw)["trigger"]["any"] == [
        {
            "type": "metric_threshold",
            "metric": "precision_at_threshold_0.5",
            "operator": "lt",
            "value": 0.85,
            "evaluation_window": "3d",
            "min_labeled_rows": 500,
        }
    ]
    translation = translate_dialect(raw)
    assert translation.place_in_file(("trigger", "any", 0, "value")) == ("trigger", "threshold")
    assert translation.place_in_file(("trigger", "any", 0, "metric")) == ("trigger", "metric")


def test_performance_of_an_error_fires_above():
    raw = {"trigger": {"all": [{"any": [{"type": "performance", "metric": "rmse", "threshold": 12}]}]}}
    condition = canonical(raw)["trigger"]["all"][0]["any"][0]
    assert condition == {"type": "metric_threshold", "metric": "rmse", "value": 12, "operator": "gt"}
    place = translate_dialect(raw).place_in_file(("trigger", "all", 0, "any", 0, "value"))
    assert place == ("trigger", "all", 0, "any", 0, "threshold")


def test_the_monitors_model_is_the_files_model():
    raw = {"monitor": {"model": "fares", "min_rows": 5}}
    assert canonical(raw) == {"model": "fares", "monitor": {"min_rows": 5}}
    assert translate_dialect(raw).place_in_file(("model",)) == ("monitor", "model")
    assert canonical({"model": "fares", **raw})["model"] == "fares"
    assert complaints({"model": "other", **raw}) == [
        "monitor.model: is 'fares', but the file's model is 'other'; leave one of them out"
    ]


@pytest.mark.parametrize("key", ["on", True])
def test_alerts_become_notifications_whatever_yaml_makes_of_on(key):
    alerts = [
        {"channel": "slack", "webhook": "https://x", key: ["drift_detected", "threshold_crossed"]},
        {"channel": "pagerduty", "routing_key": "${PD}", key: ["failed"]},
    ]
    mapping = canonical(
        {"monitor": {"alerts": alerts}, "notify": [{"channel": "sns", "target": "arn", key: ["fired"]}]}
    )
    assert mapping["monitor"] == {}
    assert mapping["notify"] == [
        {"channel": "sns", "target": "arn", "on": ["fired"]},
        {"channel": "slack", "url": "https://x", "on": ["fired"]},
        {"channel": "pagerduty", "routing_key": "${PD}", "on": ["failed"]},
    ]


def test_moved_alerts_keep_their_places():
    alerts = [{"channel": "slack", "webhook": 3, "on": []}]
    translation = translate_dialect({"policy": {"monitor": {"alerts": alerts}}, "notify": [{}]})
    assert translation.place_in_file(("notify", 1, "url")) == ("policy", "monitor", "alerts", 0, "webhook")
    assert translation.place_in_file(("notify", 1, "on")) == ("policy", "monitor", "alerts", 0, "on")
    assert translation.place_in_file(("notify", 0, "on")) == ("notify", 0, "on")


@pytest.mark.parametrize(("told", "stage"), [(False, "staging"), (True, "production")])
def test_auto_promote_says_how_far_the_loop_goes(told, stage):
    for raw in (
        {"auto_promote": told},
        {"job": {"type": "airflow_dag", "dag_id": "x", "auto_promote": told}},
        {"job": {"type": "airflow_dag", "dag_id": "x", "run_config": {"auto_promote": told}}},
    ):
        assert canonical(raw)["validation"] == {"promote_on_pass": stage}


def test_contradictions_between_dialect_and_canonical_keys_are_told():
    assert complaints({"auto_promote": False, "validation": {"promote_on_pass": "production"}}) == [
        "auto_promote: means promote_on_pass: staging, but validation.promote_on_pass is 'production'"
    ]
    assert complaints({"auto_promote": "no"}) == ["auto_promote: expected true or false, found text 'no'"]
    assert complaints({"policy": {"model": "a"}, "model": "b"}) == [
        "policy.model: stands at the top of the file too; leave one of them out"
    ]
    assert complaints({"pipeline": "a", "monitor": {"on_trigger": {"pipeline": "b"}}}) == [
        "pipeline: is 'a', but monitor.on_trigger.pipeline is 'b'; leave one of them out"
    ]


@given(
    st.dictionaries(
        st.sampled_from(
            ["policy", "trigger", "monitor", "notify", "pipeline", "job", "validation", "auto_promote"]
        ),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        [
                            "type",
                            "any",
                            "all",
                            "rules",
                            "condition",
                            "alerts",
                            "model",
                            "on_trigger",
                            "run_config",
                            "on",
                        ]
                    ),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ),
    )
)
def test_no_shape_of_input_breaks_the_translation(raw):
    before = copy.deepcopy(raw)
    translate_dialect(raw)
    assert raw == before
