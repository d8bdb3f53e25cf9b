"""What a model answered, and the forms that metrics take it in: numbers, class codes, rankings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError, ModelError
from airflow_provider_ifp.core.metrics.labels import (
    PAIR,
    Classes,
    encode,
    missing_problem,
    plain,
    positive_code,
    require_both,
)
from airflow_provider_ifp.core.metrics.names import split_parameter
from airflow_provider_ifp.core.metrics.ranking import RANKED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


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
    require_rows(y_true, answers.prediction)
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
    require_rows(y_true, score)
    require_columns(metric, score, len(classes.names))
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
    require_rows(y_true, answers.score)
    # The predictions matter only where columns of scores are to be matched with classes.
    classes = encode(y_true, answers.prediction if answers.score.ndim == PAIR else y_true)
    code = positive_code(classes, positive, metric)
    is_positive = np.asarray(classes.label == code)
    if metric in RANKED:
        require_both(is_positive, metric)
    score = answers.score
    if score.ndim == 1:
        return is_positive, numbers(score, "scores", metric)
    require_columns(metric, score, len(classes.names))
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


def require_columns(metric: str, score: NDArray[Any], classes: int) -> None:
    """Make sure that there is a score for each class.

    Raises:
        ModelError: There is not.
    """
    if score.ndim != PAIR or score.shape[1] != classes:
        raise ModelError(
            f"{metric}: expected a score for each of the {classes} classes in labels and predictions, found "
            f"an array of shape {score.shape}"
        )


def require_rows(labels: NDArray[Any], answers: NDArray[Any]) -> None:
    """Make sure that there is an answer for each label.

    Raises:
        ModelError: There is not.
    """
    if len(labels) != len(answers):
        raise ModelError(f"expected an answer for each of {len(labels):,} rows, found {len(answers):,}")
