"""What counting a window costs: beside decoding it, beside itself at ten times the rows, and beside peers.

    python benchmarks/drift_speed.py [--folder /tmp/drift-speed] [--peers evidently,frouros,...] [--keep]

CPU seconds (user and system), each measurement in a process of its own; all are run in turns, so that a busy
minute of the machine touches each of them, and the least of each counts. The data are 20 numbers (normal,
lognormal, exponential, zero-inflated, whole, Pareto, times) and 5 texts (2 to 5,000 values); two of the
numbers miss 5% of their values. Needs 2 GB of disk. Peers and other decoders get environments of their own
by uv.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from environments import PACKAGES, make_environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_ifp.core.profile.counts import Counts
    from airflow_provider_ifp.core.profile.record import Profile

MILLION: Final = 1_000_000
GROUP: Final = 1_048_576
ZERO: Final = 0.8
MISSING: Final = 0.05
# CPU seconds of a process that is not run again.
LONG: Final = 20
DECODERS: Final = ["polars", "duckdb", "pyarrow", "numpy"]
# Those of numbers alone are held against ours on those.
PEERS: Final = {
    "evidently": "evidently",
    "nannyml_numeric": "nannyml",
    "frouros_numeric": "frouros",
    "alibi_numeric": "alibi",
    "whylogs": "whylogs",
    "popmon": "popmon",
    "deepchecks": "deepchecks",
}
"""What `speed_peers.py` calls each -> its environment."""


def make_rows(rng: np.random.Generator, rows: int, shift: float) -> pa.Table:
    """Draw rows of the 25 columns; `shift` moves the first by so many standard deviations."""
    columns = {f"n{place:02d}": rng.normal(shift * (place == 0), 1, rows) for place in range(12)}
    columns |= {f"n{place:02d}": rng.lognormal(0, 1, rows) for place in range(12, 15)}
    columns["n15"] = rng.exponential(10, rows)
    columns["n16"] = np.where(rng.random(rows) < ZERO, 0.0, rng.exponential(3, rows))
    columns["n17"] = rng.poisson(6, rows).astype(float)
    columns["n18"] = rng.pareto(1.5, rows)
    columns["n19"] = 1.7e9 + rng.uniform(0, 86_400 * 30, rows)
    missing = {"n01", "n13"}
    arrays = {
        name: pa.array(values, mask=rng.random(rows) < MISSING if name in missing else None)
        for name, values in columns.items()
    }
    for place, size in enumerate((2, 8, 40, 200, 5_000)):
        shares = 1 / np.arange(1, size + 1) ** 0.8
        chosen = rng.choice(size, rows, p=shares / shares.sum()).astype(np.int32)
        names = pa.array([f"value-{number:05d}" for number in range(size)])
        arrays[f"c{place}"] = pa.DictionaryArray.from_arrays(chosen, names).cast(pa.string())
    return pa.table(arrays)


def write_rows(path: Path, rows: int, *, seed: int, shift: float = 0.0) -> None:
    """Write a file, once."""
    if path.exists():
        return
    rng, left, writer = np.random.default_rng(seed), rows, None
    partial = path.with_suffix(".part")
    while left:
        table = make_rows(rng, min(left, GROUP), shift)
        writer = writer or pq.ParquetWriter(partial, table.schema)
        writer.write_table(table)
        left -= table.num_rows
    if writer is not None:
        writer.close()
    partial.rename(path)


def write_wide(path: Path, seed: int) -> None:
    """Write a million rows of 200 normal columns."""
    if not path.exists():
        rng = np.random.default_rng(seed)
        pq.write_table(pa.table({f"w{place:03d}": rng.normal(size=MILLION) for place in range(200)}), path)


# --- each of these runs in a process of its own: `--step NAME FILE ...` ---


def _paths(folder: str, files: list[str]) -> list[str]:
    return [str(Path(folder) / name) for name in files]


def decode_pyarrow(folder: str, *files: str) -> None:
    """Decode column by column, texts as dictionaries, in the pieces in which we read: its fastest way."""
    for path in _paths(folder, list(files)):
        schema = pq.read_schema(path)
        texts = [field.name for field in schema if pa.types.is_string(field.type)]
        file = pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False, buffer_size=262_144)
        for group in range(file.num_row_groups):
            for name in schema.names:
                file.read_row_group(group, columns=[name], use_threads=False)


def decode_polars(folder: str, *files: str) -> None:
    """Decode all at once (where polars is installed)."""
    import polars as pl

    for path in _paths(folder, list(files)):
        pl.read_parquet(path)


def decode_duckdb(folder: str, *files: str) -> None:
    """Decode all into Arrow batches that nobody keeps (where DuckDB is installed)."""
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    for path in _paths(folder, list(files)):
        names = pq.read_schema(path).names
        # hash() makes DuckDB touch every value; count() would answer from statistics.
        wanted = ", ".join(f"bit_xor(hash({name}))" for name in names)
        connection.execute(f"select {wanted} from read_parquet('{path}')").fetchall()  # noqa: S608 - own names


def profile(folder: str, reference: str) -> None:
    """Profile the reference from its file and write the profile."""
    from airflow_provider_ifp.adapters.counting.profiling import profile_table

    table = pq.read_table(Path(folder) / reference)
    record = profile_table(table, table.column_names).to_json()
    (Path(folder) / f"{reference}.json").write_text(json.dumps(record))


def count_psi(folder: str, reference: str, *files: str) -> None:
    """Count for the contract's PSI alone."""
    _count(folder, reference, list(files), grid="deciles")


