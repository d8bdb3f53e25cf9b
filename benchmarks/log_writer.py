"""What logging costs a server: rows a CPU-second, by the size of the batches that it offers.

    python benchmarks/log_writer.py [--rows 100000] [--features 25]

CPU seconds are user and system of all threads, from the first offer until the last row is in Parquet on the
local disk: queue, spools, Parquet, fsync. The batches are made before. `offer` is the time that one call
takes an answer's thread; `pause` the longest time for which a thread that does nothing but look at the clock
was kept from it while this process worked, since the threads of the writer share Python's lock with those
that answer. (What the process spent meanwhile bounds it, so that a busy machine does not count.)
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from airflow_provider_ifp.serving.log.writer import LogWriter

SIZES = (1, 16, 256)
MOST_QUEUED = 2_000
"""Rows: what 10,000 requests a second bring together between two flushes."""


def make_batches(rows: int, size: int, features: int) -> list[pa.RecordBatch]:
    """Requests of one version, all of one schema."""
    rng = np.random.default_rng(1)
    names = [f"feature_{place}" for place in range(features)]
    now = datetime.now(UTC)
    schema = None
    made = []
    for first in range(0, rows, size):
        drawn = rng.normal(size=(features, size))
        columns = {
            "request_id": pa.array([f"{first:032x}"] * size),
            "row": pa.array(range(size), pa.int32()),
            "ts": pa.array([now] * size, pa.timestamp("us", "UTC")),
            "model_version": pa.array(["12"] * size),
            "features": pa.StructArray.from_arrays([pa.array(values) for values in drawn], names),
            "prediction": pa.array(drawn[0]),
            "score": pa.array(drawn[1]),
            **{name: pa.array([150] * size, pa.int32()) for name in ("compute_us", "e2e_us", "batch_rows")},
            "status": pa.array([200] * size, pa.int16()),
        }
        schema = schema or pa.RecordBatch.from_pydict(columns).schema
        made.append(pa.RecordBatch.from_arrays(list(columns.values()), schema=schema))
    return made


def longest_pause(stop: threading.Event, found: list[float]) -> None:
    """Look at the clock each millisecond, as an event loop would."""
    worst, last, spent = 0.0, time.perf_counter(), time.process_time()
    while not stop.is_set():
        time.sleep(0.001)
        now, spent_now = time.perf_counter(), time.process_time()
        worst = max(worst, min(now - last, spent_now - spent))
        last, spent = now, spent_now
    found.append(worst)


def measure(folder: Path, rows: int, size: int, features: int) -> str:
    """Log all rows once; returns a line of the table."""
    batches = make_batches(rows, size, features)
    stop, pauses, took = threading.Event(), [], []
    watch = threading.Thread(target=longest_pause, args=(stop, pauses))
    writer = LogWriter(str(folder / "log"), "model", "production", spool=folder / "spool")
    watch.start()
    wall, cpu = time.perf_counter(), time.process_time()
    offered = 0
    for batch in batches:
        began = time.perf_counter()
        taken = writer.offer(batch)
        took.append(time.perf_counter() - began)
        while not taken:
            time.sleep(0.01)
            taken = writer.offer(batch)
        offered += batch.num_rows
        if offered - writer.counters()["logged"] > MOST_QUEUED:
            time.sleep(0.02)
    writer.close(120)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    stop.set()
    watch.join()
    counters = writer.counters()
    if counters["logged"] != rows:
        raise SystemExit(f"of {rows:,} rows {counters['logged']:,} were logged")
    size_of_log = sum(path.stat().st_size for path in folder.rglob("*.parquet"))
    calls = np.array(took) * 1e6
    return (
        f"| {size} | {rows / cpu:,.0f} | {1e6 * cpu / rows:.1f} | {rows / wall:,.0f} | "
        f"{np.median(calls):.1f} | {np.quantile(calls, 0.99):.1f} | {1000 * pauses[0]:.0f} | "
        f"{size_of_log / rows:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=25)
    options = parser.parse_args()
    print(f"{options.rows:,} rows of {options.features} numbers")
    print(
        "| rows a batch | rows a CPU-second | CPU us a row | rows a second | offer us: median | p99 | "
        "pause ms | bytes a row |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(Path(folder), options.rows // size * size, size, options.features))


if __name__ == "__main__":
    main()
