"""The first of two passes over a reference window that no machine holds: each part's sample and its names.

A part's sample holds the rows with the smallest of random keys, as many as are wanted of the whole window.
The samples of all parts merge to those with the smallest keys of all: rows drawn evenly from the window,
however large its parts are. Numbers get their bins from them: with a million rows a quantile's rank is off by
less than 0.0025 (five standard errors at the median). A window of no more rows is in the sample whole, and
its bins are those of `profile_table`. Names of categories are counted over all rows.

The second pass counts all rows on the bins (`window_parts.count_part`).
"""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_ifp.adapters.counting.columns import value_type
from airflow_provider_ifp.adapters.counting.part_files import Written, read_file, short_name, write_file
from airflow_provider_ifp.adapters.counting.profiling import (
    count_texts,
    kind_of,
    profile_table,
    require_among,
)
from airflow_provider_ifp.adapters.counting.window_parts import part_batches
from airflow_provider_ifp.adapters.data.storage import first_line
from airflow_provider_ifp.core.errors import DatasetError
from airflow_provider_ifp.core.profile.record import Profile
from airflow_provider_ifp.core.profile.reference import profile_categories, recount

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_ifp.adapters.counting.window_parts import PartSource
    from airflow_provider_ifp.core.profile.feature import Feature
    from airflow_provider_ifp.core.profile.parts import Part

SAMPLED_ROWS: Final = 1_000_000
# No column of a dataset is called so.
_KEY: Final = "\0key"
_NAMES: Final = b"ifp.names"


def write_sample(
    folder: str,
    part: PartSource,
    features: Sequence[str],
    categorical: Sequence[str] | None = None,
    rows: int = SAMPLED_ROWS,
) -> Written:
    """Sample a part of the reference window, and count the names of its categories.

    Args:
        folder: Where to write it: a path or a URI.
        part: The part; it lies in files.
        features: The columns to profile.
        categorical: Those of them that are categories; None: string, bool and dictionary columns.
        rows: How many of the whole window's rows make the bins; the same for all parts.

    Raises:
        DatasetError: As `profile_table`; or the part lies in a database, or cannot be read.
    """
    require_among(features, categorical or ())
    sampler = _Sampler(rows, categorical, seed=int(short_name(part.model_dump(mode="json")), 16))
    for batch in part_batches(part, features):
        sampler.add(batch)
    sink = io.BytesIO()
    pq.write_table(sampler.table(), sink)
    name = short_name([part.model_dump(mode="json"), list(features), categorical and list(categorical), rows])
    return Written(write_file(folder, f"sample-{name}.parquet", sink.getvalue()), sampler.rows)


def merge_samples(
    written: Sequence[Written],
    features: Sequence[str],
    categorical: Sequence[str] | None = None,
    rows: int = SAMPLED_ROWS,
) -> Profile:
    """Make the bins of the reference window; arguments as of `write_sample`.

    Returns:
        A profile whose names and number of rows are those of the window; the rows in the bins of its numbers
        are the sample's, until `finish_profile` has all.

    Raises:
        DatasetError: No row, a sample that cannot be read, or one of other features or types.
    """
    tables = _read_samples([one for one in written if one.rows])
    sample = _smallest(pa.concat_tables([table.replace_schema_metadata() for table in tables]), rows)
    names = _merge_names(tables)
    numbers = [name for name in features if name not in names]
    profiled: dict[str, Feature] = {}
    if numbers:
        made = profile_table(sample, numbers, [] if categorical is not None else None)
        profiled = {feature.name: feature for feature in made.features}
    for name, (kind, counts, missing) in names.items():
        profiled[name] = profile_categories(name, counts, missing, kind)
    return Profile(tuple(profiled[name] for name in features), rows=sum(one.rows for one in written))


