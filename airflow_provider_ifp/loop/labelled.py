"""The labelled rows of a window: what trains, and what judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from airflow_provider_ifp.adapters.data.datasets import feature_columns
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_ifp.adapters.sources import Source
    from airflow_provider_ifp.core.policy.model import Policy
    from airflow_provider_ifp.core.windows import Window


@dataclass(frozen=True, slots=True)
class Columns:
    """What is read: all `names`, the model's `features`, and which of them are `categorical`."""

    names: list[str]
    features: list[str]
    categorical: list[str]


def labelled_columns(policy: Policy, dataset: Source) -> Columns:
    """The columns that training and gates read, by the policy and the dataset's schema; no row is read.

    Raises:
        DatasetError: no such data, or a column is missing.
    """
    data = policy.data
    label, time_column = str(data.label), str(data.time_column)
    key = list(data.key or ())
    features, categorical = feature_columns(
        dataset.schema(),
        time_column=time_column,
        label=label,
        key=key,
        features=data.features,
        categorical=data.categorical,
        partitions=dataset.partitions(),
    )
    return Columns(list(dict.fromkeys([time_column, *key, *features, label])), features, categorical)


def read_labelled(policy: Policy, dataset: Source, window: Window, columns: Columns) -> pa.Table:
    """The window's rows that have a label.

    Raises:
        DatasetError: no such data, a column is missing, or no row has a label.
    """
    label = str(policy.data.label)
    table = dataset.read(window, str(policy.data.time_column), columns.names)
    labelled = table.filter(pc.is_valid(table[label]))
    if labelled.num_rows == 0:
        raise DatasetError(
            f"{dataset.name}: none of the {table.num_rows:,} rows in {window} has a value in the label's "
            f"column {label!r}; wait for the labels (data.label_delay), or name another column in data.label"
        )
    return labelled
