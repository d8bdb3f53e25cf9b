"""The log's requests as the shadow gate looks at them, beside the holdout's rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.counting.columns import lists, numbers, text_of, value_type
from airflow_provider_ifp.adapters.log.predictions import read_log
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.core.shadow.gate import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from airflow_provider_ifp.core.windows import Window
    from airflow_provider_ifp.loop.labelled import Columns

_LOGGED: Final = ("request_id", "row", "ts", "model_version", "prediction", "status", "compute_us")
_BAD_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class Log:
    """Where the requests are.

    Attributes:
        root: Of the prediction log.
        model: The registered model.
        features: The model's.
    """

    root: str
    model: str
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Rows that both versions were asked.

    Attributes:
        table: The features.
        columns: Which they are.
        candidate: The candidate's predictions.
        production: Production's.
        candidate_there: Which of them are there.
        production_there: The same of production's.
    """

    table: pa.Table
    columns: Columns
    candidate: pa.ChunkedArray
    production: pa.ChunkedArray
    candidate_there: NDArray[np.bool_]
    production_there: NDArray[np.bool_]

    def part(self, start: int, rows: int) -> Pairs:
        """Some rows that follow each other."""
        end = start + rows
        return Pairs(
            self.table.slice(start, rows),
            self.columns,
            self.candidate.slice(start, rows),
            self.production.slice(start, rows),
            self.candidate_there[start:end],
            self.production_there[start:end],
        )

    @property
    def asked(self) -> int:
        """Rows that production answers: of the others nothing can be told."""
        return int(np.count_nonzero(self.production_there))

    @property
    def errors(self) -> int:
        """Of these, the rows that the candidate does not answer."""
        return int(np.count_nonzero(self.production_there & ~self.candidate_there))

    def side(self) -> Side:
        """The rows that both answer, as the gate takes them."""
        both = pa.array(self.candidate_there & self.production_there)
        return Side(
            looked_at(self.table.filter(both), self.columns),
            predictions_of(self.candidate.filter(both)),
            predictions_of(self.production.filter(both)),
        )


def read_requests(log: Log, stage: str, window: Window, features: Sequence[str]) -> pa.Table:
    """Read what was asked and answered in a window, in the order of time; each (request_id, row) once.

    Args:
        log: Where.
        stage: `production` or `shadow`.
        window: Of request time.
        features: The model's; none are needed of a second stage.

    Returns:
        `features`, then `request_id`, `row`, `ts`, `model_version`, `prediction`, `status`, `compute_us`.

    Raises:
        PredictionLogError: no log of this model, a feature that it does not have, a damaged file.
    """
    table = read_log(log.root, log.model, stage, window, features, log_columns=_LOGGED)
    if not table.num_rows:
        return table
    table = table.sort_by([("ts", "ascending"), ("request_id", "ascending"), ("row", "ascending")])
    _, first = np.unique(keys(table), return_index=True)
    return table.take(np.sort(first))


def is_answered(table: pa.Table, prefix: str = "") -> NDArray[np.bool_]:
    """Which requests got an answer: a prediction, with no status that says otherwise."""
    good = pc.less(pc.fill_null(table[f"{prefix}status"].cast(pa.int32()), 0), _BAD_STATUS)
    return _booleans(good) & is_present(table[f"{prefix}prediction"])


def is_present(predictions: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which predictions are there, and finite."""
    if value_type(predictions.type) == "list":
        return np.asarray(np.isfinite(lists(predictions, None, "prediction")).all(axis=1))
    if value_type(predictions.type) in ("number", "boolean"):
        return np.asarray(np.isfinite(numbers(predictions)))
    return _booleans(pc.is_valid(predictions))


def predictions_of(predictions: pa.ChunkedArray) -> NDArray[Any]:
    """Predictions, none of them missing, as the statistic takes them: floats, rows of floats, or text."""
    kind = value_type(predictions.type)
    if kind == "list":
        return lists(predictions, None, "prediction")
    if kind == "number":
        return numbers(predictions)
    return np.array([text_of(value) for value in predictions.to_pylist()], dtype=object)


def align(log: pa.Table, holdout: pa.Table, features: Sequence[str]) -> pa.Table:
    """The holdout's features, then the log's, in the holdout's types: what both versions are asked.

    Raises:
        PredictionLogError: the log has values that are none of the dataset's type.
    """
    asked = holdout.select(features)
    columns = []
    for field in asked.schema:
        try:
            columns.append(log[field.name].cast(field.type))
        except pa.ArrowException as error:
            raise PredictionLogError(
                f"prediction log: feature {field.name!r} is {log[field.name].type}, the dataset has "
                f"{field.type}: {error}; log what the model is asked with"
            ) from None
    return pa.concat_tables([asked, pa.table(columns, schema=asked.schema)])


def looked_at(table: pa.Table, columns: Columns) -> dict[str, NDArray[Any]]:
    """The features as the statistic takes them; lists have no place in it and are left out."""
    found: dict[str, NDArray[Any]] = {}
    for name in columns.features:
        kind = value_type(table.schema.field(name).type)
        if kind in ("number", "time") and name not in columns.categorical:
            found[name] = numbers(table[name])
        elif kind not in ("list", None):
            values = table[name].to_pylist()
            found[name] = np.array(
                [None if value is None else text_of(value) for value in values], dtype=object
            )
    return found


def duration_of(table: pa.Table) -> timedelta:
    """From the first request to the last."""
    if not table.num_rows:
        return timedelta(0)
    ends = pc.min_max(table["ts"]).as_py()
    span: timedelta = ends["max"] - ends["min"]
    return span


def thin_out(table: pa.Table, most: int) -> pa.Table:
    """Every so many-th row of a longer table, from first to last."""
    if table.num_rows <= most:
        return table
    return table.take(np.linspace(0, table.num_rows - 1, most).astype(np.int64))


def keys(table: pa.Table) -> NDArray[Any]:
    """What makes a pair across stages: request_id and row."""
    parts = [table[name].cast(pa.string()) for name in ("request_id", "row")]
    ids = pc.binary_join_element_wise(*parts, "\0")
    return np.array(ids.to_pylist(), dtype=object)


def _booleans(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(numbers(values) > 0)
