"""The labelled rows of a window: what trains, and what judges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.compute as pc

from airflow_provider_ifp.adapters.datasets import (
    feature_columns,
    open_dataset,
    partition_fields,
    read_window,
)
from airflow_provider_ifp.core.errors import DatasetError

if TYPE_CHECKING:
    import pyarrow as pa

    from airflow_provider_ifp.core.policy import Policy
    from airflow_provider_ifp.core.windows import Window


def read_labelled(policy: Policy, window: Window) -> tuple[pa.Table, list[str], list[str]]:
    """The window's rows that have a label, with the features and which of them are categorical.

    Raises:
        DatasetError: no such data, a column is missing, or no row has a label.
    """
    data = policy.data
    uri, label, time_column = policy.resolve(str(data.source)), str(data.label), str(data.time_column)
    dataset = open_dataset(uri)
    key = list(data.key or ())
    features, categorical = feature_columns(
        dataset.schema,
        time_column=time_column,
        label=label,
        key=key,
        features=data.features,
        categorical=data.categorical,
        partitions=partition_fields(dataset),
    )
    columns = list(dict.fromkeys([time_column, *key, *features, label]))
    table = read_window(uri, time_column=time_column, window=window, columns=columns)
    labelled = table.filter(pc.is_valid(table[label]))
    if labelled.num_rows == 0:
        raise DatasetError(
            f"{uri}: none of the {table.num_rows:,} rows in {window} has a value in the label's column "
            f"{label!r}; wait for the labels (data.label_delay), or name another column in data.label"
        )
    return labelled, features, categorical
