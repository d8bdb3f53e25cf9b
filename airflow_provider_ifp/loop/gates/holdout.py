"""The holdout as the gates judge by it: its rows, its slices, and what production is asked besides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from airflow_provider_ifp.adapters.log.predictions import iter_batches
from airflow_provider_ifp.adapters.sources import open_source
from airflow_provider_ifp.core.errors import PredictionLogError
from airflow_provider_ifp.core.windows import current_window, training_windows
from airflow_provider_ifp.loop.gates.judging import as_text, to_slices
from airflow_provider_ifp.loop.labelled import labelled_columns, read_labelled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa
    from numpy.typing import NDArray

    from airflow_provider_ifp.adapters.sql.connections import Connect
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """The newest labelled rows, which no version under judgement may have trained on.

    Attributes:
        table: The rows.
        window: When they are from.
        features: What a model sees.
        slices: By column the value of each row as text, shape (rows,).
    """

    table: pa.Table
    window: Window
    features: list[str]
    slices: Mapping[str, NDArray[Any]]


def read_holdout(policy: Policy, now: datetime, connect: Connect | None = None) -> Holdout:
    """Read the holdout of a run.

    Args:
        policy: The model's; `data` says where and when, `validation.slices` which columns besides.
        now: The time of the run, UTC.
        connect: As for `open_source`.

    Raises:
        DatasetError: No such data, a column is missing, or no row has a label; a slice's values have no text.
    """
    data = policy.data
    window = training_windows(now, data.train_window, data.holdout_window, data.label_delay).holdout
    dataset = open_source(policy, connect)
    columns = labelled_columns(policy, dataset)
    names = list(dict.fromkeys([*columns.names, *policy.validation.slices]))
    table = read_labelled(policy, dataset, window, replace(columns, names=names))
    return Holdout(table=table, window=window, features=columns.features, slices=to_slices(policy, table))


def count_traffic(
    policy: Policy, root: str | None, now: datetime, columns: Sequence[str]
) -> dict[str, dict[str, int]]:
    """Count what production was asked about in the evaluation window before `now`.

    Args:
        policy: The model's.
        root: Path or URI of the prediction log; None: there is none.
        now: The time of the run, UTC.
        columns: The slices' columns; those that are no feature are not in the log, and left out.

    Returns:
        By column the requests with each value. Nothing where there is no log, or it cannot be read: whether
        it can is the drift check's business.
    """
    if root is None or not columns:
        return {}
    window = current_window(now, policy.watch.evaluation_window)
    counted: dict[str, dict[str, int]] = {}
    for column in columns:
        values: Counter[str] = Counter()
        try:
            for batch in iter_batches(root, policy.model, "production", window, [column]):
                found = pc.value_counts(as_text(batch.column(0)))
                values.update({one["values"]: one["counts"] for one in found.to_pylist()})
        except PredictionLogError:
            continue
        counted[column] = dict(values)
    return counted