def count_coarse(folder: str, reference: str, *files: str) -> None:
    """Count for PSI and its test of chance, tails included."""
    _count(folder, reference, list(files), grid="coarse")


def count_fine(folder: str, reference: str, *files: str) -> None:
    """Count for everything: KS, Wasserstein, tails, moments, quantiles."""
    _count(folder, reference, list(files), grid="fine")


def numpy_psi(folder: str, reference: str, *files: str) -> None:
    """Count for PSI where no compiler built the kernel."""
    _without_kernel()
    count_psi(folder, reference, *files)


def numpy_coarse(folder: str, reference: str, *files: str) -> None:
    """Count for PSI and its test where no compiler built the kernel."""
    _without_kernel()
    count_coarse(folder, reference, *files)


def numpy_fine(folder: str, reference: str, *files: str) -> None:
    """Count for everything where no compiler built the kernel."""
    _without_kernel()
    count_fine(folder, reference, *files)


def count_numeric(folder: str, reference: str, *files: str) -> None:
    """Count only the numeric columns for everything."""
    _count(folder, reference, list(files), grid="fine", numeric=True)


def numeric_psi(folder: str, reference: str, file: str) -> None:
    """Count the numeric columns for PSI, in memory already."""
    _count_memory(folder, reference, file, grid="deciles")


def numeric_fine(folder: str, reference: str, file: str) -> None:
    """Count the numeric columns for everything, in memory already."""
    _count_memory(folder, reference, file, grid="fine")


def _count(folder: str, reference: str, files: list[str], *, grid: Any, numeric: bool = False) -> None:
    from airflow_provider_ifp.adapters.counting.parquet.counting import count_files

    read = _profile(folder, reference, numeric=numeric)
    start = time.process_time()
    _score(read, count_files(read, _paths(folder, files), grid=grid))
    os.environ["IFP_CALCULATE"] = str(time.process_time() - start)


def _count_memory(folder: str, reference: str, file: str, *, grid: Any) -> None:
    from airflow_provider_ifp.adapters.counting.counter import count_batches

    read = _profile(folder, reference, numeric=True)
    batches = pq.read_table(Path(folder) / file).to_batches()
    start = time.process_time()
    _score(read, count_batches(read, batches, grid))
    os.environ["IFP_CALCULATE"] = str(time.process_time() - start)