def finish_profile(bins: Profile, counted: Part) -> Profile:
    """Put the rows of the whole window, counted in the second pass, into the bins of the first.

    Raises:
        DatasetError: The second pass found other rows than the first.
    """
    if counted.rows != bins.rows:
        raise DatasetError(
            f"the first pass found {bins.rows:,} rows, the second {counted.rows:,}: parts were left out, or "
            "changed in between; make both passes again over the same parts"
        )
    features = tuple(recount(feature, counted.counts) for feature in bins.features)
    return Profile(features, rows=counted.rows)


class _Sampler:
    """Takes batches; holds at most twice the rows wanted, and one count for each name."""

    def __init__(self, wanted: int, categorical: Sequence[str] | None, seed: int) -> None:
        self.rows = 0
        self._wanted = wanted
        self._categorical = categorical
        self._rng = np.random.default_rng(seed)
        self._held: list[pa.RecordBatch] = []
        self._names: dict[str, tuple[str, Counter[str], int]] = {}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the names, and keep some rows of all else."""
        self.rows += batch.num_rows
        kept = {_KEY: pa.array(self._rng.random(batch.num_rows))}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if kind_of(name, column.type, self._categorical) == "category":
                self._count(name, column)
            else:
                kept[name] = column
        self._held.append(pa.record_batch(kept))
        if sum(one.num_rows for one in self._held) >= 2 * self._wanted:
            self._held = _smallest(pa.Table.from_batches(self._held), self._wanted).to_batches()

    def table(self) -> pa.Table:
        """The sample, and the names in its schema's metadata."""
        if not self._held:
            return pa.table({_KEY: pa.array([], pa.float64())})
        names = {
            name: {"kind": kind, "counts": counts, "missing": missing}
            for name, (kind, counts, missing) in self._names.items()
        }
        sample = _smallest(pa.Table.from_batches(self._held), self._wanted)
        return sample.replace_schema_metadata({_NAMES: json.dumps(names)})

    def _count(self, name: str, column: pa.Array) -> None:
        counts, missing = count_texts(column)
        kind, before, absent = self._names.get(name, (str(value_type(column.type)), Counter(), 0))
        before.update(counts)
        self._names[name] = (kind, before, absent + missing)


def _smallest(table: pa.Table, rows: int) -> pa.Table:
    """Keep the rows with the smallest keys, in the order in which they stand."""
    if table.num_rows <= rows:
        return table
    keys = np.concatenate([np.from_dlpack(chunk) for chunk in table[_KEY].chunks])
    kept = np.sort(np.argpartition(keys, rows)[:rows])
    return table.take(pa.array(kept))


def _read_samples(written: Sequence[Written]) -> list[pa.Table]:
    if not written:
        raise DatasetError(
            "reference window: found no rows in any part, expected at least one; widen the window"
        )
    tables = [_read_sample(one) for one in written]
    for one, table in zip(written, tables, strict=True):
        if table.schema != tables[0].schema:
            found, expected = (
                ", ".join(f"{field.name} {field.type}" for field in list(each)[1:])
                for each in (table.schema, tables[0].schema)
            )
            raise DatasetError(
                f"{one.path}: expected the numbers of the first part ({expected}), found {found}; bring the "
                "parts to one schema, and sample them again"
            )
    return tables


def _read_sample(written: Written) -> pa.Table:
    content = read_file(written.path, "sample the part again")
    try:
        return pq.read_table(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{written.path}: damaged: {first_line(error)}; sample the part again") from None


def _merge_names(tables: Sequence[pa.Table]) -> dict[str, tuple[Any, Counter[str], int]]:
    merged: dict[str, tuple[Any, Counter[str], int]] = {}
    for table in tables:
        for name, record in json.loads((table.schema.metadata or {})[_NAMES]).items():
            kind, counts, missing = merged.get(name, (record["kind"], Counter(), 0))
            if kind != record["kind"]:
                raise DatasetError(
                    f"column {name!r}: expected {kind} values in all parts, found {record['kind']} in one; "
                    "correct what writes the column"
                )
            counts.update(record["counts"])
            merged[name] = (kind, counts, missing + record["missing"])
    return merged
