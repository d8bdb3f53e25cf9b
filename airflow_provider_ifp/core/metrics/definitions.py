"""The metrics that gates know, as scikit-learn defines them, in NumPy.

Every metric is finite or an error: where scikit-learn warns and returns 0, 1 or NaN because the rows cannot
decide (one class only, a constant label), this module raises, since a gate must not pass on such a number.
The one exception is scikit-learn's own convention that precision is 0 when nothing was predicted positive.

Tested against `sklearn.metrics`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError, ModelError, PolicyError
from airflow_provider_ifp.core.metrics.class_rows import count_class_rows, of_class_rows
from airflow_provider_ifp.core.metrics.labels import (
    PAIR,
    Classes,
    encode,
    missing_problem,
    plain,
    positive_code,
    require_both,
)
from airflow_provider_ifp.core.metrics.names import (
    QUANTILE_METRIC,
    Direction,
    metric_direction,
    metric_problem,
    split_parameter,
)
from airflow_provider_ifp.core.metrics.ranking import auc, average_precision

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_EPS: Final = float(np.finfo(np.float64).eps)
# What float32 probabilities are off by.
_SUM_SLACK: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model answered.

    Attributes:
        prediction: The label or number of each row, shape (rows,).
        score: The probability of the positive class, shape (rows,), or of each class in ascending order of
        the
            classes, shape (rows, classes); None where the model gives none.
    """

    prediction: NDArray[Any]
    score: NDArray[Any] | None = None


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


def answers_problem(answers: Answers, rows: int) -> str | None:
    """Say what makes answers unfit to be judged at all; None when nothing does.

    >>> answers_problem(Answers(np.array([1.0, np.nan])), rows=2)
    '1 of 2 predictions are NaN'
    """
    for values, what in ((answers.prediction, "predictions"), (answers.score, "scores")):
        if values is not None:
            if not values.ndim or len(values) != rows:
                found = f"{len(values):,}" if values.ndim else "a single value"
                return f"expected {what} for {rows:,} rows, found {found}"
            if problem := missing_problem(values, what):
                return problem
    if answers.prediction.ndim != 1:
        return f"expected one prediction a row, found an array of shape {answers.prediction.shape}"
    return None


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
    _require_rows(label, answer)
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


def class_answers(
    metric: str, y_true: NDArray[Any], answers: Answers, positive: object
) -> tuple[Classes, int | None]:
    """Return labels and answers as class codes, with the code of the positive class where there is one.

    At a threshold the answer is positive where the score reaches it; the codes are 0 and 1 then.
    """
    plain_metric, threshold = split_parameter(metric)
    if threshold is not None:
        is_positive, score = positives_and_scores(metric, y_true, answers, positive)
        if plain_metric != "accuracy":
            require_both(is_positive, metric)
        codes = is_positive.astype(np.intp), (score >= threshold).astype(np.intp)
        return Classes(names=np.array([0.0, 1.0]), label=codes[0], prediction=codes[1]), 1
    _require_rows(y_true, answers.prediction)
    classes = encode(y_true, answers.prediction)
    if metric in ("precision", "recall", "f1"):
        code = positive_code(classes, positive, metric)
        require_both(classes.label == code, metric)
        return classes, code
    if metric == "balanced_accuracy" and np.all(classes.label == classes.label[0]):
        raise DatasetError(
            f"balanced_accuracy needs two classes, but all {len(y_true):,} labels are "
            f"{classes.names[classes.label[0]]}; widen the holdout"
        )
    return classes, None


def rankings_of(
    metric: str, y_true: NDArray[Any], answers: Answers, positive: object
) -> list[tuple[NDArray[np.bool_], Floats]]:
    """Return what is ranked: which labels are positive and their scores; of many classes each for itself.

    The AUC of more than two classes is the mean of each class against the rest, as scikit-learn's
    `multi_class="ovr"`.

    Raises:
        DatasetError: The labels do not have every class that has a score.
        ModelError: As `positives_and_scores`.
    """
    score = answers.score
    if metric != "auc" or score is None or score.ndim != PAIR or score.shape[1] <= PAIR:
        return [positives_and_scores(metric, y_true, answers, positive)]
    classes = encode(y_true, answers.prediction)
    _require_rows(y_true, score)
    _require_columns(metric, score, len(classes.names))
    rankings = []
    for code, name in enumerate(classes.names):
        is_positive = np.asarray(classes.label == code)
        if not is_positive.any():
            raise DatasetError(f"auc needs every class, but no label is {name}; widen the holdout")
        rankings.append((is_positive, numbers(score[:, code], "scores", metric)))
    return rankings


def positives_and_scores(
    metric: str, y_true: NDArray[Any], answers: Answers, positive: object
) -> tuple[NDArray[np.bool_], Floats]:
    """Return which labels are positive, and the score of the positive class, each of shape (rows,).

    Raises:
        ModelError: There is no score, or it has another number of columns than there are classes.
    """
    if answers.score is None:
        raise ModelError(
            f"{metric} needs a score (the probability of the positive class), and the model answers none; "
            "return a frame with `prediction` and `score`, or register a model that has `predict_proba`"
        )
    _require_rows(y_true, answers.score)
    # The predictions matter only where columns of scores are to be matched with classes.
    classes = encode(y_true, answers.prediction if answers.score.ndim == PAIR else y_true)
    code = positive_code(classes, positive, metric)
    is_positive = np.asarray(classes.label == code)
    if metric in RANKED:
        require_both(is_positive, metric)
    score = answers.score
    if score.ndim == 1:
        return is_positive, numbers(score, "scores", metric)
    _require_columns(metric, score, len(classes.names))
    return is_positive, numbers(score[:, code], "scores", metric)


def numbers(values: NDArray[Any], what: str, metric: str) -> Floats:
    """Return values as float64, shape (rows,).

    Raises:
        DatasetError: They are text or something else that is no number.
    """
    floats = plain(values)
    if floats.dtype.kind == "U":
        raise DatasetError(f"{metric} needs numbers, but the {what} are text (such as {str(floats[0])!r})")
    return np.asarray(floats, dtype=np.float64)


MEANS: Final = frozenset({"accuracy", "log_loss", "brier", "rmse", "mae", "mape", QUANTILE_METRIC})
RANKED: Final[dict[str, Callable[[NDArray[np.bool_], Floats], float]]] = {
    "auc": auc,
    "average_precision": average_precision,
}
_ERRORS: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "rmse": lambda label, answer: np.asarray(np.square(label - answer)),
    "mae": lambda label, answer: np.asarray(np.abs(label - answer)),
    "mape": lambda label, answer: np.asarray(np.abs(label - answer) / np.maximum(np.abs(label), _EPS)),
}


def _pinball(error: Floats, quantile: float) -> Floats:
    return np.asarray(np.maximum(quantile * error, (quantile - 1) * error))


def _log_loss_of_classes(y_true: NDArray[Any], answers: Answers) -> Floats:
    score = np.asarray(answers.score, dtype=np.float64)
    _require_rows(y_true, score)
    classes = encode(y_true, answers.prediction)
    _require_columns("log_loss", score, len(classes.names))
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


def _require_columns(metric: str, score: NDArray[Any], classes: int) -> None:
    if score.ndim != PAIR or score.shape[1] != classes:
        raise ModelError(
            f"{metric}: expected a score for each of the {classes} classes in labels and predictions, found "
            f"an array of shape {score.shape}"
        )


def _require_rows(labels: NDArray[Any], answers: NDArray[Any]) -> None:
    if len(labels) != len(answers):
        raise ModelError(f"expected an answer for each of {len(labels):,} rows, found {len(answers):,}")
