"""Count whole Parquet files against a reference's profile, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.counting.columns import place_of
from airflow_provider_ifp.adapters.counting.counter import WindowCounter, require_kind
from airflow_provider_ifp.adapters.counting.parquet.columns import (
    column_parts,
    feature_schema,
    footer_rows,
    opened,
)
from airflow_provider_ifp.adapters.data.progress import UNSEEN, Progress
from airflow_provider_ifp.core.profile.feature import CategoricalProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyarrow import fs

    from airflow_provider_ifp.core.profile.counts import Counts, Grid
    from airflow_provider_ifp.core.profile.record import Profile


def count_files(
    profile: Profile,
    paths: Sequence[str],
    *,
    filesystem: fs.FileSystem | None = None,
    within: str | None = None,
    grid: Grid = "fine",
    progress: Progress = UNSEEN,
) -> dict[str, Counts]:
    """Count all rows of Parquet files.

    Args:
        profile: The reference's profile.
        paths: The files; one is open at a time.
        filesystem: Where they are; None: the local disk.
        within: The struct column that holds the features (the prediction log's `features`); None: they are
            columns of the file.
        grid: The bins of numbers; the coarser ones cost a third as much and have no moments.
        progress: Told of the values.

    Returns:
        Counts by measured name; of zero rows when there are no files.

    Raises:
        DatasetError: A file that cannot be read, by its path; a feature's column is not there, or its values
            are of another kind than the reference's.
    """
    counter = WindowCounter(profile, grid)
    texts = [one.name for one in counter.features if isinstance(one, CategoricalProfile)]
    progress.expect(lambda: footer_rows(paths, filesystem) * len(counter.features))
    for path in paths:
        with opened(path, filesystem, within=within, texts=texts) as file:
            schema = feature_schema(file, within)
            for feature in counter.features:
                require_kind(feature, schema.field(place_of(schema, feature.name)).type)
            for group in range(file.num_row_groups):
                for feature in counter.features:
                    for chunks in column_parts(file, group, feature.name, within):
                        counter.add(feature, chunks)
                        progress.advance(sum(map(len, chunks)))
    return counter.totals
