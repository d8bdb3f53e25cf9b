"""The metrics a policy may name, and which way is better."""

import difflib
import re
from collections.abc import Iterable
from typing import Literal

Direction = Literal["higher", "lower"]

METRIC_DIRECTIONS: dict[str, Direction] = {
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "precision": "higher",
    "recall": "higher",
    "f1": "higher",
    "f1_macro": "higher",
    "f1_weighted": "higher",
    "auc": "higher",
    "average_precision": "higher",
    "r2": "higher",
    "log_loss": "lower",
    "brier": "lower",
    "rmse": "lower",
    "mae": "lower",
    "mape": "lower",
    "pinball": "lower",
}
THRESHOLD_METRICS = frozenset({"accuracy", "precision", "recall", "f1"})
"""What may be taken at a threshold of the score other than the model's own."""

SCORE_METRICS = frozenset({"auc", "average_precision", "log_loss", "brier"})
"""What is of scores, not of predictions."""

QUANTILE_METRIC = "pinball"
"""What is of a quantile: `pinball_0.9`, and without a number of the median."""

_OF_QUANTILE = re.compile(r"pinball_(?P<quantile>0?\.[0-9]+)")
_AT_THRESHOLD = re.compile(r"(?P<metric>[a-z0-9_]+)_at_threshold_(?P<threshold>0?\.[0-9]+)")


def split_parameter(name: str) -> tuple[str, float | None]:
    """Take a threshold of the score, or a quantile, off a metric's name.

    Returns:
        The plain metric and the number in (0, 1), or the name as it came and None.

    >>> split_parameter("pinball_0.9")
    ('pinball', 0.9)

    >>> split_parameter("precision_at_threshold_0.5")
    ('precision', 0.5)
    >>> split_parameter("auc_at_threshold_0.5")
    ('auc_at_threshold_0.5', None)
    """
    quantile = _OF_QUANTILE.fullmatch(name)
    if quantile is not None and 0 < float(quantile["quantile"]) < 1:
        return QUANTILE_METRIC, float(quantile["quantile"])
    match = _AT_THRESHOLD.fullmatch(name)
    if match is None or match["metric"] not in THRESHOLD_METRICS:
        return name, None
    threshold = float(match["threshold"])
    return (match["metric"], threshold) if 0 < threshold < 1 else (name, None)


def needs_score(name: str) -> bool:
    """Say whether a metric of ours is of scores rather than of predictions.

    >>> needs_score("auc"), needs_score("recall_at_threshold_0.3"), needs_score("recall")
    (True, True, False)
    """
    plain, number = split_parameter(name)
    return plain in SCORE_METRICS or (plain in THRESHOLD_METRICS and number is not None)


def metric_direction(name: str) -> Direction | None:
    """Say which way a metric of ours is better; None for a name that is not ours.

    >>> metric_direction("rmse"), metric_direction("recall_at_threshold_.3"), metric_direction("acu")
    ('lower', 'higher', None)
    """
    return METRIC_DIRECTIONS.get(split_parameter(name)[0])


def metric_problem(name: str, own: Iterable[str] = ()) -> str | None:
    """Say what is wrong with a metric's name; None when nothing is.

    Args:
        name: the metric, as the policy names it.
        own: the metrics that the policy brings along (`validation.metrics`).

    >>> metric_problem("acu")
    "unknown metric 'acu'; did you mean 'auc'?"
    >>> metric_problem("profit", own=["profit"]) is None
    True
    """
    known = [*METRIC_DIRECTIONS, *own]
    if name in known or metric_direction(name):
        return None
    if "_at_threshold_" in name:
        plain = ", ".join(sorted(THRESHOLD_METRICS))
        return f"unknown metric {name!r}; at a threshold between 0 and 1 there are {plain}"
    near = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown metric {name!r}; {advice}"
