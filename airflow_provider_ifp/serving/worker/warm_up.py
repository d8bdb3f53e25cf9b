"""Whether a version that was just opened answers, asked before any caller does.

The rows are made from the reference window's profile, so they are what the model was trained on: its deciles
and its most frequent categories. Without a profile they are made up from the types, and a model that raises
on those is not blamed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_provider_ifp.core.errors import ModelError
from airflow_provider_ifp.core.profile.feature import CategoricalProfile, ListProfile, NumericProfile
from airflow_provider_ifp.serving.messages import Tensor
from airflow_provider_ifp.serving.worker.frames import Asked, join_columns
from airflow_provider_ifp.serving.worker.tensors import datatype_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from airflow_provider_ifp.core.profile.feature import Feature
    from airflow_provider_ifp.serving.worker.answering import Served
    from airflow_provider_ifp.serving.worker.columns import Column

log = logging.getLogger(__name__)

SIZES = (1, 2, 7, 1000)
"""Rows of each call. MLflow's exported torch models answer only batches as large as their example was."""

_MICROSECONDS = 1e6
_MADE_UP = {"BOOL": True, "BYTES": "", "FP64": 0.0, "FP32": 0.0}


@dataclass(frozen=True, slots=True)
class Warmth:
    """What warming up found: the model's outputs, and whether it raised on rows that were made up."""

    outputs: list[Tensor]
    unsure: str | None = None


def warm_up(served: Served, features: Mapping[str, Feature]) -> Warmth:
    """Let a version answer batches of 1, 2, 7 and 1,000 rows.

    Args:
        served: The version.
        features: The reference window's profile, by name; empty: there is none.

    Raises:
        ModelError: it raises, or answers another number of rows.
    """
    if not served.columns.names:
        return Warmth([Tensor("prediction", "FP64", [-1])])
    known = features.keys() >= set(served.columns.names)
    outputs: dict[str, Any] = {}
    for rows in SIZES:
        values = {
            column.name: _values(column, features.get(column.name), rows) for column in served.columns.all
        }
        try:
            outputs = served.predict(join_columns([Asked(values, rows)], served.columns), rows)
        except Exception as error:
            said = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            if known or (isinstance(error, ModelError) and "answered" in said):
                raise ModelError(f"it does not answer a batch of {rows} rows: {said}") from error
            return Warmth([Tensor("prediction", "FP64", [-1])], f"made-up rows could not be answered: {said}")
    return Warmth([_describe(name, column) for name, column in outputs.items()])


def _values(column: Column, feature: Feature | None, rows: int) -> list[Any]:
    choices = _choices(column, feature)
    return [choices[place % len(choices)] for place in range(rows)]


def _choices(column: Column, feature: Feature | None) -> list[Any]:
    if isinstance(feature, ListProfile):
        return [list(feature.centre)]
    if isinstance(feature, CategoricalProfile) and feature.names:
        names = list(feature.names[:10])
        return [name == "true" for name in names] if feature.value_type == "boolean" else names
    if isinstance(feature, NumericProfile) and feature.edges:
        deciles = [feature.edges[place] for place in feature.deciles]
        if feature.value_type == "time":
            return [datetime.fromtimestamp(value / _MICROSECONDS, UTC).isoformat() for value in deciles]
        return [float(round(value)) for value in deciles] if column.datatype.startswith("INT") else deciles
    if column.type is not None and str(column.type).startswith("timestamp"):
        return [datetime(2026, 1, 1, tzinfo=UTC).isoformat()]
    return [_MADE_UP.get(column.datatype, 0)]


def _describe(name: str, column: np.ndarray | list[Any]) -> Tensor:
    values = column if isinstance(column, list) else column.tolist()
    return Tensor(name, datatype_of(values), [-1, len(values[0])] if isinstance(values[0], list) else [-1])