def _without_kernel() -> None:
    from airflow_provider_ifp.adapters.counting import binning_kernel

    # Before the modules that take it from there are imported.
    binning_kernel.KERNEL = None  # type: ignore[misc]


def _profile(folder: str, reference: str, *, numeric: bool) -> Profile:
    from airflow_provider_ifp.core.profile.record import Profile

    read = Profile.from_json(json.loads((Path(folder) / f"{reference}.json").read_text()))
    features = tuple(one for one in read.features if not numeric or one.name.startswith("n"))
    return Profile(features, read.rows)


def _score(read: Profile, counts: dict[str, Counts]) -> None:
    from airflow_provider_ifp.core.drift.psi import psi

    for feature in read.features:
        psi(feature, counts[feature.name])  # type: ignore[arg-type]  # there are no lists here


STEPS: Final[dict[str, Callable[..., None]]] = {
    one.__name__: one
    for one in (
        decode_pyarrow,
        decode_polars,
        decode_duckdb,
        profile,
        count_psi,
        count_coarse,
        count_fine,
        numpy_psi,
        numpy_coarse,
        numpy_fine,
        count_numeric,
        numeric_psi,
        numeric_fine,
    )
}


DECODES: Final = ("decode_pyarrow", "decode_polars", "decode_duckdb")
COUNTS: Final = ("count_psi", "count_coarse", "count_fine", "numpy_psi", "numpy_coarse", "numpy_fine")
# What of ours a peer is held against: the same measures of the same columns, from memory where that matters.
OURS: Final = ("count_psi", "count_numeric", "numeric_psi", "numeric_fine")
OPPOSITE: Final = {
    "frouros_numeric": "numeric_psi",
    "nannyml_numeric": "numeric_fine",
    "alibi_numeric": "numeric_fine",
}


def run_step(name: str, arguments: list[str]) -> None:
    """Run a step and print what it took."""
    start = time.process_time()
    STEPS[name](*arguments)
    step = time.process_time() - start
    calculate = float(os.environ.get("IFP_CALCULATE", step))
    # Not ru_maxrss: that begins with the size of the process that started this one.
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    memory = int(peak.split()[1]) // 1024
    print(json.dumps({"calculate": calculate, "process": time.process_time(), "memory_mb": memory}))


# --- the tables ---

Took = dict[str, float]


def measure(name: str, *arguments: object) -> Took | None:
    """Run a step; None, and the reason printed, where it cannot run."""
    python = Path(sys.executable)
    if name.startswith("decode"):
        python = make_environment(Path(str(arguments[0])), "decoders", DECODERS)
    return _run([python, __file__, "--step", name, *map(str, arguments)], name)


def measure_peer(folder: Path, peer: str) -> Took | None:
    """Run a peer in its own environment."""
    python = make_environment(folder, PEERS[peer], PACKAGES[PEERS[peer]])
    script = Path(__file__).with_name("speed_peers.py")
    return _run([python, script, peer, folder / "ref1m.parquet", folder / "now1m.parquet"], peer, folder)


def _run(command: list[Any], name: str, folder: Path | None = None) -> Took | None:
    environment = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)
    if done.returncode:
        print(f"  {name}: {done.stderr.strip().splitlines()[-1]}")
        return None
    read: Took = json.loads(done.stdout.strip().splitlines()[-1])
    return read


def in_turns(rounds: int, runs: dict[str, Callable[[], Took | None]]) -> dict[str, Took]:
    """Run all once, then again; return the least of each figure. What fails or takes long runs once."""
    least: dict[str, Took] = {}
    again = dict(runs)
    for _ in range(rounds):
        for name, run in list(again.items()):
            took = run()
            if took:
                least[name] = {key: min(took[key], least.get(name, took)[key]) for key in took}
            if not took or took["process"] > LONG:
                del again[name]
    return least


