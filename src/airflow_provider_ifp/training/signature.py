"""The types of a model's features, as MLflow's signature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence


def feature_signature(schema: pa.Schema, features: Sequence[str]) -> ModelSignature | None:
    """The signature of a frame with these features; None where a column has a type that MLflow has not."""
    columns = []
    for name in features:
        kind = _mlflow_type(schema.field(name).type)
        if kind is None:
            return None
        columns.append(ColSpec(kind, name))
    return ModelSignature(inputs=Schema(columns)) if columns else None


def _mlflow_type(kind: pa.DataType) -> DataType | None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_boolean(kind):
        return DataType.boolean
    if pa.types.is_integer(kind):
        return DataType.long
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return DataType.double
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return DataType.string
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return DataType.datetime
    return None
