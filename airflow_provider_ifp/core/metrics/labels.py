"""Labels and answers of classifiers, brought to one form: class codes, and the positive class.

A label may be text, a boolean or a number; True and 1 and 1.0 are the same class. Text against numbers is no
comparison but a mistake, and is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from airflow_provider_ifp.core.errors import DatasetError, ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAIR: Final = 2
_NAMED: Final = 8
_ABSENT: Final = ("NAType", "NaTType")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classes:
    """Labels and predictions as codes into one sorted list of classes.

    Attributes:
        names: The classes found in either, ascending; text or float64.
        label: Codes of the true labels, shape (rows,).
        prediction: Codes of the predictions, shape (rows,).
    """

    names: NDArray[Any]
    label: NDArray[np.intp]
    prediction: NDArray[np.intp]


def encode(y_true: NDArray[Any], prediction: NDArray[Any]) -> Classes:
    """Give every class that labels or predictions know a code.

    Raises:
        ModelError: Labels are text and predictions numbers, or the other way round.

    >>> encode(np.array([True, False]), np.array([1.0, 1.0])).prediction
    array([1, 1])
    """
    label, answer = plain(y_true), plain(prediction)
    if (label.dtype.kind == "U") != (answer.dtype.kind == "U"):
        kinds = ["text" if values.dtype.kind == "U" else "numbers" for values in (label, answer)]
        raise ModelError(
            f"the labels are {kinds[0]}, but the predictions are {kinds[1]}; a model must answer with the "
            "labels that it was trained on"
        )
    names, codes = np.unique(np.concatenate([label, answer]), return_inverse=True)
    return Classes(names=names, label=codes[: len(label)], prediction=codes[len(label) :])


def plain(values: NDArray[Any]) -> NDArray[Any]:
    """Return labels as float64 or as text, whatever array they came in.

    Raises:
        DatasetError: Text and numbers are mixed, or something is neither.

    >>> plain(np.array([True, False], dtype=object)), plain(np.array(["a", "b"], dtype=object))
    (array([1., 0.]), array(['a', 'b'], dtype='<U1'))
    """
    if values.dtype.kind in "biufU":
        return values if values.dtype.kind == "U" else values.astype(np.float64)
    listed = values.tolist()
    if all(isinstance(value, str) for value in listed):
        return np.array(listed, dtype=np.str_)
    if all(isinstance(value, Real | Decimal) for value in listed):
        return np.array([float(value) for value in listed], dtype=np.float64)
    kinds = ", ".join(sorted({type(value).__name__ for value in listed}))
    raise DatasetError(f"labels: expected all text, all numbers or all booleans, found {kinds}")


def missing_problem(values: NDArray[Any], what: str) -> str | None:
    """Say how many values are missing or not finite; None when all are there.

    >>> missing_problem(np.array([1.0, np.inf, 2.0]), "predictions")
    '1 of 3 predictions are infinite'
    >>> missing_problem(np.array(["a", None], dtype=object), "labels")
    '1 of 2 labels are missing'
    """
    flat = values.ravel()
    if flat.dtype.kind in "biuU":
        return None
    if flat.dtype.kind == "f":
        is_nan, infinite, absent = np.isnan(flat), np.isinf(flat), np.zeros(len(flat), dtype=np.bool_)
    else:
        listed = flat.tolist()
        floats = np.array([value if isinstance(value, float) else 0.0 for value in listed], dtype=np.float64)
        is_nan, infinite = np.isnan(floats), np.isinf(floats)
        # pandas writes its own NA, which, like NaN, is not equal to anything: not even true or false.
        absent = np.array(
            [value is None or type(value).__name__ in _ABSENT for value in listed], dtype=np.bool_
        )
    found = [
        f"{int(np.count_nonzero(where)):,} of {len(flat):,} {what} are {state}"
        for where, state in ((is_nan, "NaN"), (infinite, "infinite"), (absent, "missing"))
        if np.any(where)
    ]
    return " and ".join(found) or None


def positive_code(classes: Classes, positive: object, metric: str) -> int:
    """Find the positive class: the one given, else 1 or true, else the larger value.

    Returns:
        Its code; -1 when neither labels nor predictions know it.

    Raises:
        DatasetError: There are more than two classes, or the positive class is not told apart by the data.

    >>> positive_code(encode(np.array(["no", "yes"]), np.array(["no", "no"])), None, "f1")
    1
    """
    names = classes.names
    if len(names) > PAIR:
        shown = ", ".join(map(str, names[:_NAMED])) + (", ..." if len(names) > _NAMED else "")
        raise DatasetError(
            f"{metric} needs two classes, found {len(names)} ({shown}); use accuracy, balanced_accuracy, "
            "f1_macro, f1_weighted or log_loss"
        )
    if positive is not None:
        return _code_of(names, positive, metric)
    if names.dtype.kind != "U":
        if np.any(names == 1):
            return int(np.flatnonzero(names == 1)[0])
        if len(names) == 1 and names[0] == 0:
            return -1
    if len(names) < PAIR:
        raise DatasetError(
            f"{metric}: every label and prediction is {names[0]}, so the positive class cannot be told; "
            "name it in data.positive"
        )
    return 1


def require_both(is_positive: NDArray[np.bool_], metric: str) -> None:
    """Refuse a metric that needs both classes where the labels have one.

    Raises:
        DatasetError: All labels are positive, or all negative.
    """
    positives = int(np.count_nonzero(is_positive))
    if positives in (0, len(is_positive)):
        side = "negative" if positives == 0 else "positive"
        raise DatasetError(
            f"{metric} needs both classes, but all {len(is_positive):,} labels are {side}; widen the holdout"
        )


def _code_of(names: NDArray[Any], positive: object, metric: str) -> int:
    is_text = isinstance(positive, str)
    if is_text != (names.dtype.kind == "U"):
        kinds = ("text", "numbers") if is_text else ("a number", "text")
        raise DatasetError(
            f"{metric}: the positive class {positive!r} is {kinds[0]}, but the labels are {kinds[1]}; "
            "write it as the labels are (data.positive)"
        )
    found = np.flatnonzero(names == positive)
    if not len(found) and len(names) == PAIR:
        raise DatasetError(
            f"{metric}: the positive class {positive!r} is neither of the labels {names[0]} and {names[1]}; "
            "correct data.positive"
        )
    return int(found[0]) if len(found) else -1
