"""Profile a reference window that lies in whole Parquet files, one column at a time.

Up to 10 million rows the profile is that of `profile_table`, with the memory of one column instead of all. Of
more, the bins are made on a random sample of about 10 million rows, and then all rows are counted on them.
So the counts are exact, and a quantile's rank in all rows is off by less than 0.0008 (five standard errors at
the median, each sqrt(0.25 / 10,000,000) = 0.00016): PSI has bins of 10% +- 0.08%. Categories are counted
whole; all the names of one column are in memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from airflow_provider_ifp.adapters.counting.columns import lists, numbers, place_of, value_type
from airflow_provider_ifp.adapters.counting.counter import WindowCounter
from airflow_provider_ifp.adapters.counting.parquet.columns import (
    column_parts,
    feature_schema,
    footer_rows,
    opened,
)
from airflow_provider_ifp.adapters.counting.profiling import count_texts, kind_of, require_among
from airflow_provider_ifp.adapters.data.progress import UNSEEN, Progress
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import (
    profile_categories,
    profile_lists,
    profile_numbers,
    recount,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from numpy.typing import NDArray
    from pyarrow import fs

    from airflow_provider_ifp.core.profile.feature import Feature, ListProfile, NumericProfile

SAMPLED_ROWS: Final = 10_000_000
# The sample is the same each time, so that the profile is.
_SEED: Final = 7


def profile_files(
    paths: Sequence[str],
    features: Sequence[str],
    categorical: Sequence[str] | None = None,
    *,
    filesystem: fs.FileSystem | None = None,
    progress: Progress = UNSEEN,
) -> Profile:
    """Profile a reference window.

    Args:
        paths: The files; all their rows are the window.
        features: The columns to profile.
        categorical: Those of them that are categories; None: string, bool and dictionary columns.
        filesystem: Where the files are; None: the local disk.
        progress: Told of the values.

    Raises:
        DatasetError: As `profile_table`; or a file that cannot be read, by its path.
    """
    require_among(features, categorical or ())
    rows = footer_rows(paths, filesystem)
    if not rows or not features:
        found = f"{rows} rows and {len(features)} features"
        raise DatasetError(
            f"reference window: found {found}, expected at least one of each; widen the window"
        )
    reader = _Reader(tuple(paths), filesystem, min(1.0, SAMPLED_ROWS / rows), progress)
    progress.expect(lambda: rows * sum(_passes(reader, name, categorical) for name in features))
    return Profile(tuple(_profile(reader, name, categorical) for name in features), rows)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads a column through all files; `share` of the rows are in its samples."""

    paths: tuple[str, ...]
    filesystem: fs.FileSystem | None
    share: float
    progress: Progress

    def type_of(self, name: str) -> pa.DataType:
        with opened(self.paths[0], self.filesystem, within=None) as file:
            schema = feature_schema(file, None)
            return schema.field(place_of(schema, name)).type

    def chunks(self, name: str, *, of: pa.DataType) -> Iterator[pa.Array]:
        for path in self.paths:
            with opened(path, self.filesystem, within=None, texts=[name]) as file:
                schema = feature_schema(file, None)
                found = schema.field(place_of(schema, name)).type
                if value_type(found) != value_type(of):
                    raise DatasetError(
                        f"column {name!r}: expected {of}, as in {self.paths[0]}, found {found}; "
                        "correct what writes the column"
                    )
                for group in range(file.num_row_groups):
                    for part in column_parts(file, group, name, None):
                        yield from part
                        self.progress.advance(sum(map(len, part)))

    def sample(self, name: str, *, of: pa.DataType) -> NDArray[np.float64]:
        rng = np.random.default_rng(_SEED)
        parts: list[NDArray[np.float64]] = []
        length: int | None = None
        for chunk in self.chunks(name, of=of):
            values = lists(chunk, length, name) if value_type(of) == "list" else numbers(chunk)
            if values.ndim > 1:
                length = values.shape[1]
            parts.append(values if self.share == 1 else values[rng.random(len(values)) < self.share])
        return np.concatenate(parts)


def _passes(reader: _Reader, name: str, categorical: Sequence[str] | None) -> int:
    """How often a column is read: once more where its bins are made on a sample."""
    kind = kind_of(name, reader.type_of(name), categorical)
    return 1 if kind == "category" or reader.share == 1 else 2


def _profile(reader: _Reader, name: str, categorical: Sequence[str] | None) -> Feature:
    of = reader.type_of(name)
    kind, values = kind_of(name, of, categorical), value_type(of)
    if kind == "category" and values is not None and values != "list":
        counts: Counter[str] = Counter()
        missing = 0
        for chunk in reader.chunks(name, of=of):
            of_chunk, absent = count_texts(chunk)
            counts += of_chunk
            missing += absent
        return profile_categories(name, counts, missing, values)
    sample = reader.sample(name, of=of)
    if kind == "list":
        made: ListProfile | NumericProfile = profile_lists(name, sample)
    else:
        made = profile_numbers(name, sample, "time" if values == "time" else "number")
    return made if reader.share == 1 else _count_all(made, reader.chunks(name, of=of))


def _count_all(feature: ListProfile | NumericProfile, chunks: Iterator[pa.Array]) -> Feature:
    counter = WindowCounter(Profile((feature,), rows=0))
    for chunk in chunks:
        counter.add(feature, [chunk])
    return recount(feature, counter.totals)
