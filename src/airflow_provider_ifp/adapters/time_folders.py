"""Write rows into folders by their time: one Parquet file for each hour or day, named by its bytes."""

import hashlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.storage import write_atomically


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
    length = every // timedelta(microseconds=1)
    spans = np.floor_divide(rows["ts"].cast(pa.int64()).to_numpy(), length)
    order = np.argsort(spans, kind="stable")
    rows = rows.take(pa.array(order)).combine_chunks()
    distinct, starts = np.unique(spans[order], return_index=True)
    paths = []
    for span, (start, end) in zip(distinct, pairwise([*starts, rows.num_rows]), strict=True):
        time = datetime.fromtimestamp(0, UTC) + int(span) * every
        sink = pa.BufferOutputStream()
        pq.write_table(rows.slice(start, end - start), sink)
        content = sink.getvalue().to_pybytes()
        file = f"part-{hashlib.sha256(content).hexdigest()[:32]}.parquet"
        path = f"{folder}/{time.strftime(name)}/{file}"
        write_atomically(filesystem, path, content)
        paths.append(path)
    return sorted(paths)
