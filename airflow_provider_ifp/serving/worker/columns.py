"""The columns that a model takes: from its signature, and from the profile where the signature says "any".

The training signature declares floats, text, booleans and times; whole numbers, categories and times with a
zone it declares as of any type (`training/signature.py`). The reference window's profile tells these apart.
What neither tells is taken as the request has it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from mlflow.types import DataType
from mlflow.types.schema import AnyType

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, ListProfile, NumericProfile
from airflow_provider_ifp.core.profile.record import Profile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from airflow_provider_ifp.core.profile.feature import Feature

CATEGORY = pa.dictionary(pa.int32(), pa.string())
_LOSE_THEIR_TYPE = {pa.bool_(), pa.int32(), pa.int64()}

_DECLARED = {
    DataType.boolean: pa.bool_(),
    DataType.integer: pa.int32(),
    DataType.long: pa.int64(),
    DataType.float: pa.float32(),
    DataType.double: pa.float64(),
    DataType.string: pa.string(),
    DataType.datetime: pa.timestamp("us"),
    DataType.binary: pa.binary(),
}
_PROFILED = {
    "text": CATEGORY,
    "number": pa.int64(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),
}
_DATATYPES = {
    pa.bool_(): "BOOL",
    pa.int32(): "INT32",
    pa.int64(): "INT64",
    pa.float32(): "FP32",
    pa.float64(): "FP64",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A feature.

    Attributes:
        name: As the request names it.
        type: What its values are brought to; None: whatever the request has.
        required: Whether a request must have it.
    """

    name: str
    type: pa.DataType | None
    required: bool = True

    @property
    def datatype(self) -> str:
        """Its type in the open inference protocol; what has none there comes as text."""
        return _DATATYPES.get(self.type, "BYTES")


@dataclass(frozen=True, slots=True)
class Columns:
    """The features of a model, in order; none where it takes whatever the caller sends.

    Attributes:
        all: Every one.
        names: Their names.
        required: Those that every request must have.
        special: Those by which the frames of two requests may differ in type: without a type of their own,
            optional, or of whole numbers or booleans, which with a missing value are floats or objects.
    """

    all: tuple[Column, ...]
    names: tuple[str, ...]
    required: frozenset[str]
    special: tuple[Column, ...]

    @classmethod
    def of(cls, columns: Iterable[Column]) -> Columns:
        """Put together."""
        every = tuple(columns)
        return cls(
            every,
            tuple(column.name for column in every),
            frozenset(column.name for column in every if column.required),
            tuple(column for column in every if _is_special(column)),
        )

    @classmethod
    def untyped(cls, names: Iterable[str]) -> Columns:
        """What a request has, for a model without columns of its own."""
        return cls.of(Column(name, None) for name in names)


def _is_special(column: Column) -> bool:
    return column.type is None or column.type in _LOSE_THEIR_TYPE or not column.required


def read_profile(path: Path | None) -> dict[str, Feature]:
    """The features of the reference window's profile by name; empty where there is none."""
    if path is None:
        return {}
    record = json.loads(path.read_text(encoding="utf-8"))
    return {feature.name: feature for feature in Profile.from_json(record, where=str(path)).features}


def read_columns(schema: Any, features: dict[str, Feature]) -> Columns:
    """The columns of an MLflow input schema.

    Args:
        schema: MLflow's `Schema`, or None.
        features: The profile's.

    Raises:
        ModelError: it is a schema of tensors, or of columns without names.
    """
    if schema is None:
        return Columns.of(())
    if schema.is_tensor_spec() or not schema.has_input_names():
        raise ModelError(
            f"its signature is {schema}: expected named columns; register the model with a signature of its "
            "features"
        )
    return Columns.of(
        Column(spec.name, _arrow_type(spec.type, features.get(spec.name)), bool(spec.required))
        for spec in schema.inputs
    )


def _arrow_type(declared: Any, feature: Feature | None) -> pa.DataType | None:
    if not isinstance(declared, AnyType):
        return _DECLARED.get(declared) if isinstance(declared, DataType) else None
    if isinstance(feature, ListProfile):
        return pa.list_(pa.float64())
    if isinstance(feature, NumericProfile | CategoricalProfile):
        return _PROFILED[feature.value_type]
    return None
