"""What this release refuses, instead of accepting and ignoring it."""

import pytest

from airflow_provider_ifp.core.policy.model import Policy
from airflow_provider_ifp.core.policy.support import unsupported

SUPPORTED = {
    "model": "m",
    "schedule": "0 0 1 * *",
    "data": {"source": "x", "time_column": "ts", "label": "y", "key": ["id"], "train_window": "51d"},
    "train": {"entrypoint": "t.py", "params": {"epochs": 5}, "seed": 7, "timeout": "1h", "pool": "gpu"},
    "monitor": {"evaluation_window": "30d", "methods": {"psi": {"threshold": 0.1}}, "prediction": True},
    "validation": {
        "max_rmse": 14,
        "tolerance": -0.1,
        "confidence": 0.95,
        "notify_on_fail": [{"slack": "#a"}],
    },
}
DRIFT = {"type": "drift", "metric": "psi", "threshold": 0.1, "window": "7d"}


def refused(**keys):
    return unsupported(Policy.from_json({**SUPPORTED, **keys}))


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"monitor": {"methods": {"ks_test": {"enabled": False, "p_value_threshold": 0.01}}}},
        {"trigger": {"any": ["drift"]}},
        {"trigger": {"all": [DRIFT]}},
        {"data": {"source": {"conn_id": "w", "table": "t"}, "time_column": "ts", "label": "y"}},
        {"job": {"type": "airflow_dag"}},
        {"job": {"type": "airflow_dag", "dag_id": "m-training-dag", "run_config": {"auto_promote": False}}},
        {"validation": {"promote_on_pass": "staging", "mode": "dry_run"}},
        {"monitor": {"baseline_window": "30d"}},
        {"monitor": {"methods": {"psi": {"enabled": False}, "ks_test": {}}}},
        {"monitor": {"methods": {"psi": {"threshold": "auto"}}}},
        {"monitor": {"methods": {"ks_test": {}}}},
        {"monitor": {"methods": {"wasserstein": {"enabled": True}}}},
        {"monitor": {"methods": {"js": {"threshold": 0.2}}}},
        {"monitor": {"methods": {"chi2": {}}}},
        {"monitor": {"feature_groups": [{"name": "a", "features": ["b"]}]}},
        {"monitor": {"segments": ["region"]}},
        {"monitor": {"consecutive": {"windows": 1, "of_last": 2}}},
        {"monitor": {"unreadable": "skip"}},
        {"trigger": {"any": ["drift", DRIFT]}},
        {"trigger": {"any": [{"type": "drift", "metric": "js"}]}},
    ],
)
def test_what_is_built_is_not_refused(keys):
    assert refused(**keys) == []


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"schedule": "on_drift"}, "schedule"),
        ({"data": {"filter": "a = 1"}}, "data.filter"),
        ({"train": {"launcher": "torchrun"}}, "train.launcher"),
        ({"train": {"processes": 2}}, "train.processes"),
        ({"trigger": {"any": [{"type": "data_freshness", "max_age": "3d"}]}}, "trigger"),
        ({"cooldown": "48h"}, "cooldown"),
        ({"budget": {"firings": 3, "per": "30d"}}, "budget"),
        ({"job": {"type": "github_actions", "repo": "a/b"}}, "job.type"),
        ({"job": {"type": "airflow_dag", "conn_id": "c"}}, "job.conn_id"),
        ({"job": {"type": "airflow_dag", "dag_id": "other"}}, "job.dag_id"),
        ({"job": {"type": "airflow_dag", "run_config": {"a": 1}}}, "job.run_config"),
        ({"train": None, "job": {"type": "airflow_dag"}}, "job.dag_id"),
        ({"promotion": {"approval": "human"}}, "promotion.approval"),
        ({"notify": [{"channel": "slack", "target": "#a", "on": ["fired"]}]}, "notify"),
    ],
)
def test_what_is_not_built_is_refused_once_under_its_key(keys, place):
    lines = refused(**keys)
    assert [line.split(":")[0] for line in lines] == [place]


@pytest.mark.parametrize("mode", ["replay", "live"])
def test_a_shadow_is_built_and_a_path_that_ends_there(mode):
    assert refused(validation={"promote_on_pass": "shadow"}, shadow={"mode": mode}) == []
