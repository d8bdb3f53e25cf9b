"""The metrics that gates know, as scikit-learn defines them, in NumPy.

Every metric is finite or an error: where scikit-learn warns and returns 0, 1 or NaN because the rows cannot
decide (one class only, a constant label), this module raises, since a gate must not pass on such a number.
The one exception is scikit-learn's own convention that precision is 0 when nothing was predicted positive.

Tested against `sklearn.metrics`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError, ModelError, PolicyError
from airflow_provider_ifp.core.metrics.answers import (
    Answers,
    answers_problem,
    class_answers,
    numbers,
    positives_and_scores,
    rankings_of,
    require_columns,
    require_rows,
)
from airflow_provider_ifp.core.metrics.class_rows import count_class_rows, of_class_rows
from airflow_provider_ifp.core.metrics.labels import encode, missing_problem
from airflow_provider_ifp.core.metrics.names import (
    QUANTILE_METRIC,
    Direction,
    metric_direction,
    metric_problem,
    split_parameter,
)
from airflow_provider_ifp.core.metrics.ranking import RANKED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EPS: Final = float(np.finfo(np.float64).eps)
# What float32 probabilities are off by.
_SUM_SLACK: Final = 1e-3


def direction(metric: str) -> Direction:
    """Say which way the metric is better.

    Raises:
        PolicyError: There is no such metric; the message names the nearest one.

    >>> direction("rmse"), direction("f1")
    ('lower', 'higher')
    """
    found = metric_direction(metric)
    if found is None:
        raise PolicyError(f"{metric_problem(metric)}")
    return found


def compute(metric: str, y_true: NDArray[Any], answers: Answers, positive: object = None) -> float:
    """Compute a metric over all rows.

    Args:
        metric: A name of `core.metrics.names`.
        y_true: Labels, shape (rows,).
        answers: What the model answered for these rows.
        positive: The positive class of a binary label; None: 1 or true or the larger value.

    Returns:
        A finite number in the metric's own unit.

    Raises:
        PolicyError: The metric is unknown.
        DatasetError: The labels cannot decide the metric.
        ModelError: The answers do not fit the labels, or lack the score that the metric needs.

    >>> compute("rmse", np.array([1.0, 2.0]), Answers(np.array([1.0, 4.0])))
    1.4142135623730951
    >>> compute("f1", np.array([1, 1, 0]), Answers(np.array([1, 0, 0])))
    0.6666666666666666
    """
    direction(metric)
    if not len(y_true):
        raise DatasetError(f"{metric} needs rows, found none; widen the holdout")
    if problem := missing_problem(y_true, "labels"):
        raise DatasetError(f"{metric}: {problem}; judge on rows that have a label")
    if problem := answers_problem(answers, len(y_true)):
        raise ModelError(f"{metric}: {problem}")
    if split_parameter(metric)[0] in MEANS:
        value = float(np.mean(losses(metric, y_true, answers, positive)))
        value = math.sqrt(value) if metric == "rmse" else value
    elif metric in RANKED:
        rankings = rankings_of(metric, y_true, answers, positive)
        value = sum(RANKED[metric](*ranking) for ranking in rankings) / len(rankings)
    elif metric == "r2":
        with np.errstate(over="ignore", invalid="ignore"):
            value = 1.0 - float(np.sum(losses("rmse", y_true, answers)) / np.sum(spread(y_true)))
    else:
        classes, code = class_answers(metric, y_true, answers, positive)
        value = float(of_class_rows(metric, count_class_rows(classes), code))
    if not math.isfinite(value):
        raise ModelError(f"{metric} is {value}; the errors are too large to be squared or summed")
    return value


def losses(metric: str, y_true: NDArray[Any], answers: Answers, positive: object = None) -> Floats:
    """Return what each row adds to a metric that is a mean over rows (for rmse: to the mean square).

    Returns:
        Shape (rows,); for accuracy 1 where the answer is right.

    Raises:
        DatasetError: The labels are no numbers where numbers are needed.
        ModelError: The predictions are no numbers, or the score is missing or no probability.
    """
    plain_metric, quantile = split_parameter(metric)
    if plain_metric == "accuracy":
        classes, _ = class_answers(metric, y_true, answers, positive)
        return np.asarray(classes.label == classes.prediction, dtype=np.float64)
    if plain_metric == "log_loss" and not (answers.score is None or answers.score.ndim == 1):
        return _log_loss_of_classes(y_true, answers)
    if plain_metric in ("log_loss", "brier"):
        is_positive, score = positives_and_scores(metric, y_true, answers, positive)
        _require_probabilities(metric, score)
        if plain_metric == "brier":
            return np.asarray(np.square(score - is_positive))
        kept = np.clip(score, _EPS, 1 - _EPS)
        return np.asarray(-np.log(np.where(is_positive, kept, 1 - kept)))
    label, answer = numbers(y_true, "labels", metric), numbers(answers.prediction, "predictions", metric)
    require_rows(label, answer)
    # What overflows becomes infinite, and `compute` refuses that in one place.
    with np.errstate(over="ignore"):
        if plain_metric == QUANTILE_METRIC:
            return _pinball(label - answer, 0.5 if quantile is None else quantile)
        errors: Floats = _ERRORS[plain_metric](label, answer)
    return errors


def spread(y_true: NDArray[Any]) -> Floats:
    """Return the squared distance of each label from their mean, shape (rows,).

    Raises:
        DatasetError: All labels are equal, so that r2 is undefined.
    """
    label = numbers(y_true, "labels", "r2")
    if np.all(label == label[0]):
        raise DatasetError(
            f"r2 needs labels that differ, but all {len(label):,} are {label[0]}; use rmse or mae"
        )
    return np.asarray(np.square(label - label.mean()))


MEANS: Final = frozenset({"accuracy", "log_loss", "brier", "rmse", "mae", "mape", QUANTILE_METRIC})
_ERRORS: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "rmse": lambda label, answer: np.asarray(np.square(label - answer)),
    "mae": lambda label, answer: np.asarray(np.abs(label - answer)),
    "mape": lambda label, answer: np.asarray(np.abs(label - answer) / np.maximum(np.abs(label), _EPS)),
}


def _pinball(error: Floats, quantile: float) -> Floats:
    return np.asarray(np.maximum(quantile * error, (quantile - 1) * error))


def _log_loss_of_classes(y_true: NDArray[Any], answers: Answers) -> Floats:
    score = np.asarray(answers.score, dtype=np.float64)
    require_rows(y_true, score)
    classes = encode(y_true, answers.prediction)
    require_columns("log_loss", score, len(classes.names))
    _require_probabilities("log_loss", score)
    if not np.allclose(score.sum(axis=1), 1.0, atol=_SUM_SLACK):
        raise ModelError("log_loss: the scores of a row must sum to 1; answer a probability for each class")
    own = score[np.arange(len(score)), classes.label]
    return np.asarray(-np.log(np.clip(own, _EPS, 1 - _EPS)))


def _require_probabilities(metric: str, score: Floats) -> None:
    outside = int(np.count_nonzero((score < 0) | (score > 1)))
    if outside:
        raise ModelError(
            f"{metric} needs probabilities, but {outside:,} of {score.size:,} scores lie outside 0 to 1 "
            f"({score.min():.4g} to {score.max():.4g})"
        )
