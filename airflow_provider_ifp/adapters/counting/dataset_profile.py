"""Profile and count whole datasets: Parquet column by column, anything else in batches."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_ifp.adapters.counting.counter import count_batches
from airflow_provider_ifp.adapters.counting.parquet.columns import feature_schema, opened
from airflow_provider_ifp.adapters.counting.parquet.counting import count_files
from airflow_provider_ifp.adapters.counting.parquet.profiling import profile_files
from airflow_provider_ifp.adapters.counting.profiling import profile_table, require_among
from airflow_provider_ifp.adapters.data.files import (
    DatasetFiles,
    find_files,
    is_data_file,
    require_columns,
)
from airflow_provider_ifp.adapters.data.progress import UNSEEN, Progress
from airflow_provider_ifp.adapters.data.storage import first_line, resolve_uri
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.record import Profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from airflow_provider_ifp.core.profile.counts import Counts


def profile_dataset(
    uri: str,
    *,
    features: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    label: str | None = None,
    progress: Progress = UNSEEN,
) -> Profile:
    """Profile all rows of a dataset.

    Args:
        uri: A Parquet or CSV file, a folder of them, or a URI.
        features: The columns to profile; None: all but the label.
        categorical: Those of them that are categories; None: text, booleans and dictionaries.
        label: A column that is no feature.
        progress: Told of the values.

    Raises:
        DatasetError: no such dataset, a column that it does not have or that has no profile, no rows; the
            label among the features.
    """
    found = find_files(uri)
    schema = _schema(found, uri)
    require_columns(schema, [*(features or ()), *([label] if label else ())], uri)
    if label in (features or ()):
        raise DatasetError(f"{label!r} is named as a feature and as the label; leave it out of one of them")
    chosen = [name for name in (schema.names if features is None else features) if name != label]
    require_among(chosen, categorical or ())
    if _is_plain(found):
        return profile_files(found.files, chosen, categorical, filesystem=found.filesystem, progress=progress)
    return profile_table(_batches(uri, chosen, progress), chosen, categorical)


def read_profile(uri: str) -> Profile | None:
    """Read a profile that `ifp profile` wrote; None for what is a dataset: a folder, a Parquet or CSV file.

    Raises:
        DatasetError: there is no such profile, it is damaged, or has another format.
    """
    if is_data_file(uri):
        return None
    filesystem, path = resolve_uri(uri)
    try:
        if not filesystem.get_file_info(path).is_file and not path.endswith(".json"):
            return None
        with filesystem.open_input_stream(path) as stream:
            record = json.loads(stream.read())
    except OSError as error:
        raise DatasetError(
            f"{uri}: cannot be read: {first_line(error)}; `ifp profile DATASET -o {uri}` writes it"
        ) from None
    except ValueError as error:
        raise DatasetError(
            f"{uri}: no JSON: {error}; expected what `ifp profile DATASET -o FILE` writes, or a dataset: "
            "a Parquet or CSV file, or a folder of them"
        ) from None
    return Profile.from_json(record, where=uri)


def count_dataset(profile: Profile, uri: str, *, progress: Progress = UNSEEN) -> dict[str, Counts]:
    """Count all rows of a dataset on the bins of a reference.

    Raises:
        DatasetError: no such dataset, it lacks a feature, or has other values in it than the reference.
    """
    found = find_files(uri)
    names = [feature.name for feature in profile.features]
    advice = "; a reference without that column: ifp profile --features or --label"
    require_columns(_schema(found, uri), names, uri, advice)
    if _is_plain(found):
        return count_files(profile, found.files, filesystem=found.filesystem, progress=progress)
    return count_batches(profile, _batches(uri, names, progress))


def _is_plain(found: DatasetFiles) -> bool:
    """Whether all columns lie in Parquet files, none of them in the names of folders."""
    return found.kind == "parquet" and not found.in_folders


def _schema(found: DatasetFiles, uri: str) -> pa.Schema:
    if _is_plain(found):
        with opened(found.files[0], found.filesystem, within=None) as file:
            return feature_schema(file, None)
    from airflow_provider_ifp.adapters.data.datasets import open_dataset

    return open_dataset(uri).schema


def _batches(uri: str, names: Sequence[str], progress: Progress) -> Iterator[pa.RecordBatch]:
    # Arrow's datasets import pandas: half a second that plain Parquet does not pay.
    from airflow_provider_ifp.adapters.data.datasets import open_dataset
    from airflow_provider_ifp.adapters.data.scanning import scan_batches

    for batch in scan_batches(open_dataset(uri), columns=names, where=uri, frugal=True):
        yield batch
        progress.advance(batch.num_rows * len(names))
