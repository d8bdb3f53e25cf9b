"""What was true of the answers in the prediction log, as far as it is known: labels joined to the log's rows.

Labels lie beside the log (`adapters/log/label_files.py`), or in the data that trains, joined by `data.key`.

    labels = find_labels(policy, root, window, features=["price", "region"])
    rows = read_log(root, model, "production", window, labels.features, log_columns=labels.log_columns)
    errors = errors_of(rows, labels, "number")   # one a row, null where there is no label yet

Memory holds the window's keys and labels; of a long window take the days one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_ifp.adapters.data.files import require_columns
from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.adapters.log.answer_errors import plain_labels, prediction_errors
from airflow_provider_ifp.adapters.log.files import has_labels, locate_labels
from airflow_provider_ifp.adapters.log.label_files import LABEL, LABEL_TIME, read_label_files
from airflow_provider_ifp.adapters.sources import open_source
from airflow_provider_ifp.core.errors import DatasetError, EmptyWindowError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from airflow_provider_ifp.adapters.log.answer_errors import ErrorKind
    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.windows import Window

_REQUEST, _ROW = "request_id", "row"
_PAIR: Final = (_REQUEST, _ROW)
_PREDICTION: Final = "prediction"
# No column is called so: a key may be called `label`.
_LABEL, _PLACE = "\0label", "\0place"


@dataclass(frozen=True, slots=True)
class Labels:
    """The newest label of each key.

    Attributes:
        table: The keys, each once, and the label (float64 or text).
        keys: By what they are joined: `request_id` and `row` of the log, or features.
        where: Where they are, or why there are none; for messages.
    """

    table: pa.Table
    keys: tuple[str, ...]
    where: str

    @property
    def features(self) -> list[str]:
        """The features that the join needs."""
        return [name for name in self.keys if name not in _PAIR]

    @property
    def log_columns(self) -> list[str]:
        """The columns of the log itself that the join needs, and the prediction."""
        return [*(_PAIR if set(_PAIR) & set(self.keys) else ()), _PREDICTION]


def find_labels(
    policy: Policy,
    root: str,
    window: Window,
    *,
    features: Collection[str],
    connect: Connect | None = None,
) -> Labels:
    """Find the labels of a window's answers, as far as they are known.

    Labels beside the log come first. Where there is no such folder and the policy has `data.key`, they are
    the rows of `data.source` whose `data.time_column` lies in the window.

    Args:
        policy: The model's.
        root: Path or URI of the prediction log.
        window: Of request time.
        features: What the log has besides its own columns; a key must be among them.
        connect: As for `open_source`.

    Returns:
        No row where none is known; `where` says where was looked.

    Raises:
        PredictionLogError: No name of a model, or a store that does not answer.
        DatasetError: The labels cannot be read, or lack a column.
    """
    _, folder = locate_labels(root, policy.model)
    if has_labels(root, policy.model):
        table = read_label_files(root, policy.model, window)
        return Labels(_newest(table, _PAIR, LABEL, LABEL_TIME), _PAIR, folder)
    data = policy.data
    if not (data.key and data.source and data.label and data.time_column):
        return _none(f"there is no folder {folder}, and the policy has no data.key to find them by")
    strange = [name for name in data.key if name not in (*_PAIR, *features)]
    if strange:
        return _none(f"there is no folder {folder}, and the log has no column {strange[0]!r} of data.key")
    source = open_source(policy, connect)
    columns = list(dict.fromkeys([*data.key, data.label, data.time_column]))
    try:
        table = source.read(window, data.time_column, columns)
    except EmptyWindowError:
        return _none(f"{source.name} has no row in {window}")
    return Labels(_newest(table, data.key, data.label, data.time_column), tuple(data.key), source.name)


def errors_of(rows: pa.Table, labels: Labels, kind: ErrorKind) -> pa.ChunkedArray:
    """Return the error of each row of the log, in their order.

    Where a request has several rows, labels that do not say which row they are of are not used for it.

    Args:
        rows: `labels.features` and `labels.log_columns`, of the window for which labels were found.
        labels: As `find_labels` gave them.
        kind: That of the profile's `prediction error`.

    Returns:
        float64 prediction - label, or the texts `right` and `wrong`; null where there is no label yet, so
        that `len(errors) - errors.null_count` of `len(errors)` rows are labelled.

    Raises:
        DatasetError: A column is missing, a key has other values than the log's, or labels and predictions
            cannot be compared.
    """
    require_columns(rows.schema, [*labels.features, *labels.log_columns], "rows of the prediction log")
    if not labels.table.num_rows or not rows.num_rows:
        return pa.chunked_array([pa.nulls(rows.num_rows, pa.float64() if kind == "number" else pa.string())])
    joined = _join(rows, labels)
    if _REQUEST in labels.keys and _ROW not in labels.keys:
        several = pc.unique(rows.filter(pc.greater(rows[_ROW], 0))[_REQUEST])
        joined = pc.if_else(pc.is_in(rows[_REQUEST], value_set=several), None, joined)
    return prediction_errors(rows[_PREDICTION], joined, kind, labels.where)


def _none(why: str) -> Labels:
    return Labels(pa.table({name: pa.nulls(0) for name in (*_PAIR, _LABEL)}), _PAIR, why)


def _newest(table: pa.Table, keys: Sequence[str], label: str, time: str) -> pa.Table:
    """The latest label of each key; of equally late ones the largest, whatever the order of the rows."""
    names = [f"{place}" for place in range(len(keys))]
    columns = [_plain(table[key]) for key in keys]
    labels = plain_labels(table[label], f"label {label!r}")
    flat = pa.table([*columns, table[time], labels], names=[*names, "time", "label"])
    known = flat.filter(pc.invert(pc.is_null(labels, nan_is_null=True)))
    by_time = known.sort_by([("time", "ascending"), ("label", "ascending")])
    # `last` follows the order of the rows in one thread only.
    newest = by_time.group_by(names, use_threads=False).aggregate([("label", "last")])
    return newest.select([*names, "label_last"]).rename_columns([*keys, _LABEL])


def _join(rows: pa.Table, labels: Labels) -> pa.ChunkedArray:
    """The label of each row, null where there is none."""
    keys = list(labels.keys)
    left = pa.table({name: _plain(rows[name]) for name in keys} | {_PLACE: np.arange(rows.num_rows)})
    right = labels.table
    for place, name in enumerate(keys):
        wanted, found = left[name].type, right[name].type
        try:
            right = right.set_column(place, name, right[name].cast(wanted))
        except pa.ArrowException as error:
            raise DatasetError(
                f"{labels.where}: key {name!r} is {found}, but {wanted} in the prediction log: "
                f"{first_line(error)}; write both alike"
            ) from None
    return left.join(right, keys, join_type="left outer").sort_by(_PLACE)[_LABEL]


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    of = column.type
    return column.cast(of.value_type) if pa.types.is_dictionary(of) else column
