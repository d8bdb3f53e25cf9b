"""Metric names and their directions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ifp.core.metrics.names import (
    METRIC_DIRECTIONS,
    metric_direction,
    metric_problem,
    split_parameter,
)


def test_errors_are_better_when_lower_and_scores_when_higher():
    lower = {name for name, direction in METRIC_DIRECTIONS.items() if direction == "lower"}
    assert lower == {"log_loss", "brier", "rmse", "mae", "mape", "pinball"}
    assert set(METRIC_DIRECTIONS.values()) == {"higher", "lower"}


@given(
    st.sampled_from(["accuracy", "precision", "recall", "f1"]),
    st.integers(min_value=1, max_value=999).map(lambda thousandths: thousandths / 1000),
)
def test_a_threshold_inside_zero_and_one_is_known(metric, threshold):
    name = f"{metric}_at_threshold_{threshold}"
    assert split_parameter(name) == (metric, threshold)
    assert metric_problem(name) is None
    assert metric_direction(name) == "higher"


@pytest.mark.parametrize(
    "name", ["precision_at_threshold_1.5", "f1_at_threshold_0.0", "auc_at_threshold_0.5"]
)
def test_other_thresholds_are_refused(name):
    assert "between 0 and 1 there are accuracy, f1, precision, recall" in metric_problem(name)


def test_an_unknown_metric_names_the_nearest_or_all():
    assert metric_problem("acu") == "unknown metric 'acu'; did you mean 'auc'?"
    assert "known are accuracy, balanced_accuracy" in metric_problem("zzz")
    assert metric_problem("proft", own=["profit"]) == "unknown metric 'proft'; did you mean 'profit'?"
