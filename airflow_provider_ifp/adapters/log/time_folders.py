"""Write rows into folders by their time: one Parquet file for each hour or day, named by its bytes."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import write_atomically


def write_time_folders(
    filesystem: fs.FileSystem, folder: str, rows: pa.Table, *, every: timedelta, name: str
) -> list[str]:
    """Write one file for each span of time that has rows.

    Writing the same rows again replaces the same files.

    Args:
        filesystem: Where to.
        folder: Above the folders of the spans.
        rows: With a column `ts`, a timestamp in microseconds, UTC.
        every: How long a span is, counted from 1970.
        name: Of a span's folder, as `strftime` writes it.

    Returns:
        The paths written, sorted.
    """
    paths = []
    for inner, span in split_by_time(rows, every=every, name=name):
        content = to_parquet(span)
        file = f"part-{hashlib.sha256(content).hexdigest()[:32]}.parquet"
        path = f"{folder}/{inner}/{file}"
        write_atomically(filesystem, path, content)
        paths.append(path)
    return sorted(paths)


def split_by_time(rows: pa.Table, *, every: timedelta, name: str) -> Iterator[tuple[str, pa.Table]]:
    """Split rows into spans of time, in the order of time; arguments as `write_time_folders`.

    Yields:
        The name of a span's folder, and its rows in their order.
    """
    length = every // timedelta(microseconds=1)
    spans = np.floor_divide(rows["ts"].cast(pa.int64()).to_numpy(), length)
    order = np.argsort(spans, kind="stable")
    rows = rows.take(pa.array(order)).combine_chunks()
    distinct, starts = np.unique(spans[order], return_index=True)
    for span, (start, end) in zip(distinct, pairwise([*starts, rows.num_rows]), strict=True):
        time = datetime.fromtimestamp(0, UTC) + int(span) * every
        yield time.strftime(name), rows.slice(start, end - start)


def to_parquet(rows: pa.Table) -> pa.Buffer:
    """Write rows as the content of a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    return sink.getvalue()