def show_decoding(folder: Path, rounds: int) -> None:
    """Compare counting with decoding, and 100 million rows with 10."""
    ten, wide = "now10m.parquet", "wide.parquet"
    for title, reference, file in (
        ("10,000,000 x 25", "ref1m.parquet", ten),
        ("1,000,000 x 200", wide, wide),
    ):
        print(f"\n{title}: CPU seconds, ratio to the fastest decoder, MB")
        runs = {name: functools.partial(measure, name, folder, file) for name in DECODES}
        runs |= {name: functools.partial(measure, name, folder, reference, file) for name in COUNTS}
        least = in_turns(rounds, runs)
        fastest = min(least[name]["calculate"] for name in DECODES if name in least)
        for name, took in least.items():
            ratio = took["calculate"] / fastest
            print(f"  {name:16} {took['calculate']:7.2f} {ratio:6.2f} {took['memory_mb']:6.0f}", flush=True)
    names = [f"now-{number}.parquet" for number in range(10)]
    for name in names:
        (folder / name).unlink(missing_ok=True)
        os.link(folder / ten, folder / name)
    whole = measure("count_fine", folder, "ref1m.parquet", *names)
    if whole:
        print(f"\n100,000,000 x 25: count_fine {whole['calculate']:.2f} s, {whole['memory_mb']:.0f} MB")


def show_peers(folder: Path, peers: list[str], rounds: int) -> None:
    """Compare a million rows with a million rows."""
    print("\n1,000,000 against 1,000,000: CPU seconds; `count_` is measured with reading the window's file")
    runs = {name: functools.partial(measure, name, folder, "ref1m.parquet", "now1m.parquet") for name in OURS}
    runs["profile"] = functools.partial(measure, "profile", folder, "ref1m.parquet")
    runs |= {peer: functools.partial(measure_peer, folder, peer) for peer in peers}
    least = in_turns(rounds, runs)
    for name, took in least.items():
        if name not in peers:
            print(f"  {name:16} calculate {took['calculate']:6.2f}  process {took['process']:6.2f}")
    print("  peer: fit, calculate, process with imports; times ours")
    for peer in peers:
        ours = OPPOSITE.get(peer, "count_psi")
        if peer in least and ours in least:
            took, base = least[peer], least[ours]
            ratios = f"{took['calculate'] / base['calculate']:7.1f} {took['process'] / base['process']:7.1f}"
            figures = f"{took['fit']:7.2f} {took['calculate']:7.2f} {took['process']:7.2f}"
            print(f"  {peer:16} {figures}  {ratios} {ours}")


def main() -> None:
    """Make the data, print the tables, remove the data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/drift-speed"))  # noqa: S108 - may be chosen
    parser.add_argument("--peers", default="", help=f"of {', '.join(PEERS)}; or all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["decoding", "peers"])
    parser.add_argument(
        "--keep", action="store_true", help="leave the folder; one that was there before is left anyway"
    )
    parser.add_argument("--step", nargs="+", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.step:
        run_step(chosen.step[0], chosen.step[1:])
        return
    folder: Path = chosen.folder
    # Somebody else's folder may hold more than ours.
    keep = chosen.keep or folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    write_rows(folder / "ref1m.parquet", MILLION, seed=1)
    write_rows(folder / "now1m.parquet", MILLION, seed=2, shift=0.1)
    measure("profile", folder, "ref1m.parquet")
    if chosen.only != "peers":
        write_rows(folder / "now10m.parquet", 10 * MILLION, seed=3, shift=0.1)
        write_wide(folder / "wide.parquet", seed=4)
        measure("profile", folder, "wide.parquet")
        show_decoding(folder, chosen.rounds)
    if chosen.only != "decoding":
        peers = list(PEERS) if chosen.peers == "all" else [one for one in chosen.peers.split(",") if one]
        show_peers(folder, peers, chosen.rounds)
    if not keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
