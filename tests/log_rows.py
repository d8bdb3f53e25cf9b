"""Numbered rows for the prediction log, and what a log holds of them."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TIME = datetime(2013, 6, 2, 5, 30, tzinfo=UTC)
SCHEMA = pa.schema(
    [
        ("request_id", pa.string()),
        ("row", pa.int32()),
        ("ts", pa.timestamp("us", "UTC")),
        ("model_version", pa.string()),
        ("features", pa.struct([("x", pa.float64())])),
        ("prediction", pa.float64()),
    ]
)


def rows(numbers, ts=TIME, prefix="r"):
    """A batch of rows that are told apart by their `request_id`."""
    made = [
        {"request_id": f"{prefix}{number}", "row": 0, "ts": ts, "model_version": "1"}
        | {"features": {"x": float(number)}, "prediction": number / 2}
        for number in numbers
    ]
    return pa.RecordBatch.from_pylist(made, schema=SCHEMA)


def numbered(count, start=0):
    """What `rows(range(start, start + count))` are called."""
    return [f"r{number}" for number in range(start, start + count)]


def parquet_files(root):
    """All files of a log that readers see, which must all be whole."""
    return sorted(path for path in Path(root).rglob("*.parquet") if not path.name.startswith("."))


def ids_in(root):
    """The `request_id` of every row in every file."""
    return [
        name for path in parquet_files(root) for name in pq.ParquetFile(path).read()["request_id"].to_pylist()
    ]
