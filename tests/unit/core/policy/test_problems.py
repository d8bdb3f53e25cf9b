"""What a wrong policy is told: the key, what was expected, what was found, and the nearest right name."""

from datetime import date

import pytest

from airflow_provider_ifp.core.errors import PolicyError
from airflow_provider_ifp.core.policy.model import Policy

NOTIFY = {"channel": "slack", "target": "#a", "on": ["failed"]}
GROUPS = {"feature_groups": [{"name": "prices", "features": ["price"]}]}

WRONG = [
    ({"modle": "x"}, "modle: unknown key; did you mean 'model'?"),
    ({"model": "a b"}, "model: expected text that matches"),
    ({"model": 7}, "model: expected text, found 7; put it in quotes"),
    ({"catchup": "yes"}, "catchup: expected true or false, found text 'yes'"),
    ({"catchup": True}, "catchup: needs start_date"),
    ({"schedule": "hourly"}, "schedule: expected five fields"),
    ({"start_date": "soon"}, "start_date: expected a date such as 2026-01-01, found 'soon'"),
    ({"tags": "finance"}, "tags: expected a list, found text 'finance'"),
    ({"tags": ["a", "a"]}, "tags: expected each name once, found 'a' twice"),
    ({"data": None}, "data: expected a mapping of keys, found nothing"),
    ({"data": {"sorce": "x"}}, "data.sorce: unknown key; did you mean 'source'?"),
    (
        {"data": {"evaluation_window": "7d"}},
        "data.evaluation_window: unknown key here; it belongs under monitor",
    ),
    ({"data": {"cooldown": "7d"}}, "data.cooldown: unknown key here; cooldown stands at the top of the file"),
    (
        {"data": {"source": {"conn_id": "w"}}},
        "data.source: expected `table` or `query` beside conn_id, found neither",
    ),
    ({"data": {"source": {"table": "w"}}}, "data.source.conn_id: missing"),
    ({"data": {"source": 3}}, "data.source: expected text, found 3"),
    ({"data": {"positive": [1]}}, "data.positive: expected a label"),
    ({"data": {"positive": float("nan")}}, "data.positive: expected a label"),
    (
        {"data": {"label_delay": 1}},
        "data.label_delay: expected a duration such as 30m, 48h, 7d or 2w, found 1",
    ),
    ({"data": {"holdout_window": "0d"}}, "data.holdout_window: expected a duration longer than 0"),
    ({"data": {"features": []}}, "data.features: expected at least one name"),
    ({"data": {"features": ["y"], "label": "y"}}, "data.features: contains the label 'y'"),
    ({"data": {"features": ["x"], "categorical": ["z"]}}, "data.categorical: names 'z'"),
    ({"data": {"label": "t", "time_column": "t"}}, "data.label: is the time column too"),
    ({"train": {"seed": "7"}}, "train.seed: expected a whole number, found text '7'"),
    ({"train": {"seed": True}}, "train.seed: expected a whole number, found true"),
    ({"train": {"processes": 0}}, "train.processes: expected a number of at least 1, found 0"),
    ({"train": {"launcher": "torchrum"}}, "or 'sagemaker', found text 'torchrum'; did you mean 'torchrun'?"),
    (
        {"train": {"params": {"x": [{"y": float("inf")}]}}},
        "train.params.x[0].y: expected a finite number, found inf",
    ),
    (
        {"train": {"params": {"since": date(2026, 1, 1)}}},
        "params.since: expected text, a number, true or false",
    ),
    ({"train": {"params": {1: 2}}}, "train.params: expected text as keys"),
    ({"monitor": {"baseline_window": "trainin"}}, "monitor.baseline_window: expected a duration"),
    ({"monitor": {"methods": {"psi": {"threshold": "aut"}}}}, "expected a number greater than 0, or auto"),
    ({"monitor": {"methods": {"psi": {"threshold": 0}}}}, "psi.threshold: expected a number greater than 0"),
    (
        {"monitor": {"methods": {"kstest": {}}}},
        "monitor.methods.kstest: unknown key; did you mean 'ks_test'?",
    ),
    (
        {"monitor": {"consecutive": {"windows": 3, "of_last": 2}}},
        "consecutive.windows: expected at most of_last (2)",
    ),
    (
        {"monitor": {"feature_groups": GROUPS["feature_groups"] * 2}},
        "feature_groups[1].name: 'prices' is the name",
    ),
    (
        {"monitor": {"on_trigger": {"action": "page"}}},
        "on_trigger.action: expected 'retrain', found text 'page'",
    ),
    ({"trigger": {}}, "trigger: expected `any` or `all`, found neither"),
    ({"trigger": {"any": []}}, "trigger.any: expected at least one entry, found an empty list"),
    (
        {"trigger": {"any": ["drfit"]}},
        "trigger.any[0]: expected a mapping with a key `type`, found text 'drfit'",
    ),
    ({"trigger": {"any": [{"type": "drfit"}]}}, "trigger.any[0].type: expected one of drift, "),
    ({"trigger": {"any": [{"type": "drfit"}]}}, "did you mean 'drift'?"),
    ({"trigger": {"any": [{"metric": "psi"}]}}, "trigger.any[0].type: missing; expected one of drift, "),
    (
        {"trigger": {"any": [{"type": "drift", "treshold": 1}]}},
        "any[0].treshold: unknown key; did you mean 'threshold'",
    ),
    ({"trigger": {"any": [{"type": "drift", "threshold": 1}]}}, "any[0].threshold: needs `metric` beside it"),
    (
        {"trigger": {"any": [{"type": "drift", "metric": "ks_pvalue", "threshold": 2}]}},
        "trigger.any[0].threshold: expected a p-value under 1, found 2",
    ),
    (
        {"trigger": {"any": [{"type": "data_freshness"}]}},
        "trigger.any[0].max_age: missing; this key is needed here",
    ),
    (
        {"trigger": {"all": [{"any": [{"type": "drift", "feature_group": "x"}]}]}, "monitor": GROUPS},
        "trigger.all[0].any[0].feature_group: unknown group 'x'; monitor.feature_groups has prices",
    ),
    (
        {
            "trigger": {
                "any": [{"type": "metric_threshold", "metric": "rsme", "operator": "gt", "value": 1}],
            }
        },
        "trigger.any[0].metric: unknown metric 'rsme'; did you mean 'rmse'?",
    ),
    ({"budget": {"per": "30d"}}, "budget: expected `firings`, `gpu_hours` or both"),
    ({"budget": {"firings": 3}}, "budget.per: missing"),
    ({"job": {"type": "airflow"}}, "job.type: expected one of airflow_dag, github_actions"),
    ({"job": {"type": "airflow_dag", "dagid": "x"}}, "job.dagid: unknown key; did you mean 'dag_id'?"),
    (
        {"monitor": {}, "job": {"type": "airflow_dag", "dag_id": "m-monitor"}},
        "job.dag_id: 'm-monitor' is the name of",
    ),
    (
        {"train": {}, "monitor": {"on_trigger": {"pipeline": "m-rollback"}}},
        "pipeline: 'm-rollback' is the name of",
    ),
    (
        {"monitor": {"on_trigger": {"pipeline": "x"}}, "job": {"type": "airflow_dag", "dag_id": "y"}},
        "monitor.on_trigger.pipeline: names 'x', but job.dag_id names 'y'",
    ),
    ({"validation": {"min_acu": 0.9}}, "validation.min_acu: unknown metric 'acu'; did you mean 'auc'?"),
    ({"validation": {"metric": "rsme"}}, "validation.metric: unknown metric 'rsme'; did you mean 'rmse'?"),
    ({"validation": {"min_f1": "0.9"}}, "validation.min_f1: expected a number, found text '0.9'"),
    ({"validation": {"min_f1": float("nan")}}, "validation.min_f1: expected a finite number, found nan"),
    (
        {"validation": {"min_f1": 0.9, "max_f1": 0.8}},
        "validation.min_f1: expected at most max_f1 (0.8), found 0.9",
    ),
    ({"validation": {"mni_rows": 3}}, "validation.mni_rows: unknown key; did you mean 'min_rows'?"),
    ({"validation": {"metrics": {"p": "nothing"}}}, "validation.metrics.p: expected text that matches"),
    (
        {"validation": {"metrics": {"f1": "a:b"}}},
        "validation.metrics.f1: 'f1' is a metric of the provider's own",
    ),
    ({"validation": {"compare_to": None}}, "compare_to: expected 'production' or 'none', found nothing"),
    ({"validation": {"promote_on_pass": "shadow"}}, "validation.promote_on_pass: shadow needs shadow.mode"),
    (
        {"validation": {"notify_on_fail": [{"slack": "#a", "slakc": "#b"}]}},
        "notify_on_fail[0].slakc: unknown key; did you mean",
    ),
    ({"shadow": {"mode": True}}, "shadow.mode: expected 'off', 'replay' or 'live', found true"),
    (
        {"promotion": {"approval": "humane"}},
        "promotion.approval: expected 'none' or 'human', found text 'humane'",
    ),
    ({"notify": [{**NOTIFY, "url": "x", "channel": "sns"}]}, "notify[0].url: channel sns has no url"),
    ({"notify": [{"channel": "email", "on": ["failed"]}]}, "notify[0]: channel email needs target"),
    ({"notify": [{**NOTIFY, "on": ["fail"]}]}, "notify[0].on[0]: expected 'fired', "),
]


