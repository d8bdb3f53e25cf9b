"""The types of the features as MLflow declares and enforces them."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models.utils import _enforce_schema

from airflow_provider_ifp.training.signature import feature_signature

COLUMNS = {
    "number": pa.array([1.5, None], pa.float64()),
    "single": pa.array([1.5, None], pa.float32()),
    "count": pa.array([1, 2], pa.int64()),
    "holes": pa.array([1, None], pa.int32()),
    "flag": pa.array([True, False]),
    "text": pa.array(["a", "b"]),
    "large": pa.array(["a", "b"], pa.large_string()),
    "kind": pa.array(["a", "b"]).dictionary_encode(),
    "price": pa.array([Decimal("1.50"), None]),
    "day": pa.array([date(2013, 1, 1), date(2013, 1, 2)]),
    "naive": pa.array([datetime(2013, 1, 1), None], pa.timestamp("us")),  # noqa: DTZ001 - the case at hand
    "moment": pa.array([datetime(2013, 1, 1, tzinfo=UTC), None], pa.timestamp("us", "UTC")),
}
TABLE = pa.table(COLUMNS)


def present(series):
    return [None if pd.isna(value) else value for value in series]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("number", "double"),
        ("single", "double"),
        ("flag", "boolean"),
        ("text", "string"),
        ("large", "string"),
    ],
)
def test_a_column_is_declared_by_its_type(name, kind):
    assert [(spec.name, spec.type.name) for spec in feature_signature(TABLE.schema, [name]).inputs] == [
        (name, kind)
    ]


def test_only_the_features_are_declared_in_their_order_and_no_output():
    signature = feature_signature(TABLE.schema, ["text", "number"])
    assert signature.inputs.input_names() == ["text", "number"]
    assert signature.outputs is None


def test_without_features_there_is_no_signature():
    assert feature_signature(TABLE.schema, []) is None


@pytest.mark.parametrize("name", COLUMNS)
def test_what_the_model_was_trained_on_passes_mlflows_own_check(name):
    signature = feature_signature(TABLE.schema, [name])
    frame = TABLE.select([name]).to_pandas()
    enforced = _enforce_schema(frame, signature.inputs)
    assert present(enforced[name]) == present(frame[name])


def test_a_frame_that_lacks_a_feature_does_not_pass():
    signature = feature_signature(TABLE.schema, ["count", "number"])
    with pytest.raises(MlflowException, match="count"):
        _enforce_schema(TABLE.select(["number"]).to_pandas(), signature.inputs)
