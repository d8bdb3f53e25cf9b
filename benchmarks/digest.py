"""The data digest `fp/1` beside other digests of a table: what each costs, and what each notices.

Side by side in one process, one thread, CPU time; then our memory on Parquet files of 1.5 and 15 million
rows, each in a process of its own; then the worst case for us, text in which no value repeats.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

# One thread each, or CPU time would compare schedulers.
os.environ["POLARS_MAX_THREADS"] = "1"

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_ifp.adapters.data.datasets import open_dataset
from airflow_provider_ifp.adapters.data.fingerprint import fingerprint_batches, fingerprint_table
from airflow_provider_ifp.adapters.data.scanning import scan_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROWS = 1_500_000
_PART = 250_000
_DAY = 86_400 * 10**6
_2013 = 1_356_998_400 * 10**6


def batch(rows: int, seed: int) -> pa.Table:
    """18 columns: 12 numeric, 2 of time, 4 of text with 20, 5,000, 200,000 and only distinct values."""
    rng = np.random.default_rng(seed)

    def holes(values: np.ndarray) -> pa.Array:
        return pa.array(values, mask=rng.random(rows) < 0.02)  # noqa: PLR2004 - 2% are missing

    columns = {f"float_{place}": holes(rng.normal(size=rows)) for place in range(6)}
    columns |= {f"single_{place}": pa.array(rng.normal(size=rows).astype(np.float32)) for place in range(2)}
    for place, high in enumerate([7, 300, 10**5, 10**12]):
        values = rng.integers(0, high, rows)
        columns[f"integer_{place}"] = holes(values) if place % 2 else pa.array(values)
    for name, zone in (("at", "UTC"), ("seen", None)):
        times = pa.array(_2013 + rng.integers(0, 365 * _DAY, rows))
        columns[name] = times.cast(pa.timestamp("us", zone))
    for name, distinct in (("carrier", 20), ("plane", 5_000), ("customer", 200_000)):
        names = pa.array([f"{name}-{place:06d}" for place in range(distinct)])
        columns[name] = names.take(pa.array(rng.integers(0, distinct, rows), mask=rng.random(rows) < 0.02))  # noqa: PLR2004 - as above
    columns["request"] = unique_texts(rng, rows)
    return pa.table(columns)


def unique_texts(rng: np.random.Generator, rows: int) -> pa.Array:
    """Identifiers of 32 hex digits, none of which repeats."""
    digits = rng.bytes(16 * rows).hex().encode()
    fixed = pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), rows, [None, pa.py_buffer(digits)])
    return fixed.cast(pa.binary()).cast(pa.string())


def write(path: Path, rows: int) -> None:
    """Write that many rows as Parquet, part after part."""
    with pq.ParquetWriter(path, batch(1, 0).schema, compression="zstd") as file:
        for seed, start in enumerate(range(0, rows, _PART)):
            file.write_table(batch(min(_PART, rows - start), seed))


def parquet_sha256(table: pa.Table) -> str:
    """Write the table as Parquet, as its metadata says, and digest the file."""
    return hashlib.sha256(_parquet(table)).hexdigest()


def _parquet(table: pa.Table) -> pa.Buffer:
    options = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    sink = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(None),
        sink,
        compression=options.get("codec", "zstd"),
        row_group_size=int(options.get("group", ROWS)),
    )
    return sink.getvalue()


def pandas_sum(table: pa.Table) -> str:
    """`hash_pandas_object` gives a number a row; a sum, as a digest must be of all."""
    hashed = pd.util.hash_pandas_object(table.to_pandas(), index=False)
    return str(int(hashed.to_numpy().sum(dtype=np.uint64)))


def polars_sum(table: pa.Table) -> str:
    """`hash_rows`, summed likewise."""
    hashed = pl.from_arrow(table).hash_rows(seed=0)
    return str(int(hashed.to_numpy().sum(dtype=np.uint64)))


def duckdb_sum(table: pa.Table) -> str:
    """`hash(column, ...)`, summed likewise."""
    connection = duckdb.connect(config={"threads": 1})
    connection.register("given", table)
    columns = ", ".join(f'"{name}"' for name in table.column_names)
    [[total]] = connection.execute(f"SELECT sum(hash({columns})::HUGEINT) FROM given").fetchall()  # noqa: S608 - our own names
    return str(total)


def ours(table: pa.Table) -> str:
    """The digest that goes on record."""
    return fingerprint_table(table).digest


DIGESTS: dict[str, Callable[[pa.Table], str]] = {
    "fp/1": ours,
    "pandas hash": pandas_sum,
    "polars hash_rows": polars_sum,
    "DuckDB hash": duckdb_sum,
    "sha256 of Parquet": parquet_sha256,
}


def changes(table: pa.Table) -> Iterator[tuple[str, bool, pa.Table]]:
    """Ways to change a table: what, whether its content stays, the changed table."""
    order = np.random.default_rng(9).permutation(table.num_rows)
    yield "other row order", True, table.take(pa.array(order))
    yield "other column order", True, table.select(table.column_names[::-1])
    yield "other batches", True, pa.concat_tables([table.slice(0, 77), table.slice(77)])
    for what, option in (("row groups", {"group": "1000"}), ("codec", {"codec": "snappy"})):
        written = table.replace_schema_metadata(option)
        read = pq.read_table(pa.BufferReader(_parquet(written)))
        yield f"Parquet, other {what}", True, read.replace_schema_metadata(option)
    place = table.column_names.index("integer_0")
    yield "narrower integers", True, table.set_column(place, "integer_0", table["integer_0"].cast(pa.int8()))
    place = table.column_names.index("carrier")
    coded = table["carrier"].dictionary_encode()
    yield "dictionary encoding", True, table.set_column(place, "carrier", coded)
    values = table["float_0"].to_numpy().copy()
    present = int(np.flatnonzero(~np.isnan(values))[0])
    values[present] = np.nextafter(values[present], np.inf)
    changed = pa.array(values, mask=table["float_0"].is_null().to_numpy())
    yield "one value, last digit", False, table.set_column(0, "float_0", changed)
    yield "one row more", False, pa.concat_tables([table, batch(1, 99)])
    yield "one row twice", False, pa.concat_tables([table, table.slice(5, 1)])
    yield "one row less", False, table.slice(1)
    yield "a column renamed", False, table.rename_columns(["renamed", *table.column_names[1:]])


def speed(repeats: int) -> None:
    """Print CPU seconds of each, in turns."""
    table = pa.concat_tables([batch(_PART, seed) for seed in range(ROWS // _PART)])
    pa.set_cpu_count(1)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in [*DIGESTS, "sha256 alone"]}
    file = _parquet(table)
    for _ in range(repeats):
        for name, digest in DIGESTS.items():
            spent[name].append(_timed(lambda digest=digest: digest(table)))
        spent["sha256 alone"].append(_timed(lambda: hashlib.sha256(file).digest()))
    print(f"{ROWS:,} rows x {table.num_columns} columns in memory ({table.nbytes / 1e6:.0f} MB), one thread")
    print(f"{'':<20}{'CPU s, median':>14}{'min':>8}{'wall, median':>14}{'million rows a CPU-second':>28}")
    for name, times in spent.items():
        cpu, wall = zip(*times, strict=True)
        middle = statistics.median(cpu)
        shown = f"{middle:>14.3f}{min(cpu):>8.3f}{statistics.median(wall):>14.3f}{ROWS / middle / 1e6:>28.2f}"
        print(f"{name:<20}{shown}")
    print(f"sha256 alone: of the finished file, {file.size / 1e6:.0f} MB")


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - cpu, time.perf_counter() - wall


def notices() -> None:
    """Print whether each digest stays and changes where it should."""
    table = batch(5_000, 1)
    before = {name: digest(table) for name, digest in DIGESTS.items()}
    print(f"\n{'does the digest change?':<28}{'should':>8}" + "".join(f"{name:>19}" for name in DIGESTS))
    for what, stays, changed in changes(table):
        answers = [digest(changed) != before[name] for name, digest in DIGESTS.items()]
        shown = "".join(f"{_word(answer) + ('' if answer != stays else ' (!)'):>19}" for answer in answers)
        print(f"{what:<28}{_word(not stays):>8}{shown}")


def _word(answer: bool) -> str:
    return "yes" if answer else "no"


def memory(rows: list[int]) -> None:
    """Print time and resident memory of digesting a Parquet file, each in a process of its own."""
    print("\nfrom a Parquet file, batch by batch (reading included)")
    with tempfile.TemporaryDirectory(prefix="ifp-bench-") as scratch:
        for count in rows:
            path = Path(scratch, f"{count}.parquet")
            write(path, count)
            print(f"{count:>12,} rows, {path.stat().st_size / 1e6:>6.0f} MB: ", end="", flush=True)
            subprocess.run([sys.executable, __file__, "--file", str(path)], check=True)
            path.unlink()


def digest_file(path: Path) -> None:
    """Digest one file as `ifp digest` does; the peak is the system's own count of resident memory."""
    pa.set_cpu_count(1)
    dataset = open_dataset(str(path))
    before = _peak_mb()
    cpu, wall = time.process_time(), time.perf_counter()
    batches = scan_batches(dataset, columns=dataset.schema.names, where=str(path), frugal=True)
    fingerprint_batches(batches, dataset.schema)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{cpu:.2f} CPU s, {wall:.2f} s wall, peak {_peak_mb():.0f} MB resident ({before:.0f} MB before)")


def _peak_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def worst(rows: int) -> None:
    """Print what one column of text costs in which no value repeats, beside one in which most do."""
    rng = np.random.default_rng(2)
    print(f"\n{rows:,} texts of one column, from memory")
    names = pa.array([f"carrier-{place:022d}" for place in range(20)])
    for what, make in (
        ("20 distinct values", lambda size: names.take(pa.array(rng.integers(0, 20, size)))),
        ("no value repeats", lambda size: unique_texts(rng, size)),
    ):
        parts = [make(min(rows - start, 1_000_000)) for start in range(0, rows, 1_000_000)]
        table = pa.table({"text": pa.chunked_array(parts)})
        cpu, _ = _timed(lambda table=table: fingerprint_table(table))
        print(f"{what:<22}{cpu:>8.2f} CPU s{rows / cpu / 1e6:>8.1f} million a CPU-second, ~30 bytes each")


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--file", type=Path, help="digest this Parquet file, and nothing else")
    arguments = parser.parse_args()
    if arguments.file:
        digest_file(arguments.file)
        return
    speed(arguments.repeats)
    notices()
    memory([ROWS, 10 * ROWS])
    worst(20_000_000)


if __name__ == "__main__":
    main()
