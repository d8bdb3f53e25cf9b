"""What an error is: a difference of numbers, or right and wrong; the same at validation and in the log."""

import decimal

import pyarrow as pa
import pytest

from airflow_provider_ifp.adapters.log.answer_errors import error_kind, prediction_errors
from airflow_provider_ifp.core.errors import DatasetError


@pytest.mark.parametrize(
    ("prediction", "label", "scored", "kind"),
    [
        (pa.float64(), pa.int32(), False, "number"),
        (pa.float32(), pa.decimal128(9, 2), False, "number"),
        (pa.int64(), pa.int64(), True, "category"),
        (pa.float64(), pa.bool_(), False, "category"),
        (pa.string(), pa.dictionary(pa.int8(), pa.string()), False, "category"),
        (pa.string(), pa.int64(), False, None),
        (pa.list_(pa.float64()), pa.float64(), False, None),
        (pa.float64(), pa.timestamp("us"), False, None),
    ],
)
def test_classes_are_told_from_quantities(prediction, label, scored, kind):
    assert error_kind(prediction, label, scored=scored) == kind


@pytest.mark.parametrize(
    ("prediction", "label", "kind", "expected"),
    [
        (pa.array([3, 1, 1]), pa.array([1.5, None, 1]), "number", [1.5, None, 0.0]),
        (pa.array([1.0]), pa.array([decimal.Decimal("0.25")]), "number", [0.75]),
        (pa.array([1.0, 0.0, None]), pa.array([True, True, True]), "category", ["right", "wrong", None]),
        (pa.array(["a", "b"]), pa.array(["a", "a"]).dictionary_encode(), "category", ["right", "wrong"]),
        (pa.array([2]), pa.array([2.0]), "category", ["right"]),
    ],
)
def test_errors(prediction, label, kind, expected):
    assert prediction_errors(prediction, label, kind, "labels").to_pylist() == expected


def test_text_where_numbers_were_is_refused():
    with pytest.raises(DatasetError, match="expected numbers, as at the training, found string"):
        prediction_errors(pa.array(["a"]), pa.array(["b"]), "number", "labels")
