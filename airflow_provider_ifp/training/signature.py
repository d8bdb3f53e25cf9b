"""The types of a model's features, as MLflow's signature.

MLflow refuses a frame whose columns are not exactly of the declared types, and frames have more types than
it knows: an integer column with a missing value is one of floats in pandas, a dictionary is a categorical
column, a date would come back as a time, a time with a zone cannot be converted. Such features are declared
as of any type; names are checked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow.types import TensorSpec


def feature_signature(schema: pa.Schema, features: Sequence[str]) -> ModelSignature | None:
    """The signature of a frame with these features; None where none are named."""
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(_mlflow_type(schema.field(name).type), name) for name in features
    ]
    return ModelSignature(inputs=Schema(columns)) if columns else None


def _mlflow_type(kind: pa.DataType) -> DataType | AnyType:
    if pa.types.is_boolean(kind):
        return DataType.boolean
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return DataType.double
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return DataType.string
    if pa.types.is_timestamp(kind) and kind.tz is None:
        return DataType.datetime
    return AnyType()  # type: ignore[no-untyped-call]
