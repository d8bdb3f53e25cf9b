"""The prediction log's rows of a batch, as the worker sends them.

With `place`, the request's place in the batch, instead of `e2e_us`, which is known only where the answer
leaves. Types are those of the log: whatever the model answers as numbers is float64 there (contract,
section 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_ifp.serving.messages import Request


@dataclass(frozen=True, slots=True)
class AnsweredFrame:
    """What the model saw in one call, and what it answered.

    Attributes:
        places: Of the requests in their batch.
        requests: Those that share the frame, in order.
        rows: Rows of each.
        statuses: HTTP status of each.
        columns: The frame's columns.
        outputs: `prediction` and `score`; empty where the model failed.
        compute_us: What the call took.
    """

    places: Sequence[int]
    requests: Sequence[Request]
    rows: Sequence[int]
    statuses: Sequence[int]
    columns: Mapping[str, pa.Array]
    outputs: Mapping[str, Any]
    compute_us: int


def write_rows(frames: Sequence[AnsweredFrame], version: str) -> bytes:
    """The frames as Arrow streams, each after its length in four bytes; a frame's types are its own."""
    written = b""
    for frame in frames:
        sink = pa.BufferOutputStream()
        batch = _batch(frame, version)
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        content = sink.getvalue().to_pybytes()
        written += len(content).to_bytes(4, "little") + content
    return written


def read_rows(content: bytes) -> list[pa.Table]:
    """What `write_rows` wrote."""
    tables, start = [], 0
    while start < len(content):
        end = start + 4 + int.from_bytes(content[start : start + 4], "little")
        with pa.ipc.open_stream(pa.py_buffer(content[start + 4 : end])) as reader:
            tables.append(reader.read_all())
        start = end
    return tables


def _batch(frame: AnsweredFrame, version: str) -> pa.RecordBatch:
    count = sum(frame.rows)
    fields = {name: _plain(array) for name, array in frame.columns.items()}
    columns = {
        "place": _spread(frame.places, frame, pa.int32()),
        "request_id": _spread([request.id for request in frame.requests], frame, pa.string()),
        "row": pa.array(np.concatenate([np.arange(rows, dtype=np.int32) for rows in frame.rows])),
        "ts": _spread([request.ts for request in frame.requests], frame, pa.timestamp("us", "UTC")),
        "model_version": pa.array([version] * count, pa.string()),
        "features": pa.StructArray.from_arrays(list(fields.values()), list(fields)),
        "prediction": _answers(frame.outputs.get("prediction"), count),
        "score": _answers(frame.outputs.get("score"), count),
        "compute_us": pa.array(np.full(count, min(frame.compute_us, 2**31 - 1), np.int32)),
        "batch_rows": pa.array(np.full(count, count, np.int32)),
        "status": _spread(frame.statuses, frame, pa.int16()),
    }
    return pa.RecordBatch.from_pydict(columns)


def _spread(values: Sequence[Any], frame: AnsweredFrame, kind: pa.DataType) -> pa.Array:
    """One value a request, as one a row."""
    array = pa.array(values, kind)
    return (
        array if len(array) == sum(frame.rows) else array.take(np.repeat(np.arange(len(array)), frame.rows))
    )


def _plain(array: pa.Array) -> pa.Array:
    """A category as its text: files of the log are to have one type for it."""
    return array.cast(array.type.value_type) if pa.types.is_dictionary(array.type) else array


def _answers(values: Any, count: int) -> pa.Array:
    """Numbers as float64, or as lists of them; anything else as text."""
    if values is None or not count:
        return pa.nulls(count, pa.float64())
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError):  # of several types
        array = pa.array([None if value is None else str(value) for value in values], pa.string())
    if pa.types.is_boolean(array.type):
        return array.cast(pa.int8()).cast(pa.float64())
    if pa.types.is_list(array.type):
        return array.cast(pa.list_(pa.float64()))
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.string())
    return array.cast(pa.float64())
