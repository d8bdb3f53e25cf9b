"""By how much an answer was wrong, or whether: the difference of numbers, `right` and `wrong` of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.columns import value_type
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.record import RIGHT, WRONG

if TYPE_CHECKING:
    from airflow_provider_ifp.adapters.counting.columns import Column

    ErrorKind: TypeAlias = Literal["number", "category"]
    """As the profile of a version's errors has it in its `kind`."""


def error_kind(prediction: pa.DataType, label: pa.DataType, *, scored: bool) -> ErrorKind | None:
    """Say how errors are told.

    A number that comes with scores is the name of a class, not a quantity.

    Args:
        prediction: Type of the predictions.
        label: Type of the labels.
        scored: The model gives probabilities beside its predictions.

    Returns:
        `number`: prediction - label; `category`: right or wrong; None: the two cannot be compared.

    >>> error_kind(pa.float64(), pa.int64(), scored=False), error_kind(pa.string(), pa.string(), scored=True)
    ('number', 'category')
    """
    are_text = [_is_text(of) for of in (prediction, label)]
    if None in are_text or are_text[0] != are_text[1]:
        return None
    is_class = scored or are_text[0] or value_type(label) == "boolean" or value_type(prediction) == "boolean"
    return "category" if is_class else "number"


def prediction_errors(prediction: Column, label: Column, kind: ErrorKind, where: str) -> Column:
    """Return the error of each row, null where it has no label or no prediction.

    Args:
        prediction: Numbers, booleans or text, shape (rows,).
        label: Of the same kind, shape (rows,).
        kind: As `error_kind` gave it.
        where: Names the labels in messages.

    Returns:
        float64 prediction - label, or the texts `right` and `wrong`.

    Raises:
        DatasetError: Labels and predictions cannot be compared.

    >>> prediction_errors(pa.array([3.0, 1.0]), pa.array([1, None]), "number", "labels").to_pylist()
    [2.0, None]
    """
    answered, true = plain_labels(prediction, "the predictions"), plain_labels(label, where)
    if answered.type != true.type:
        raise DatasetError(
            f"{where}: label is {label.type}, but the predictions are {prediction.type}; write labels as the "
            "model answers"
        )
    if kind == "category":
        return pc.if_else(pc.equal(answered, true), RIGHT, WRONG)
    if answered.type != pa.float64():
        raise DatasetError(f"{where}: expected numbers, as at the training, found {label.type}")
    return pc.subtract(answered, true)


def plain_labels(values: Column, where: str) -> Column:
    """Return labels as float64 or as text.

    Raises:
        DatasetError: They are neither numbers, booleans nor text.
    """
    is_text = _is_text(values.type)
    if is_text is None:
        raise DatasetError(
            f"{where}: expected one number, boolean or text a row, found {values.type}; cast the column"
        )
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if is_text:
        return values.cast(pa.string())
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return values.cast(pa.float64(), safe=False)


def _is_text(of: pa.DataType) -> bool | None:
    """Whether labels of this type are text; None: they are no labels."""
    kind = value_type(of)
    return kind == "text" if kind in ("text", "boolean", "number") else None