@pytest.mark.parametrize(("keys", "message"), WRONG)
def test_a_wrong_policy_is_told_key_and_remedy_in_one_line(keys, message):
    with pytest.raises(PolicyError) as caught:
        Policy.from_json({"model": "m", **keys})
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    assert message in lines[0]


def test_all_problems_of_all_sections_are_told_at_once():
    with pytest.raises(PolicyError) as caught:
        Policy.from_json(
            {
                "model": "m",
                "cooldown": "2 days",
                "data": {"sorce": "x"},
                "validation": {"min_acu": 1, "min_f1": "x", "mode": "enforced"},
            }
        )
    places = {line.split(":")[0] for line in str(caught.value).splitlines()}
    assert places == {
        "cooldown",
        "data.sorce",
        "validation.min_acu",
        "validation.min_f1",
        "validation.mode",
    }


def test_a_wrong_secret_is_not_shown():
    with pytest.raises(PolicyError) as caught:
        Policy.from_json(
            {"model": "m", "notify": [{"channel": "pagerduty", "routing_key": 1234567, "on": ["failed"]}]}
        )
    assert "notify[0].routing_key: expected text" in str(caught.value)
    assert "1234567" not in str(caught.value)


def test_a_policy_without_a_model_says_so():
    with pytest.raises(PolicyError, match=r"^model: missing"):
        Policy.from_json({})
